/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/boot.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/util.h"
#include "vmm/arch/x86_64/page_table.h"
#include "vmm/devices.h"
#include "vmm/root_image.h"
#include "vmm/vm.h"

#define LEAF_DATA (PTE_WRITE | PTE_USER | PTE_NO_EXECUTE | PTE_ACCESSED | PTE_DIRTY)
#define LEAF_TEXT (PTE_USER | PTE_ACCESSED)
#define LEAF_IMAGE (PTE_USER | PTE_NO_EXECUTE | PTE_ACCESSED | PTE_LARGE)
#define LEAF_MMIO (PTE_WRITE | PTE_USER | PTE_NO_EXECUTE | PTE_UNCACHED | PTE_ACCESSED | PTE_DIRTY)

/* ---- boot information and its strings ---------------------------------------------------------- */

static uint64_t strings_size(const struct options *options)
{
	uint64_t bytes = strlen(options->cwd) + 1 + strlen(options->hostname) + 1 + 2;
	for (unsigned i = 0; i < options->argc; i++)
		bytes += strlen(options->argv[i]) + 1;
	for (unsigned i = 0; i < options->env_count; i++)
		bytes += strlen(options->env[i]) + 1;
	for (unsigned i = 0; i < options->volume_count; i++)
		bytes += strlen(options->volumes[i].target) + 1;
	return bytes;
}

/* Appends a string; returns its offset from the start of the boot information. */
static uint64_t string_add(struct lampo_boot_info *boot, const char *text)
{
	uint64_t at = boot->strings_bytes;
	uint64_t bytes = strlen(text) + 1;
	memcpy((char *)boot + at, text, bytes);
	boot->strings_bytes += bytes;
	return at;
}

static void strings_fill(struct lampo_boot_info *boot, const struct options *options)
{
	boot->strings_bytes = sizeof(*boot);
	boot->argc = options->argc;
	boot->argv = boot->strings_bytes;
	for (unsigned i = 0; i < options->argc; i++)
		string_add(boot, options->argv[i]);
	boot->envc = options->env_count;
	boot->envp = boot->strings_bytes;
	for (unsigned i = 0; i < options->env_count; i++)
		string_add(boot, options->env[i]);
	boot->cwd = string_add(boot, options->cwd);
	boot->hostname = string_add(boot, options->hostname);
}

/* Export i of the fs device has node id i + 1 (include/abi/fuse_walk.h). */
static void mounts_fill(struct lampo_boot_info *boot, const struct options *options, uint32_t fs_index)
{
	uint64_t volumes_node = options->root_fd >= 0 ? 2 : 1;
	if (options->root_fd >= 0)
		boot->mounts[boot->mount_count++] = (struct lampo_boot_mount){
		    .device = fs_index,
		    .flags = LAMPO_MOUNT_READ_ONLY | (options->root_overlay ? LAMPO_MOUNT_OVERLAY : 0),
		    .target = string_add(boot, "/"),
		    .node = 1,
		};
	if (options->image_fd >= 0)
		boot->mounts[boot->mount_count++] = (struct lampo_boot_mount){
		    .flags = LAMPO_MOUNT_READ_ONLY | LAMPO_MOUNT_OVERLAY | LAMPO_MOUNT_IMAGE,
		    .target = string_add(boot, "/"),
		};
	for (unsigned i = 0; i < options->volume_count; i++)
		boot->mounts[boot->mount_count++] = (struct lampo_boot_mount){
		    .device = fs_index,
		    .flags = options->volumes[i].read_only ? LAMPO_MOUNT_READ_ONLY : 0,
		    .target = string_add(boot, options->volumes[i].target),
		    .node = volumes_node + i,
		};
}

static int info_fill(struct vm *vm, struct lampo_boot_info *boot, struct err *err)
{
	const struct options *options = vm->options;
	boot->magic = LAMPO_BOOT_MAGIC;
	boot->abi_version = LAMPO_ABI_VERSION;
	boot->flags = (options->strace ? LAMPO_BOOT_STRACE : 0) | (options->tty ? LAMPO_BOOT_TTY : 0) |
		      (options->standard_input ? LAMPO_BOOT_STDIN : 0) | (options->counts ? LAMPO_BOOT_COUNTS : 0);
	boot->ram_bytes = vm->memory.ram_bytes;
	boot->image_bytes = vm->memory.image_bytes;
	boot->cpu_count = vm->cpu_count;
	boot->xcr0 = vm->cpuid.xcr0;
	boot->xsave_bytes = vm->cpuid.xsave_bytes;
	boot->uid = options->uid;
	boot->gid = options->gid;
	boot->terminal_size = (uint32_t)options->columns << 16 | options->rows;
	if (getrandom(boot->random, sizeof(boot->random), 0) != sizeof(boot->random))
		return err_set(err, -EIO, "cannot get random numbers");
	strings_fill(boot, options);
	mounts_fill(boot, options, vm->device_count - 1); /* the last device, if there are mounts */
	return 0;
}

/* ---- the kernel's segments and page tables ------------------------------------------------------ */

