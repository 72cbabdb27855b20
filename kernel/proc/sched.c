/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: one queue of runnable threads for all vCPUs, ordered by virtual run time (CPU time
 * weighted by nice). One queue keeps it fair and simple, and costs nothing more where one lock
 * guards the kernel anyway.
 *
 * What is dear here is not choosing a thread but talking to the monitor (a kick, an armed timer, a
 * halt: tens of microseconds each), so interrupts are armed only while somebody waits for the vCPU or
 * for a time, one vCPU arms for all, and vCPUs are started only when threads had to wait.
 */
#include <linux/sched.h>

#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/virtio/virtio.h"

#define SLICE_NS (4 * NS_PER_MS)
#define SLICE_START_NS (1 * NS_PER_MS) /* while another vCPU could be started instead of sharing */
#define WAKE_BONUS_NS (2 * NS_PER_MS)  /* how far a thread that slept may be ahead of the others */
#define WAKE_PREEMPT_NS (1 * NS_PER_MS)
#define HAND_OVER_NS 20000 /* whoever wakes another and sleeps so soon hands over: no vCPU is woken for it */
#define HAND_OVER_TRUST 3u /* ... once it has done so this often */
#define CACHE_BONUS_NS (1 * NS_PER_MS) /* how unfair it may be to let a thread run where it ran last */

struct sched_cpu {
	struct thread *idle, *running;
	struct thread *dead; /* has left its stack, to be freed */
	bool halted, kicked;
	uint64_t armed_ns; /* this vCPU will look at the timers then */
};

static struct sched_cpu sched_cpus[LAMPO_CPUS_MAX];
static uint32_t sched_cpus_present; /* bit per vCPU that has an idle thread */
static struct list sched_queue = LIST_INIT(sched_queue);
static unsigned sched_queue_length;
static uint64_t sched_vruntime_min;
static struct thread sched_idle_first; /* vCPU 0's, before there is a heap */

static struct sched_cpu *sched_this(void) { return &sched_cpus[arch_cpu_index()]; }

static bool thread_is_idle(const struct thread *thread) { return thread->process == NULL; }

static bool thread_may_run(const struct thread *thread, unsigned cpu) { return (thread->affinity >> cpu & 1) != 0; }

/* ---- accounting ---- */

/* Real-time threads go before all others, by priority; 0: not one. */
static int sched_level(const struct thread *thread)
{
	return thread->policy == SCHED_FIFO || thread->policy == SCHED_RR ? thread->rt_priority : 0;
}

static uint64_t sched_weighted(const struct thread *thread, uint64_t ns)
{
	/* Each step of nice is a quarter more or less, as on Linux. Real-time threads count least. */
	int nice = sched_level(thread) != 0 ? -20 : thread->policy == SCHED_IDLE ? 19 : thread->nice;

	for (; nice > 0; nice--)
		ns += ns / 4;
	for (; nice < 0; nice++)
		ns -= ns / 5;
	return ns;
}

static void sched_account_at(struct thread *thread, uint64_t now)
{
	if (thread_is_idle(thread) || now <= thread->run_start_ns)
		return;
	uint64_t ns = now - thread->run_start_ns;
	thread->cpu_ns += ns;
	thread->vruntime_ns += sched_weighted(thread, ns);
	thread->run_start_ns = now;
}

void sched_account(void) { sched_account_at(current, clock_monotonic()); }

/* ---- the queue ---- */

/* Must `a` run before `b`? Neither, if both are of the same real-time priority: who came first. */
static bool sched_ahead(const struct thread *a, const struct thread *b)
{
	int la = sched_level(a), lb = sched_level(b);

	return la != lb ? la > lb : la == 0 && a->vruntime_ns < b->vruntime_ns;
}

static void sched_enqueue(struct thread *thread)
{
	struct list *after = sched_queue.prev;

	while (after != &sched_queue && sched_ahead(thread, list_entry(after, struct thread, run_node)))
		after = after->prev;
	list_add(after, &thread->run_node);
	sched_queue_length++;
}

