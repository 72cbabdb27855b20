/* SPDX-License-Identifier: Apache-2.0 */
/* Signals are queued, masked, routed and delivered as signal(7) has it; frames are laid and taken back exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/signal.h>

#include <asm/sigcontext.h>
#include <asm/ucontext.h>

#include "kernel/proc/clock.h"
#include "kernel/proc/signal.h"
#include "tests/unit/kernel_threads.h"

#define HANDLER 0x401000ull
#define RESTORER 0x402000ull

struct frame { /* as programs know it */
	uint64_t return_address;
	struct ucontext context;
	siginfo_t info;
};

static uint8_t stack[65536] __attribute__((aligned(64)));
static uint8_t altstack[32768] __attribute__((aligned(64)));
static void (*body)(void);

static void run_body(void *arg)
{
	(void)arg;
	body();
}

static void in_thread(void (*function)(void))
{
	machine_reset(1);
	body = function;
	machine_thread(run_body, NULL);
	machine_run();
}

static void set_handler(int signal, uint64_t flags, uint64_t mask)
{
	process_first->handlers->actions[signal] = (struct k_sigaction){HANDLER, flags | SA_RESTORER, RESTORER, mask};
}

static struct regs program_regs(void)
{
	return (struct regs){.r15 = 15,
			     .rbx = 3,
			     .rcx = 2,
			     .rax = 1,
			     .rdi = 7,
			     .orig_rax = UINT64_MAX,
			     .rip = 0x400100,
			     .rflags = 0x246,
			     .rsp = (uint64_t)stack + sizeof(stack) - 8};
}

/* ---- queues ---- */

static void queues(void)
{
	siginfo_t info, got;

	signal_set_mask(UINT64_MAX);
	set_handler(SIGUSR1, 0, 0);
	set_handler(SIGRTMIN, 0, 0);
	memset(&info, 0, sizeof(info));
	info.si_code = SI_QUEUE;
	for (int i = 1; i <= 3; i++) {
		info.si_value.sival_int = i;
		assert_int_equal(signal_send_thread(current, SIGRTMIN + 1, &info), 0);
		assert_int_equal(signal_send_thread(current, SIGUSR1, &info), 0);
	}
	info.si_value.sival_int = 9;
	assert_int_equal(signal_send_process(process_first, SIGRTMIN, &info), 0);
	/* A standard signal is pending once, with the first one's data; real-time ones each, in order. */
	assert_int_equal(signal_dequeue(UINT64_MAX, &got), SIGUSR1);
	assert_int_equal(got.si_value.sival_int, 1);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(signal_dequeue(UINT64_MAX, &got), SIGRTMIN + 1);
		assert_int_equal(got.si_value.sival_int, i);
	}
	assert_int_equal(signal_dequeue(UINT64_MAX, &got), SIGRTMIN);
	assert_int_equal(got.si_value.sival_int, 9);
	assert_int_equal(signal_dequeue(UINT64_MAX, &got), 0);
	/* The limit. */
	process_first->limits[RLIMIT_SIGPENDING].rlim_cur = 2;
	assert_int_equal(signal_send_thread(current, SIGRTMIN, &info), 0);
	assert_int_equal(signal_send_thread(current, SIGRTMIN, &info), 0);
	assert_int_equal(signal_send_thread(current, SIGRTMIN, &info), -EAGAIN);
	signal_queue_flush(&current->signals, UINT64_MAX);
	assert_true(current->signals.set == 0 && current->signals.count == 0);
	assert_int_equal(signal_send_thread(current, 65, &info), -EINVAL);
}
static void signals_queue_in_order(void **state)
{
	(void)state;
	in_thread(queues);
}

