# SPDX-License-Identifier: Apache-2.0
$(B)/bench/micro: bench/micro.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARN) -Wno-missing-prototypes -O2 -pthread -o $@ $<
