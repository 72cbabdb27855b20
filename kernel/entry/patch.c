/* SPDX-License-Identifier: Apache-2.0 */
/* Call-site patching: trampolines, and the writing of the jumps (patch.h). */
#include "kernel/entry/patch.h"

#include <asm/unistd_64.h>
#include <linux/mman.h>

#include "kernel/entry/machine.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"

/* Uses through the gate before a site is patched. Measured: the gate costs about 1 us, patching a page's
 * first site about 20 us and a private copy of the page. */
#define PATCH_AFTER_USES 8u
#define COUNTERS 256u

/* Trampolines lie in arenas near the code. An arena spans all values of the second byte of a jump's distance. */
#define ARENA_PAGES 16u
#define ARENA_BYTES (ARENA_PAGES * PAGE_SIZE)
#define ARENAS_MAX 8u
#define SLOT_BYTES 64u
#define ARENA_SLOTS (ARENA_BYTES / SLOT_BYTES)
#define ARENA_REACH (1ull << 30)

struct patch_slot {
	uint64_t site; /* of the syscall instruction; 0: free */
	uint64_t jump; /* where the jump was written */
	struct patch_plan plan;
	uint8_t original[8], written[8]; /* 5 bytes each */
	bool active;
};

struct patch_arena {
	uint64_t va;
	uint8_t *pages[ARENA_PAGES]; /* kernel addresses */
	struct patch_slot *slots[ARENA_SLOTS];
};

struct patch_state {
	struct patch_arena *arenas[ARENAS_MAX];
	unsigned arena_count;
	struct {
		uint64_t site;
		uint32_t uses;
	} counters[COUNTERS];
};

uint64_t patch_sites_patched;
extern char entry_fast_getpid[], entry_fast_getppid[], entry_fast_gettid[], entry_trampoline[];

static struct patch_state *state_of(struct mm *mm)
{
	if (mm->patch == NULL)
		mm->patch = kzalloc(sizeof(struct patch_state));
	return mm->patch;
}

/* ---- arenas ---- */

static int arena_new(struct mm *mm, struct patch_state *state, uint64_t near, struct patch_arena **result)
{
	struct page *pages[ARENA_PAGES];
	unsigned count = 0;
	int error = -ENOMEM;

	if (state->arena_count == ARENAS_MAX)
		return -ENOSPC;
	struct patch_arena *arena = kzalloc(sizeof(*arena));
	if (arena == NULL)
		return -ENOMEM;
	for (; count < ARENA_PAGES; count++) {
		pages[count] = page_alloc();
		if (pages[count] == NULL)
			goto out;
		arena->pages[count] = page_address(pages[count]);
	}
	arena->va = near & PAGE_MASK;
	error = mm_map_kernel_pages(mm, &arena->va, pages, ARENA_PAGES, PROT_READ | PROT_EXEC, "[lampo]");
	if (error != 0)
		goto out;
	state->arenas[state->arena_count++] = arena;
	*result = arena;
	arena = NULL;
out:
	while (count > 0)
		page_put(pages[--count]); /* the mapping has references of its own */
	kfree(arena);
	return error;
}

static uint64_t slot_va(const struct patch_arena *arena, unsigned index) { return arena->va + index * SLOT_BYTES; }

static bool slot_fits(const struct patch_plan *plan, uint64_t va, uint64_t jump)
{
	int64_t distance = (int64_t)(va - (jump + 5));

	if (distance > (int64_t)ARENA_REACH || distance < -(int64_t)ARENA_REACH)
		return false;
	return patch_distance_fits(plan, (int32_t)distance);
}

/* Where trampolines may lead. Every arena page's first slot holds the addresses, for their indirect jumps. */
enum target { TARGET_DISPATCH, TARGET_GETPID, TARGET_GETPPID, TARGET_GETTID, TARGETS };

static enum target target_of(uint32_t number)
{
	if ((boot_info->flags & LAMPO_BOOT_STRACE) != 0)
		return TARGET_DISPATCH;
	return number == __NR_getpid    ? TARGET_GETPID
	       : number == __NR_getppid ? TARGET_GETPPID
	       : number == __NR_gettid  ? TARGET_GETTID
					: TARGET_DISPATCH;
}

