/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest finds at its start: complete, in place, nothing over anything else. Without KVM. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "vmm/boot.h"
#include "vmm/devices.h"
#include "vmm/vm.h"

#define RAM (64ull << 20)
#define ADDRESS 0x000ffffffffff000ull

static struct vm vm;
static uint8_t file[3 * PAGE_BYTES];
static struct options options;
static char *argv[] = {"prog", "", "an argument", NULL};
static const char *env[] = {"A=1", "EMPTY="};

static int setup(void **state)
{
	(void)state;
	struct err err;
	memset(&vm, 0, sizeof(vm));
	options = (struct options){
	    .id = "t",
	    .cwd = "/work",
	    .hostname = "host",
	    .argv = argv,
	    .argc = 3,
	    .env = env,
	    .env_count = 2,
	    .uid = 1000,
	    .gid = 100,
	    .rows = 24,
	    .columns = 80,
	    .tty = true,
	    .root_fd = open("/usr", O_PATH),
	    .image_fd = -1,
	    .root_overlay = true,
	    .volumes = {{.fd = open("/tmp", O_PATH), .target = "/data"},
			{.fd = open("/var", O_PATH), .read_only = true, .target = "/v"}},
	    .volume_count = 2,
	};
	vm.options = &options;
	vm.cpu_count = 3;
	memset(file + 2 * PAGE_BYTES, 0x5a, 100);
	vm.image = (struct image){
	    .file = file,
	    .file_bytes = sizeof(file),
	    .text = {LAMPO_VA_KERNEL, 0, 2 * PAGE_BYTES - 5, 2 * PAGE_BYTES - 5},
	    .data = {LAMPO_VA_KERNEL + 2 * PAGE_BYTES + 64, 2 * PAGE_BYTES, 100, 3 * PAGE_BYTES},
	    .header = {.entry = LAMPO_VA_KERNEL + 1,
		       .syscall_entry = LAMPO_VA_KERNEL + 2,
		       .gate_count = 1,
		       .gates = {{.vector = 32}}},
	};
	assert_int_equal(memory_init(&vm.memory, RAM, &err), 0);
	assert_int_equal(event_loop_init(&vm.loop, &err), 0);
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
	memory_fini(&vm.memory);
	return 0;
}

static const char *string_at(uint64_t offset)
{
	assert_true(offset < vm.boot->strings_bytes);
	return (const char *)vm.boot + offset;
}

static void boot_information_is_complete(void **state)
{
	(void)state;
	const struct lampo_boot_info *boot = vm.boot;
	assert_true(boot->magic == LAMPO_BOOT_MAGIC && boot->abi_version == LAMPO_ABI_VERSION);
	assert_int_equal(boot->flags, LAMPO_BOOT_TTY);
	assert_int_equal(boot->ram_bytes, RAM);
	assert_int_equal(boot->cpu_count, 3);
	assert_int_equal(boot->argc, 3);
	const char *argument = string_at(boot->argv);
	for (unsigned i = 0; i < 3; argument += strlen(argument) + 1, i++)
		assert_string_equal(argument, argv[i]);
	assert_string_equal(string_at(boot->envp), "A=1");
	assert_string_equal(string_at(boot->envp) + 4, "EMPTY=");
	assert_string_equal(string_at(boot->cwd), "/work");
	assert_string_equal(string_at(boot->hostname), "host");
	assert_int_equal(boot->terminal_size, 80 << 16 | 24);
	assert_int_equal(boot->uid, 1000);
	assert_true(boot->xcr0 >= 3 && boot->xsave_bytes >= 576 && boot->xsave_bytes < 4096);
	uint64_t sum = 0;
	for (unsigned i = 0; i < sizeof(boot->random); i++)
		sum += boot->random[i];
	assert_int_not_equal(sum, 0);
}

static void mounts_follow_the_exports(void **state)
{
	(void)state;
	const struct lampo_boot_info *boot = vm.boot;
	assert_int_equal(boot->mount_count, 3);
	static const struct {
		const char *target;
		uint32_t flags;
	} expected[] = {
	    {"/", LAMPO_MOUNT_READ_ONLY | LAMPO_MOUNT_OVERLAY}, {"/data", 0}, {"/v", LAMPO_MOUNT_READ_ONLY}};
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(string_at(boot->mounts[i].target), expected[i].target);
		assert_int_equal(boot->mounts[i].flags, expected[i].flags);
		assert_int_equal(boot->mounts[i].node, i + 1);
		assert_int_equal(boot->devices[boot->mounts[i].device].virtio_id, VIRTIO_ID_FS);
	}
}

/* Notes a range of RAM; it must not touch one noted before. */
static void claim(uint64_t gpa, uint64_t bytes)
{
	static struct {
		uint64_t start, end;
	} claimed[64];
	static unsigned count;
	if (bytes == 0) {
		count = 0;
		return;
	}
	assert_true(gpa >= PAGE_BYTES && gpa + bytes <= vm.boot->free_gpa);
	for (unsigned i = 0; i < count; i++)
		assert_true(gpa + bytes <= claimed[i].start || gpa >= claimed[i].end);
	claimed[count].start = gpa;
	claimed[count++].end = gpa + bytes;
}

