/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, sleeping and timers: time(7). */
#include <linux/time.h>
#include <linux/times.h>

#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/itimer.h"
#include "kernel/proc/posix_timer.h"
#include "kernel/sys/syscall.h"

#define TICKS_PER_SECOND 100u /* USER_HZ */
#define COARSE_NS 4000000u    /* what Linux says with HZ=250 */

SYSCALL(clock_gettime)
{
	uint64_t ns;

	int error = clock_read((int32_t)args->arg[0], &ns);
	return error != 0 ? error : timespec_write(args->arg[1], ns);
}

SYSCALL(clock_getres)
{
	int32_t clock = (int32_t)args->arg[0];
	uint64_t ns;

	int error = clock_read(clock, &ns);
	if (error != 0)
		return error;
	if (args->arg[1] == 0)
		return 0;
	return timespec_write(args->arg[1],
			      clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE ? COARSE_NS : 1);
}

/* The host's clock is not the guest's to set. */
SYSCALL(clock_settime)
{
	uint64_t ns;

	int error = clock_read((int32_t)args->arg[0], &ns);
	if (error == 0)
		error = timespec_read(args->arg[1], &ns);
	if (error != 0)
		return error;
	return (int32_t)args->arg[0] == CLOCK_REALTIME ? -EPERM : -EINVAL;
}

SYSCALL(settimeofday)
{
	uint64_t ns;

	int error = args->arg[0] != 0 ? timeval_read(args->arg[0], &ns) : 0;
	return error != 0 ? error : -EPERM;
}

SYSCALL(gettimeofday)
{
	struct timezone zone = {0, 0};

	if (args->arg[0] != 0 && timeval_write(args->arg[0], clock_realtime()) != 0)
		return -EFAULT;
	if (args->arg[1] != 0 && user_put(args->arg[1], &zone) != 0)
		return -EFAULT;
	return 0;
}

SYSCALL(time)
{
	int64_t seconds = (int64_t)(clock_realtime() / NS_PER_SECOND);

	if (args->arg[0] != 0 && user_put(args->arg[0], &seconds) != 0)
		return -EFAULT;
	return seconds;
}

SYSCALL(times)
{
	struct process *process = current->process;
	struct tms tms = {
	    .tms_utime = (int64_t)(process_cpu_ns(process) / (NS_PER_SECOND / TICKS_PER_SECOND)),
	    .tms_cutime = (int64_t)(process->child_cpu_ns / (NS_PER_SECOND / TICKS_PER_SECOND)),
	};

	if (args->arg[0] != 0 && user_put(args->arg[0], &tms) != 0)
		return -EFAULT;
	return (int64_t)(clock_monotonic() / (NS_PER_SECOND / TICKS_PER_SECOND));
}

/* ---- sleeping ---- */

static int64_t sleep_restart(void);

/* Until deadline_ns of CLOCK_MONOTONIC. left_va: where the rest goes if a signal ends a relative sleep; 0: nowhere. */
static int64_t sleep_until(uint64_t deadline_ns, bool absolute, uint64_t left_va)
{
	struct thread *thread = current;
	struct waiter waiter;

	waiter_init(&waiter);
	int error = wait_sleep(&waiter, deadline_ns, true);
	if (error != -EINTR)
		return 0;
	if (absolute)
		return -ERESTARTNOHAND;
	uint64_t now = clock_monotonic();
	if (now >= deadline_ns)
		return 0;
	if (left_va != 0 && timespec_write(left_va, deadline_ns - now) != 0)
		return -EFAULT;
	thread->restart = sleep_restart;
	thread->restart_deadline_ns = deadline_ns;
	thread->restart_args[0] = left_va;
	return -ERESTART_RESTARTBLOCK;
}

static int64_t sleep_restart(void)
{
	return sleep_until(current->restart_deadline_ns, false, current->restart_args[0]);
}

SYSCALL(nanosleep)
{
	uint64_t ns;

	int error = timespec_read(args->arg[0], &ns);
	if (error != 0)
		return error;
	return sleep_until(clock_deadline(ns), false, args->arg[1]);
}

/* CPU time passes only while threads run: sleep as long as it would take at best, and look again. */
static int64_t sleep_cpu_time(int32_t clock, uint64_t ns, bool absolute)
{
	uint64_t now, target = ns;
	struct waiter waiter;

	if (clock_read(clock, &now) != 0)
		return -EINVAL;
	if (!absolute && add_overflows(now, ns, &target))
		target = UINT64_MAX;
	while (clock_read(clock, &now) == 0 && now < target) {
		uint64_t pause = max_u64((target - now) / arch_cpu_count(), NS_PER_MS);
		waiter_init(&waiter);
		if (wait_sleep(&waiter, clock_deadline(pause), true) == -EINTR)
			return absolute ? -ERESTARTNOHAND : -EINTR;
	}
	return 0;
}

SYSCALL(clock_nanosleep)
{
	int32_t clock = (int32_t)args->arg[0];
	bool absolute = (args->arg[1] & 1 /* TIMER_ABSTIME */) != 0;
	uint64_t ns, now;

	if (clock_read(clock, &now) != 0 || clock == CLOCK_THREAD_CPUTIME_ID)
		return -EINVAL;
	if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
		return -EOPNOTSUPP;
	int error = timespec_read(args->arg[2], &ns);
	if (error != 0)
		return error;
	if (clock == CLOCK_PROCESS_CPUTIME_ID || clock < 0)
		return sleep_cpu_time(clock, ns, absolute);
	if (!absolute)
		return sleep_until(clock_deadline(ns), false, args->arg[3]);
	bool realtime = clock == CLOCK_REALTIME || clock == CLOCK_TAI || clock == CLOCK_REALTIME_ALARM;
	return sleep_until(min_u64(realtime ? clock_realtime_to_monotonic(ns) : ns, UINT64_MAX - 1), true, 0);
}

