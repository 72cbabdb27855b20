/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Physical pages: a buddy allocator over a frontier.
 *
 * Memory that nobody used yet lies behind the frontier. It is zero, its metadata is untouched, and
 * the host may not even have pages for it. Memory that came back lies in free lists by order; it is
 * preferred, for the host has it already, and is zeroed when it is handed out again.
 *
 * Metadata lies near the memory that it is about, so that a host that learns of memory step by step need
 * not know of the far end: each section of 16 MiB begins with the metadata of its frames.
 */
#include "abi/doorbell.h"
#include "kernel/arch.h"
#include "kernel/mm/cache.h"
#include "kernel/mm/page_internal.h"

/* Memory announced at a time: a sixteenth of what is used, for half of it may remain unused, within these
 * bounds. Less than a huge page: where the host would have to make one, 512 small pages come much sooner. */
#define CHUNK_MIN (256u << 10 >> PAGE_SHIFT)
#define CHUNK_MAX (1u << 20 >> PAGE_SHIFT)
#define SECTION_FRAMES 4096u
#define METADATA_FRAMES (SECTION_FRAMES * sizeof(struct page) / PAGE_SIZE)
/* What page_alloc_program() leaves to the kernel, so that it can still end a program in good order. */
#define KERNEL_RESERVE 64u

static struct {
	struct page *early; /* metadata of the section in which free memory begins, index = frame - first */
	uint32_t early_end;
	uint32_t first;    /* lowest frame that is allocated */
	uint32_t frontier; /* frames from here to end were never used */
	uint32_t ready;    /* below this the host has been told to have memory */
	uint32_t end;
	uint32_t free[PAGE_ORDER_MAX + 1];
	uint64_t free_pages; /* in the lists */
	uint64_t kernel_pages;
} state;

void page_init(void)
{
	uint64_t start = align_up(boot_info->free_gpa, PAGE_SIZE) >> PAGE_SHIFT;
	uint64_t end = boot_info->ram_bytes >> PAGE_SHIFT;
	kassert(end > start + 256 && end < UINT32_MAX);
	memset(&state, 0, sizeof(state));
	uint64_t early_end = min_u64(align_down(start, SECTION_FRAMES) + SECTION_FRAMES, end);
	state.early = arch_phys_to_virt(start << PAGE_SHIFT);
	state.early_end = (uint32_t)early_end;
	state.first =
	    (uint32_t)(start + (align_up((early_end - start) * sizeof(struct page), PAGE_SIZE) >> PAGE_SHIFT));
	state.end = (uint32_t)end;
	state.frontier = state.first;
	state.ready = (uint32_t)max_u64(state.first, min_u64(boot_info->populated_gpa >> PAGE_SHIFT, end));
	heap_init();
	page_table_init();
	cache_init_list();
}

uint32_t page_frame(const struct page *page)
{
	if (page_is_image(page))
		return (uint32_t)(IMAGE_FRAME +
				  ((uint64_t)((const uint8_t *)page - (const uint8_t *)image_base()) >> PAGE_SHIFT));
	uint64_t gpa = arch_virt_to_phys(page);
	uint32_t frame = (uint32_t)(gpa >> PAGE_SHIFT);
	if (frame < state.early_end)
		return state.first + (uint32_t)(page - state.early);
	return (uint32_t)(align_down(frame, SECTION_FRAMES) +
			  (gpa & (SECTION_FRAMES * PAGE_SIZE - 1)) / sizeof(struct page));
}

struct page *page_of_frame(uint32_t frame)
{
	if (frame >= IMAGE_FRAME)
		return image_page((uint64_t)(frame - IMAGE_FRAME) << PAGE_SHIFT);
	if (frame < state.early_end)
		return &state.early[frame - state.first];
	struct page *section = arch_phys_to_virt(align_down(frame, SECTION_FRAMES) << PAGE_SHIFT);
	return &section[frame % SECTION_FRAMES];
}

