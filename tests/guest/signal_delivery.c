/* SPDX-License-Identifier: Apache-2.0 */
/* Signals reach their handler with the right siginfo, in order, under the right mask, and flags mean what they say. */
#include "check.h"
#include <sys/syscall.h>

static volatile int got[64], ngot;
static volatile siginfo_t last;
static sigset_t mask_in_handler;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (ngot < 64)
		got[ngot++] = sig == SIGRTMIN + 1 ? 1000 + info->si_value.sival_int : sig;
	last = *info;
	sigprocmask(SIG_BLOCK, NULL, &mask_in_handler);
}

static void handle(int sig, int flags, int also_blocked)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};

	sigemptyset(&sa.sa_mask);
	if (also_blocked)
		sigaddset(&sa.sa_mask, also_blocked);
	CHECK_OK(sigaction(sig, &sa, NULL));
	ngot = 0;
}

static void siginfo_is_right(void)
{
	handle(SIGUSR1, 0, SIGUSR2);
	CHECK_OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(ngot, 1);
	CHECK_EQ(last.si_signo, SIGUSR1);
	CHECK_EQ(last.si_code, SI_USER);
	CHECK_EQ(last.si_pid, getpid());
	CHECK_EQ(last.si_uid, getuid());
	CHECK(sigismember(&mask_in_handler, SIGUSR1) && sigismember(&mask_in_handler, SIGUSR2));
	CHECK(!sigismember(&mask_in_handler, SIGTERM));
	sigprocmask(SIG_BLOCK, NULL, &mask_in_handler);
	CHECK(!sigismember(&mask_in_handler, SIGUSR1));

	CHECK_OK(raise(SIGUSR1));
	CHECK_EQ(last.si_code, SI_TKILL);
	CHECK_OK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_ptr = (void *)0x1234567890}));
	CHECK_EQ(last.si_code, SI_QUEUE);
	CHECK_EQ((uintptr_t)last.si_value.sival_ptr, 0x1234567890);
	CHECK_EQ(ngot, 3);

	handle(SIGUSR1, SA_NODEFER, 0);
	raise(SIGUSR1);
	CHECK(!sigismember(&mask_in_handler, SIGUSR1));
	handle(SIGUSR1, SA_RESETHAND, 0);
	raise(SIGUSR1);
	struct sigaction old;
	CHECK_OK(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == SIG_DFL);
}

static void pending_and_order(void)
{
	sigset_t set, pending;

	handle(SIGUSR1, 0, 0);
	handle(SIGUSR2, 0, 0);
	handle(SIGRTMIN + 1, 0, 0);
	sigfillset(&set);
	CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
	for (int i = 0; i < 3; i++) {
		kill(getpid(), SIGUSR2);
		kill(getpid(), SIGUSR1);
		CHECK_OK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}));
	}
	CHECK_EQ(ngot, 0);
	CHECK_OK(sigpending(&pending));
	CHECK(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGRTMIN + 1) && !sigismember(&pending, SIGTERM));
	sigemptyset(&set);
	CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
	/* Standard signals once, real-time ones each, in their order. Handlers stack, so the highest comes first
	 * or the lowest, but the real-time ones keep theirs. */
	CHECK_EQ(ngot, 5);
	int usr1 = 0, usr2 = 0, seen[3], rt = 0;
	for (int i = 0; i < ngot; i++) {
		usr1 += got[i] == SIGUSR1;
		usr2 += got[i] == SIGUSR2;
		if (got[i] >= 1000 && rt < 3)
			seen[rt++] = got[i] - 1000;
	}
	CHECK(usr1 == 1 && usr2 == 1 && rt == 3);
	CHECK(rt == 3 && seen[0] == 0 && seen[1] == 1 && seen[2] == 2);
	/* Ignoring a signal drops what is pending. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	handle(SIGUSR1, 0, 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CHECK_EQ(ngot, 0);
}

static void refused(void)
{
	struct sigaction sa = {.sa_handler = SIG_IGN};
	sigset_t set;

	CHECK_ERR(sigaction(SIGKILL, &sa, NULL), EINVAL);
	CHECK_ERR(sigaction(SIGSTOP, &sa, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, 65, &sa, NULL, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, 0, &sa, NULL, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, &sa, NULL, 4), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, 77, &set, NULL, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 1, NULL, 8), EFAULT);
	CHECK_ERR(kill(getpid(), 65), EINVAL);
	CHECK_OK(kill(getpid(), 0));
	CHECK_ERR(kill(0x3fffffff, SIGUSR1), ESRCH);
	/* KILL and STOP cannot be blocked. */
	sigfillset(&set);
	CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
	CHECK(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP) && sigismember(&set, SIGTERM));
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	/* Ignored by default. */
	CHECK_OK(raise(SIGCHLD));
	CHECK_OK(raise(SIGWINCH));
	CHECK_OK(raise(SIGURG));
	CHECK_OK(raise(SIGCONT));
}

int main(void)
{
	siginfo_is_right();
	pending_and_order();
	refused();
	return check_done();
}
