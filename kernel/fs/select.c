/* SPDX-License-Identifier: Apache-2.0 */
/* select, pselect6. */
#include "kernel/fs/poll.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define SET_IN (EPOLLRDNORM | EPOLLRDBAND | EPOLLIN | EPOLLHUP | EPOLLERR)
#define SET_OUT (EPOLLWRBAND | EPOLLWRNORM | EPOLLOUT | EPOLLERR)
#define SET_EXCEPT EPOLLPRI
#define FDS_MAX 65536u

static const uint32_t set_events[3] = {SET_IN, SET_OUT, SET_EXCEPT};

struct select_sets {
	unsigned count; /* of descriptors looked at */
	uint64_t bytes; /* of one set */
	uint64_t va[3]; /* program's sets; 0: none */
	uint64_t *wanted[3], *found[3];
	struct file **files;
};

static bool is_set(const uint64_t *set, unsigned fd) { return set != NULL && (set[fd / 64] & 1ull << fd % 64) != 0; }

static bool is_wanted(const struct select_sets *sets, unsigned fd)
{
	return is_set(sets->wanted[0], fd) || is_set(sets->wanted[1], fd) || is_set(sets->wanted[2], fd);
}

static void sets_close(struct select_sets *sets)
{
	for (unsigned fd = 0; sets->files != NULL && fd < sets->count; fd++)
		if (sets->files[fd] != NULL)
			file_put(sets->files[fd]);
	kfree(sets->files);
}

static int sets_open(struct select_sets *sets, const uint64_t *arg)
{
	memset(sets, 0, sizeof(*sets));
	if ((int)arg[0] < 0)
		return -EINVAL;
	sets->count = (unsigned)min_u64(arg[0] & 0xffffffff, FDS_MAX);
	sets->bytes = (sets->count + 63) / 64 * 8;
	/* files, then the six sets */
	sets->files = kzalloc(sets->count * sizeof(struct file *) + 6 * sets->bytes);
	if (sets->files == NULL)
		return sets->count == 0 ? 0 : -ENOMEM;
	uint64_t *set = (uint64_t *)(sets->files + sets->count);
	for (unsigned i = 0; i < 3; i++) {
		sets->va[i] = arg[1 + i];
		sets->found[i] = set + (i + 3) * sets->bytes / 8;
		if (sets->va[i] == 0)
			continue;
		sets->wanted[i] = set + i * sets->bytes / 8;
		if (user_read(sets->wanted[i], sets->va[i], sets->bytes) != 0)
			return -EFAULT;
	}
	for (unsigned fd = 0; fd < sets->count; fd++) {
		if (!is_wanted(sets, fd))
			continue;
		sets->files[fd] = fd_get((int)fd);
		if (sets->files[fd] == NULL)
			return -EBADF;
	}
	return 0;
}

static unsigned sets_scan(struct select_sets *sets, struct poll_table *table)
{
	unsigned ready = 0;
	for (unsigned fd = 0; fd < sets->count; fd++) {
		if (sets->files[fd] == NULL)
			continue;
		uint32_t events = file_poll(sets->files[fd], ready == 0 ? table : NULL);
		for (unsigned i = 0; i < 3; i++) {
			if (is_set(sets->wanted[i], fd) && (events & set_events[i]) != 0) {
				sets->found[i][fd / 64] |= 1ull << fd % 64;
				ready++;
			}
		}
	}
	return ready;
}

/* arg: of select; deadline 0: do not sleep. */
static int64_t select_wait(const uint64_t *arg, uint64_t deadline_ns)
{
	struct select_sets sets;
	struct poll_waiters waiters;
	int64_t result = sets_open(&sets, arg);

	if (result != 0) {
		sets_close(&sets);
		return result;
	}
	poll_waiters_init(&waiters);
	result = sets_scan(&sets, NULL);
	if (result == 0 && deadline_ns != 0) {
		result = sets_scan(&sets, &waiters.table);
		while (result == 0) {
			int r = poll_waiters_sleep(&waiters, deadline_ns);
			result = sets_scan(&sets, NULL);
			if (result == 0 && r != 0) {
				result = r == -ETIMEDOUT ? 0 : r;
				break;
			}
		}
	}
	poll_waiters_fini(&waiters);
	for (unsigned i = 0; result >= 0 && i < 3; i++) {
		if (sets.va[i] != 0 && sets.count > 0 && user_write(sets.va[i], sets.found[i], sets.bytes) != 0)
			result = -EFAULT;
	}
	sets_close(&sets);
	return result;
}

static uint64_t time_left(uint64_t deadline)
{
	uint64_t now = clock_monotonic();
	return deadline > now ? deadline - now : 0;
}

SYSCALL(select)
{
	uint64_t deadline = WAIT_FOREVER, relative;

	if (args->arg[4] != 0) {
		int64_t value[2];
		if (user_get(&value, args->arg[4]) != 0)
			return -EFAULT;
		if (value[0] < 0 || value[1] < 0)
			return -EINVAL;
		/* Unlike elsewhere, more than a million microseconds are allowed here. */
		relative = min_u64((uint64_t)value[0], UINT32_MAX) * NS_PER_SECOND +
			   min_u64((uint64_t)value[1], UINT32_MAX) * 1000;
		deadline = relative == 0 ? 0 : clock_deadline(relative);
	}
	int64_t result = select_wait(args->arg, deadline);
	if (args->arg[4] != 0)
		timeval_write(args->arg[4], time_left(deadline));
	return result == -EINTR ? -ERESTARTNOHAND : result;
}

SYSCALL(pselect6)
{
	uint64_t deadline = WAIT_FOREVER, relative, mask[2] = {0, 0};
	int r;

	if (args->arg[4] != 0) {
		r = timespec_read(args->arg[4], &relative);
		if (r != 0)
			return r;
		deadline = relative == 0 ? 0 : clock_deadline(relative);
	}
	if (args->arg[5] != 0 && user_get(&mask, args->arg[5]) != 0)
		return -EFAULT;
	r = signal_temporary_mask(mask[0], mask[1]);
	if (r != 0)
		return r;
	int64_t result = select_wait(args->arg, deadline);
	signal_temporary_mask_end(result == -EINTR);
	if (args->arg[4] != 0)
		timespec_write(args->arg[4], time_left(deadline));
	return result == -EINTR ? -ERESTARTNOHAND : result;
}
