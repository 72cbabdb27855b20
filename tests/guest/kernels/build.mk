# SPDX-License-Identifier: Apache-2.0
# Tiny kernels for tests of the monitor.
TEST_KERNELS := $(patsubst tests/guest/kernels/%.c,$(B)/tests/kernels/%,$(wildcard tests/guest/kernels/*.c))

.PHONY: test-kernels
test-kernels: $(TEST_KERNELS)

$(B)/tests/kernels/%: tests/guest/kernels/%.c tests/guest/kernels/kernel.h tests/guest/kernels/kernel.ld $(wildcard include/abi/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) -O2 -ffreestanding -fno-pic -mcmodel=large -mno-red-zone -fno-stack-protector \
		-fcf-protection=none -fno-asynchronous-unwind-tables -Iinclude -I. -nostdlib -static -no-pie \
		-Wl,-T,tests/guest/kernels/kernel.ld -Wl,--build-id=none -Wl,-z,noexecstack -o $@ $<

# The monitor with the sanitizers, for the hostile ones.
VMM_SAN_OBJECTS = $(call san_objects,$(VMM_SRC) $(DEV_SRC) $(BASE_HOST_SRC))
$(B)/san/lampo-vmm: $(VMM_SAN_OBJECTS)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $(VMM_SAN_OBJECTS)

.PHONY: check-kernels
check-kernels: $(B)/lampo-vmm $(B)/san/lampo-vmm $(TEST_KERNELS)
	tests/guest/kernels/run $(B)/lampo-vmm $(B)/tests/kernels
	tests/guest/kernels/run $(B)/san/lampo-vmm $(B)/tests/kernels

# tests/e2e/test_vmm_*.py run the monitor with them.
.PHONY: e2e-tools
e2e-tools: $(TEST_KERNELS)
