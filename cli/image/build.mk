# SPDX-License-Identifier: Apache-2.0
# lampo-image does the verbs that work on images. It is a program of its own, linked dynamically, so that `lampo run` stays small and static.
CLI_IMAGE_SRC := $(wildcard cli/image/*.c)
PROGRAMS += $(B)/lampo-image

$(B)/lampo-image: $(call host_objects,$(CLI_IMAGE_SRC) $(CLI_COMMON_SRC) $(RUN_SRC) $(BASE_HOST_SRC)) $(B)/libimage.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_LDFLAGS) -Wl,--gc-sections -o $@ $^ $(IMAGE_LIBS)
