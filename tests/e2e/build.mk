# SPDX-License-Identifier: Apache-2.0
# What the end-to-end tests need besides the programs themselves.

$(B)/tests/e2e/fake_vmm: tests/e2e/fake_vmm.c base/host/vm_protocol.h
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARN) -O1 -g -D_GNU_SOURCE -I. -o $@ $<

.PHONY: e2e-tools
e2e-tools: $(B)/tests/e2e/fake_vmm $(B)/cli-docs
