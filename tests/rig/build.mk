# SPDX-License-Identifier: Apache-2.0
# The rig: an emulated machine with a /dev/kvm of its own. `make rig RIG_CMD='COMMAND'` runs a command in it.

$(B)/rig/rig_init: tests/rig/rig_init.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) -O2 -static -D_GNU_SOURCE -o $@ $<

$(B)/rig/initrd: $(B)/rig/rig_init tests/rig/prepare
	tests/rig/prepare $(B)/rig $<

# Ring 0 code in a VM, to see that the machine's /dev/kvm works.
$(B)/rig/kvm_probe: tests/rig/kvm_probe.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) -O2 -static -D_GNU_SOURCE -o $@ $<

RIG_CMD ?= kvm_probe
.PHONY: rig
rig: all $(B)/rig/initrd $(B)/rig/kvm_probe
	@PATH="$(abspath $(B)/rig):$$PATH" tests/rig/rig --build $(abspath $(B)) -- /bin/sh -c '$(subst ','\'',$(RIG_CMD))'
