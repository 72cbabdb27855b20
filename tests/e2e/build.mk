# SPDX-License-Identifier: Apache-2.0
# What the end-to-end tests need besides the programs themselves.

$(B)/tests/e2e/fake_vmm: tests/e2e/fake_vmm.c base/host/vm_protocol.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) -O1 -g -D_GNU_SOURCE -I. -o $@ $<

.PHONY: e2e-tools
e2e-tools: $(B)/tests/e2e/fake_vmm $(B)/cli-docs

# Images for tests, of the host's files.
$(B)/tests/e2e/make_image: $(call host_objects,tests/e2e/make_image.c run/fd.c $(BASE_HOST_SRC)) $(B)/libimage.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_LDFLAGS) -o $@ $^ $(IMAGE_LIBS)
e2e-tools: $(B)/tests/e2e/make_image
