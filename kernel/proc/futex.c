/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes: futex(2), robust lists (get_robust_list(2)), the address cleared at a thread's end.
 *
 * A futex is known by its page and offset where the mapping is shared between processes, else by its
 * address space and address. The word is compared under the kernel lock, under which all wake-ups are
 * done too: nothing can slip in between.
 */
#include "kernel/proc/futex.h"
#include <linux/futex.h> /* ROBUST_LIST_LIMIT, too */
#include <linux/mman.h>

#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"

#define FUTEX_BUCKETS 64u

static struct list futex_buckets[FUTEX_BUCKETS];

static struct list *futex_bucket(const struct futex_key *key)
{
	uint64_t hash = ((uint64_t)key->object ^ key->offset) * 0x9e3779b97f4a7c15ull;
	struct list *bucket = &futex_buckets[hash >> 58];

	if (bucket->next == NULL)
		list_init(bucket);
	return bucket;
}

static bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

/* May sleep. -EINVAL if not aligned, -EFAULT. */
int futex_key_get(uint64_t va, bool is_private, struct futex_key *key)
{
	struct mm *mm = current->process->mm;
	struct vma_info info;
	struct page *page;

	if ((va & 3) != 0)
		return -EINVAL;
	if (va >= USER_MAX)
		return -EFAULT;
	*key = (struct futex_key){mm, va, false};
	if (is_private)
		return 0;
	if (!mm_vma_info(mm, va, &info) || info.start > va)
		return -EFAULT;
	if ((info.flags & MAP_TYPE) == MAP_PRIVATE)
		return 0;
	if (user_page(va, false, &page) == NULL)
		return -EFAULT;
	*key = (struct futex_key){page, va & (PAGE_SIZE - 1), true};
	return 0;
}

/* The word now; what the caller does until it sleeps goes with this value. */
static int futex_load(uint64_t va, uint32_t *value)
{
	int error = user_prepare(va, sizeof(*value), false);

	if (error == 0)
		*value = __atomic_load_n((uint32_t *)va, __ATOMIC_SEQ_CST);
	return error;
}

/* A waiter keeps its page, or another one at the same place could take its name. */
static void futex_key_hold(const struct futex_key *key)
{
	if (key->shared)
		page_get((struct page *)(uintptr_t)key->object);
}

static void futex_key_release(const struct futex_key *key)
{
	if (key->shared)
		page_put((struct page *)(uintptr_t)key->object);
}

/* ---- waking ---- */

static void futex_waiter_wake(struct futex_waiter *waiter)
{
	list_remove(&waiter->node);
	waiter->woken = waiter->waiter->woken = true;
	thread_wake(waiter->waiter->thread);
}

unsigned futex_wake_key(const struct futex_key *key, unsigned count, uint32_t bits)
{
	struct list *bucket = futex_bucket(key);
	unsigned woken = 0;

	list_for_each_safe(node, bucket)
	{
		struct futex_waiter *waiter = list_entry(node, struct futex_waiter, node);
		if (woken == count)
			break;
		if (!futex_key_equal(&waiter->key, key) || (waiter->bits & bits) == 0)
			continue;
		futex_waiter_wake(waiter);
		woken++;
	}
	return woken;
}

int64_t futex_wake(uint64_t va, bool is_private, unsigned count, uint32_t bits)
{
	struct futex_key key;

	if (bits == 0)
		return -EINVAL;
	int error = futex_key_get(va, is_private, &key);
	if (error != 0)
		return error;
	return futex_wake_key(&key, count, bits);
}

static int64_t futex_requeue_keys(const struct futex_key *from, const struct futex_key *to, unsigned wake,
				  unsigned move)
{
	struct list *target = futex_bucket(to);
	unsigned woken = 0, moved = 0;

	list_for_each_safe(node, futex_bucket(from))
	{
		struct futex_waiter *waiter = list_entry(node, struct futex_waiter, node);
		if (!futex_key_equal(&waiter->key, from))
			continue;
		if (woken < wake) {
			futex_waiter_wake(waiter);
			woken++;
		} else if (moved < move) {
			moved++;
			if (futex_key_equal(from, to))
				continue;
			futex_key_hold(to);
			futex_key_release(&waiter->key);
			waiter->key = *to;
			list_remove(node);
			list_add_tail(target, node);
		} else {
			break;
		}
	}
	return woken + moved;
}