void *page_address(const struct page *page)
{
	return page_is_image(page) ? (void *)(uintptr_t)page : arch_phys_to_virt(page_gpa(page));
}

uint64_t page_gpa(const struct page *page) { return (uint64_t)page_frame(page) << PAGE_SHIFT; }

struct page *page_of_gpa(uint64_t gpa)
{
	uint64_t frame = gpa >> PAGE_SHIFT;
	kassert(frame >= IMAGE_FRAME || (frame >= state.first && frame < state.frontier));
	return page_of_frame((uint32_t)frame);
}

static void free_block_add(uint32_t frame, unsigned order)
{
	struct page *page = page_of_frame(frame);
	page->kind = PAGE_FREE;
	page->order = (uint8_t)order;
	page_list_add(&state.free[order], page);
	state.free_pages += 1u << order;
}

static void free_block_remove(struct page *page)
{
	page_list_remove(&state.free[page->order], page);
	state.free_pages -= 1u << page->order;
	page->kind = PAGE_NEVER_USED;
}

/* Gives a block back and joins it with its free buddies. */
static void block_free(uint32_t frame, unsigned order)
{
	while (order < PAGE_ORDER_MAX) {
		uint32_t buddy = frame ^ (1u << order);
		if (buddy < state.first || (uint64_t)buddy + (1u << order) > state.frontier)
			break;
		struct page *page = page_of_frame(buddy);
		if (page->kind != PAGE_FREE || page->order != order)
			break;
		free_block_remove(page);
		page_of_frame(frame)->kind = PAGE_NEVER_USED;
		frame &= ~(1u << order);
		order++;
	}
	free_block_add(frame, order);
}

/* Has the host make memory present up to `frame`, in growing chunks: one exchange instead of a host
 * fault for every page. */
static void frontier_announce(uint32_t frame)
{
	if (frame <= state.ready)
		return;
	uint64_t from = state.ready;
	uint64_t chunk = min_u64(max_u64((frame - state.first) / 16, CHUNK_MIN), CHUNK_MAX);
	uint64_t to = max_u64(frame, min_u64(from + chunk, state.end));
	state.ready = (uint32_t)to;
	arch_doorbell_mailbox(LAMPO_PORT_POPULATE, from << PAGE_SHIFT, (to - from) << PAGE_SHIFT);
}

/* Frames that were passed over become free blocks. */
static void free_range(uint32_t frame, uint32_t end)
{
	while (frame < end) {
		unsigned order = (unsigned)__builtin_ctz(frame);
		if (order > PAGE_ORDER_MAX)
			order = PAGE_ORDER_MAX;
		while (frame + (1ull << order) > end)
			order--;
		free_block_add(frame, order);
		frame += 1u << order;
	}
}

/* A block of never used, zero memory; 0: none left. */
static uint32_t frontier_take(unsigned order)
{
	uint64_t from = state.frontier, metadata_end = align_down(from, SECTION_FRAMES) + METADATA_FRAMES;
	if (from >= state.early_end && from < metadata_end)
		from = metadata_end;
	uint64_t start = align_up(from, 1ull << order);
	/* A block does not reach into the next section, but may begin there. */
	if (start >= state.early_end && start % SECTION_FRAMES < METADATA_FRAMES)
		start = align_up(start + METADATA_FRAMES, 1ull << order);
	uint64_t end = start + (1ull << order);
	if (end > state.end)
		return 0;
	uint32_t passed = (uint32_t)from;
	state.frontier = (uint32_t)end;
	frontier_announce(state.frontier);
	uint32_t border = (uint32_t)(align_down(start, SECTION_FRAMES));
	if (passed < border) {
		free_range(passed, border);
		passed = (uint32_t)(border + METADATA_FRAMES);
	}
	free_range(passed, (uint32_t)start);
	return (uint32_t)start;
}

