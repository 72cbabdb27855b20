# SPDX-License-Identifier: Apache-2.0
# The targets of the whole project; included last, when all lists are complete.

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_EACH ?= 5
RESULTS = $(B)/results.json
export B

.PHONY: deps demo check check-native bench bench-image bench-vms format lint analyze install uninstall

deps:
	@sh scripts/deps

# Recursion, so that nothing is built before the packages are there.
demo: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@sh scripts/demo

check: deps
	@$(MAKE) --no-print-directory -j$$(nproc) check-build
	@UNIT_TESTS="$(UNIT_TESTS)" FUZZERS="$(FUZZERS)" FUZZ_EACH="$(FUZZ_EACH)" GUEST_PROGRAMS="$(GUEST_PROGRAMS)" \
		sh tests/check

.PHONY: check-build
check-build: all $(UNIT_TESTS) $(FUZZERS) $(GUEST_PROGRAMS) e2e-tools test-kernels $(B)/rig/kvm_probe
	-@$(MAKE) --no-print-directory $(B)/rig/initrd

# The tests of the guest as ordinary programs of this host: proves the tests themselves.
check-native: guest-tests
	@tests/run --label native $(GUEST_PROGRAMS)
	@LAMPO=native tests/run --label native --timeout 120 $(filter-out %/lib.sh,$(wildcard tests/e2e/programs/*.sh))

bench: all $(B)/bench/micro
	@python3 bench/bench

bench-image: all
	@python3 bench/image

bench-vms: all
	@python3 bench/vms

SOURCES = $(shell git ls-files '*.c' '*.h')
format:
	clang-format -i $(SOURCES)

lint:
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches -ULAMPO_ANALYZE -Iinclude -I. base cli dev image kernel run vmm

# clang-tidy and gcc's own analyzer on all that is shipped; nucleo with its own flags, and without two checks: one
# cannot see an object leave its list before it is freed, one takes a program's address for a pointer.
ANALYZED = $(filter-out tests/% kernel/vdso/%,$(filter %.c,$(SOURCES)))
ANALYZED_HOST = $(filter-out kernel/%,$(ANALYZED))
# gcc does not know that err_set() returns what it is given, a negative errno, so it goes on where the code does not; and
# what a structure owns it takes for lost. The sanitizers look for leaks.
NOT_KNOWN = -Wno-analyzer-malloc-leak -Wno-analyzer-null-dereference -Wno-analyzer-possible-null-dereference \
	-Wno-analyzer-null-argument -Wno-analyzer-use-of-uninitialized-value
EACH = xargs -P $$(nproc) -n 2
analyze: $(B)/gen/seccomp_programs.h
	@mkdir -p $(B)/analyze
	printf '%s\n' $(filter kernel/%,$(ANALYZED)) | $(EACH) sh -c 'clang-tidy --quiet --checks=-clang-analyzer-unix.Malloc,-clang-analyzer-unix.cstring.NullArg \
		"$$@" -- $(CSTD) -ffreestanding -mgeneral-regs-only -Uunix -Ulinux -Iinclude -I. 2>/dev/null' sh
	printf '%s\n' $(ANALYZED_HOST) | $(EACH) sh -c 'clang-tidy --quiet "$$@" -- $(CSTD) -DLAMPO_ANALYZE -D_GNU_SOURCE -Iinclude -I. -I$(B)/gen 2>/dev/null' sh
	printf '%s\n' $(ANALYZED_HOST) | xargs -P $$(nproc) -I{} sh -c '$(CC) $(CSTD) $(WARN) -O1 -DLAMPO_ANALYZE -D_GNU_SOURCE -Iinclude -I. -I$(B)/gen \
		-fanalyzer $(NOT_KNOWN) -c -o $(B)/analyze/$$(echo {} | tr / _).o {}'

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/lampo $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -s $(B)/lampo $(DESTDIR)$(PREFIX)/bin/lampo
	install -s $(B)/lampo-vmm $(DESTDIR)$(PREFIX)/libexec/lampo/lampo-vmm
	install -s $(B)/lampo-image $(DESTDIR)$(PREFIX)/libexec/lampo/lampo-image
	install -m 644 $(B)/nucleo $(DESTDIR)$(PREFIX)/libexec/lampo/nucleo
	install -m 644 man/lampo.1 $(DESTDIR)$(PREFIX)/share/man/man1/lampo.1
	install -m 644 share/bash-completion/lampo $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lampo

uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/libexec/lampo
	rm -f $(DESTDIR)$(PREFIX)/bin/lampo $(DESTDIR)$(PREFIX)/share/man/man1/lampo.1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/lampo

# The monitor with the sanitizers, beside the programs that it needs: `$(B)/san/bin/lampo run` uses it.
$(B)/san/bin/lampo-vmm: $(call san_objects,$(VMM_SRC) $(DEV_SRC) $(VMM_IMAGE_SRC) $(BASE_HOST_SRC))
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $^
$(B)/san/bin/%: $(B)/%
	@mkdir -p $(@D)
	cp $< $@
HOSTILE := $(B)/san/bin/lampo-vmm $(B)/san/bin/lampo $(B)/san/bin/nucleo \
	$(patsubst tests/guest/hostile/%.c,$(B)/tests/hostile/%,$(wildcard tests/guest/hostile/*.c))
check-build: $(HOSTILE)