int64_t futex_requeue(uint64_t va, bool private1, uint64_t va2, bool private2, int wake, int move,
		      const uint32_t *expected)
{
	struct futex_key from, to;
	uint32_t value = 0;

	if (wake < 0 || move < 0)
		return -EINVAL;
	int error = futex_key_get(va, private1, &from);
	if (error == 0)
		error = futex_key_get(va2, private2, &to);
	if (error == 0 && expected != NULL)
		error = futex_load(va, &value);
	if (error != 0)
		return error;
	if (expected != NULL && value != *expected)
		return -EAGAIN;
	return futex_requeue_keys(&from, &to, (unsigned)wake, (unsigned)move);
}

/* The operation of FUTEX_WAKE_OP on a word that is prepared for writing; -ENOSYS if unknown. */
static int futex_operate(uint32_t *word, uint32_t encoded, bool *holds)
{
	unsigned operation = encoded >> 28 & 7, comparison = encoded >> 24 & 15;
	int32_t argument = (int32_t)(encoded << 8) >> 20, with = (int32_t)(encoded << 20) >> 20;
	uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED), new;

	if ((encoded >> 28 & FUTEX_OP_OPARG_SHIFT) != 0)
		argument = (int32_t)(1u << (argument & 31));
	do {
		switch (operation) {
		case FUTEX_OP_SET:
			new = (uint32_t)argument;
			break;
		case FUTEX_OP_ADD:
			new = old + (uint32_t)argument;
			break;
		case FUTEX_OP_OR:
			new = old | (uint32_t)argument;
			break;
		case FUTEX_OP_ANDN:
			new = old & ~(uint32_t)argument;
			break;
		case FUTEX_OP_XOR:
			new = old ^ (uint32_t)argument;
			break;
		default:
			return -ENOSYS;
		}
	} while (!__atomic_compare_exchange_n(word, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	int32_t value = (int32_t)old;
	switch (comparison) {
	case FUTEX_OP_CMP_EQ:
		*holds = value == with;
		break;
	case FUTEX_OP_CMP_NE:
		*holds = value != with;
		break;
	case FUTEX_OP_CMP_LT:
		*holds = value < with;
		break;
	case FUTEX_OP_CMP_LE:
		*holds = value <= with;
		break;
	case FUTEX_OP_CMP_GT:
		*holds = value > with;
		break;
	case FUTEX_OP_CMP_GE:
		*holds = value >= with;
		break;
	default:
		return -ENOSYS;
	}
	return 0;
}

int64_t futex_wake_op(uint64_t va, uint64_t va2, bool is_private, unsigned wake, unsigned wake2, uint32_t encoded)
{
	struct futex_key key, key2;
	bool holds = false;

	int error = futex_key_get(va, is_private, &key);
	if (error == 0)
		error = futex_key_get(va2, is_private, &key2);
	if (error == 0)
		error = user_prepare(va2, sizeof(uint32_t), true);
	if (error == 0)
		error = futex_operate((uint32_t *)va2, encoded, &holds);
	if (error != 0)
		return error;
	int64_t woken = futex_wake_key(&key, wake, FUTEX_BITSET_MATCH_ANY);
	if (holds)
		woken += futex_wake_key(&key2, wake2, FUTEX_BITSET_MATCH_ANY);
	return woken;
}

/* ---- waiting ---- */

static int64_t futex_wait_restart(void)
{
	const struct thread *thread = current;

	return futex_wait(thread->restart_args[0], thread->restart_args[1] != 0, (uint32_t)thread->restart_args[2],
			  (uint32_t)thread->restart_args[3], thread->restart_deadline_ns, false);
}

int futex_waiter_queue(struct futex_waiter *waiter, struct waiter *sleeper, uint64_t va, bool is_private,
		       uint32_t expected)
{
	uint32_t value;

	int error = futex_key_get(va, is_private, &waiter->key);
	if (error == 0)
		error = futex_load(va, &value);
	if (error != 0)
		return error;
	if (value != expected)
		return -EAGAIN;
	waiter->woken = false;
	waiter->waiter = sleeper;
	futex_key_hold(&waiter->key);
	list_add_tail(futex_bucket(&waiter->key), &waiter->node);
	return 0;
}

void futex_waiter_unqueue(struct futex_waiter *waiter)
{
	list_remove(&waiter->node);
	futex_key_release(&waiter->key);
}

int64_t futex_wait(uint64_t va, bool is_private, uint32_t expected, uint32_t bits, uint64_t deadline_ns, bool absolute)
{
	struct thread *thread = current;
	struct futex_waiter waiter = {.bits = bits};
	struct waiter sleeper;

	if (bits == 0)
		return -EINVAL;
	waiter_init(&sleeper);
	int error = futex_waiter_queue(&waiter, &sleeper, va, is_private, expected);
	if (error != 0)
		return error;
	error = wait_sleep(&sleeper, deadline_ns, true);
	futex_waiter_unqueue(&waiter);
	if (error != -EINTR)
		return error;
	if (deadline_ns == WAIT_FOREVER || absolute)
		return -ERESTARTSYS;
	thread->restart = futex_wait_restart;
	thread->restart_deadline_ns = deadline_ns;
	thread->restart_args[0] = va;
	thread->restart_args[1] = is_private;
	thread->restart_args[2] = expected;
	thread->restart_args[3] = bits;
	return -ERESTART_RESTARTBLOCK;
}

/* ---- the end of a thread ---- */

/* The thread died with this lock: mark it and let one waiter have it. */
static void futex_owner_died(const struct thread *thread, uint64_t va)
{
	uint32_t *word = (uint32_t *)va;

	if ((va & 3) != 0 || user_prepare(va, sizeof(*word), true) != 0)
		return;
	uint32_t value = __atomic_load_n(word, __ATOMIC_RELAXED);
	do {
		if ((value & FUTEX_TID_MASK) != (uint32_t)thread->tid)
			return;
	} while (!__atomic_compare_exchange_n(word, &value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	if ((value & FUTEX_WAITERS) != 0)
		futex_wake(va, false, 1, FUTEX_BITSET_MATCH_ANY);
}

/* The list is in the program's memory and may be anything: bounded, and bad addresses end it. */
static void futex_robust_list(const struct thread *thread)
{
	struct robust_list_head head;
	uint64_t start = thread->robust_list, entry, next;

	if (start == 0 || user_get(&head, start) != 0)
		return;
	uint64_t pending = (uint64_t)head.list_op_pending & ~1ull;
	entry = (uint64_t)head.list.next;
	for (unsigned i = 0; i < ROBUST_LIST_LIMIT && (entry & ~1ull) != start; i++) {
		uint64_t node = entry & ~1ull;
		bool priority_inheriting = (entry & 1) != 0;
		int error = user_get(&next, node);
		if (node != pending && !priority_inheriting)
			futex_owner_died(thread, node + (uint64_t)head.futex_offset);
		if (error != 0)
			break;
		entry = next;
	}
	if (pending != 0)
		futex_owner_died(thread, pending + (uint64_t)head.futex_offset);
}

void futex_thread_exit(struct thread *thread)
{
	uint32_t zero = 0;

	futex_robust_list(thread);
	thread->robust_list = 0;
	if (thread->clear_child_tid != 0 && thread->process->thread_count > 1 &&
	    user_put(thread->clear_child_tid, &zero) == 0)
		futex_wake(thread->clear_child_tid, false, 1, FUTEX_BITSET_MATCH_ANY);
	thread->clear_child_tid = 0;
}
