# SPDX-License-Identifier: Apache-2.0
# Unit tests of kernel/: tests/unit/test_kernel_NAME.c with the sources in KERNEL_TEST_NAME and the mock machine of
# kernel_host.c, as a host program with the sanitizers.

KERNEL_HOST_CFLAGS += -include tests/unit/kernel_linux.h

KERNEL_TESTS += mm cache image elf patch
KERNEL_MM_SRC := $(wildcard kernel/mm/*.c) kernel/proc/elf.c
KERNEL_TEST_mm = $(KERNEL_MM_SRC) tests/unit/kernel_files.c tests/unit/kernel_host.c
KERNEL_TEST_cache = $(KERNEL_MM_SRC) tests/unit/kernel_files.c tests/unit/kernel_host.c
KERNEL_TEST_image = $(KERNEL_MM_SRC) tests/unit/kernel_host.c
KERNEL_TEST_elf = kernel/proc/elf.c
KERNEL_TEST_patch = kernel/entry/patch_decode.c

# Threads as coroutines (kernel_threads.c), for all that schedules, waits and signals.
KERNEL_TESTS += timer sched futex signal
KERNEL_PROC_SRC := $(filter-out kernel/proc/exec%.c kernel/proc/elf.c,$(wildcard kernel/proc/*.c)) \
	tests/unit/kernel_threads.c tests/unit/coroutine.c
KERNEL_TEST_timer = $(KERNEL_PROC_SRC)
KERNEL_TEST_sched = $(KERNEL_PROC_SRC)
KERNEL_TEST_futex = $(KERNEL_PROC_SRC)
KERNEL_TEST_signal = $(KERNEL_PROC_SRC)

# Descriptors over these threads (kernel_descriptors.c), for pipes, sockets and all that is polled.
KERNEL_TESTS += io_pipe io_epoll io_unix io_tty io_random io_strace
KERNEL_IO_SRC := $(KERNEL_PROC_SRC) tests/unit/kernel_descriptors.c kernel/lib/format.c kernel/fs/epoll.c kernel/fs/poll.c
KERNEL_TEST_io_pipe = $(KERNEL_IO_SRC) kernel/fs/pipe.c kernel/fs/ring.c
KERNEL_TEST_io_unix = $(KERNEL_IO_SRC) $(wildcard kernel/net/*.c) kernel/fs/ring.c kernel/fs/eventfd.c
KERNEL_TEST_io_tty = $(KERNEL_PROC_SRC) kernel/fs/tty_line.c
KERNEL_TEST_io_random = kernel/lib/random.c
KERNEL_TEST_io_strace = $(KERNEL_PROC_SRC) kernel/lib/format.c $(wildcard kernel/sys/strace*.c)
KERNEL_TEST_io_epoll = $(KERNEL_IO_SRC) $(addprefix kernel/fs/,pipe.c ring.c select.c eventfd.c timerfd.c)

# The tree over a FUSE server in the test's process (kernel_fuse.c).
KERNEL_TESTS += fs fs_volume fs_image
KERNEL_FS_SRC := $(addprefix kernel/fs/,dentry.c devfs.c directory.c file.c fuse_node.c inode.c node.c inotify.c locks.c memfs.c memfs_xattr.c mount.c \
	open.c overlay.c overlay_host.c overlay_image.c path.c proc_cpuinfo.c proc_fd.c proc_pid.c proc_sys.c procfs.c pseudo.c regular.c sysfs.c virtiofs.c virtiofs_data.c) \
	$(wildcard kernel/sys/file_*.c) $(addprefix kernel/mm/,cache.c cache_io.c heap.c image.c page.c) base/erofs.c base/erofs_name.c kernel/lib/format.c \
	$(addprefix tests/unit/,kernel_fs_host.c kernel_fuse.c kernel_host.c)
KERNEL_TEST_fs = $(KERNEL_FS_SRC)
KERNEL_TEST_fs_volume = $(KERNEL_FS_SRC)
KERNEL_TEST_fs_image = $(KERNEL_FS_SRC)
# Its images come from the writer.
$(B)/tests/unit/test_kernel_fs $(B)/tests/unit/test_kernel_fs_image: $(B)/san/tests/unit/kernel_image.o $(B)/san/libimage.a

kernel_host_objects = $(patsubst %.c,$(B)/kernel-host/%.o,$(1))

define kernel_test
UNIT_TESTS += $(B)/tests/unit/test_kernel_$(1)
$(B)/tests/unit/test_kernel_$(1): $(call kernel_host_objects,tests/unit/test_kernel_$(1).c $(KERNEL_TEST_$(1)))
	@mkdir -p $$(@D)
	$$(CC) $$(SAN_CFLAGS) -o $$@ $$^ -lcmocka
endef
$(foreach name,$(KERNEL_TESTS),$(eval $(call kernel_test,$(name))))

# The fuzzer of the overlay over images: kernel sources as above, with the fuzzer's flags.
# Null plus zero is fine with gcc, which the kernel is built with.
FUZZ_KERNEL_CFLAGS = -U_GNU_SOURCE -std=c17 -DNUCLEO_HOST -fno-sanitize=pointer-overflow -include tests/unit/kernel_linux.h
$(B)/fuzz-kernel/%.o: %.c
	@mkdir -p $(@D)
	$(CLANG) $(FUZZ_CFLAGS) $(FUZZ_KERNEL_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/fuzz/tests/fuzz/fuzz_overlay.o: FUZZ_CFLAGS += $(FUZZ_KERNEL_CFLAGS)
FUZZ_SRC_overlay := $(sort $(wildcard image/writer*.c image/erofs_*.c) image/tree.c image/image_file.c tests/unit/kernel_image.c $(BASE_HOST_SRC))
$(B)/tests/fuzz/fuzz_overlay: $(patsubst %.c,$(B)/fuzz-kernel/%.o,$(filter-out base/%,$(KERNEL_FS_SRC)))
