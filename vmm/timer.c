/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/timer.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "vmm/irq.h"
#include "vmm/vm.h"

/* glibc has it under another name. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

int timer_open(struct vcpu *vcpu, struct err *err)
{
	/* The system calls themselves: the signal goes to this thread, and no library thread is needed. */
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = IRQ_SIGNAL};
	event.sigev_notify_thread_id = vcpu->tid;
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &vcpu->timer) < 0)
		return err_set(err, -errno, "cannot create the timer of vCPU %u", vcpu->index);
	return 0;
}

void timer_arm(struct vcpu *vcpu)
{
	struct itimerspec setting = {0};
	uint64_t deadline_ns = __atomic_load_n(&vcpu->head->deadline_ns, __ATOMIC_RELAXED);
	if (deadline_ns != UINT64_MAX)
		setting.it_value = clock_host_time(&vcpu->vm->clock, deadline_ns);
	syscall(SYS_timer_settime, vcpu->timer, TIMER_ABSTIME, &setting, NULL);
}