/* ---- interval timers ---- */

static int itimer_write(uint64_t va, uint64_t left_ns, uint64_t interval_ns)
{
	/* Rounded up: a running timer never shows zero. */
	if (timeval_write(va, interval_ns) != 0)
		return -EFAULT;
	return timeval_write(va + sizeof(struct __kernel_old_timeval), left_ns + (left_ns != 0 ? 999 : 0));
}

SYSCALL(getitimer)
{
	uint64_t left, interval;

	if (args->arg[0] > ITIMER_PROF)
		return -EINVAL;
	itimer_get(current->process, (int)args->arg[0], &left, &interval);
	return itimer_write(args->arg[1], left, interval);
}

SYSCALL(setitimer)
{
	uint64_t first = 0, interval = 0, old_left, old_interval;
	int error = 0;

	if (args->arg[0] > ITIMER_PROF)
		return -EINVAL;
	if (args->arg[1] != 0) {
		error = timeval_read(args->arg[1], &interval);
		if (error == 0)
			error = timeval_read(args->arg[1] + sizeof(struct __kernel_old_timeval), &first);
	}
	if (error != 0)
		return error;
	itimer_get(current->process, (int)args->arg[0], &old_left, &old_interval);
	itimer_set(current->process, (int)args->arg[0], first, interval);
	return args->arg[2] != 0 ? itimer_write(args->arg[2], old_left, old_interval) : 0;
}

SYSCALL(alarm)
{
	uint64_t left, interval;

	itimer_get(current->process, ITIMER_REAL, &left, &interval);
	itimer_set(current->process, ITIMER_REAL, (uint32_t)args->arg[0] * NS_PER_SECOND, 0);
	/* As Linux: rounded to the nearest second, but 1 if anything was left. */
	uint64_t seconds = (left + NS_PER_SECOND / 2) / NS_PER_SECOND;
	return left != 0 && seconds == 0 ? 1 : (int64_t)seconds;
}

/* ---- POSIX timers ---- */

SYSCALL(timer_create)
{
	struct sigevent event;
	struct thread *target = NULL;
	struct posix_timer *timer;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGALRM;
	if (args->arg[1] != 0 && user_get(&event, args->arg[1]) != 0)
		return -EFAULT;
	if (event.sigev_notify == (SIGEV_SIGNAL | SIGEV_THREAD_ID)) {
		target = thread_find(event.sigev_notify_thread_id);
		if (target == NULL || target->process != current->process)
			return -EINVAL;
	} else if (event.sigev_notify != SIGEV_SIGNAL && event.sigev_notify != SIGEV_NONE) {
		return -EINVAL;
	}
	if (event.sigev_notify != SIGEV_NONE && (event.sigev_signo < 1 || event.sigev_signo > SIGNALS))
		return -EINVAL;
	int error = posix_timer_new((int32_t)args->arg[0], event.sigev_notify, event.sigev_signo, target,
				    (uint64_t)event.sigev_value.sival_ptr, &timer);
	if (error != 0)
		return error;
	int id = posix_timer_id(timer);
	if (args->arg[1] == 0)
		posix_timer_set_value(timer, (uint64_t)id);
	if (user_put(args->arg[2], &id) != 0) {
		posix_timer_delete(timer);
		return -EFAULT;
	}
	return 0;
}

static int itimerspec_write(uint64_t va, uint64_t left_ns, uint64_t interval_ns)
{
	if (timespec_write(va, interval_ns) != 0)
		return -EFAULT;
	return timespec_write(va + sizeof(struct __kernel_timespec), left_ns);
}

SYSCALL(timer_settime)
{
	struct posix_timer *timer;
	uint64_t first, interval, old_left, old_interval;

	if (args->arg[2] == 0)
		return -EINVAL;
	int error = timespec_read(args->arg[2], &interval);
	if (error == 0)
		error = timespec_read(args->arg[2] + sizeof(struct __kernel_timespec), &first);
	if (error != 0)
		return error;
	timer = posix_timer_find((int)args->arg[0]);
	if (timer == NULL)
		return -EINVAL;
	posix_timer_get(timer, &old_left, &old_interval);
	posix_timer_set(timer, (args->arg[1] & 1) != 0, first, interval);
	return args->arg[3] != 0 ? itimerspec_write(args->arg[3], old_left, old_interval) : 0;
}

SYSCALL(timer_gettime)
{
	struct posix_timer *timer = posix_timer_find((int)args->arg[0]);
	uint64_t left, interval;

	if (timer == NULL)
		return -EINVAL;
	posix_timer_get(timer, &left, &interval);
	return itimerspec_write(args->arg[1], left, interval);
}

SYSCALL(timer_getoverrun)
{
	struct posix_timer *timer = posix_timer_find((int)args->arg[0]);

	return timer != NULL ? posix_timer_overrun(timer) : -EINVAL;
}

SYSCALL(timer_delete)
{
	struct posix_timer *timer = posix_timer_find((int)args->arg[0]);

	if (timer == NULL)
		return -EINVAL;
	posix_timer_delete(timer);
	return 0;
}

/* Reading how the clock is disciplined is allowed, setting it is not. */
SYSCALL(adjtimex)
{
	SYSCALL_UNUSED_ARGS;
	return -EPERM;
}

SYSCALL(clock_adjtime)
{
	SYSCALL_UNUSED_ARGS;
	return -EPERM;
}