static void ignored(void)
{
	/* SIGCHLD's default is to be ignored; blocked, it stays pending all the same. */
	signal_send_thread(current, SIGCHLD, NULL);
	assert_true(current->signals.set == 0);
	signal_set_mask(signal_bit(SIGCHLD) | signal_bit(SIGKILL));
	assert_true(current->signal_mask == signal_bit(SIGCHLD));
	signal_send_thread(current, SIGCHLD, NULL);
	assert_true(current->signals.set == signal_bit(SIGCHLD));
	/* A stop signal and SIGCONT cancel each other. */
	signal_set_mask(UINT64_MAX);
	process_first->leader->signal_mask = UINT64_MAX; /* the one whose mask counts */
	signal_send_process(process_first, SIGTSTP, NULL);
	signal_send_process(process_first, SIGCONT, NULL);
	assert_true(process_first->signals.set == signal_bit(SIGCONT));
	signal_send_process(process_first, SIGTSTP, NULL);
	assert_true(process_first->signals.set == signal_bit(SIGTSTP));
	signal_queue_flush(&process_first->signals, UINT64_MAX);
}
static void ignored_signals_vanish_unless_blocked(void **state)
{
	(void)state;
	in_thread(ignored);
}

/* ---- frames ---- */

static void frame(void)
{
	struct regs regs = program_regs(), before = regs;
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_code = SI_QUEUE;
	info.si_value.sival_int = 42;
	set_handler(SIGUSR1, SA_SIGINFO, signal_bit(SIGUSR2));
	signal_set_mask(signal_bit(SIGHUP));
	signal_send_thread(current, SIGUSR1, &info);
	machine_way_out(&regs);

	struct frame *f = (struct frame *)regs.rsp;
	assert_true(regs.rip == HANDLER && regs.rdi == SIGUSR1);
	assert_true(regs.rsi == (uint64_t)&f->info && regs.rdx == (uint64_t)&f->context);
	assert_true(regs.rsp % 16 == 8 && regs.rsp < before.rsp - 128);
	assert_true(regs.full != 0);
	assert_true(f->return_address == RESTORER);
	assert_int_equal(f->info.si_value.sival_int, 42);
	assert_true(f->context.uc_sigmask == signal_bit(SIGHUP));
	assert_true(current->signal_mask == (signal_bit(SIGHUP) | signal_bit(SIGUSR1) | signal_bit(SIGUSR2)));
	assert_true(f->context.uc_mcontext.rip == before.rip && f->context.uc_mcontext.r15 == 15);
	uint8_t *fpu = (uint8_t *)f->context.uc_mcontext.fpstate;
	struct _fpx_sw_bytes *software = (struct _fpx_sw_bytes *)(fpu + 464);
	assert_true((uint64_t)fpu % 64 == 0);
	assert_int_equal(software->magic1, FP_XSTATE_MAGIC1);
	assert_int_equal(software->xstate_size, boot_info->xsave_bytes);
	assert_true(*(uint32_t *)(fpu + boot_info->xsave_bytes) == FP_XSTATE_MAGIC2);
	assert_true(fpu + software->extended_size <= (uint8_t *)before.rsp - 128);

	/* The handler changes a register and a forbidden flag in the frame and returns. */
	f->context.uc_mcontext.rbx = 33;
	f->context.uc_mcontext.eflags |= 0x3000; /* IOPL */
	regs.rsp += 8;
	assert_int_equal(signal_frame_pop(&regs), 0);
	assert_true(regs.rip == before.rip && regs.rsp == before.rsp && regs.rbx == 33 && regs.rax == 1 &&
		    regs.rcx == 2);
	assert_true(regs.rflags == before.rflags);
	assert_true(current->signal_mask == signal_bit(SIGHUP));
	/* An FPU state that cannot be loaded is refused. */
	regs.rsp = (uint64_t)f + 8;
	fpu[1] = 0;
	assert_int_equal(signal_frame_pop(&regs), -EFAULT);
	regs.rsp = 16;
	assert_int_equal(signal_frame_pop(&regs), -EFAULT);
}
static void frames_are_linux_frames(void **state)
{
	(void)state;
	in_thread(frame);
}

