/* SPDX-License-Identifier: Apache-2.0 */
/* Random calls with arguments that nearly make sense end nothing but themselves and leak no memory. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>

#include "check.h"

#define THREADS 4
#define FDS_FIRST 5
#define FDS 45
#define AREA (1ul << 20)
#define SECONDS 2

static const int numbers[] = {
    SYS_read,
    SYS_write,
    SYS_close,
    SYS_poll,
    SYS_readv,
    SYS_writev,
    SYS_pipe,
    SYS_select,
    SYS_socket,
    SYS_connect,
    SYS_accept,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_shutdown,
    SYS_bind,
    SYS_listen,
    SYS_getsockname,
    SYS_getpeername,
    SYS_socketpair,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_fcntl,
    SYS_ioctl,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_wait,
    SYS_epoll_pwait,
    SYS_ppoll,
    SYS_pselect6,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_signalfd4,
    SYS_inotify_init1,
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
    SYS_pipe2,
    SYS_accept4,
    SYS_recvmmsg,
    SYS_sendmmsg,
    SYS_uname,
    SYS_getrandom,
    SYS_membarrier,
    SYS_get_mempolicy,
    SYS_mbind,
    SYS_splice,
    SYS_lseek,
    SYS_fstat,
    SYS_pread64,
    SYS_open,
    SYS_unlink,
    SYS_mknod,
    SYS_getdents64,
    SYS_fsync,
    SYS_socketpair,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_epoll_ctl,
    SYS_epoll_ctl,
    SYS_close,
};

static char *area, *edge;
static unsigned long made;
static bool finished;
static __thread unsigned long state;

static unsigned long rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static long any_fd(void) { return rnd() % 20 == 0 ? (long)(rnd() % 300) + FDS_FIRST : FDS_FIRST + (long)(rnd() % FDS); }

static long any_argument(void)
{
	switch (rnd() % 10) {
	case 0:
		return 0;
	case 1:
		return -1;
	case 2:
		return (long)(rnd() % 16);
	case 3:
		return (long)(rnd() % 4096);
	case 4:
		return 1l << rnd() % 64;
	case 5:
		return (long)edge - (long)(rnd() % 128); /* a buffer that ends in nowhere */
	case 6:
		return (long)rnd();
	case 7:
		return any_fd();
	default:
		return (long)area + (long)(rnd() % (AREA / 2) & ~7ul);
	}
}

/* Things that calls read: vectors, poll entries, times, addresses, control messages, message headers. */
static void sow(void)
{
	unsigned long *at = (unsigned long *)area + rnd() % (AREA / 16);
	int *ints = (int *)at;

	switch (rnd() % 6) {
	case 0:
		at[0] = (unsigned long)area + rnd() % (AREA / 2);
		at[1] = rnd() % 5000;
		break;
	case 1:
		ints[0] = (int)any_fd();
		ints[1] = (int)rnd();
		break;
	case 2:
		at[0] = rnd() % 2;
		at[1] = rnd() % 1000000;
		break;
	case 3:
		memcpy(at, "\1\0\0a", 4);
		break;
	case 4:
		at[0] = 16 + 4 * (rnd() % 4);
		ints[2] = ints[3] = 1; /* SOL_SOCKET, SCM_RIGHTS */
		ints[4] = (int)any_fd();
		ints[5] = (int)any_fd();
		break;
	default:
		for (unsigned i = 0; i < 6; i++)
			at[i] = i % 2 == 0 ? (unsigned long)area + (rnd() % (AREA / 2) & ~7ul) : rnd() % 64;
	}
}

