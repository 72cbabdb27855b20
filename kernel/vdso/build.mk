# The vDSO: a shared object of one page, embedded in nucleo (image.S).
VDSO_CFLAGS = $(CSTD) $(WARN) -O2 -ffreestanding -fPIC -fvisibility=default -mgeneral-regs-only -fno-stack-protector \
	-fasynchronous-unwind-tables -fcf-protection=none -U_FORTIFY_SOURCE -Iinclude -I.

$(B)/vdso/vdso.o: kernel/vdso/vdso.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(VDSO_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/vdso/vdso.so: $(B)/vdso/vdso.o kernel/vdso/vdso.ld
	$(Q)$(CC) -nostdlib -shared -Wl,-T,kernel/vdso/vdso.ld -Wl,-soname=linux-vdso.so.1 -Wl,--hash-style=both -Wl,-Bsymbolic \
		-Wl,--build-id=none -Wl,--eh-frame-hdr -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-undefined -o $@ $<
	@objcopy --strip-all $@

$(B)/nucleo-obj/kernel/vdso/image.o: kernel/vdso/image.S $(B)/vdso/vdso.so
	@mkdir -p $(@D)
	$(Q)$(CC) $(NUCLEO_CFLAGS) -DVDSO_IMAGE='"$(B)/vdso/vdso.so"' -c -o $@ $<

NUCLEO_OBJ += $(B)/nucleo-obj/kernel/vdso/image.o
$(B)/nucleo.debug: $(B)/nucleo-obj/kernel/vdso/image.o
