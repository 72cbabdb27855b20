/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that come at any moment of hot system calls: handlers run, call the kernel themselves, and no result and no
 * callee-saved register is lost. */
#include "patch.h"
#include <sys/time.h>
#include <pthread.h>

static volatile long hits, bad, progress;
static code_fn sites[PATTERNS];
static long pid, ppid;

static void on_signal(int sig)
{
	(void)sig;
	hits++;
	for (int p = 0; p < PATTERNS; p++)
		if (p != XOR_READ && sites[p](p == REGISTER ? SYS_getpid : 0, 0, 0) != pid)
			bad++;
}

/* Calls through libc and through own sites, with values kept in registers across. */
static void work(long rounds)
{
	register long a __asm__("rbx") = 11, b __asm__("r12") = 22, c __asm__("r13") = 33, d __asm__("r14") = 44;

	for (long i = 0; i < rounds; i++) {
		progress++;
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
		if (sites[i % 3](0, 0, 0) != pid || getppid() != ppid)
			bad++;
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
		if (a != 11 || b != 22 || c != 33 || d != 44)
			bad++;
	}
}

static volatile int stop;

/* Not before the thread has come on since the last shot: handlers alone could take all of its time. */
static void *shoot(void *arg)
{
	while (!stop) {
		long seen = progress;
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		while (progress == seen && !stop)
			sched_yield();
	}
	return NULL;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct itimerval t = {{0, 5000}, {0, 5000}};
	uint8_t *code = code_pages(1);
	pthread_t me = pthread_self(), shooter;
	sigset_t set;

	pid = getpid();
	ppid = getppid();
	for (int p = 0; p < PATTERNS; p++) {
		sites[p] = (code_fn)(code + p * 64);
		emit_call(code + p * 64, p, SYS_getpid);
	}
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	for (long long end = now_ns() + 400000000; now_ns() < end;)
		work(200);
	CHECK(hits > 3);
	memset(&t, 0, sizeof(t));
	setitimer(ITIMER_REAL, &t, NULL);

	/* From another thread, at all distances. */
	hits = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	NEED(pthread_create(&shooter, NULL, shoot, &me) == 0);
	for (long long end = now_ns() + 400000000; now_ns() < end;)
		work(200);
	stop = 1;
	pthread_join(shooter, NULL);
	CHECK(hits > 3);
	CHECK_EQ(bad, 0);

	/* Blocked in a call at a hot site: restarted, or ended with EINTR. */
	int fd[2];
	char c;
	NEED(pipe(fd) == 0);
	emit_call(code + 1024, MOV_IMM32, SYS_read);
	code_fn read_site = (code_fn)(code + 1024);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(write(fd[1], "x", 1), 1);
		CHECK_EQ(read_site(fd[0], (long)&c, 1), 1);
	}
	sa.sa_flags = 0;
	sigaction(SIGALRM, &sa, NULL);
	for (int i = 0; i < 5; i++) {
		t.it_value.tv_usec = t.it_interval.tv_usec = 5000; /* again, should the first come too early */
		setitimer(ITIMER_REAL, &t, NULL);
		CHECK_EQ(read_site(fd[0], (long)&c, 1), -EINTR);
	}
	return check_done();
}