static bool slot_find(struct patch_state *state, const struct patch_plan *plan, uint64_t jump,
		      struct patch_arena **arena, unsigned *index)
{
	for (unsigned a = 0; a < state->arena_count; a++) {
		for (unsigned i = 0; i < ARENA_SLOTS; i++) {
			if (i % (PAGE_SIZE / SLOT_BYTES) == 0 || state->arenas[a]->slots[i] != NULL)
				continue;
			if (!slot_fits(plan, slot_va(state->arenas[a], i), jump))
				continue;
			*arena = state->arenas[a];
			*index = i;
			return true;
		}
	}
	return false;
}

/* ---- writing ---- */

static uint8_t *emit(uint8_t *at, const void *bytes, unsigned count)
{
	memcpy(at, bytes, count);
	return at + count;
}

static uint8_t *emit_jump_indirect(uint8_t *at, uint64_t at_va, uint64_t pointer_va)
{
	int32_t distance = (int32_t)(pointer_va - (at_va + 6));

	at = emit(at, "\xff\x25", 2);
	return emit(at, &distance, 4);
}

static void slot_write(struct patch_arena *arena, unsigned index, const struct patch_slot *slot, uint32_t number,
		       const uint8_t *after)
{
	uint64_t va = slot_va(arena, index), page_va = va & PAGE_MASK;
	uint8_t *page = arena->pages[index * SLOT_BYTES / PAGE_SIZE];
	uint8_t *start = page + (va - page_va), *at = start;
	const char *const targets[TARGETS] = {entry_trampoline, entry_fast_getpid, entry_fast_getppid,
					      entry_fast_gettid};
	/* Behind the call the number is known only as what it happened to be this time. */
	enum target target = slot->plan.number_before ? target_of(number) : TARGET_DISPATCH;
	uint64_t back = slot->plan.number_before ? slot->site + 2 : 0;
	uint8_t *back_at;

	memcpy(page, targets, sizeof(targets));
	if (slot->plan.number_before) {
		at = emit(at, "\xb8", 1); /* mov $number, %eax */
		at = emit(at, &number, 4);
	}
	at = emit(at, "\x48\xb9", 2); /* movabs $back, %rcx */
	back_at = at;
	at = emit(at, &back, 8);
	at = emit_jump_indirect(at, va + (uint64_t)(at - start), page_va + target * sizeof(targets[0]));
	if (!slot->plan.number_before) {
		back = va + (uint64_t)(at - start);
		memcpy(back_at, &back, 8);
		at = emit(at, after, slot->plan.displaced);
		if (!slot->plan.ends) {
			uint64_t to = slot->site + 2 + slot->plan.displaced;
			int32_t distance = (int32_t)(to - (va + (uint64_t)(at - start) + 5));
			at = emit(at, "\xe9", 1);
			at = emit(at, &distance, 4);
		}
	}
	kassert(at - start <= (int)SLOT_BYTES);
}

/* Bytes from the slot's start to the displaced code of kind "behind". */
#define DISPLACED_OFFSET 16u

/* Writes 5 bytes of code as one store as far as other vCPUs can see. False: it cannot be done safely. */
static bool write_jump(uint64_t va, const uint8_t bytes[5])
{
	void *page;

	if ((va & ~PAGE_MASK) > PAGE_SIZE - 5 || user_code_page(va, &page) != 0)
		return false;
	uint8_t *address = (uint8_t *)page + (va & ~PAGE_MASK);
	uint64_t offset = va & 7;
	if (offset <= 3) {
		uint64_t *word = (uint64_t *)(address - offset), value = *word;
		memcpy((uint8_t *)&value + offset, bytes, 5);
		__atomic_store_n(word, value, __ATOMIC_RELEASE);
		return true;
	}
	if (arch_cpu_count() > 1) /* another vCPU could fetch half of it */
		return false;
	memcpy(address, bytes, 5);
	return true;
}

static bool patchable_memory(struct mm *mm, uint64_t va)
{
	struct vma_info info;

	return mm_vma_info(mm, va, &info) && info.start <= va && va + 8 <= info.end && (info.prot & PROT_WRITE) == 0 &&
	       (info.flags & MAP_SHARED) == 0;
}

