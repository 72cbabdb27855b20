/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small measurements, each one number of nanoseconds (or bytes a second) on standard output:
 *   micro getppid N        ns for one getppid by its system call
 *   micro pingpong N       ns for one hand-over between two threads through a futex and back
 *   micro condvar N        the same with pthread mutexes and conditions
 *   micro pipe MIB         MiB a second through a pipe between two threads
 *   micro files DIR N      ns to open, read and close one small file of DIR
 *   micro touch MIB        ns for the first touch of one 4 KiB page
 *   micro mmap N           ns to map, touch and unmap one page
 *   micro clock N          ns for one clock_gettime
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double getppid_ns(long n)
{
	double start = now_ns();

	for (long i = 0; i < n; i++)
		getppid();
	return (now_ns() - start) / (double)n;
}

static double clock_ns(long n)
{
	struct timespec t;
	double start = now_ns();

	for (long i = 0; i < n; i++)
		clock_gettime(CLOCK_MONOTONIC, &t);
	return (now_ns() - start) / (double)n;
}

static int turn;
static long rounds;

static void turn_wait(int want)
{
	for (int v; (v = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != want;)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, v, NULL, NULL, 0);
}

static void turn_give(int to)
{
	__atomic_store_n(&turn, to, __ATOMIC_RELEASE);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *pong(void *arg)
{
	for (long i = 0; i < rounds; i++) {
		turn_wait(1);
		turn_give(0);
	}
	return arg;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond[2] = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};

static void cond_turn(int me)
{
	pthread_mutex_lock(&lock);
	while (turn != me)
		pthread_cond_wait(&cond[me], &lock);
	turn = 1 - me;
	pthread_cond_signal(&cond[1 - me]);
	pthread_mutex_unlock(&lock);
}

static void *cond_pong(void *arg)
{
	for (long i = 0; i < rounds; i++)
		cond_turn(1);
	return arg;
}

static double pingpong_ns(long n, int with_cond)
{
	pthread_t t;

	rounds = n;
	pthread_create(&t, NULL, with_cond ? cond_pong : pong, NULL);
	double start = now_ns();
	for (long i = 0; i < n; i++) {
		if (with_cond) {
			cond_turn(0);
		} else {
			turn_give(1);
			turn_wait(0);
		}
	}
	pthread_join(t, NULL);
	return (now_ns() - start) / (double)n;
}

static int pipe_fd[2];
static char block[65536];

static void *drain(void *arg)
{
	while (read(pipe_fd[0], block, sizeof(block)) > 0)
		;
	return arg;
}

static double pipe_rate(long mib)
{
	static char out[65536];
	pthread_t t;

	if (pipe(pipe_fd) != 0)
		return -1;
	pthread_create(&t, NULL, drain, NULL);
	double start = now_ns();
	for (long i = 0; i < mib * 16; i++)
		if (write(pipe_fd[1], out, sizeof(out)) != sizeof(out))
			return -1;
	close(pipe_fd[1]);
	pthread_join(t, NULL);
	return (double)mib / ((now_ns() - start) / 1e9);
}

static double files_ns(const char *dir, long n)
{
	char path[4096], buf[4096];
	long count = 0;
	double start = now_ns();

	while (count < n) {
		long before = count;
		DIR *d = opendir(dir);
		if (d == NULL)
			return -1;
		for (struct dirent *e; count < n && (e = readdir(d)) != NULL;) {
			if (e->d_type != DT_REG)
				continue;
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
			int fd = open(path, O_RDONLY);
			if (fd < 0)
				continue;
			if (read(fd, buf, sizeof(buf)) >= 0)
				count++;
			close(fd);
		}
		closedir(d);
		if (count == before)
			return -1;
	}
	return (now_ns() - start) / (double)n;
}

static double touch_ns(long mib)
{
	size_t size = (size_t)mib << 20;
	volatile char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	double start = now_ns();
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	size_t pages = size / 4096;
	return (now_ns() - start) / (double)pages;
}

static double mmap_ns(long n)
{
	double start = now_ns();

	for (long i = 0; i < n; i++) {
		volatile char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return -1;
		p[0] = 1;
		munmap((void *)p, 4096);
	}
	return (now_ns() - start) / (double)n;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	long n = argc > 2 ? atol(argv[argc - 1]) : 0;
	double r = -1;

	if (strcmp(what, "getppid") == 0)
		r = getppid_ns(n);
	else if (strcmp(what, "clock") == 0)
		r = clock_ns(n);
	else if (strcmp(what, "pingpong") == 0)
		r = pingpong_ns(n, 0);
	else if (strcmp(what, "condvar") == 0)
		r = pingpong_ns(n, 1);
	else if (strcmp(what, "pipe") == 0)
		r = pipe_rate(n);
	else if (strcmp(what, "files") == 0 && argc == 4)
		r = files_ns(argv[2], n);
	else if (strcmp(what, "touch") == 0)
		r = touch_ns(n);
	else if (strcmp(what, "mmap") == 0)
		r = mmap_ns(n);
	if (r < 0)
		return 1;
	printf("%.2f\n", r);
	return 0;
}
