# SPDX-License-Identifier: Apache-2.0
# One non-recursive make file; each folder adds its sources in a fragment, FOLDER/build.mk.
# Everything made lies in build/ (or B=DIR).

B ?= build
CC ?= gcc
CLANG ?= clang
CSTD = -std=gnu17
WARN = -Wall -Wextra -Werror -Wformat=2 -Wformat-security -Wimplicit-fallthrough -Wstrict-prototypes \
       -Wmissing-prototypes -Wshadow -Wvla -Wpointer-arith
OPT ?= -O2 -g
HARDEN = -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
         -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing -fPIE
HARDEN_LD = -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,nodlopen
HOST_CFLAGS = $(CSTD) $(WARN) $(OPT) $(HARDEN) -D_GNU_SOURCE -Iinclude -I. -pthread
HOST_LDFLAGS = $(HARDEN_LD) -pthread -Wl,--as-needed
# Unit tests and fuzzers
SAN_CFLAGS = $(CSTD) $(WARN) -O1 -g -D_GNU_SOURCE -Iinclude -I. -pthread -fsanitize=address,undefined \
             -fno-sanitize-recover=all -fno-omit-frame-pointer

# Before a command: prints what is made instead of how. `make V=1` shows the commands, `make -s` nothing.
SILENT := $(findstring s,$(firstword -$(MAKEFLAGS)))
Q = $(if $(V),,@$(if $(SILENT),,echo "  $(@:$(B)/%=%)";))

.DEFAULT_GOAL := all
.PHONY: all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# $(call host_objects,SOURCES): objects of host programs
host_objects = $(patsubst %.c,$(B)/host/%.o,$(1))
san_objects = $(patsubst %.c,$(B)/san/%.o,$(1))

BASE_HOST_SRC := $(wildcard base/*.c base/host/*.c)

include $(wildcard */build.mk */*/build.mk)

$(B)/host/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/san/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

all: $(PROGRAMS)

include tests/targets.mk

.PHONY: clean
clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
