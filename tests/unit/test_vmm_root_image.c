/* SPDX-License-Identifier: Apache-2.0 */
/* The image behind the guest's root: what of it the guest can see, and what is noted as verified. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "tests/unit/kernel_image.h"
#include "vmm/boot.h"
#include "vmm/devices.h"
#include "vmm/vm.h"

#define RAM (64ull << 20)
#define ADDRESS 0x000ffffffffff000ull
#define BIG_BYTES (3u << 20)

static struct vm vm;
static struct options options;
static struct err err;
static char *argv[] = {"prog", NULL};
static uint8_t *big;
static uint64_t blocks;

static int image_fd(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	assert_int_equal(write(fd, kernel_image_bytes, kernel_image_file_bytes), kernel_image_file_bytes);
	return fd;
}

static int setup(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	if (big == NULL) {
		big = malloc(BIG_BYTES);
		for (unsigned i = 0; i < BIG_BYTES; i++)
			big[i] = (uint8_t)(i * 7 + (i >> 12) * 31 + 1);
		kernel_image_begin();
		kernel_image_file("/big", big, BIG_BYTES, 0644);
		kernel_image_end();
		blocks = kernel_image_erofs_bytes / PAGE_BYTES;
	}
	options = (struct options){
	    .id = "t",
	    .cwd = "/",
	    .hostname = "host",
	    .argv = argv,
	    .argc = 1,
	    .root_fd = -1,
	    .report_fd = -1,
	    .state_fd = -1,
	    .image_fd = image_fd(),
	    .volumes = {{.fd = open("/tmp", O_PATH), .target = "/data"}},
	    .volume_count = 1,
	};
	vm.options = &options;
	vm.cpu_count = 1;
	atomic_init(&vm.exit_code, -1);
	vm.image = (struct image){.file = big, .text = {LAMPO_VA_KERNEL, 0, PAGE_BYTES, PAGE_BYTES}};
	vm.image.header.entry = LAMPO_VA_KERNEL;
	assert_int_equal(memory_init(&vm.memory, RAM, &err), 0);
	assert_int_equal(event_loop_init(&vm.loop, &err), 0);
	assert_int_equal(root_image_open(&vm, &err), 0);
	memory_set_image(&vm.memory, vm.root_image.map, vm.root_image.footer.erofs_bytes);
	cpuid_read(&vm.cpuid, vm.cpu_count);
	assert_int_equal(devices_create(&vm, &err), 0);
	assert_int_equal(boot_build(&vm, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < vm.device_count; i++)
		vm.devices[i]->ops->free(vm.devices[i]);
	close(vm.loop.epoll_fd);
	close(vm.image_work.event_fd);
	image_file_close(&vm.root_image);
	memory_fini(&vm.memory);
	return 0;
}

static uint64_t walk(uint64_t va)
{
	uint64_t table = vm.boot->pml4_gpa, entry = 0;
	for (int shift = 39; shift >= 12; shift -= 9) {
		entry = ((uint64_t *)memory_at(&vm.memory, table))[va >> shift & 511];
		if (!(entry & 1) || (entry & 0x80))
			return entry;
		table = entry & ADDRESS;
	}
	return entry;
}

static bool is_noted(uint64_t block)
{
	const uint64_t *bitmap = memory_at(&vm.memory, vm.boot->image_verified_gpa);
	return __atomic_load_n(&bitmap[block / 64], __ATOMIC_ACQUIRE) >> block % 64 & 1;
}

static uint64_t noted(void)
{
	uint64_t n = 0;
	for (uint64_t block = 0; block < align_up(blocks, 64); block++)
		n += is_noted(block);
	return n;
}

/* ---- what the guest finds ---- */

static void the_image_is_the_root(void **state)
{
	(void)state;
	const struct lampo_boot_info *boot = vm.boot;
	assert_int_equal(boot->image_bytes, kernel_image_erofs_bytes);
	assert_int_equal(boot->mount_count, 2);
	assert_string_equal((const char *)boot + boot->mounts[0].target, "/");
	assert_int_equal(boot->mounts[0].flags, LAMPO_MOUNT_READ_ONLY | LAMPO_MOUNT_OVERLAY | LAMPO_MOUNT_IMAGE);
	assert_string_equal((const char *)boot + boot->mounts[1].target, "/data");
	assert_int_equal(boot->mounts[1].node, 1); /* the fs device has nothing else */
	assert_true(boot->image_verified_gpa % 8 == 0 && boot->image_verified_gpa + blocks / 8 < boot->free_gpa);
	assert_int_equal(noted(), 0);
}