static void on_altstack(void)
{
	struct regs regs = program_regs();

	current->altstack = (stack_t){.ss_sp = altstack, .ss_size = sizeof(altstack), .ss_flags = (int)SS_AUTODISARM};
	set_handler(SIGUSR1, SA_ONSTACK, 0);
	signal_send_thread(current, SIGUSR1, NULL);
	machine_way_out(&regs);
	assert_in_range(regs.rsp, (uint64_t)altstack, (uint64_t)altstack + sizeof(altstack));
	assert_int_equal(current->altstack.ss_flags, SS_DISABLE); /* disarmed while the handler runs */
	regs.rsp += 8;
	assert_int_equal(signal_frame_pop(&regs), 0);
	assert_ptr_equal(current->altstack.ss_sp, altstack);
	/* Too small: no frame, SIGSEGV, whose default action ends the VM's process. */
	current->altstack = (stack_t){.ss_sp = altstack, .ss_size = 1024};
	signal_send_thread(current, SIGUSR1, NULL);
	machine_way_out(&regs);
	fail();
}
static void the_alternate_stack_is_used_and_disarmed(void **state)
{
	(void)state;
	in_thread(on_altstack);
	assert_int_equal(machine_exit_code, 0x100 | SIGSEGV);
}

/* ---- restarts ---- */

static struct regs after_call(int64_t result)
{
	struct regs regs = program_regs();

	regs.orig_rax = 35;
	regs.rax = (uint64_t)result;
	return regs;
}

static int64_t after_handler(int64_t result, uint64_t flags, uint64_t *rip)
{
	struct regs regs = after_call(result);

	set_handler(SIGUSR1, flags, 0);
	signal_send_thread(current, SIGUSR1, NULL);
	machine_way_out(&regs);
	regs.rsp += 8;
	assert_int_equal(signal_frame_pop(&regs), 0);
	*rip = regs.rip;
	return (int64_t)regs.rax;
}

static int64_t restart_block(void) { return 99; }

static void restarts(void)
{
	uint64_t rip, start = program_regs().rip;
	struct regs regs;

	assert_int_equal(after_handler(-ERESTARTSYS, SA_RESTART, &rip), 35);
	assert_true(rip == start - 2);
	assert_int_equal(after_handler(-ERESTARTSYS, 0, &rip), -EINTR);
	assert_true(rip == start);
	assert_int_equal(after_handler(-ERESTARTNOINTR, 0, &rip), 35);
	assert_int_equal(after_handler(-ERESTARTNOHAND, SA_RESTART, &rip), -EINTR);
	assert_int_equal(after_handler(-ERESTART_RESTARTBLOCK, SA_RESTART, &rip), -EINTR);
	assert_int_equal(after_handler(12, SA_RESTART, &rip), 12);
	/* Without a handler the call goes on in the kernel (4711 is what the mock's calls give). */
	regs = after_call(-ERESTARTNOHAND);
	current->work |= THREAD_WORK_SIGNAL;
	machine_way_out(&regs);
	assert_true(regs.rax == 4711 && regs.rip == start);
	current->restart = restart_block;
	regs = after_call(-ERESTART_RESTARTBLOCK);
	current->work |= THREAD_WORK_SIGNAL;
	machine_way_out(&regs);
	assert_true(regs.rax == 99);
}
static void calls_restart_as_they_should(void **state)
{
	(void)state;
	in_thread(restarts);
}

static void temporary(void)
{
	static uint64_t mask;
	struct regs regs = after_call(-ERESTARTNOHAND);

	mask = signal_bit(SIGUSR2);
	signal_set_mask(signal_bit(SIGUSR1));
	set_handler(SIGUSR1, 0, 0);
	assert_int_equal(signal_temporary_mask((uint64_t)&mask, 4), -EINVAL);
	assert_int_equal(signal_temporary_mask((uint64_t)&mask, 8), 0);
	signal_send_thread(current, SIGUSR1, NULL);
	assert_true(signal_pending(current));
	signal_temporary_mask_end(true);
	machine_way_out(&regs);
	assert_true(((struct frame *)regs.rsp)->context.uc_sigmask ==
		    signal_bit(SIGUSR1)); /* the mask from before the call */
	assert_true(current->signal_mask == (signal_bit(SIGUSR2) | signal_bit(SIGUSR1)));
	regs.rsp += 8;
	assert_int_equal(signal_frame_pop(&regs), 0);
	assert_true(current->signal_mask == signal_bit(SIGUSR1));
}
static void a_temporary_mask_ends_with_the_handler(void **state)
{
	(void)state;
	in_thread(temporary);
}

