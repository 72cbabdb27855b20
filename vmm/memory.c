/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "include/abi/boot.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Slots: the read-only regions from 0 on, the image, RAM by its size. */
#define IMAGE_SLOT (GUEST_REGIONS_MAX - 1)

static int ram_create(uint64_t bytes, struct err *err)
{
	int fd = memfd_create("lampo-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("lampo-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_set(err, -errno, "cannot create guest memory");
	if (ftruncate(fd, (off_t)bytes) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int r = err_set(err, -errno, "cannot size guest memory to %llu MiB", (unsigned long long)(bytes >> 20));
		close(fd);
		return r;
	}
	return fd;
}

int memory_init(struct memory *memory, uint64_t bytes, struct err *err)
{
	int fd = ram_create(bytes, err);
	if (fd < 0)
		return fd;
	/* Aligned, so that huge pages fit: reserve more than is needed, and map within it. */
	uint8_t *ram =
	    mmap(NULL, bytes + HUGE_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram != MAP_FAILED) {
		ram = (uint8_t *)align_up((uintptr_t)ram, HUGE_PAGE_BYTES);
		ram = mmap(ram, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
	}
	if (ram == MAP_FAILED) {
		int r = err_set(err, -errno, "cannot map %llu MiB of guest memory", (unsigned long long)(bytes >> 20));
		err_hint(err, "give the VM less memory with --memory");
		close(fd);
		return r;
	}
	madvise(ram, bytes, MADV_DONTDUMP);
	madvise(ram, bytes, MADV_HUGEPAGE); /* where the host allows them for memfds */
	*memory = (struct memory){.ram_fd = fd,
				  .vm_fd = -1,
				  .slots_lock = PTHREAD_MUTEX_INITIALIZER,
				  .ram = ram,
				  .ram_bytes = bytes,
				  .next_table = PAGE_BYTES,
				  .next = HUGE_PAGE_BYTES};
	memory->map.regions[0] = (struct guest_region){.gpa = 0, .bytes = bytes, .host = ram};
	memory->map.count = 1;
	return 0;
}

void memory_fini(struct memory *memory)
{
	munmap(memory->ram, memory->ram_bytes);
	close(memory->ram_fd);
	*memory = (struct memory){.ram_fd = -1};
}

void memory_add_read_only(struct memory *memory, uint64_t gpa, const void *host, uint64_t bytes)
{
	memory->map.regions[memory->map.count++] =
	    (struct guest_region){.gpa = gpa, .bytes = bytes, .host = (void *)(uintptr_t)host, .read_only = true};
}

void memory_set_image(struct memory *memory, const void *host, uint64_t bytes)
{
	memory->image = host;
	memory->image_bytes = bytes;
}

static int slot_set(const struct memory *memory, uint32_t number, uint64_t gpa, uint64_t bytes, void *host,
		    bool read_only, struct err *err)
{
	struct kvm_userspace_memory_region slot = {
	    .slot = number,
	    .flags = read_only ? KVM_MEM_READONLY : 0,
	    .guest_phys_addr = gpa,
	    .memory_size = bytes,
	    .userspace_addr = (uintptr_t)host,
	};
	if (ioctl(memory->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return err_set(err, -errno, "cannot give %llu KiB of memory to KVM", (unsigned long long)(bytes >> 10));
	return 0;
}

int memory_set_slots(struct memory *memory, int vm_fd, struct err *err)
{
	memory->vm_fd = vm_fd;
	for (unsigned i = 1; i < memory->map.count; i++) {
		const struct guest_region *region = &memory->map.regions[i];
		int r = slot_set(memory, i - 1, region->gpa, region->bytes, region->host, region->read_only, err);
		if (r < 0)
			return r;
	}
	if (memory->image != NULL) {
		int r = slot_set(memory, IMAGE_SLOT, LAMPO_GPA_IMAGE, memory->image_bytes,
				 (void *)(uintptr_t)memory->image, true, err);
		if (r < 0)
			return r;
	}
	return memory_reach(memory, 1, err);
}

int memory_reach(struct memory *memory, uint64_t end, struct err *err)
{
	if (end <= atomic_load(&memory->slots_end))
		return 0;
	int r = 0;
	pthread_mutex_lock(&memory->slots_lock);
	uint64_t known = atomic_load(&memory->slots_end);
	while (r == 0 && known < end && known < memory->ram_bytes) {
		/* As much again as there is, so that the slots are few: they are numbered by their size. */
		uint64_t bytes = min_u64(max_u64(known, MEMORY_FIRST_SLOT_BYTES), memory->ram_bytes - known);
		uint32_t number = GUEST_REGIONS_MAX + (uint32_t)__builtin_ctzll(max_u64(known, 1));
		r = slot_set(memory, number, known, bytes, memory->ram + known, false, err);
		if (r == 0)
			atomic_store(&memory->slots_end, known += bytes);
	}
	pthread_mutex_unlock(&memory->slots_lock);
	return r;
}

uint64_t memory_take(struct memory *memory, uint64_t bytes, uint64_t align)
{
	uint64_t gpa = align_up(memory->next, align), end;
	if (add_overflows(gpa, bytes, &end) || end > memory->ram_bytes)
		return 0;
	memory->next = end;
	return gpa;
}

uint64_t memory_take_table(struct memory *memory)
{
	uint64_t gpa = memory->next_table;
	if (gpa == HUGE_PAGE_BYTES)
		return 0;
	memory->next_table += PAGE_BYTES;
	return gpa;
}

void *memory_at(const struct memory *memory, uint64_t gpa) { return memory->ram + gpa; }

/* Clips to RAM and to whole pages inside the range; false if nothing is left. */
static bool range_clip(const struct memory *memory, uint64_t *gpa, uint64_t *bytes)
{
	uint64_t end;
	if (add_overflows(*gpa, *bytes, &end) || *gpa >= memory->ram_bytes || *gpa + PAGE_BYTES < *gpa)
		return false;
	uint64_t first = align_up(*gpa, PAGE_BYTES);
	end = align_down(min_u64(end, memory->ram_bytes), PAGE_BYTES);
	if (first >= end)
		return false;
	*gpa = first;
	*bytes = end - first;
	return true;
}

/* One huge page for [gpa, gpa + HUGE_PAGE_BYTES). Collapsing works whatever the host's settings say for
 * memfds, but not on a range where nothing is. */
static bool block_populate(const struct memory *memory, uint64_t gpa)
{
	return madvise(memory->ram + gpa, PAGE_BYTES, MADV_POPULATE_WRITE) == 0 &&
	       madvise(memory->ram + gpa, HUGE_PAGE_BYTES, MADV_COLLAPSE) == 0;
}

void memory_populate(struct memory *memory, uint64_t gpa, uint64_t bytes)
{
	struct err ignored; /* what is missing still will be asked for again */
	if (!range_clip(memory, &gpa, &bytes))
		return;
	if (memory->vm_fd >= 0)
		memory_reach(memory, gpa + bytes, &ignored);
	for (uint64_t end = gpa + bytes, next; gpa < end; gpa = next) {
		next = min_u64(end, align_down(gpa, HUGE_PAGE_BYTES) + HUGE_PAGE_BYTES);
		if (next - gpa == HUGE_PAGE_BYTES && block_populate(memory, gpa))
			continue;
		madvise(memory->ram + gpa, next - gpa, MADV_POPULATE_WRITE);
	}
}

int memory_release(const struct memory *memory, uint64_t gpa, uint64_t bytes)
{
	if (!range_clip(memory, &gpa, &bytes))
		return -EINVAL;
	return madvise(memory->ram + gpa, bytes, MADV_REMOVE) < 0 ? -errno : 0;
}

uint64_t memory_resident(const struct memory *memory)
{
	struct stat st;
	return fstat(memory->ram_fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}
