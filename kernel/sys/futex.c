/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2), futex_waitv(2), robust lists. */
#include "kernel/proc/futex.h"
#include <linux/futex.h>

#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

/* The time argument as a deadline; va = 0: forever. */
static int futex_deadline(uint64_t va, bool absolute, bool realtime, uint64_t *deadline_ns)
{
	uint64_t ns;

	*deadline_ns = WAIT_FOREVER;
	if (va == 0)
		return 0;
	int error = timespec_read(va, &ns);
	if (error != 0)
		return error;
	if (!absolute)
		*deadline_ns = clock_deadline(ns);
	else
		*deadline_ns = realtime ? clock_realtime_to_monotonic(ns) : ns;
	return 0;
}

SYSCALL(futex)
{
	uint64_t va = args->arg[0], timeout = args->arg[3], va2 = args->arg[4];
	uint32_t operation = (uint32_t)args->arg[1], value = (uint32_t)args->arg[2], value3 = (uint32_t)args->arg[5];
	bool is_private = (operation & FUTEX_PRIVATE_FLAG) != 0;
	bool realtime = (operation & FUTEX_CLOCK_REALTIME) != 0;
	uint32_t command = operation & FUTEX_CMD_MASK;
	bool absolute = command == FUTEX_WAIT_BITSET;
	uint64_t deadline;
	int error;

	if (realtime && command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	switch (command) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		error = futex_deadline(timeout, absolute, realtime, &deadline);
		if (error != 0)
			return error;
		return futex_wait(va, is_private, value, absolute ? value3 : FUTEX_BITSET_MATCH_ANY, deadline,
				  absolute);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		/* Linux wakes one when asked for none. */
		return futex_wake(va, is_private, (int32_t)value < 1 ? 1 : value,
				  command == FUTEX_WAKE ? FUTEX_BITSET_MATCH_ANY : value3);
	case FUTEX_REQUEUE:
		return futex_requeue(va, is_private, va2, is_private, (int)value, (int)timeout, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(va, is_private, va2, is_private, (int)value, (int)timeout, &value3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(va, va2, is_private, value, (uint32_t)timeout, value3);
	default: /* FUTEX_LOCK_PI and the others with priority inheritance too: the C libraries know what that means */
		return -ENOSYS;
	}
}

#define FUTEX_WAITV_COUNT_MAX 128u

static int waitv_queue(struct futex_waiter *waiter, struct waiter *sleeper, uint64_t va)
{
	struct futex_waitv wanted;

	if (user_get(&wanted, va) != 0)
		return -EFAULT;
	/* Words of 32 bits, perhaps private. */
	if ((wanted.flags & ~(uint32_t)FUTEX_PRIVATE_FLAG) != 2 || wanted.__reserved != 0)
		return -EINVAL;
	waiter->bits = FUTEX_BITSET_MATCH_ANY;
	return futex_waiter_queue(waiter, sleeper, wanted.uaddr, (wanted.flags & FUTEX_PRIVATE_FLAG) != 0,
				  (uint32_t)wanted.val);
}

SYSCALL(futex_waitv)
{
	uint64_t count = (uint32_t)args->arg[1], deadline, queued = 0;
	int32_t clock = (int32_t)args->arg[4];
	struct waiter sleeper;
	int64_t result = 0;

	if (count == 0 || count > FUTEX_WAITV_COUNT_MAX || args->arg[0] == 0 || (uint32_t)args->arg[2] != 0 ||
	    (args->arg[3] != 0 && clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME))
		return -EINVAL;
	int error = futex_deadline(args->arg[3], true, clock == CLOCK_REALTIME, &deadline);
	if (error != 0)
		return error;
	struct futex_waiter *waiters = kzalloc(count * sizeof(*waiters));
	if (waiters == NULL)
		return -ENOMEM;
	waiter_init(&sleeper);
	while (queued < count && result == 0) {
		result = waitv_queue(&waiters[queued], &sleeper, args->arg[0] + queued * sizeof(struct futex_waitv));
		if (result == 0)
			queued++;
	}
	if (result == 0)
		result = wait_sleep(&sleeper, deadline, true);
	if (result == -EINTR)
		result = -ERESTARTSYS;
	for (uint64_t i = 0; i < queued; i++) {
		futex_waiter_unqueue(&waiters[i]);
		if (waiters[i].woken)
			result = (int64_t)i;
	}
	kfree(waiters);
	return result;
}

SYSCALL(set_robust_list)
{
	if (args->arg[1] != sizeof(struct robust_list_head))
		return -EINVAL;
	current->robust_list = args->arg[0];
	current->robust_list_bytes = args->arg[1];
	return 0;
}

SYSCALL(get_robust_list)
{
	struct thread *thread = (int)args->arg[0] == 0 ? current : thread_find((int)args->arg[0]);
	uint64_t bytes = sizeof(struct robust_list_head);

	if (thread == NULL)
		return -ESRCH;
	if (thread->process != current->process)
		return -EPERM;
	if (user_put(args->arg[2], &bytes) != 0 || user_put(args->arg[1], &thread->robust_list) != 0)
		return -EFAULT;
	return 0;
}