static int kernel_map(struct vm *vm)
{
	const struct image_segment *text = &vm->image.text, *data = &vm->image.data;
	int r = page_table_map(&vm->memory, vm->start.pml4_gpa, LAMPO_VA_KERNEL, LAMPO_GPA_KERNEL,
			       align_up(text->memory_bytes, PAGE_BYTES), LEAF_TEXT);
	if (r < 0 || data->memory_bytes == 0)
		return r;
	uint64_t first_va = align_down(data->va, PAGE_BYTES);
	uint64_t bytes = align_up(data->va + data->memory_bytes, PAGE_BYTES) - first_va;
	uint64_t gpa = memory_take(&vm->memory, bytes, PAGE_BYTES);
	if (gpa == 0)
		return -ENOMEM;
	memcpy((uint8_t *)memory_at(&vm->memory, gpa) + (data->va - first_va), vm->image.file + data->offset,
	       data->file_bytes);
	return page_table_map(&vm->memory, vm->start.pml4_gpa, first_va, gpa, bytes, LEAF_DATA);
}

static int page_tables_build(struct vm *vm)
{
	vm->start.pml4_gpa = memory_take_table(&vm->memory);
	if (vm->start.pml4_gpa == 0)
		return -ENOMEM;
	int r = page_table_map(&vm->memory, vm->start.pml4_gpa, LAMPO_VA_DIRECT, 0, vm->memory.ram_bytes,
			       LEAF_DATA | PTE_LARGE);
	if (r == 0) /* the last large page may be longer than the image: nobody goes there */
		r = page_table_map(&vm->memory, vm->start.pml4_gpa, LAMPO_VA_IMAGE, LAMPO_GPA_IMAGE,
				   align_up(vm->memory.image_bytes, HUGE_PAGE_BYTES), LEAF_IMAGE);
	if (r == 0)
		r = page_table_map(&vm->memory, vm->start.pml4_gpa, LAMPO_VA_MMIO, LAMPO_GPA_MMIO,
				   (uint64_t)vm->device_count * LAMPO_MMIO_STRIDE, LEAF_MMIO);
	if (r == 0)
		r = page_table_map(&vm->memory, vm->start.pml4_gpa,
				   LAMPO_VA_MMIO + (LAMPO_GPA_DOORBELL - LAMPO_GPA_MMIO), LAMPO_GPA_DOORBELL,
				   PAGE_BYTES, LEAF_MMIO);
	return r == 0 ? kernel_map(vm) : r;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static void cpu_pages_fill(struct vm *vm)
{
	for (unsigned i = 0; i < vm->cpu_count; i++) {
		uint64_t gpa = vm->start.cpu_pages + i * PAGE_BYTES;
		struct lampo_cpu_head *head = memory_at(&vm->memory, gpa);
		head->self = LAMPO_VA_DIRECT + gpa;
		head->index = i;
		head->deadline_ns = UINT64_MAX;
	}
}

void boot_populate(struct memory *memory)
{
	memory_populate(memory, PAGE_BYTES, BOOT_TABLES_BYTES);
	memory_populate(memory, HUGE_PAGE_BYTES, BOOT_DATA_BYTES);
}

void boot_populate_ahead(struct memory *memory)
{
	memory_populate(memory, HUGE_PAGE_BYTES + BOOT_DATA_BYTES, BOOT_AHEAD_BYTES - BOOT_DATA_BYTES);
}

int boot_build(struct vm *vm, struct err *err)
{
	struct memory *memory = &vm->memory;
	uint64_t boot_gpa = memory_take(memory, sizeof(struct lampo_boot_info) + strings_size(vm->options), PAGE_BYTES);
	vm->start.cpu_pages = memory_take(memory, vm->cpu_count * PAGE_BYTES, PAGE_BYTES);
	if (boot_gpa == 0 || vm->start.cpu_pages == 0)
		return err_set(err, -E2BIG, "cannot fit command and environment into guest memory");
	vm->start.boot_va = LAMPO_VA_DIRECT + boot_gpa;
	vm->start.entry = vm->image.header.entry;
	vm->start.syscall_entry = vm->image.header.syscall_entry;
	struct lampo_boot_info *boot = memory_at(memory, boot_gpa);
	vm->boot = boot;
	int r = info_fill(vm, boot, err);
	if (r < 0)
		return r;
	cpu_pages_fill(vm);
	r = segments_build(&vm->start.segments, memory, &vm->image.header, vm->start.cpu_pages, vm->cpu_count);
	if (r == 0)
		r = page_tables_build(vm);
	if (r < 0)
		return err_set(err, r, "cannot lay out guest memory");
	if ((r = devices_activate(vm, boot, err)) < 0)
		return r;
	/* Last, for it may be large, and most of it will never be touched. */
	boot->image_verified_gpa = memory_take(memory, align_up(memory->image_bytes / PAGE_BYTES, 64) / 8, 64);
	if (boot->image_verified_gpa == 0)
		return err_set(err, -ENOMEM, "cannot lay out guest memory for an image of this size");
	root_image_use(vm, memory_at(memory, boot->image_verified_gpa));
	boot->cpu_pages = vm->start.cpu_pages;
	boot->pml4_gpa = vm->start.pml4_gpa;
	boot->free_gpa = align_up(memory->next, PAGE_BYTES);
	boot->populated_gpa = max_u64(boot->free_gpa, HUGE_PAGE_BYTES + BOOT_AHEAD_BYTES);
	boot->tables_gpa = memory->next_table;
	boot->tables_bytes = HUGE_PAGE_BYTES - memory->next_table;
	return 0;
}