/* One that was pre-empted and has not had its turn: before those of its priority. */
static void sched_enqueue_front(struct thread *thread)
{
	struct list *before = sched_queue.next;

	while (before != &sched_queue && sched_ahead(list_entry(before, struct thread, run_node), thread))
		before = before->next;
	list_add_tail(before, &thread->run_node);
	sched_queue_length++;
}

static void sched_dequeue(struct thread *thread)
{
	list_remove(&thread->run_node);
	sched_queue_length--;
}

static struct thread *sched_peek(unsigned cpu)
{
	struct thread *best = NULL;

	list_for_each(node, &sched_queue)
	{
		struct thread *thread = list_entry(node, struct thread, run_node);
		if (best != NULL && thread->vruntime_ns > best->vruntime_ns + CACHE_BONUS_NS)
			break;
		if (!thread_may_run(thread, cpu))
			continue;
		if (thread->cpu == cpu || sched_level(thread) != 0)
			return best == NULL || sched_level(thread) == 0 ? thread : best;
		if (best == NULL)
			best = thread;
	}
	return best;
}

static struct thread *sched_pick(unsigned cpu)
{
	struct thread *thread = sched_peek(cpu);

	if (thread != NULL) {
		sched_dequeue(thread);
		sched_vruntime_min = max_u64(sched_vruntime_min, thread->vruntime_ns);
	}
	return thread;
}

unsigned sched_runnable(void)
{
	unsigned count = sched_queue_length;

	for (unsigned i = 0; i < LAMPO_CPUS_MAX; i++)
		count += (sched_cpus_present >> i & 1) != 0 && sched_cpus[i].running != sched_cpus[i].idle;
	return count;
}

/* ---- switching ---- */

static void sched_free_dead(struct sched_cpu *cpu)
{
	struct thread *dead = cpu->dead;

	if (dead != NULL && dead != current) {
		cpu->dead = NULL;
		thread_free(dead);
	}
}

static uint64_t sched_slice_ns(void) { return arch_cpu_count() < boot_info->cpu_count ? SLICE_START_NS : SLICE_NS; }

static void sched_switch(struct thread *next)
{
	struct sched_cpu *cpu = sched_this();
	struct thread *from = current;
	uint64_t now = clock_monotonic();

	sched_account_at(from, now);
	sched_free_dead(cpu);
	next->state = THREAD_RUNNING;
	next->run_start_ns = now;
	next->slice_end_ns = now + sched_slice_ns();
	/* Who looks at the way out whether an interrupt is needed: this one, now. */
	next->work |= THREAD_WORK_TIMER;
	if (next == from)
		return;
	next->cpu = arch_cpu_index();
	next->context_switches++;
	cpu->running = next;
	if (next->process != NULL && next->process->mm != NULL)
		arch_load_page_table(next->process->mm->pml4_gpa);
	if (from->state == THREAD_DEAD)
		cpu->dead = from;
	arch_switch(from, next);
	/* Some time later, perhaps on another vCPU. */
	sched_free_dead(sched_this());
}

void sched_block(void)
{
	struct sched_cpu *cpu = sched_this();
	struct thread *next;

	kassert(current->state != THREAD_RUNNING && !thread_is_idle(current));
	/* Its CPU time counts before the choice: with it, it may not be the first any more. */
	uint64_t now = clock_monotonic();
	sched_account_at(current, now);
	if (current->woke_ns != 0 && current->state == THREAD_SLEEPING) {
		if (now - current->woke_ns >= HAND_OVER_NS)
			current->hands_over = 0;
		else if (current->hands_over < HAND_OVER_TRUST)
			current->hands_over++;
		current->woke_ns = 0;
	}
	next = sched_pick(arch_cpu_index());
	sched_switch(next != NULL ? next : cpu->idle);
}

/* The running thread is in the queue again: the first one runs, perhaps itself. */
static void sched_requeued(struct thread *thread)
{
	thread->state = THREAD_RUNNABLE;
	if (!thread_may_run(thread, arch_cpu_index()))
		sched_place(thread);
	sched_block();
}

