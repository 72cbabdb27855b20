/* SPDX-License-Identifier: Apache-2.0 */
/* System calls on memory. */
#include "kernel/sys/syscall.h"

#include "kernel/mm/vma.h"
#include "kernel/proc/process.h"

static struct mm *own_mm(void) { return current->process->mm; }

/* RLIMIT_AS for `bytes` more. */
static bool within_limit(uint64_t bytes)
{
	uint64_t limit = current->process->limits[RLIMIT_AS].rlim_cur;
	uint64_t have = own_mm()->mapped_pages << PAGE_SHIFT;
	return limit >= USER_MAX || (bytes <= limit && have <= limit - bytes);
}

SYSCALL(mmap)
{
	uint64_t addr = args->arg[0], bytes = args->arg[1];
	int flags = (int)args->arg[3];
	struct file *file = NULL;
	if ((flags & MAP_ANONYMOUS) == 0) {
		file = fd_get((int)args->arg[4]);
		if (file == NULL)
			return -EBADF;
	}
	int r = -ENOMEM;
	if (within_limit(bytes))
		r = mm_map(own_mm(), &addr, bytes, (int)args->arg[2], flags, file,
			   (flags & MAP_ANONYMOUS) == 0 ? args->arg[5] : 0);
	if (file != NULL)
		file_put(file);
	return r != 0 ? r : (int64_t)addr;
}

SYSCALL(munmap) { return mm_unmap(own_mm(), args->arg[0], args->arg[1]); }

SYSCALL(mprotect) { return mm_protect(own_mm(), args->arg[0], args->arg[1], (int)args->arg[2]); }

SYSCALL(mremap)
{
	uint64_t old = args->arg[1], new = args->arg[2];
	if (new > old && !within_limit(new - old))
		return -ENOMEM;
	return mm_remap(own_mm(), args->arg[0], old, new, args->arg[3], args->arg[4]);
}

SYSCALL(brk)
{
	struct mm *mm = own_mm();
	uint64_t brk = args->arg[0];
	if (brk > mm->brk &&
	    (!within_limit(brk - mm->brk) || brk - mm->brk_start > current->process->limits[RLIMIT_DATA].rlim_cur))
		return (int64_t)mm->brk;
	return (int64_t)mm_set_brk(mm, brk);
}

SYSCALL(madvise) { return mm_advise(own_mm(), args->arg[0], args->arg[1], (int)args->arg[2]); }

/* The range as pages; -EINVAL, -ENOMEM if it is not all mapped. */
static int mapped_range(uint64_t start, uint64_t bytes, uint64_t *end)
{
	if ((start & ~PAGE_MASK) != 0)
		return -EINVAL;
	if (bytes > USER_MAX || start > USER_MAX - align_up(bytes, PAGE_SIZE))
		return -ENOMEM;
	*end = start + align_up(bytes, PAGE_SIZE);
	return vma_range_mapped(own_mm(), start, *end) ? 0 : -ENOMEM;
}

static bool in_core(struct mm *mm, uint64_t va)
{
	if (pt_get(mm, va) != 0)
		return true;
	const struct vma *vma = vma_at(mm, va);
	struct page *page = vma != NULL && vma->cache != NULL ? cache_peek(vma->cache, vma_index(vma, va)) : NULL;
	if (page != NULL)
		page_put(page);
	return page != NULL;
}

SYSCALL(mincore)
{
	uint64_t start = args->arg[0], end;
	int r = mapped_range(start, args->arg[1], &end);
	uint8_t vector[64];
	for (uint64_t at = start; r == 0 && at < end;) {
		unsigned n = 0;
		uint64_t first = at;
		for (; n < sizeof(vector) && at < end; at += PAGE_SIZE)
			vector[n++] = in_core(own_mm(), at);
		r = user_write(args->arg[2] + ((first - start) >> PAGE_SHIFT), vector, n);
	}
	return r;
}

SYSCALL(msync)
{
	uint64_t start = args->arg[0], end;
	unsigned flags = (unsigned)args->arg[2];
	if ((flags & ~(unsigned)(MS_ASYNC | MS_SYNC | MS_INVALIDATE)) != 0 ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	int r = mapped_range(start, args->arg[1], &end);
	for (uint64_t at = start; r == 0 && at < end && (flags & MS_SYNC) != 0;) {
		struct vma *vma = vma_at(own_mm(), at);
		if (vma == NULL) /* changed while we slept */
			return -ENOMEM;
		at = vma->end;
		if (!vma_is_shared(vma) || vma->file == NULL)
			continue;
		struct file *file = file_get(vma->file);
		r = file->ops->fsync != NULL ? file->ops->fsync(file, true) : cache_write_back(vma->cache);
		file_put(file);
	}
	return r;
}

/* Nothing is ever swapped out: locked memory only has to be there. */
static int64_t lock_range(uint64_t start, uint64_t bytes)
{
	uint64_t first = align_down(start, PAGE_SIZE), end;
	if (bytes > USER_MAX)
		return -EINVAL;
	int r = mapped_range(first, bytes + (start - first), &end);
	if (r == 0 && page_plenty((unsigned)min_u64((end - first) >> PAGE_SHIFT, UINT32_MAX)))
		r = mm_populate(own_mm(), first, end, false) != 0 ? -ENOMEM : 0;
	return r;
}

SYSCALL(mlock) { return lock_range(args->arg[0], args->arg[1]); }

SYSCALL(mlock2)
{
	if ((args->arg[2] & ~1ull) != 0) /* MLOCK_ONFAULT */
		return -EINVAL;
	return lock_range(args->arg[0], args->arg[1]);
}

SYSCALL(munlock)
{
	uint64_t first = align_down(args->arg[0], PAGE_SIZE), end;
	return mapped_range(first, args->arg[1] + (args->arg[0] - first), &end);
}

SYSCALL(mlockall) { return args->arg[0] == 0 || (args->arg[0] & ~7ull) != 0 ? -EINVAL : 0; }

SYSCALL(munlockall)
{
	SYSCALL_UNUSED_ARGS;
	return 0;
}

/* ---- protection keys: there are none ---- */

SYSCALL(pkey_mprotect)
{
	if ((int)args->arg[3] != -1)
		return -EINVAL;
	return mm_protect(own_mm(), args->arg[0], args->arg[1], (int)args->arg[2]);
}
