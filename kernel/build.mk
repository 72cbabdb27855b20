# nucleo, the kernel: freestanding, at most SSE-free, linked at LAMPO_VA_KERNEL.
NUCLEO_SRC := $(wildcard kernel/*.c kernel/*/*.c)
NUCLEO_SRC := $(filter-out kernel/vdso/%,$(NUCLEO_SRC)) $(wildcard base/*.c)
NUCLEO_ASM := $(filter-out kernel/vdso/%,$(wildcard kernel/*/*.S))
NUCLEO_CFLAGS = $(CSTD) $(WARN) -Wno-format-nonliteral $(OPT) -ffreestanding -fno-tree-loop-distribute-patterns -nostdlib -fPIE -fvisibility=hidden \
	-mgeneral-regs-only -mno-red-zone -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-strict-overflow -fno-strict-aliasing -fno-delete-null-pointer-checks -ffunction-sections -fdata-sections \
	-fcf-protection=none -U_FORTIFY_SOURCE -Uunix -Ulinux -Iinclude -I.
NUCLEO_OBJ = $(patsubst %.c,$(B)/nucleo-obj/%.o,$(NUCLEO_SRC)) $(patsubst %.S,$(B)/nucleo-obj/%.o,$(NUCLEO_ASM))

$(B)/nucleo-obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(NUCLEO_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/nucleo-obj/%.o: %.S
	@mkdir -p $(@D)
	$(Q)$(CC) $(NUCLEO_CFLAGS) -MMD -MP -c -o $@ $<

# nucleo.debug keeps the symbols; nucleo is what the monitor loads.
$(B)/nucleo.debug: $(NUCLEO_OBJ) kernel/nucleo.ld
	$(Q)$(CC) -nostdlib -static -no-pie -Wl,--no-dynamic-linker -Wl,--no-relax -Wl,-T,kernel/nucleo.ld -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,max-page-size=4096 \
		-Wl,-z,noexecstack -o $@ $(NUCLEO_OBJ) -lgcc

$(B)/nucleo: $(B)/nucleo.debug
	$(Q)objcopy --strip-all $< $@

PROGRAMS += $(B)/nucleo

# Unit tests of the kernel's portable parts: the same sources as a host program.
# Strict C17, so that the C library declares nothing that <linux/...> declares too.
KERNEL_HOST_CFLAGS = $(SAN_CFLAGS) -U_GNU_SOURCE -std=c17 -DNUCLEO_HOST
$(B)/kernel-host/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_HOST_CFLAGS) -MMD -MP -c -o $@ $<

include tests/unit/kernel.mk
