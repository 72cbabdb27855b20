# SPDX-License-Identifier: Apache-2.0
$(B)/bench/micro: bench/micro.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) -Wno-missing-prototypes -D_GNU_SOURCE -O2 -pthread -o $@ $<