void sched_preempt(void)
{
	struct thread *thread = current;

	thread->work &= ~THREAD_WORK_RESCHEDULE;
	if (sched_queue_length == 0 && thread_may_run(thread, arch_cpu_index()))
		return;
	sched_account_at(thread, clock_monotonic());
	if (thread->policy == SCHED_FIFO)
		sched_enqueue_front(thread);
	else
		sched_enqueue(thread);
	sched_requeued(thread);
}

void sched_yield_kernel(void)
{
	struct thread *thread = current;
	struct thread *first = sched_peek(arch_cpu_index());

	if (first == NULL || sched_level(first) < sched_level(thread))
		return;
	sched_account_at(thread, clock_monotonic());
	/* Others first, whoever is due; the debt is small and forgotten with the next sleep. */
	thread->vruntime_ns = max_u64(thread->vruntime_ns, first->vruntime_ns + 1);
	sched_enqueue(thread);
	sched_requeued(thread);
}

/* ---- waking ---- */

static struct sched_cpu *sched_find_halted(const struct thread *thread)
{
	struct sched_cpu *found = NULL;

	for (unsigned i = 0; i < LAMPO_CPUS_MAX && sched_cpus_present >> i != 0; i++) {
		struct sched_cpu *cpu = &sched_cpus[i];
		if ((sched_cpus_present >> i & 1) == 0 || !cpu->halted || cpu->kicked || !thread_may_run(thread, i))
			continue;
		if (i == thread->cpu)
			return cpu;
		if (found == NULL)
			found = cpu;
	}
	return found;
}

static void sched_kick_halted(struct sched_cpu *cpu)
{
	cpu->kicked = true;
	arch_kick((unsigned)(cpu - sched_cpus));
}

static void sched_request(struct sched_cpu *cpu)
{
	cpu->running->work |= THREAD_WORK_RESCHEDULE;
	if (cpu != sched_this())
		arch_kick((unsigned)(cpu - sched_cpus));
}

/* Is it worth interrupting `running` for one that has just become runnable? */
static bool sched_preempts(const struct thread *thread, const struct thread *running)
{
	int level = sched_level(thread), level_running = sched_level(running);

	if (thread_is_idle(running))
		return true;
	if (level != level_running || level != 0)
		return level > level_running;
	uint64_t now = clock_monotonic(), ran = now > running->run_start_ns ? now - running->run_start_ns : 0;
	return running->vruntime_ns + sched_weighted(running, ran) > thread->vruntime_ns + WAKE_PREEMPT_NS;
}

/* Is its slice of use to `first`, the first in the queue? */
static bool sched_slice_counts(const struct thread *thread, const struct thread *first)
{
	int level = sched_level(thread);

	return level != sched_level(first) ? level < sched_level(first) : level == 0 || thread->policy == SCHED_RR;
}

/* `thread` has just been queued: who is to run it? */
void sched_place(struct thread *thread)
{
	unsigned here = arch_cpu_index();
	struct sched_cpu *cpu = sched_this();
	bool allowed_here = thread_may_run(thread, here);

	if (cpu->idle == NULL)
		return; /* booting */
	if (allowed_here && cpu->running == cpu->idle && sched_queue_length == 1)
		return; /* this vCPU's idle loop takes it */
	bool hand_over = allowed_here && sched_queue_length == 1 && cpu->running->hands_over == HAND_OVER_TRUST;
	struct sched_cpu *halted = hand_over ? NULL : sched_find_halted(thread);
	if (halted != NULL) {
		sched_kick_halted(halted);
		return;
	}
	if (allowed_here) {
		if (cpu->running == cpu->idle)
			return;
		if (sched_preempts(thread, cpu->running))
			cpu->running->work |= THREAD_WORK_RESCHEDULE;
		else
			cpu->running->work |= THREAD_WORK_TIMER; /* its slice has an end now */
		if (sched_level(thread) == 0 || (cpu->running->work & THREAD_WORK_RESCHEDULE) != 0)
			return;
	}
	for (unsigned i = 0; i < LAMPO_CPUS_MAX; i++) {
		if ((sched_cpus_present >> i & 1) != 0 && thread_may_run(thread, i) && i != here &&
		    (!allowed_here || sched_preempts(thread, sched_cpus[i].running))) {
			sched_request(&sched_cpus[i]);
			return;
		}
	}
	/* It may only run on a vCPU that does not run yet. */
	if (!allowed_here && arch_cpu_count() < boot_info->cpu_count)
		arch_start_cpu();
}

