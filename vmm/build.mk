# SPDX-License-Identifier: Apache-2.0
# The monitor, lampo-vmm. Linked statically with musl, because it must start fast; with the host's libc
# where there is no musl.
VMM_SRC := $(wildcard vmm/*.c vmm/arch/x86_64/*.c)
# The reader of image files.
VMM_IMAGE_SRC = image/image_file.c
VMM_CC ?= $(or $(shell command -v musl-gcc),$(CC))
ifneq ($(findstring musl,$(VMM_CC)),)
VMM_CFLAGS = $(filter-out -D_FORTIFY_SOURCE=%,$(HOST_CFLAGS)) -idirafter /usr/include \
	     -idirafter /usr/include/x86_64-linux-gnu -include base/host/musl.h
# musl-gcc knows no -static-pie: its pieces by hand.
VMM_CRT = $(dir $(firstword $(wildcard /usr/lib/*-linux-musl/rcrt1.o /usr/local/musl/lib/rcrt1.o)))
VMM_LDFLAGS = -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-Bsymbolic,-z,text,-z,relro,-z,now,-z,noexecstack,--gc-sections \
	      $(VMM_CRT)rcrt1.o $(VMM_CRT)crti.o $(shell $(VMM_CC) -print-file-name=crtbeginS.o)
VMM_LDEND = $(shell $(VMM_CC) -print-file-name=crtendS.o) $(VMM_CRT)crtn.o
else
VMM_CFLAGS = $(HOST_CFLAGS)
VMM_LDFLAGS = $(HOST_LDFLAGS)
endif
VMM_CFLAGS += -ffunction-sections
VMM_OBJECTS = $(patsubst %.c,$(B)/vmm/%.o,$(VMM_SRC) $(DEV_SRC) $(VMM_IMAGE_SRC) $(BASE_HOST_SRC))
PROGRAMS += $(B)/lampo-vmm

$(B)/vmm/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(VMM_CC) $(VMM_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/lampo-vmm: $(VMM_OBJECTS)
	$(Q)$(VMM_CC) $(VMM_LDFLAGS) -o $@ $(VMM_OBJECTS) $(VMM_LDEND)

# The monitor's seccomp programs, made at build time from vmm/seccomp/rules.c.
$(B)/tools/seccomp_generate: vmm/seccomp/generate.c vmm/seccomp/rules.c vmm/seccomp/rules.h vmm/irq.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(HOST_LDFLAGS) -o $@ vmm/seccomp/generate.c vmm/seccomp/rules.c -lseccomp

$(B)/gen/seccomp_programs.h: $(B)/tools/seccomp_generate
	@mkdir -p $(@D)
	$< > $@
$(B)/gen/test/seccomp_programs.h: $(B)/tools/seccomp_generate
	@mkdir -p $(@D)
	$< test > $@

$(B)/vmm/vmm/jail_seccomp.o: $(B)/gen/seccomp_programs.h
VMM_CFLAGS += -I$(B)/gen

FUZZ_SRC_loader = vmm/loader.c $(BASE_HOST_SRC)

-include tests/unit/vmm.mk
-include tests/guest/kernels/build.mk
