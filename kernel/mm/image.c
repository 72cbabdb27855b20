/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mm/image.h"

#include "abi/doorbell.h"
#include "kernel/mm/page_internal.h"

#define BLOCKS_IN_CHUNK (PAGE_SIZE * 8)
#define AROUND 8u /* blocks asked for at least: a request costs as much as comparing some ten of them */
#define REPORTS_MAX 8u

struct image_statistics image_statistics;

static struct {
	uint64_t *verified[LAMPO_IMAGE_MAX / PAGE_SIZE / BLOCKS_IN_CHUNK]; /* a bit for each block; made when needed */
	uint64_t last_reported;
	unsigned reports;
} state;

void image_init(void)
{
	kassert(boot_info->image_bytes <= LAMPO_IMAGE_MAX);
	memset(state.verified, 0,
	       align_up(boot_info->image_bytes, PAGE_SIZE * BLOCKS_IN_CHUNK) / (PAGE_SIZE * BLOCKS_IN_CHUNK) *
		   sizeof(state.verified[0]));
	state.reports = 0;
}

uint64_t image_bytes(void) { return boot_info->image_bytes; }

const void *image_base(void) { return arch_image(); }

struct page *image_page(uint64_t offset)
{
	kassert(offset < boot_info->image_bytes);
	return (struct page *)((uint8_t *)arch_image() + offset);
}

/* The word with a block's bit; NULL: none has been verified there, or with `make`: no memory. */
static uint64_t *word_of(uint64_t block, bool make)
{
	uint64_t **chunk = &state.verified[block / BLOCKS_IN_CHUNK];
	if (*chunk == NULL && make)
		*chunk = pages_alloc(0);
	return *chunk != NULL ? *chunk + block % BLOCKS_IN_CHUNK / 64 : NULL;
}

static bool is_verified(uint64_t block)
{
	const uint64_t *word = word_of(block, false);
	return word != NULL && (*word >> (block & 63) & 1) != 0;
}

bool image_is_verified(const struct page *page)
{
	return is_verified((uint64_t)((const uint8_t *)page - (const uint8_t *)arch_image()) >> PAGE_SHIFT);
}

/* Has blocks [block, end) compared, as far as they are not yet. */
static int ask(uint64_t block, uint64_t end)
{
	while (block < end) {
		if (is_verified(block)) {
			block++;
			continue;
		}
		unsigned count = (unsigned)min_u64(end - block, LAMPO_VERIFY_MAX);
		if (word_of(block, true) == NULL || word_of(block + count - 1, true) == NULL)
			return -ENOMEM;
		uint64_t good = arch_verify_image(block, count);
		image_statistics.requests++;
		image_statistics.blocks += count;
		for (unsigned i = 0; i < count; i++)
			if ((good >> i & 1) != 0)
				*word_of(block + i, true) |= 1ull << ((block + i) & 63);
		block += count;
	}
	return 0;
}

static int damaged(uint64_t block)
{
	if (state.reports < REPORTS_MAX && (state.reports == 0 || state.last_reported != block)) {
		klog("lampo: image block %llu is damaged: see `lampo image verify`%s", (unsigned long long)block,
		     state.reports == REPORTS_MAX - 1 ? " (no more of these will be shown)" : "");
		state.reports++;
		state.last_reported = block;
	}
	return -EIO;
}

int image_verify(uint64_t offset, uint64_t bytes, uint64_t from, uint64_t to)
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
	int r = ask(ask_from, min_u64(ask_to, blocks));
	for (; r == 0 && block < end; block++)
		if (!is_verified(block))
			r = damaged(block);
	return r;
}