/* Arguments without which a call would fail at once, nearly always. */
static void make_sense(int number, long *arg)
{
	static const int types[] = {1, 2, 5};
	long flag = rnd() % 4 != 0 ? O_NONBLOCK : 0;

	if (rnd() % 8 != 0)
		arg[0] = any_fd();
	switch (number) {
	case SYS_epoll_ctl:
		arg[1] = 1 + (long)(rnd() % 3);
		arg[2] = any_fd();
		break;
	case SYS_socket:
	case SYS_socketpair:
		arg[0] = 1;
		arg[1] = types[rnd() % 3] | flag;
		arg[2] = 0;
		arg[3] = (long)area;
		break;
	case SYS_fcntl:
		arg[1] = (long[]){F_GETFL, F_SETFL, 1031, 1032}[rnd() % 4];
		arg[2] = arg[1] == 1031 ? (long)(rnd() % 300000) : flag;
		break;
	case SYS_ioctl:
		arg[1] = (long[]){0x541b, 0x5421, 0x5401, 0x5413}[rnd() % 4];
		break;
	case SYS_pipe:
	case SYS_pipe2:
		arg[0] = (long)area;
		arg[1] = flag;
		break;
	case SYS_eventfd2:
		arg[1] = flag;
		break;
	case SYS_epoll_create1:
	case SYS_inotify_init1:
		arg[0] = 0;
		break;
	case SYS_timerfd_create:
		arg[0] = (long)(rnd() % 2);
		arg[1] = flag;
		break;
	case SYS_signalfd4:
		arg[0] = rnd() % 2 == 0 ? -1 : arg[0];
		arg[2] = 8;
		arg[3] = flag;
		break;
	case SYS_open:
	case SYS_unlink:
	case SYS_mknod:
	case SYS_inotify_add_watch: {
		static const char *const paths[] = {"a", "b", ".", "/proc/self/fd/7"};
		arg[number == SYS_inotify_add_watch] = (long)paths[rnd() % 4];
		arg[1 + (number == SYS_inotify_add_watch)] =
		    number == SYS_mknod ? 0010600 : (long)(rnd() % 3) | O_NONBLOCK | (rnd() % 2 ? O_CREAT : 0);
		break;
	}
	case SYS_poll:
	case SYS_ppoll:
		arg[0] = (long)area + (long)(rnd() % 4096 * 8);
		arg[1] = (long)(rnd() % 50);
		arg[2] = number == SYS_poll ? (long)(rnd() % 3) : arg[2];
		break;
	case SYS_read:
	case SYS_write:
	case SYS_sendto:
	case SYS_recvfrom:
		arg[1] = (long)area + (long)(rnd() % (AREA / 2));
		arg[2] = (long)(rnd() % (rnd() % 4 != 0 ? 100 : 70000));
		break;
	}
}

static void *make_calls(void *seed)
{
	state = (unsigned long)seed * 0x9e3779b97f4a7c15ul;
	while (!__atomic_load_n(&finished, __ATOMIC_RELAXED)) {
		long arg[6];
		int number = numbers[rnd() % (sizeof(numbers) / sizeof(*numbers))];
		for (unsigned i = 0; i < 4; i++)
			sow();
		for (unsigned i = 0; i < 6; i++)
			arg[i] = any_argument();
		make_sense(number, arg);
		/* Standard streams stay what they are, splice moves no gigabytes. */
		if ((unsigned long)arg[0] < FDS_FIRST &&
		    (number == SYS_close || number == SYS_write || number == SYS_writev))
			continue;
		if (number == SYS_splice)
			arg[4] &= 0xffff;
		syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
		__atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void nothing(int signal) {}

static unsigned long free_megabytes(void)
{
	struct sysinfo info;
	NEED(sysinfo(&info) == 0);
	return info.freeram >> 20;
}

int main(void)
{
	struct sigaction interrupt = {.sa_handler = nothing}; /* without SA_RESTART: ends what would sleep for ever */
	pthread_t threads[THREADS];
	char folder[] = "/tmp/nonsense.XXXXXX";

	/* Sockets get names in it. */
	NEED(mkdtemp(folder) != NULL && chdir(folder) == 0);
	/* Whatever overruns its buffer meets pages that are not there. */
	area = mmap(NULL, 4ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	NEED(area != MAP_FAILED && mprotect(area, AREA, PROT_READ | PROT_WRITE) == 0);
	edge = area + AREA;
	NEED(sigaction(SIGALRM, &interrupt, NULL) == 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);

	unsigned long before = free_megabytes();
	for (unsigned long i = 0; i < THREADS; i++)
		NEED(pthread_create(&threads[i], NULL, make_calls, (void *)(i + 1)) == 0);
	for (unsigned tick = 0; tick < SECONDS * 200; tick++) {
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		for (unsigned i = 0; i < THREADS; i++)
			pthread_kill(threads[i], SIGALRM);
	}
	finished = true;
	for (unsigned i = 0; i < THREADS; i++) {
		/* A call under a temporary mask of its own cannot be interrupted: its thread ends with the program. */
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 100000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_kill(threads[i], SIGALRM);
		pthread_timedjoin_np(threads[i], NULL, &until);
	}
	syscall(SYS_close_range, FDS_FIRST, ~0u, 0);
	DIR *dir = opendir(".");
	for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
		unlink(entry->d_name);
	rmdir(folder);
	CHECK(made > 1000);
	/* On a host with others at work the number says nothing. */
	struct utsname name;
	if (uname(&name) == 0 && strstr(name.release, "lampo") != NULL)
		CHECK(free_megabytes() + 16 > before);
	return check_done();
}