void sched_add(struct thread *thread)
{
	kassert(!thread_is_idle(thread) && list_empty(&thread->run_node));
	thread->state = THREAD_RUNNABLE;
	/* Who slept long gets no credit for all of it, or the others would wait as long. */
	uint64_t oldest = sched_vruntime_min > WAKE_BONUS_NS ? sched_vruntime_min - WAKE_BONUS_NS : 0;
	thread->vruntime_ns = max_u64(thread->vruntime_ns, oldest);
	sched_enqueue(thread);
	if (current != thread && !thread_is_idle(current))
		current->woke_ns = clock_monotonic();
	sched_place(thread);
}

void thread_wake(struct thread *thread)
{
	if (thread->state == THREAD_SLEEPING)
		sched_add(thread);
}

void sched_kick_thread(struct thread *thread)
{
	if (thread->state == THREAD_RUNNING && thread->cpu != arch_cpu_index())
		arch_kick(thread->cpu);
}

void sched_changed(struct thread *thread)
{
	if (thread->state == THREAD_RUNNING && !thread_may_run(thread, thread->cpu)) {
		thread->work |= THREAD_WORK_RESCHEDULE;
		sched_kick_thread(thread);
	} else if (thread->state == THREAD_RUNNING) {
		struct thread *first = sched_peek(thread->cpu);
		if (first != NULL && sched_ahead(first, thread)) {
			thread->work |= THREAD_WORK_RESCHEDULE;
			sched_kick_thread(thread);
		}
	} else if (thread->state == THREAD_RUNNABLE) {
		sched_dequeue(thread);
		sched_enqueue(thread);
		sched_place(thread);
	}
}

/* ---- time ---- */

/* Does another vCPU look at the timers by then? */
static bool sched_covered(uint64_t deadline_ns)
{
	struct sched_cpu *self = sched_this();

	for (unsigned i = 0; i < LAMPO_CPUS_MAX && sched_cpus_present >> i != 0; i++) {
		struct sched_cpu *cpu = &sched_cpus[i];
		if ((sched_cpus_present >> i & 1) != 0 && cpu != self && cpu->armed_ns <= deadline_ns)
			return true;
	}
	return false;
}

void timers_changed(void)
{
	struct sched_cpu *cpu = sched_this();

	if (cpu->running != NULL && timers_next() < cpu->armed_ns)
		cpu->running->work |= THREAD_WORK_TIMER;
}

void sched_arm(void)
{
	struct sched_cpu *cpu = sched_this();
	struct thread *thread = current;
	uint64_t deadline = timers_next();

	thread->work &= ~THREAD_WORK_TIMER;
	if (deadline != WAIT_FOREVER && sched_covered(deadline))
		deadline = WAIT_FOREVER;
	if (sched_queue_length != 0)
		deadline = min_u64(deadline, thread->slice_end_ns);
	if (!list_empty(&thread->process->cpu_timers))
		deadline = min_u64(deadline, cpu_timers_next(thread->process));
	if (deadline != WAIT_FOREVER) {
		cpu->armed_ns = min_u64(cpu->armed_ns, deadline);
		arch_timer_arm(deadline);
	}
}

/* ---- events ---- */

static void sched_deliver_monitor_signals(void)
{
	if (likely(*(volatile uint64_t *)&boot_info->signals == 0) || process_first == NULL)
		return;
	uint64_t set = __atomic_exchange_n(&boot_info->signals, 0, __ATOMIC_ACQ_REL);
	for (int signal = 1; set != 0; signal++, set >>= 1) {
		if ((set & 1) != 0)
			signal_send_process(process_first, signal, NULL);
	}
}

