/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Program memory as the kernel uses it. Pages are made present first and then touched at the program's
 * own address: the host has a translation for that one already, for the direct map perhaps not.
 */
#include "kernel/mm/vma.h"

#include "kernel/proc/process.h"

#define PREPARE_BYTES (256u << 10) /* prepared and copied in one go */
#define ERROR_WRITE 2u

static struct mm *user_mm(void) { return current->process->mm; }

/* Where the kernel can touch a present page's byte. */
static void *user_address(const struct mm *mm, uint64_t va)
{
#ifdef NUCLEO_HOST
	return (char *)page_address(pte_page(pt_get(mm, va))) + (va & (PAGE_SIZE - 1));
#else
	(void)mm;
	return (void *)va;
#endif
}

/* The part of a copy that is contiguous for the kernel. */
static uint64_t run_at(uint64_t va, uint64_t bytes)
{
#ifdef NUCLEO_HOST
	return min_u64(bytes, PAGE_SIZE - (va & (PAGE_SIZE - 1)));
#else
	(void)va;
	return bytes;
#endif
}

static bool entry_ready(uint64_t pte, bool write)
{
	return (pte & PTE_PRESENT) != 0 && (!write || (pte & PTE_WRITE) != 0);
}

int user_prepare(uint64_t va, uint64_t bytes, bool write)
{
	struct mm *mm = user_mm();
	if (bytes == 0)
		return 0;
	if (va >= USER_MAX || bytes > USER_MAX - va)
		return -EFAULT;
	uint64_t first = align_down(va, PAGE_SIZE), end = va + bytes;
	bool faulted;
	do {
		/* A fault may have slept, and other pages may be gone since: look again at all of them. */
		faulted = false;
		const uint64_t *table = NULL;
		for (uint64_t at = first; at < end; at += PAGE_SIZE) {
			if (table == NULL || pt_slot(at) == 0)
				table = pt_table(mm, at);
			if (table != NULL && entry_ready(table[pt_slot(at)], write))
				continue;
			int si_code;
			if (mm_fault(mm, at, write ? ERROR_WRITE : 0, &si_code) != 0)
				return -EFAULT;
			faulted = true;
			table = NULL;
		}
	} while (faulted);
	return 0;
}

int user_read(void *to, uint64_t from, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes;) {
		uint64_t n = min_u64(bytes - done, PREPARE_BYTES);
		int r = user_prepare(from + done, n, false);
		if (r != 0)
			return r;
		for (uint64_t part; n > 0; n -= part, done += part) {
			part = run_at(from + done, n);
			memcpy((char *)to + done, user_address(user_mm(), from + done), part);
		}
	}
	return 0;
}

int user_write(uint64_t to, const void *from, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes;) {
		uint64_t n = min_u64(bytes - done, PREPARE_BYTES);
		int r = user_prepare(to + done, n, true);
		if (r != 0)
			return r;
		for (uint64_t part; n > 0; n -= part, done += part) {
			part = run_at(to + done, n);
			memcpy(user_address(user_mm(), to + done), (const char *)from + done, part);
		}
	}
	return 0;
}

int user_zero(uint64_t to, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes;) {
		uint64_t n = min_u64(bytes - done, PREPARE_BYTES);
		int r = user_prepare(to + done, n, true);
		if (r != 0)
			return r;
		for (uint64_t part; n > 0; n -= part, done += part) {
			part = run_at(to + done, n);
			memset(user_address(user_mm(), to + done), 0, part);
		}
	}
	return 0;
}

int64_t user_string(char *to, uint64_t from, uint64_t size)
{
	uint64_t done = 0;
	while (done < size) {
		uint64_t n = min_u64(size - done, PAGE_SIZE - ((from + done) & (PAGE_SIZE - 1)));
		int r = user_prepare(from + done, n, false);
		if (r != 0)
			return r;
		const char *text = user_address(user_mm(), from + done);
		for (uint64_t i = 0; i < n; i++) {
			to[done] = text[i];
			if (text[i] == '\0')
				return (int64_t)done;
			done++;
		}
	}
	return -ENAMETOOLONG;
}

void *user_page(uint64_t va, bool write, struct page **page)
{
	if (user_prepare(va, 1, write) != 0)
		return NULL;
	if (page != NULL)
		*page = pte_page(pt_get(user_mm(), va));
	return user_address(user_mm(), va);
}

/* ---- writing past the program's rights ---- */

struct page *mm_private_page(struct mm *mm, uint64_t va)
{
	va = align_down(va, PAGE_SIZE);
	for (;;) {
		struct vma *vma = vma_at(mm, va);
		if (vma == NULL || vma_is_shared(vma) || (vma->flags & VMA_KERNEL) != 0)
			return NULL;
		uint64_t pte = pt_get(mm, va);
		if (pte == 0) {
			int si_code;
			if (mm_fault(mm, va, 0, &si_code) != 0)
				return NULL;
			continue;
		}
		struct page *old = pte_page(pte);
		if (page_is_own(old))
			return old;
		struct page *page = page_alloc_program(false);
		if (page == NULL)
			return NULL;
		memcpy(page_address(page), page_address(old), PAGE_SIZE);
		struct tlb_batch batch;
		tlb_batch_init(&batch, mm);
		pte_write(&pt_table(mm, va)[pt_slot(va)], page_gpa(page) | (pte & ~PTE_ADDRESS));
		if ((pte & PTE_PRESENT) != 0)
			tlb_batch_note(&batch, va, PAGE_SIZE);
		page_gather_add(&batch.gather, old);
		tlb_batch_finish(&batch);
		return page;
	}
}

int mm_write(struct mm *mm, uint64_t to, const void *from, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes;) {
		uint64_t in_page = (to + done) & (PAGE_SIZE - 1);
		uint64_t n = min_u64(bytes - done, PAGE_SIZE - in_page);
		struct page *page = mm_private_page(mm, to + done);
		if (page == NULL)
			return -EFAULT;
		if (from != NULL)
			memcpy((char *)page_address(page) + in_page, (const char *)from + done, n);
		else
			memset((char *)page_address(page) + in_page, 0, n);
		done += n;
	}
	return 0;
}

int mm_zero(struct mm *mm, uint64_t to, uint64_t bytes) { return mm_write(mm, to, NULL, bytes); }

int user_code_page(uint64_t va, void **kernel_address)
{
	struct page *page = mm_private_page(user_mm(), va);
	if (page == NULL)
		return -EFAULT;
	*kernel_address = page_address(page);
	return 0;
}

int user_write_code(uint64_t va, const void *from, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes;) {
		uint64_t at = va + done;
		void *base;
		int r = user_code_page(at, &base);
		if (r != 0)
			return r;
		/* Whole words, so that a thread that runs there sees the old or the new bytes of each. */
		unsigned first = (unsigned)(at & 7);
		unsigned n = (unsigned)min_u64(8 - first, bytes - done);
		uint64_t *word = (uint64_t *)((char *)base + (at & (PAGE_SIZE - 1) & ~7ull));
		uint64_t value = __atomic_load_n(word, __ATOMIC_RELAXED);
		memcpy((char *)&value + first, (const char *)from + done, n);
		__atomic_store_n(word, value, __ATOMIC_RELEASE);
		done += n;
	}
	arch_code_changed(user_mm(), va, bytes);
	return 0;
}
