# SPDX-License-Identifier: Apache-2.0
# The library that starts and talks to monitors; linked into programs, no file of its own.
RUN_SRC := $(wildcard run/*.c)
RUN_LIBS := -ljansson

UNIT_RUN_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_run_*.c))
UNIT_TESTS += $(UNIT_RUN_TESTS)

$(UNIT_RUN_TESTS): $(B)/tests/unit/%: $(B)/san/tests/unit/%.o $(call san_objects,$(RUN_SRC) $(BASE_HOST_SRC))
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $^ $(RUN_LIBS) -lcmocka
