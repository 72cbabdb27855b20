# SPDX-License-Identifier: Apache-2.0
# Guest tests: each .c file is one Linux program, $(B)/tests/guest/NAME. A line in the source may name flags:
#   /* Build: FLAGS */   /* Libs: FLAGS */   /* Expect: exit N */ (read by tests/run)
# Some are built in further ways: NAME.static, NAME.static-pie, NAME.musl.

GUEST_CFLAGS = $(CSTD) -Wall -Wextra -Wno-unused-parameter -Wno-clobbered -Wno-array-bounds \
               -Wno-stringop-overread -Wno-stringop-overflow -Wno-nonnull -O2 -g -D_GNU_SOURCE -fno-strict-aliasing -pthread
GUEST_VARIED := auxv_is_complete tls_initial_values stack_grows_and_ends signal_delivery thread_basics clocks_run \
                mmap_anonymous file_read_write exit_code_42

GUEST_NAMES := $(patsubst tests/guest/%.c,%,$(wildcard tests/guest/*.c))
GUEST_PROGRAMS := $(addprefix $(B)/tests/guest/,$(GUEST_NAMES) \
                  $(foreach n,$(filter $(GUEST_NAMES),$(GUEST_VARIED)),$(n).static $(n).static-pie $(n).musl))

guest_word = $$(sed -n 's,^/\* $(1): \(.*\) \*/$$,\1,p' $<)
guest_build = @mkdir -p $(@D); echo "$(1) $@"; $(1) $(GUEST_CFLAGS) $(2) $(call guest_word,Build) -o $@ $< $(call guest_word,Libs)

$(B)/tests/guest/%.static: tests/guest/%.c tests/guest/check.h
	$(call guest_build,$(CC),-static)
$(B)/tests/guest/%.static-pie: tests/guest/%.c tests/guest/check.h
	$(call guest_build,$(CC),-static-pie)
$(B)/tests/guest/%.musl: tests/guest/%.c tests/guest/check.h
	$(call guest_build,musl-gcc,-static)
$(B)/tests/guest/%: tests/guest/%.c tests/guest/check.h
	$(call guest_build,$(CC),)

.PHONY: guest-tests
guest-tests: $(GUEST_PROGRAMS)

# Programs that attack their monitor, and a monitor with the sanitizers for them, in $(B)/san/bin.
$(B)/tests/hostile/%: tests/guest/hostile/%.c include/abi/boot.h include/abi/doorbell.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) -Wall -Wextra -O1 -g -D_GNU_SOURCE -I. -Iinclude -static -pthread -o $@ $<