/* 0: out of memory. *zero tells whether the block is known to be zero. */
static uint32_t block_take_once(unsigned order, bool *zero)
{
	for (unsigned o = order; o <= PAGE_ORDER_MAX; o++) {
		if (state.free[o] == 0)
			continue;
		uint32_t frame = state.free[o];
		free_block_remove(page_of_frame(frame));
		while (o > order) {
			o--;
			free_block_add(frame + (1u << o), o);
		}
		*zero = false;
		return frame;
	}
	*zero = true;
	return frontier_take(order);
}

static uint32_t block_take(unsigned order, bool *zero)
{
	kassert(order <= PAGE_ORDER_MAX);
	uint32_t frame = block_take_once(order, zero);
	if (unlikely(frame == 0) && cache_reclaim((1ull << order) + KERNEL_RESERVE) > 0)
		frame = block_take_once(order, zero);
	return frame;
}

static struct page *page_take(bool zeroed)
{
	bool zero;
	uint32_t frame = block_take(0, &zero);
	if (frame == 0)
		return NULL;
	struct page *page = page_of_frame(frame);
	page->kind = PAGE_USED;
	page->order = 0;
	page->references = 1;
	if (zeroed && !zero)
		memset(page_address(page), 0, PAGE_SIZE);
	return page;
}

struct page *page_alloc(void) { return page_take(true); }

struct page *page_alloc_uninitialised(void) { return page_take(false); }

uint64_t page_free_count(void) { return state.free_pages + (state.end - state.frontier); }

struct page *page_alloc_program(bool zeroed)
{
	if (unlikely(page_free_count() <= KERNEL_RESERVE) && cache_reclaim(KERNEL_RESERVE) == 0)
		return NULL;
	return page_take(zeroed);
}

bool page_plenty(unsigned pages)
{
	/* An eighth of all memory stays for what is really asked for. */
	return page_free_count() > pages + (state.end - state.first) / 8;
}

void *pages_alloc(unsigned order)
{
	bool zero;
	uint32_t frame = block_take(order, &zero);
	if (frame == 0)
		return NULL;
	struct page *page = page_of_frame(frame);
	page->kind = PAGE_BLOCK;
	page->order = (uint8_t)order;
	state.kernel_pages += 1u << order;
	void *address = page_address(page);
	if (!zero)
		memset(address, 0, PAGE_SIZE << order);
	return address;
}

void pages_free(void *va, unsigned order)
{
	if (va == NULL)
		return;
	struct page *page = page_of_gpa(arch_virt_to_phys(va));
	kassert(page->kind == PAGE_BLOCK && page->order == order);
	state.kernel_pages -= 1u << order;
	block_free(page_frame(page), order);
}

void page_get(struct page *page)
{
	if (page_is_image(page))
		return;
	kassert(page->kind == PAGE_USED || page->kind == PAGE_CACHED);
	page->references++;
}

void page_put(struct page *page)
{
	if (page_is_image(page))
		return;
	kassert((page->kind == PAGE_USED || page->kind == PAGE_CACHED) && page->references > 0);
	if (--page->references == 0)
		block_free(page_frame(page), 0);
}

uint32_t page_references(const struct page *page) { return page->references; }

void page_gather_add(struct page_gather *gather, struct page *page)
{
	if (page_is_image(page))
		return;
	if (page->references > 1) {
		page->references--;
		return;
	}
	page->next = gather->head;
	gather->head = page_frame(page);
}

void page_gather_free(struct page_gather *gather)
{
	while (gather->head != 0) {
		struct page *page = page_of_frame(gather->head);
		gather->head = page->next;
		page->next = 0;
		page_put(page);
	}
}

void page_statistics(struct page_statistics *statistics)
{
	*statistics = (struct page_statistics){
	    .total = boot_info->ram_bytes >> PAGE_SHIFT,
	    .free = page_free_count(),
	    .cached = cache_page_count,
	    .kernel = state.kernel_pages,
	};
}