static void it_is_mapped_for_reading_only(void **state)
{
	(void)state;
	uint64_t end = align_up(kernel_image_erofs_bytes, HUGE_PAGE_BYTES);
	for (uint64_t at = 0; at < end; at += HUGE_PAGE_BYTES) {
		uint64_t entry = walk(LAMPO_VA_IMAGE + at);
		assert_int_equal(entry & ADDRESS, LAMPO_GPA_IMAGE + at);
		assert_true((entry & 0x87) == 0x85 && entry >> 63); /* large, user, not writable, not executable */
	}
	assert_int_equal(walk(LAMPO_VA_IMAGE + end) & 1, 0);
	/* Devices do not get to it. */
	assert_null(guest_memory_at(&vm.memory.map, (struct guest_addr){LAMPO_GPA_IMAGE}, 1, false));
}

/* ---- verified ---- */

static void good_blocks_are_noted(void **state)
{
	(void)state;
	root_image_verify(&vm, 60, 10); /* across two words */
	for (uint64_t block = 0; block < blocks; block++)
		assert_int_equal(is_noted(block), block >= 60 && block < 70);
	root_image_verify(&vm, blocks - 3, 64);
	assert_int_equal(noted(), 13);
	root_image_verify(&vm, 128, 64);
	assert_int_equal(noted(), 77);
}

static void what_is_out_of_range_is_ignored(void **state)
{
	(void)state;
	static const uint64_t values[] = {0, 1, 64, 65, UINT64_MAX, UINT64_MAX - 63, 1ull << 52};
	for (unsigned i = 0; i < countof(values); i++) {
		root_image_verify(&vm, blocks, values[i]);
		root_image_verify(&vm, UINT64_MAX, values[i]);
		root_image_ahead(&vm, blocks, values[i]);
		root_image_ahead(&vm, UINT64_MAX - 5, values[i]);
		root_image_verify(&vm, 5, 0);
		root_image_ahead(&vm, 5, 0);
	}
	assert_int_equal(noted(), 0);
	root_image_verify(&vm, 0, UINT64_MAX); /* no more than one request may have */
	assert_int_equal(noted(), 64);
}

static void damaged_blocks_are_not(void **state)
{
	(void)state;
	uint8_t *page = memmem(kernel_image_bytes, kernel_image_erofs_bytes, big + 40 * PAGE_BYTES, PAGE_BYTES);
	uint64_t block = (uint64_t)(page - kernel_image_bytes) / PAGE_BYTES;
	uint8_t byte = (uint8_t)(page[9] ^ 1);
	assert_int_equal(pwrite(options.image_fd, &byte, 1, (off_t)(block * PAGE_BYTES + 9)), 1);
	for (unsigned i = 0; i < 3; i++) {
		root_image_verify(&vm, block - 10, 20);
		assert_int_equal(noted(), 19);
		assert_false(is_noted(block));
	}
}

static void copies_are_of_good_blocks(void **state)
{
	(void)state;
	/* The second is damaged, the third goes beyond RAM, the fourth to what is not for writing. */
	uint8_t *page = memmem(kernel_image_bytes, kernel_image_erofs_bytes, big + 40 * PAGE_BYTES, PAGE_BYTES);
	uint64_t block = (uint64_t)(page - kernel_image_bytes) / PAGE_BYTES;
	uint64_t gpas[] = {40 << 20, 41 << 20, RAM - 8, LAMPO_GPA_IMAGE, 42 << 20};
	uint8_t byte = (uint8_t)(page[PAGE_BYTES] ^ 1);
	assert_int_equal(pwrite(options.image_fd, &byte, 1, (off_t)((block + 1) * PAGE_BYTES)), 1);
	root_image_copy(&vm, block, gpas, countof(gpas));
	assert_int_equal(noted(), 4);
	assert_false(is_noted(block + 1));
	assert_memory_equal(memory_at(&vm.memory, gpas[0]), page, PAGE_BYTES);
	assert_memory_equal(memory_at(&vm.memory, gpas[4]), page + 4 * PAGE_BYTES, PAGE_BYTES);
	for (unsigned i = 0; i < PAGE_BYTES; i += 64)
		assert_int_equal(*(uint8_t *)memory_at(&vm.memory, gpas[1] + i), 0);
	memset(memory_at(&vm.memory, gpas[0]), 0, PAGE_BYTES);
	root_image_copy(&vm, blocks, gpas, 1);
	root_image_copy(&vm, UINT64_MAX, gpas, UINT32_MAX);
	root_image_copy(&vm, 0, gpas, 0);
	assert_int_equal(*(uint8_t *)memory_at(&vm.memory, gpas[0]), 0);
}