static void patch(struct mm *mm, struct patch_state *state, struct regs *regs)
{
	uint64_t site = regs->rip - 2;
	uint8_t before[8], after[PATCH_DISPLACED_MAX];
	struct patch_arena *arena;
	unsigned index;

	/* The code around must be there; at the end of a mapping it is left alone. */
	if (!patchable_memory(mm, site) || user_read(before, site - 8, 8) != 0 ||
	    user_read(after, site + 2, sizeof(after)) != 0)
		return;
	struct patch_slot *slot = kzalloc(sizeof(*slot));
	if (slot == NULL)
		return;
	if (!patch_plan(&slot->plan, regs->orig_rax, before, after, sizeof(after)))
		goto refuse;
	slot->site = site;
	slot->jump = site - slot->plan.start;
	if (!patchable_memory(mm, slot->jump))
		goto refuse;
	if (!slot_find(state, &slot->plan, slot->jump, &arena, &index) &&
	    (arena_new(mm, state, site, &arena) != 0 || !slot_find(state, &slot->plan, slot->jump, &arena, &index)))
		goto refuse;
	slot_write(arena, index, slot, (uint32_t)regs->orig_rax, after);
	int32_t distance = (int32_t)(slot_va(arena, index) - (slot->jump + 5));
	slot->written[0] = 0xe9;
	memcpy(slot->written + 1, &distance, 4);
	if (user_read(slot->original, slot->jump, 5) != 0 || !write_jump(slot->jump, slot->written))
		goto refuse;
	slot->active = true;
	arena->slots[index] = slot;
	patch_sites_patched++;
	if (!slot->plan.number_before)
		regs->rip = slot_va(arena, index) + DISPLACED_OFFSET;
	return;
refuse:
	kfree(slot);
}

void patch_site(struct regs *regs)
{
	struct mm *mm = current->process->mm;
	uint64_t site = regs->rip - 2;

	/* Unwinders know rt_sigreturn's code by its bytes; the others are made once. */
	if (regs->orig_rax == __NR_rt_sigreturn || regs->orig_rax == __NR_execve || regs->orig_rax == __NR_exit_group)
		return;
	struct patch_state *state = state_of(mm);
	if (state == NULL)
		return;
	unsigned i = (unsigned)(site ^ site >> 8 ^ site >> 16) % COUNTERS;
	if (state->counters[i].site != site) {
		state->counters[i].site = site;
		state->counters[i].uses = 0;
	}
	/* Exactly then: a site that cannot be patched is not tried again and again. */
	if (++state->counters[i].uses == PATCH_AFTER_USES)
		patch(mm, state, regs);
}

/* ---- looking up ---- */

static struct patch_slot *slot_at(struct patch_state *state, uint64_t rip)
{
	for (unsigned a = 0; state != NULL && a < state->arena_count; a++) {
		uint64_t va = state->arenas[a]->va;
		if (rip >= va && rip < va + ARENA_BYTES)
			return state->arenas[a]->slots[(rip - va) / SLOT_BYTES];
	}
	return NULL;
}

uint64_t patch_restart_rip(const struct regs *regs)
{
	struct patch_slot *slot = slot_at(current->process->mm->patch, regs->rip);

	return slot != NULL ? slot->site : regs->rip - 2;
}

bool patch_repair(struct regs *regs)
{
	struct patch_state *state = current->process->mm->patch;

	for (unsigned a = 0; state != NULL && a < state->arena_count; a++) {
		for (unsigned i = 0; i < ARENA_SLOTS; i++) {
			struct patch_slot *slot = state->arenas[a]->slots[i];
			if (slot == NULL || !slot->active)
				continue;
			for (unsigned b = 0; b < slot->plan.boundaries; b++) {
				if (regs->rip != slot->site + slot->plan.boundary[b])
					continue;
				regs->rip =
				    slot_va(state->arenas[a], i) + DISPLACED_OFFSET + slot->plan.boundary[b] - 2;
				return true;
			}
		}
	}
	return false;
}

void patch_code_changed(struct mm *mm, uint64_t va, uint64_t bytes)
{
	struct patch_state *state = mm->patch;

	for (unsigned a = 0; state != NULL && a < state->arena_count; a++) {
		for (unsigned i = 0; i < ARENA_SLOTS; i++) {
			struct patch_slot *slot = state->arenas[a]->slots[i];
			uint8_t now[5];
			if (slot == NULL || !slot->active || slot->jump + 5 <= va || slot->jump >= va + bytes)
				continue;
			/* The slot stays taken: a thread may be on its way through it. */
			slot->active = false;
			if (user_read(now, slot->jump, 5) == 0 && memcmp(now, slot->written, 5) == 0)
				write_jump(slot->jump, slot->original);
		}
	}
}

void patch_mm_free(struct mm *mm)
{
	struct patch_state *state = mm->patch;

	mm->patch = NULL;
	for (unsigned a = 0; state != NULL && a < state->arena_count; a++) {
		for (unsigned i = 0; i < ARENA_SLOTS; i++)
			kfree(state->arenas[a]->slots[i]);
		kfree(state->arenas[a]);
	}
	kfree(state);
}