/* ---- routing and faults ---- */

static struct wait_queue never;
static int sleeper_result[2];
static void masked_sleeper(void *arg)
{
	if (arg != NULL)
		signal_set_mask(signal_bit(SIGUSR1));
	sleeper_result[arg != NULL] = wait_until(&never, false, clock_deadline(10 * NS_PER_MS), true);
	signal_queue_flush(&process_first->signals, UINT64_MAX);
}

static void a_process_signal_goes_to_a_thread_that_takes_it(void **state)
{
	(void)state;
	machine_reset(1);
	wait_queue_init(&never);
	process_first->leader->signal_mask = UINT64_MAX;
	machine_thread(masked_sleeper, &never);
	machine_thread(masked_sleeper, NULL);
	machine_run_until(machine_now + NS_PER_MS);
	set_handler(SIGUSR1, 0, 0);
	signal_send_process(process_first, SIGUSR1, NULL);
	machine_run();
	assert_int_equal(sleeper_result[0], -EINTR);
	assert_int_equal(sleeper_result[1], -ETIMEDOUT);
}

static void fault(void)
{
	struct regs regs = program_regs();

	set_handler(SIGSEGV, SA_SIGINFO, 0);
	signal_fault(SIGSEGV, SEGV_MAPERR, 0x1234, 14, 6);
	machine_way_out(&regs);
	struct frame *f = (struct frame *)regs.rsp;
	assert_true(f->info.si_addr == (void *)0x1234 && f->info.si_code == SEGV_MAPERR);
	assert_true(f->context.uc_mcontext.cr2 == 0x1234 && f->context.uc_mcontext.trapno == 14 &&
		    f->context.uc_mcontext.err == 6);
	/* Again inside the handler, where it is blocked: the end. */
	signal_fault(SIGSEGV, SEGV_MAPERR, 0x1234, 14, 6);
	machine_way_out(&regs);
	fail();
}
static void a_fault_in_its_own_handler_kills(void **state)
{
	(void)state;
	in_thread(fault);
	assert_int_equal(machine_exit_code, 0x100 | SIGSEGV);
}

static unsigned went_on;
static void stopped_thread(void *arg)
{
	struct regs regs = program_regs();

	(void)arg;
	signal_send_process(process_first, SIGSTOP, NULL);
	machine_way_out(&regs);
	went_on = 1;
}

static void stop_and_continue(void **state)
{
	(void)state;
	machine_reset(1);
	/* The first thread of the test never runs: it must not be the one that takes the signal. */
	process_first->leader->work |= THREAD_WORK_EXIT;
	went_on = 0;
	machine_thread(stopped_thread, NULL);
	machine_run();
	assert_true(process_first->stopped);
	assert_int_equal(went_on, 0);
	signal_send_process(process_first, SIGCONT, NULL);
	machine_run();
	assert_false(process_first->stopped);
	assert_int_equal(went_on, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(signals_queue_in_order),
	    cmocka_unit_test(ignored_signals_vanish_unless_blocked),
	    cmocka_unit_test(frames_are_linux_frames),
	    cmocka_unit_test(the_alternate_stack_is_used_and_disarmed),
	    cmocka_unit_test(calls_restart_as_they_should),
	    cmocka_unit_test(a_temporary_mask_ends_with_the_handler),
	    cmocka_unit_test(a_process_signal_goes_to_a_thread_that_takes_it),
	    cmocka_unit_test(a_fault_in_its_own_handler_kills),
	    cmocka_unit_test(stop_and_continue),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