static unsigned on_tick(void *context)
{
	(void)context;
	return 1000;
}

static void *loop(void *context)
{
	(void)context;
	event_loop_run(&vm.loop, on_tick, NULL);
}

/* In a process of its own: the thread does not end. */
static void the_device_thread_goes_ahead(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		for (unsigned i = 0; i < 3 * ROOT_IMAGE_RANGES_MAX; i++) /* more than fits */
			root_image_ahead(&vm, i, 1);
		root_image_ahead(&vm, 100, UINT64_MAX);
		pthread_create(&thread, NULL, loop, NULL);
		while (noted() < blocks - 100 + ROOT_IMAGE_RANGES_MAX - 1)
			usleep(1000);
		root_image_ahead(&vm, 0, 5); /* after it was idle */
		while (!is_noted(0) || !is_noted(4))
			usleep(1000);
		_exit(is_noted(99) ? 1 : 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- refused, cut short ---- */

static void other_images_are_refused(void **state)
{
	(void)state;
	static struct vm other;
	static struct options bad;
	bad = options;
	other.options = &bad;
	bad.image_fd = image_fd();
	bad.image_digest = vm.root_image.digest;
	bad.image_digest.bytes[31] ^= 1;
	bad.image_digest_given = true;
	assert_int_equal(event_loop_init(&other.loop, &err), 0);
	assert_int_equal(root_image_open(&other, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "digest"));
	bad.image_digest_given = false;
	bad.image_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_true(root_image_open(&other, &err) < 0);
	bad.image_fd = open("/", O_RDONLY | O_CLOEXEC);
	assert_true(root_image_open(&other, &err) < 0);
	bad.image_fd = -1;
	assert_int_equal(root_image_open(&other, &err), 0);
	root_image_verify(&other, 0, 64); /* there is none */
	root_image_ahead(&other, 0, 64);
	root_image_probe(&other);
	close(other.loop.epoll_fd);
}

static void a_file_cut_short_ends_the_vm(void **state)
{
	(void)state;
	char text[1024];
	for (unsigned way = 0; way < 2; way++) {
		int ends[2], status;
		assert_int_equal(pipe(ends), 0);
		pid_t child = fork();
		if (child == 0) {
			dup2(ends[1], STDERR_FILENO);
			/* Anew, for the test's framework has taken the signal. */
			options.image_fd = image_fd();
			if (root_image_open(&vm, &err) < 0 || ftruncate(options.image_fd, 100 * PAGE_BYTES) < 0)
				_exit(1);
			if (way == 0)
				root_image_verify(&vm, 90, 20);
			else
				root_image_probe(&vm);
			_exit(2);
		}
		close(ends[1]);
		ssize_t n = read(ends[0], text, sizeof(text) - 1);
		close(ends[0]);
		assert_true(n > 0);
		text[n] = '\0';
		assert_non_null(strstr(text, "cut short"));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, VM_CODE_LAMPO_FAILED << 8);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(the_image_is_the_root),        TEST(it_is_mapped_for_reading_only),
	    TEST(good_blocks_are_noted),        TEST(what_is_out_of_range_is_ignored),
	    TEST(damaged_blocks_are_not),       TEST(copies_are_of_good_blocks),
	    TEST(the_device_thread_goes_ahead), TEST(other_images_are_refused),
	    TEST(a_file_cut_short_ends_the_vm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
