# SPDX-License-Identifier: Apache-2.0
# lampo is linked statically: loading shared libraries would be a third of its running time.
CLI_SRC := $(filter-out cli/docs.c,$(wildcard cli/*.c))
# What lampo-image has of it, too.
CLI_COMMON_SRC := $(addprefix cli/,arguments.c command.c dispatch.c help.c image_open.c parse.c table.c terminal.c)
PROGRAMS += $(B)/lampo

$(B)/lampo: $(call host_objects,$(CLI_SRC) $(wildcard run/*.c) $(BASE_HOST_SRC)) $(B)/libimage.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -pie,$(HOST_LDFLAGS)) -static-pie -Wl,--gc-sections -o $@ $^ $(RUN_LIBS)

# The man page and the completion are made from the table in cli/command.c and kept in the repository;
# tests/e2e/test_docs.sh fails if they are stale.
$(B)/cli-docs: $(call host_objects,cli/docs.c cli/command.c $(BASE_HOST_SRC))
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_LDFLAGS) -o $@ $^

.PHONY: docs
docs: $(B)/cli-docs
	$(B)/cli-docs man man/lampo.1.in > man/lampo.1
	$(B)/cli-docs bash > share/bash-completion/lampo

UNIT_CLI_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_cli_*.c))
UNIT_TESTS += $(UNIT_CLI_TESTS)

$(UNIT_CLI_TESTS): $(B)/tests/unit/%: $(B)/san/tests/unit/%.o \
		$(call san_objects,$(filter-out cli/main.c,$(CLI_SRC)) $(wildcard run/*.c) $(BASE_HOST_SRC)) $(B)/san/libimage.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $^ $(RUN_LIBS) -lcmocka
