/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mm/image.h"

#include "abi/doorbell.h"
#include "kernel/mm/page_internal.h"

#define AROUND 8u /* blocks asked for at least: a request costs as much as comparing some ten of them */
#define REPORTS_MAX 8u

struct image_statistics image_statistics;

static uint64_t last_reported;
static unsigned reports;

uint64_t image_bytes(void) { return boot_info->image_bytes; }

const void *image_base(void) { return arch_image(); }

struct page *image_page(uint64_t offset)
{
	kassert(offset < boot_info->image_bytes);
	return (struct page *)((uint8_t *)arch_image() + offset);
}

static bool is_verified(uint64_t block)
{
	const uint64_t *word = (const uint64_t *)arch_phys_to_virt(boot_info->image_verified_gpa) + block / 64;
	/* Acquire: the block is looked at only then. */
	return (__atomic_load_n(word, __ATOMIC_ACQUIRE) >> (block & 63) & 1) != 0;
}

bool image_is_verified(const struct page *page)
{
	return is_verified((uint64_t)((const uint8_t *)page - (const uint8_t *)arch_image()) >> PAGE_SHIFT);
}

/* Has blocks [block, end) compared, as far as they are not yet, and lets the monitor go on from there to `until`. */
static void ask(uint64_t block, uint64_t end, uint64_t until)
{
	while (block < end) {
		if (is_verified(block)) {
			block++;
			continue;
		}
		unsigned count = (unsigned)min_u64(end - block, LAMPO_VERIFY_MAX);
		image_statistics.requests++;
		image_statistics.blocks += count;
		block += count;
		arch_verify_image(block - count, count, block >= end && until > block ? until - block : 0);
	}
}

static int damaged(uint64_t block)
{
	if (reports < REPORTS_MAX && (reports == 0 || last_reported != block)) {
		klog("lampo: image block %llu is damaged: see `lampo image verify`%s", (unsigned long long)block,
		     reports == REPORTS_MAX - 1 ? " (no more of these will be shown)" : "");
		reports++;
		last_reported = block;
	}
	return -EIO;
}

int image_verify(uint64_t offset, uint64_t bytes, uint64_t from, uint64_t to, uint64_t until)
{
	uint64_t blocks = image_bytes() >> PAGE_SHIFT;
	if (bytes == 0)
		return 0;
	if (offset >= image_bytes() || bytes > image_bytes() - offset)
		return -EIO;
	uint64_t first = offset >> PAGE_SHIFT, end = ((offset + bytes - 1) >> PAGE_SHIFT) + 1;
	uint64_t block = first;
	while (block < end && is_verified(block))
		block++;
	if (likely(block == end))
		return 0;
	uint64_t ask_from = min_u64(from >> PAGE_SHIFT, align_down(block, AROUND));
	uint64_t ask_to = max_u64(align_up(to, PAGE_SIZE) >> PAGE_SHIFT, align_up(end, AROUND));
	ask(ask_from, min_u64(ask_to, blocks), min_u64(until >> PAGE_SHIFT, blocks));
	for (; block < end; block++)
		if (!is_verified(block))
			return damaged(block);
	return 0;
}

int image_copy(uint64_t offset, struct page **pages, unsigned count)
{
	static uint64_t *list; /* the monitor reads it */
	uint64_t block = offset >> PAGE_SHIFT;
	if (offset >= image_bytes() || count > (image_bytes() - offset) >> PAGE_SHIFT)
		return -EIO;
	if (list == NULL)
		list = kmalloc(LAMPO_VERIFY_MAX * sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	for (unsigned done = 0, n; done < count; done += n) {
		n = (unsigned)min_u64(count - done, LAMPO_VERIFY_MAX);
		for (unsigned i = 0; i < n; i++)
			list[i] = page_gpa(pages[done + i]);
		image_statistics.requests++;
		image_statistics.blocks += n;
		arch_copy_image(block + done, list, n);
		for (unsigned i = 0; i < n; i++)
			if (!is_verified(block + done + i))
				return damaged(block + done + i);
	}
	return 0;
}
