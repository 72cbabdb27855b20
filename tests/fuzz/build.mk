# SPDX-License-Identifier: Apache-2.0
# Fuzzers: tests/fuzz/fuzz_NAME.c becomes $(B)/tests/fuzz/fuzz_NAME (libFuzzer, so clang). What is under test
# is $(FUZZ_SRC_NAME), by default the devices; $(FUZZ_LIBS_NAME) are its libraries. "make fuzz" gives each FUZZ_SECONDS, "make fuzz-short" 5.

FUZZ_SECONDS ?= 600
FUZZ_CFLAGS = $(CSTD) -O1 -g -D_GNU_SOURCE -Iinclude -I. -pthread -fno-omit-frame-pointer \
              -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZERS := $(addprefix $(B)/tests/fuzz/fuzz_,$(FUZZ_NAMES))

FUZZ_SRC_elf = kernel/proc/elf.c
FUZZ_SRC_auth = image/auth.c
fuzz_sources = $(or $(FUZZ_SRC_$(1)),$(DEV_SRC) $(BASE_HOST_SRC))

$(B)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

.SECONDEXPANSION:
$(FUZZERS): $(B)/tests/fuzz/fuzz_%: $(B)/fuzz/tests/fuzz/fuzz_%.o $$(patsubst %.c,$(B)/fuzz/%.o,$$(call fuzz_sources,$$*))
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(FUZZ_LIBS_$*)

.PHONY: fuzz fuzz-short
fuzz: $$(FUZZERS)
	@sh tests/fuzz/run $(FUZZ_SECONDS) $(B)/fuzz $^
fuzz-short: $$(FUZZERS)
	@sh tests/fuzz/run 5 $(B)/fuzz $^
