/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory locks: flock(2), POSIX record locks and open file description locks (fcntl(2)). They are the
 * guest's own: other programs of the host do not see them.
 */
#include <linux/fcntl.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"

#define LOCK_SH_OP 1
#define LOCK_EX_OP 2
#define LOCK_NB_OP 4
#define LOCK_UN_OP 8

enum lock_kind { LOCK_FLOCK, LOCK_RECORD };

/* owner: the file for flock and OFD locks, the descriptor table for POSIX locks. */
struct file_lock {
	struct list node;
	enum lock_kind kind;
	bool write;
	const void *owner;
	int pid;             /* -1: an open file description's */
	uint64_t start, end; /* inclusive */
};

struct inode_locks {
	struct list locks;
	struct wait_queue changed;
};

static struct inode_locks *locks_of(struct inode *inode)
{
	if (inode->locks == NULL) {
		struct inode_locks *l = kzalloc(sizeof(*l));

		if (l == NULL)
			return NULL;
		list_init(&l->locks);
		wait_queue_init(&l->changed);
		inode->locks = l;
	}
	return inode->locks;
}

static bool overlaps(const struct file_lock *a, const struct file_lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

static struct file_lock *conflict(struct inode_locks *l, const struct file_lock *wanted)
{
	list_for_each(node, &l->locks)
	{
		struct file_lock *held = list_entry(node, struct file_lock, node);

		if (held->kind == wanted->kind && held->owner != wanted->owner && overlaps(held, wanted) &&
		    (held->write || wanted->write))
			return held;
	}
	return NULL;
}

static struct file_lock *lock_copy(const struct file_lock *from)
{
	struct file_lock *copy = kmalloc(sizeof(*copy));

	if (copy != NULL)
		*copy = *from;
	return copy;
}

/* Takes the range away from the owner's locks; one that reaches over it on both sides is split with
 * `spare`, which is consumed then. */
static void cut(struct inode_locks *l, const struct file_lock *range, struct file_lock **spare)
{
	list_for_each_safe(node, &l->locks)
	{
		struct file_lock *held = list_entry(node, struct file_lock, node);

		if (held->kind != range->kind || held->owner != range->owner || !overlaps(held, range))
			continue;
		if (held->start < range->start && held->end > range->end) {
			struct file_lock *right = *spare;

			*spare = NULL;
			*right = *held;
			right->start = range->end + 1;
			held->end = range->start - 1;
			list_add(&l->locks, &right->node);
			return;
		}
		if (held->start < range->start) {
			held->end = range->start - 1;
		} else if (held->end > range->end) {
			held->start = range->end + 1;
		} else {
			list_remove(&held->node);
			kfree(held);
		}
	}
}

/* Sets (unlock = false) or takes away. */
static int apply(struct inode *inode, const struct file_lock *wanted, bool unlock, bool wait)
{
	struct inode_locks *l = locks_of(inode);
	struct file_lock *fresh = NULL, *spare;
	int result = 0;

	if (l == NULL)
		return -ENOLCK;
	spare = lock_copy(wanted);
	if (!unlock)
		fresh = lock_copy(wanted);
	if (spare == NULL || (!unlock && fresh == NULL)) {
		kfree(spare);
		kfree(fresh);
		return -ENOLCK;
	}
	if (!unlock && conflict(l, wanted) != NULL) {
		result = wait ? wait_until(&l->changed, conflict(l, wanted) == NULL, WAIT_FOREVER, true) : -EAGAIN;
		if (result == -EINTR)
			result = -ERESTARTSYS;
	}
	if (result == 0) {
		cut(l, wanted, &spare);
		if (!unlock) {
			list_add(&l->locks, &fresh->node);
			fresh = NULL;
		}
		wait_wake(&l->changed, 0, 0); /* a part may have become free or weaker */
	}
	kfree(spare);
	kfree(fresh);
	return result;
}

int locks_flock(struct file *file, int operation)
{
	struct file_lock wanted = {.kind = LOCK_FLOCK, .owner = file, .pid = -1, .start = 0, .end = ~0ull};
	int what = operation & ~LOCK_NB_OP;

	if (what != LOCK_SH_OP && what != LOCK_EX_OP && what != LOCK_UN_OP)
		return -EINVAL;
	if (file->inode == NULL)
		return -EBADF;
	wanted.write = what == LOCK_EX_OP;
	return apply(file->inode, &wanted, what == LOCK_UN_OP, !(operation & LOCK_NB_OP));
}

static int get_range(struct file *file, const struct flock *f, struct file_lock *wanted)
{
	int64_t start = f->l_start, end;

	if (f->l_whence == 1)
		start += (int64_t)file->position;
	else if (f->l_whence == 2)
		start += (int64_t)file->inode->cache.size;
	else if (f->l_whence != 0)
		return -EINVAL;
	if (start < 0)
		return -EINVAL;
	if (f->l_len == 0) {
		wanted->start = (uint64_t)start;
		wanted->end = INT64_MAX;
		return 0;
	}
	if (__builtin_add_overflow(start, f->l_len, &end))
		return f->l_len < 0 ? -EINVAL : -EOVERFLOW;
	if (f->l_len < 0) {
		if (end < 0)
			return -EINVAL;
		wanted->start = (uint64_t)end;
		wanted->end = (uint64_t)start - 1;
		return start == 0 ? -EINVAL : 0;
	}
	wanted->start = (uint64_t)start;
	wanted->end = (uint64_t)end - 1;
	return 0;
}

static int report(struct file *file, struct file_lock *wanted, struct flock *f, uint64_t to)
{
	struct file_lock *held = file->inode->locks != NULL ? conflict(file->inode->locks, wanted) : NULL;

	if (held == NULL) {
		f->l_type = F_UNLCK;
	} else {
		f->l_type = held->write ? F_WRLCK : F_RDLCK;
		f->l_whence = 0;
		f->l_start = (int64_t)held->start;
		f->l_len = held->end == INT64_MAX ? 0 : (int64_t)(held->end - held->start + 1);
		f->l_pid = held->pid;
	}
	return user_put(to, f);
}

int locks_fcntl(struct file *file, int command, uint64_t argument)
{
	bool description = command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
	struct file_lock wanted = {.kind = LOCK_RECORD};
	struct flock f;
	int result;

	if (user_get(&f, argument) < 0)
		return -EFAULT;
	if (file->inode == NULL)
		return -EINVAL;
	if (description && f.l_pid != 0)
		return -EINVAL;
	wanted.owner = description ? (const void *)file : (const void *)current->process->files;
	wanted.pid = description ? -1 : current->process->pid;
	result = get_range(file, &f, &wanted);
	if (result < 0)
		return result;
	wanted.write = f.l_type == F_WRLCK;
	if (command == F_GETLK || command == F_OFD_GETLK)
		return f.l_type == F_UNLCK ? -EINVAL : report(file, &wanted, &f, argument);
	if (f.l_type != F_RDLCK && f.l_type != F_WRLCK && f.l_type != F_UNLCK)
		return -EINVAL;
	if ((f.l_type == F_RDLCK && (file->flags & O_ACCMODE) == O_WRONLY) ||
	    (f.l_type == F_WRLCK && (file->flags & O_ACCMODE) == O_RDONLY))
		return -EBADF;
	return apply(file->inode, &wanted, f.l_type == F_UNLCK, command == F_SETLKW || command == F_OFD_SETLKW);
}

static void drop_owner(struct inode *inode, const void *owner)
{
	bool any = false;

	list_for_each_safe(node, &inode->locks->locks)
	{
		struct file_lock *held = list_entry(node, struct file_lock, node);

		if (held->owner == owner) {
			list_remove(&held->node);
			kfree(held);
			any = true;
		}
	}
	if (any)
		wait_wake(&inode->locks->changed, 0, 0);
}

void locks_close(struct file *file, struct file_table *table) { drop_owner(file->inode, table); }

void locks_release(struct file *file) { drop_owner(file->inode, file); }

void locks_free(struct inode *inode)
{
	if (inode->locks == NULL)
		return;
	list_for_each_safe(node, &inode->locks->locks)
	{
		list_remove(node);
		kfree(list_entry(node, struct file_lock, node));
	}
	kfree(inode->locks);
	inode->locks = NULL;
}