static void sched_handle_events(void)
{
	clock_update();
	sched_deliver_monitor_signals();
	virtio_handle_events();
	timers_run();
}

/* Threads wait: let further vCPUs have them, or share those that run too long. */
static void sched_spread(uint64_t now)
{
	struct thread *first = list_first(&sched_queue, struct thread, run_node);
	struct sched_cpu *halted = sched_find_halted(first);

	if (halted != NULL) {
		sched_kick_halted(halted);
	} else if (arch_cpu_count() < boot_info->cpu_count) {
		arch_start_cpu();
	} else {
		for (unsigned i = 0; i < LAMPO_CPUS_MAX; i++) {
			struct sched_cpu *cpu = &sched_cpus[i];
			if ((sched_cpus_present >> i & 1) == 0 || cpu == sched_this() || cpu->running == cpu->idle ||
			    cpu->running->slice_end_ns >= now || cpu->armed_ns <= now + SLICE_NS)
				continue;
			sched_request(cpu);
		}
	}
}

void sched_interrupt(void)
{
	struct sched_cpu *cpu = sched_this();
	struct thread *thread = current;
	uint64_t now = clock_monotonic();

	if (cpu->armed_ns <= now)
		cpu->armed_ns = WAIT_FOREVER;
	sched_handle_events();
	if (thread_is_idle(thread))
		return;
	sched_account_at(thread, now);
	if (!list_empty(&thread->process->cpu_timers))
		cpu_timers_check(thread->process);
	if (sched_queue_length != 0) {
		const struct thread *first = sched_peek(arch_cpu_index());
		if (now >= thread->slice_end_ns && first != NULL && sched_slice_counts(thread, first))
			thread->work |= THREAD_WORK_RESCHEDULE;
		if (now >= thread->slice_end_ns) {
			thread->hands_over = 0; /* it let somebody wait for a whole slice */
			thread->slice_end_ns =
			    now + sched_slice_ns(); /* in case that it goes on: no storm of interrupts */
			sched_spread(now);
		}
	}
	thread->work |= THREAD_WORK_TIMER;
}

void sched_init_cpu(unsigned index)
{
	struct sched_cpu *cpu = &sched_cpus[index];
	struct thread *idle = index == 0 ? &sched_idle_first : kzalloc(sizeof(*idle));

	if (idle == NULL)
		panic("out of memory for vCPU %u", index);
	/* cppcheck-suppress nullPointerRedundantCheck ; panic() does not return */
	*idle = (struct thread){.state = THREAD_RUNNING, .cpu = index, .affinity = 1ull << index};
	list_init(&idle->run_node);
	list_init(&idle->process_node);
	cpu->idle = cpu->running = idle;
	cpu->armed_ns = WAIT_FOREVER;
	sched_cpus_present |= 1u << index;
	arch_set_current(idle);
}

#ifdef NUCLEO_HOST
/* A unit test starts anew. */
void sched_reset(void)
{
	memset(sched_cpus, 0, sizeof(sched_cpus));
	memset(&sched_idle_first, 0, sizeof(sched_idle_first));
	list_init(&sched_queue);
	sched_cpus_present = sched_queue_length = 0;
	sched_vruntime_min = 0;
}
#endif

void sched_idle_loop(void)
{
	for (;;) {
		struct sched_cpu *cpu = sched_this();
		sched_handle_events();
		struct thread *next = sched_pick(arch_cpu_index());
		if (next != NULL) {
			sched_switch(next);
			continue;
		}
		cpu->armed_ns = WAIT_FOREVER;
		uint64_t deadline = timers_next();
		if (deadline != WAIT_FOREVER && sched_covered(deadline))
			deadline = WAIT_FOREVER;
		cpu->armed_ns = deadline;
		cpu->halted = true;
		cpu->kicked = false;
		arch_halt(deadline);
		cpu->halted = cpu->kicked = false;
		cpu->armed_ns = WAIT_FOREVER;
	}
}
