# SPDX-License-Identifier: Apache-2.0
# Unit tests of the monitor: tests/unit/test_vmm_NAME.c, linked with all of the monitor but main().
UNIT_VMM_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_vmm_*.c))
UNIT_VMM_SRC = $(filter-out vmm/main.c,$(VMM_SRC)) $(DEV_SRC) $(VMM_IMAGE_SRC) $(BASE_HOST_SRC)
UNIT_TESTS += $(UNIT_VMM_TESTS)

$(UNIT_VMM_TESTS): $(B)/tests/unit/%: $(B)/san/tests/unit/%.o $(call san_objects,$(UNIT_VMM_SRC))
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -o $@ $^ -lcmocka

$(B)/san/vmm/jail_seccomp.o: $(B)/gen/test/seccomp_programs.h
$(B)/san/vmm/jail_seccomp.o: SAN_CFLAGS += -I$(B)/gen/test

# Its images come from the writer.
$(B)/tests/unit/test_vmm_root_image: $(B)/san/tests/unit/kernel_image.o $(B)/san/libimage.a