static void nothing_lies_over_anything(void **state)
{
	(void)state;
	const struct lampo_boot_info *boot = vm.boot;
	claim(0, 0);
	claim(PAGE_BYTES, vm.memory.next_table - PAGE_BYTES);
	claim(boot->tables_gpa, boot->tables_bytes);
	claim((uint64_t)((uint8_t *)vm.boot - vm.memory.ram), boot->strings_bytes);
	claim(boot->cpu_pages, 3 * PAGE_BYTES);
	claim(vm.start.segments.tss_va - LAMPO_VA_DIRECT, 3 * 128);
	claim(vm.start.segments.gdt_va - LAMPO_VA_DIRECT, vm.start.segments.gdt_limit + 1u);
	claim(vm.start.segments.idt_va - LAMPO_VA_DIRECT, vm.start.segments.idt_limit + 1u);
	for (unsigned i = 0; i < boot->device_count; i++)
		for (unsigned q = 0; q < LAMPO_QUEUES_MAX; q++) {
			const struct lampo_boot_queue *queue = &boot->devices[i].queues[q];
			if (queue->size == 0)
				continue;
			assert_true(is_power_of_two(queue->size));
			assert_true(queue->desc_gpa % 16 == 0 && queue->avail_gpa % 2 == 0 && queue->used_gpa % 4 == 0);
			claim(queue->desc_gpa, 16ull * queue->size);
			claim(queue->avail_gpa, 6 + 2ull * queue->size);
			claim(queue->used_gpa, 6 + 8ull * queue->size);
		}
	assert_int_equal(boot->free_gpa % PAGE_BYTES, 0);
	assert_true(boot->populated_gpa >= boot->free_gpa && boot->populated_gpa <= RAM);
	for (uint64_t gpa = boot->free_gpa; gpa < boot->free_gpa + (1 << 20); gpa += 8)
		assert_int_equal(*(uint64_t *)memory_at(&vm.memory, gpa), 0);
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

static void image_is_mapped_as_it_should_be(void **state)
{
	(void)state;
	for (uint64_t at = 0; at < 2 * PAGE_BYTES; at += PAGE_BYTES) {
		uint64_t entry = walk(LAMPO_VA_KERNEL + at);
		assert_int_equal(entry & ADDRESS, LAMPO_GPA_KERNEL + at);
		assert_true((entry & 7) == 5 && !(entry >> 63)); /* user, read, execute */
	}
	/* 64 bytes into its page, three pages long: four pages, writable and not executable. */
	uint64_t first = walk(LAMPO_VA_KERNEL + 2 * PAGE_BYTES) & ADDRESS;
	for (uint64_t i = 0; i < 4; i++) {
		uint64_t entry = walk(LAMPO_VA_KERNEL + (2 + i) * PAGE_BYTES);
		assert_int_equal(entry & ADDRESS, first + i * PAGE_BYTES);
		assert_true((entry & 7) == 7 && entry >> 63);
	}
	const uint8_t *data = memory_at(&vm.memory, first);
	assert_int_equal(data[63], 0);
	assert_int_equal(data[64], 0x5a);
	assert_int_equal(data[163], 0x5a);
	assert_int_equal(data[164], 0);
	assert_int_equal(walk(LAMPO_VA_KERNEL + 6 * PAGE_BYTES) & 1, 0);
	assert_int_equal(walk(LAMPO_VA_MMIO + (LAMPO_GPA_DOORBELL - LAMPO_GPA_MMIO)) & ADDRESS, LAMPO_GPA_DOORBELL);
	for (unsigned slot = 0; slot < 512; slot++)
		assert_int_equal(((uint64_t *)memory_at(&vm.memory, vm.boot->pml4_gpa))[slot] & 1, slot == 255);
}

static void vcpu_pages_are_ready(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		uint64_t gpa = vm.boot->cpu_pages + i * PAGE_BYTES;
		const struct lampo_cpu_head *head = memory_at(&vm.memory, gpa);
		assert_int_equal(head->self, LAMPO_VA_DIRECT + gpa);
		assert_int_equal(head->index, i);
		assert_int_equal(head->deadline_ns, UINT64_MAX);
		assert_true(head->pending == 0 && head->irq_busy == 0);
	}
}

static void devices_are_active(void **state)
{
	(void)state;
	const struct lampo_boot_info *boot = vm.boot;
	assert_int_equal(boot->device_count, 3);
	assert_int_equal(boot->devices[0].virtio_id, VIRTIO_ID_CONSOLE);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(boot->devices[i].mmio_gpa, LAMPO_GPA_MMIO + i * LAMPO_MMIO_STRIDE);
		assert_true(vm.devices[i]->status & VIRTIO_STATUS_DRIVER_OK);
		assert_int_equal(vm.devices[i]->driver_features, boot->devices[i].features);
		assert_true(boot->devices[i].features & VIRTIO_F_VERSION_1);
	}
}

static void too_large_an_environment_is_refused(void **state)
{
	(void)state;
	struct memory small;
	struct err err;
	char *large = malloc(20 << 20);
	memset(large, 'x', (20 << 20) - 1);
	large[(20 << 20) - 1] = '\0';
	env[0] = large;
	assert_int_equal(memory_init(&small, LAMPO_RAM_MIN, &err), 0);
	struct memory saved = vm.memory;
	vm.memory = small;
	assert_int_equal(boot_build(&vm, &err), -E2BIG);
	assert_non_null(strstr(err.text, "environment"));
	vm.memory = saved;
	memory_fini(&small);
	env[0] = "A=1";
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(boot_information_is_complete, setup, teardown),
	    cmocka_unit_test_setup_teardown(mounts_follow_the_exports, setup, teardown),
	    cmocka_unit_test_setup_teardown(nothing_lies_over_anything, setup, teardown),
	    cmocka_unit_test_setup_teardown(image_is_mapped_as_it_should_be, setup, teardown),
	    cmocka_unit_test_setup_teardown(vcpu_pages_are_ready, setup, teardown),
	    cmocka_unit_test_setup_teardown(devices_are_active, setup, teardown),
	    cmocka_unit_test_setup_teardown(too_large_an_environment_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
