# SPDX-License-Identifier: Apache-2.0
# The virtio devices: linked by the monitor, the unit tests and the fuzzers.
DEV_SRC := $(wildcard dev/*.c dev/backend/*.c)
