/* SPDX-License-Identifier: Apache-2.0 */
/* --strace: texts of arguments and results. */
#include <asm/ioctls.h>
#include <asm/prctl.h>
#include <asm/signal.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <linux/time.h>
#include <linux/uio.h>

#include "kernel/mm/mm.h"
#include "kernel/net/socket.h"
#include "kernel/proc/process.h"
#include "kernel/sys/strace.h"
#include "kernel/sys/strace_struct.h"

#define SHOWN_BYTES 32u /* of strings and buffers, as strace -s */

void strace_add(struct strace_text *text, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = kvsnprintf(text->data + text->used, text->size - text->used, format, args);
	va_end(args);
	text->used = (unsigned)min_u64(text->used + (uint64_t)n, text->size - 1);
}

struct flag_name {
	uint32_t value;
	const char *name;
};
#define N(x)                                                                                                           \
	{                                                                                                              \
		x, #x                                                                                                  \
	}
/* clang-format off */

static const struct flag_name open_flags[] = {
	N(O_CREAT), N(O_EXCL), N(O_NOCTTY), N(O_TRUNC), N(O_APPEND), N(O_NONBLOCK), N(O_SYNC), N(O_DSYNC), N(O_DIRECT),
	N(O_LARGEFILE), { O_TMPFILE, "O_TMPFILE" }, N(O_DIRECTORY), N(O_NOFOLLOW), N(O_NOATIME), N(O_CLOEXEC), N(O_PATH), { 0, NULL },
};
static const struct flag_name prot_flags[] = {
	N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC), N(PROT_SEM), N(PROT_GROWSDOWN), { 0, NULL },
};
static const struct flag_name map_flags[] = {
	N(MAP_FIXED), N(MAP_ANONYMOUS), N(MAP_GROWSDOWN), N(MAP_DENYWRITE), N(MAP_EXECUTABLE), N(MAP_LOCKED), N(MAP_NORESERVE),
	N(MAP_POPULATE), N(MAP_NONBLOCK), N(MAP_STACK), N(MAP_HUGETLB), N(MAP_SYNC), N(MAP_FIXED_NOREPLACE), { 0, NULL },
};
static const struct flag_name clone_flags[] = {
	N(CLONE_VM), N(CLONE_FS), N(CLONE_FILES), N(CLONE_SIGHAND), N(CLONE_PIDFD), N(CLONE_PTRACE), N(CLONE_VFORK),
	N(CLONE_PARENT), N(CLONE_THREAD), N(CLONE_NEWNS), N(CLONE_SYSVSEM), N(CLONE_SETTLS), N(CLONE_PARENT_SETTID),
	N(CLONE_CHILD_CLEARTID), N(CLONE_DETACHED), N(CLONE_UNTRACED), N(CLONE_CHILD_SETTID), N(CLONE_NEWCGROUP),
	N(CLONE_NEWUTS), N(CLONE_NEWIPC), N(CLONE_NEWUSER), N(CLONE_NEWPID), N(CLONE_NEWNET), N(CLONE_IO), { 0, NULL },
};
static const struct flag_name at_flags[] = {
	N(AT_SYMLINK_NOFOLLOW), N(AT_REMOVEDIR), N(AT_SYMLINK_FOLLOW), N(AT_NO_AUTOMOUNT), N(AT_EMPTY_PATH),
	N(AT_STATX_FORCE_SYNC), N(AT_STATX_DONT_SYNC), { 0, NULL },
};
static const struct flag_name access_modes[] = { { 4, "R_OK" }, { 2, "W_OK" }, { 1, "X_OK" }, { 0, NULL } };

static const struct flag_name advice[] = {
	N(MADV_NORMAL), N(MADV_RANDOM), N(MADV_SEQUENTIAL), N(MADV_WILLNEED), N(MADV_DONTNEED), N(MADV_FREE), N(MADV_REMOVE),
	N(MADV_DONTFORK), N(MADV_DOFORK), N(MADV_MERGEABLE), N(MADV_UNMERGEABLE), N(MADV_HUGEPAGE), N(MADV_NOHUGEPAGE),
	N(MADV_DONTDUMP), N(MADV_DODUMP), N(MADV_WIPEONFORK), N(MADV_KEEPONFORK), N(MADV_COLD), N(MADV_PAGEOUT),
	N(MADV_POPULATE_READ), N(MADV_POPULATE_WRITE), { 0, NULL },
};
static const struct flag_name whences[] = {
	{ 0, "SEEK_SET" }, { 1, "SEEK_CUR" }, { 2, "SEEK_END" }, { 3, "SEEK_DATA" }, { 4, "SEEK_HOLE" }, { 0, NULL },
};
static const struct flag_name fcntl_commands[] = {
	N(F_DUPFD), N(F_GETFD), N(F_SETFD), N(F_GETFL), N(F_SETFL), N(F_GETLK), N(F_SETLK), N(F_SETLKW), N(F_SETOWN), N(F_GETOWN),
	N(F_SETSIG), N(F_GETSIG), N(F_SETOWN_EX), N(F_GETOWN_EX), N(F_OFD_GETLK), N(F_OFD_SETLK), N(F_OFD_SETLKW), N(F_SETLEASE),
	N(F_GETLEASE), N(F_NOTIFY), N(F_DUPFD_CLOEXEC), N(F_SETPIPE_SZ), N(F_GETPIPE_SZ), N(F_ADD_SEALS), N(F_GET_SEALS), { 0, NULL },
};
static const struct flag_name ioctl_commands[] = {
	N(TCGETS), N(TCSETS), N(TCSETSW), N(TCSETSF), N(TCSBRK), N(TCXONC), N(TCFLSH), N(TIOCGPGRP), N(TIOCSPGRP), N(TIOCGWINSZ),
	N(TIOCSWINSZ), N(TIOCSCTTY), N(TIOCNOTTY), N(TIOCGSID), N(TIOCGPTN), N(FIONREAD), N(FIONBIO), N(FIOASYNC), N(FIOCLEX), N(FIONCLEX), { 0, NULL },
};
static const struct flag_name sigmask_how[] = { N(SIG_BLOCK), N(SIG_UNBLOCK), N(SIG_SETMASK), { 0, NULL } };
static const struct flag_name families[] = {
	N(AF_UNSPEC), N(AF_UNIX), N(AF_INET), N(AF_INET6), N(AF_NETLINK), N(AF_PACKET), N(AF_ALG), N(AF_VSOCK), { 0, NULL },
};
static const struct flag_name socket_types[] = {
	N(SOCK_STREAM), N(SOCK_DGRAM), N(SOCK_RAW), N(SOCK_SEQPACKET), { 0, NULL },
};
static const struct flag_name futex_operations[] = {
	N(FUTEX_WAIT), N(FUTEX_WAKE), N(FUTEX_FD), N(FUTEX_REQUEUE), N(FUTEX_CMP_REQUEUE), N(FUTEX_WAKE_OP), N(FUTEX_LOCK_PI),
	N(FUTEX_UNLOCK_PI), N(FUTEX_TRYLOCK_PI), N(FUTEX_WAIT_BITSET), N(FUTEX_WAKE_BITSET), N(FUTEX_WAIT_REQUEUE_PI),
	N(FUTEX_CMP_REQUEUE_PI), N(FUTEX_LOCK_PI2), { 0, NULL },
};
static const struct flag_name epoll_operations[] = {
	N(EPOLL_CTL_ADD), N(EPOLL_CTL_DEL), N(EPOLL_CTL_MOD), { 0, NULL },
};
static const struct flag_name clocks[] = {
	N(CLOCK_REALTIME), N(CLOCK_MONOTONIC), N(CLOCK_PROCESS_CPUTIME_ID), N(CLOCK_THREAD_CPUTIME_ID), N(CLOCK_MONOTONIC_RAW),
	N(CLOCK_REALTIME_COARSE), N(CLOCK_MONOTONIC_COARSE), N(CLOCK_BOOTTIME), N(CLOCK_TAI), { 0, NULL },
};
static const struct flag_name resources[] = {
	N(RLIMIT_CPU), N(RLIMIT_FSIZE), N(RLIMIT_DATA), N(RLIMIT_STACK), N(RLIMIT_CORE), N(RLIMIT_RSS), N(RLIMIT_NPROC), N(RLIMIT_NOFILE),
	N(RLIMIT_MEMLOCK), N(RLIMIT_AS), N(RLIMIT_LOCKS), N(RLIMIT_SIGPENDING), N(RLIMIT_MSGQUEUE), N(RLIMIT_NICE), N(RLIMIT_RTPRIO), { 0, NULL },
};
static const struct flag_name prctl_options[] = {
	N(PR_SET_PDEATHSIG), N(PR_GET_PDEATHSIG), N(PR_GET_DUMPABLE), N(PR_SET_DUMPABLE), N(PR_SET_KEEPCAPS), N(PR_SET_NAME), N(PR_GET_NAME),
	N(PR_GET_SECCOMP), N(PR_SET_SECCOMP), N(PR_CAPBSET_READ), N(PR_CAPBSET_DROP), N(PR_SET_TIMERSLACK), N(PR_SET_MM), N(PR_SET_CHILD_SUBREAPER),
	N(PR_SET_NO_NEW_PRIVS), N(PR_GET_NO_NEW_PRIVS), N(PR_CAP_AMBIENT), N(PR_SET_VMA), { 0, NULL },
};
static const struct flag_name arch_codes[] = {
	N(ARCH_SET_GS), N(ARCH_SET_FS), N(ARCH_GET_FS), N(ARCH_GET_GS), { 0x3001, "0x3001 /* ARCH_??? */" }, { 0, NULL },
};

/* clang-format on */

/* A value out of a list; false: not in it. */
static bool add_name(struct strace_text *text, const struct flag_name *names, uint64_t value)
{
	for (; names->name != NULL; names++) {
		if (names->value == value) {
			strace_add(text, "%s", names->name);
			return true;
		}
	}
	return false;
}

static void add_name_or(struct strace_text *text, const struct flag_name *names, uint64_t value)
{
	if (!add_name(text, names, value))
		strace_add(text, "0x%lx", value);
}

/* Flags joined with |; `before` tells whether something stands there already. */
static void add_flags(struct strace_text *text, const struct flag_name *names, uint64_t value, bool before)
{
	for (; names->name != NULL; names++) {
		if ((value & names->value) != names->value)
			continue;
		/* __O_SYNC | O_DSYNC, __O_TMPFILE | O_DIRECTORY: the longer name wins, as it comes first. */
		strace_add(text, "%s%s", before ? "|" : "", names->name);
		value &= ~(uint64_t)names->value;
		before = true;
	}
	if (value != 0 || !before)
		strace_add(text, before ? "|0x%lx" : value == 0 ? "%lu" : "0x%lx", value);
}

static void add_open_flags(struct strace_text *text, uint64_t flags)
{
	static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
	strace_add(text, "%s", modes[flags & O_ACCMODE]);
	flags &= ~(uint64_t)O_ACCMODE & 0xffffffff;
	if (flags != 0)
		add_flags(text, open_flags, flags, true);
}

static void add_quoted(struct strace_text *text, const uint8_t *bytes, uint64_t count, bool more)
{
	strace_add(text, "\"");
	for (uint64_t i = 0; i < count; i++) {
		uint8_t c = bytes[i];
		/* clang-format off */
		switch (c) {
		case '\n': strace_add(text, "\\n"); break;
		case '\t': strace_add(text, "\\t"); break;
		case '\r': strace_add(text, "\\r"); break;
		case '\v': strace_add(text, "\\v"); break;
		case '\f': strace_add(text, "\\f"); break;
		case '"': strace_add(text, "\\\""); break;
		case '\\': strace_add(text, "\\\\"); break;
		default:
			if (c >= ' ' && c < 0x7f)
				strace_add(text, "%c", c);
			else if (i + 1 < count && bytes[i + 1] >= '0' && bytes[i + 1] <= '9')
				strace_add(text, "\\%03o", c);
			else
				strace_add(text, "\\%o", c);
		}
		/* clang-format on */
	}
	strace_add(text, more ? "\"..." : "\"");
}

void strace_add_buffer(struct strace_text *text, uint64_t va, uint64_t bytes)
{
	uint8_t data[SHOWN_BYTES];
	uint64_t shown = min_u64(bytes, SHOWN_BYTES);

	if (va == 0)
		strace_add(text, "NULL");
	else if (user_read(data, va, shown) != 0)
		strace_add(text, "%p", (void *)va);
	else
		add_quoted(text, data, shown, bytes > shown);
}

/* Paths are shown whole, up to 256 bytes. */
void strace_add_string(struct strace_text *text, uint64_t va, unsigned max)
{
	char data[257];
	int64_t length = va == 0 ? -EFAULT : user_string(data, va, max < 256 ? max + 1 : 257);

	if (va == 0) {
		strace_add(text, "NULL");
	} else if (length == -ENAMETOOLONG) {
		if (user_read(data, va, max < 256 ? max : 256) == 0)
			add_quoted(text, (uint8_t *)data, max < 256 ? max : 256, true);
	} else if (length < 0) {
		strace_add(text, "%p", (void *)va);
	} else {
		add_quoted(text, (uint8_t *)data, strnlen(data, 256), false);
	}
}

static void add_pointer(struct strace_text *text, uint64_t value)
{
	if (value == 0)
		strace_add(text, "NULL");
	else
		strace_add(text, "0x%lx", value);
}

static void add_sigset(struct strace_text *text, uint64_t set)
{
	bool inverse = __builtin_popcountll(set) > 32, first = true;
	if (inverse)
		set = ~set;
	strace_add(text, inverse ? "~[" : "[");
	for (int signal = 1; signal <= SIGNALS; signal++) {
		if ((set & (1ull << (signal - 1))) == 0)
			continue;
		const char *name = strace_signal_name(signal);
		strace_add(text, "%s%s", first ? "" : " ", strncmp(name, "SIG", 3) == 0 ? name + 3 : name);
		first = false;
	}
	strace_add(text, "]");
}

static void add_strings(struct strace_text *text, uint64_t va)
{
	uint64_t pointer;
	strace_add(text, "[");
	for (unsigned i = 0; i < 32 && user_get(&pointer, va + i * 8) == 0 && pointer != 0; i++) {
		if (i > 0)
			strace_add(text, ", ");
		strace_add_string(text, pointer, SHOWN_BYTES);
	}
	strace_add(text, "]");
}

static void add_environment(struct strace_text *text, uint64_t va)
{
	uint64_t pointer;
	unsigned count = 0;
	while (count < 10000 && user_get(&pointer, va + count * 8ull) == 0 && pointer != 0)
		count++;
	strace_add(text, "0x%lx /* %u vars */", va, count);
}

static void add_socket_type(struct strace_text *text, uint64_t type)
{
	add_name_or(text, socket_types, type & 0xf);
	if ((type & SOCK_CLOEXEC) != 0)
		strace_add(text, "|SOCK_CLOEXEC");
	if ((type & SOCK_NONBLOCK) != 0)
		strace_add(text, "|SOCK_NONBLOCK");
}

static void add_clone_flags(struct strace_text *text, uint64_t flags)
{
	strace_add(text, "flags=");
	add_flags(text, clone_flags, flags & ~0xffull & 0xffffffff, false);
	if ((flags & 0xff) != 0)
		strace_add(text, "|%s", strace_signal_name((int)(flags & 0xff)));
}

static void add_map_flags(struct strace_text *text, uint64_t flags)
{
	static const char *const types[] = {"0", "MAP_SHARED", "MAP_PRIVATE", "MAP_SHARED_VALIDATE"};
	strace_add(text, "%s", types[flags & 3]);
	if ((flags & ~3ull) != 0)
		add_flags(text, map_flags, flags & ~3ull & 0xffffffff, true);
}

static void add_futex_operation(struct strace_text *text, uint64_t operation)
{
	add_name_or(text, futex_operations, operation & FUTEX_CMD_MASK & 0xffffffff);
	if ((operation & FUTEX_PRIVATE_FLAG) != 0)
		strace_add(text, "_PRIVATE");
	if ((operation & FUTEX_CLOCK_REALTIME) != 0)
		strace_add(text, "|FUTEX_CLOCK_REALTIME");
}

static void add_numbers(struct strace_text *text, char kind, uint64_t value)
{
	/* clang-format off */
	switch (kind) {
	case 'd': strace_add(text, "%d", (int)value); break;
	case 'u': strace_add(text, "%u", (unsigned)value); break;
	case 'l': strace_add(text, "%ld", (int64_t)value); break;
	case 'z': strace_add(text, "%lu", value); break;
	case 'x': strace_add(text, value == 0 ? "%lu" : "0x%lx", value); break;
	case 'F': strace_add(text, "%d", (int)value); break;
	case 'o':
	case 'O': strace_add(text, (value & 07777) == 0 ? "000" : "0%lo", value & 0xffffffff); break;
	case 'n': strace_add(text, "%s", strace_signal_name((int)value)); break;
	default: add_pointer(text, value);
	}
	/* clang-format on */
}

bool strace_is_output(char kind) { return strchr("RrITJXYKGAE2W", kind) != NULL; }

void strace_add_argument(struct strace_text *text, char kind, const uint64_t *arg, unsigned index, int64_t result)
{
	uint64_t value = arg[index], sigset;

	if (strace_is_output(kind) && result < 0) {
		add_pointer(text, value);
		return;
	}
	/* clang-format off */
	switch (kind) {
	case 'D':
		if ((int)value == AT_FDCWD)
			strace_add(text, "AT_FDCWD");
		else
			strace_add(text, "%d", (int)value);
		break;
	case 's': strace_add_string(text, value, 256); break;
	case 'S': strace_add_buffer(text, value, arg[index + 1]); break;
	case 'R': strace_add_buffer(text, value, (uint64_t)result); break;
	case 'r': strace_add_string(text, value, 256); break;
	case 'v': add_strings(text, value); break;
	case 'V': add_environment(text, value); break;
	case 'f': add_open_flags(text, value); break;
	case 'H':
		if ((value & 7) == 0)
			strace_add(text, "F_OK");
		else
			add_flags(text, access_modes, value & 7, false);
		break;
	case '@': add_flags(text, at_flags, value & 0xffffffff, false); break;
	case 'M':
		if (value == 0)
			strace_add(text, "PROT_NONE");
		else
			add_flags(text, prot_flags, value & 0xffffffff, false);
		break;
	case 'm': add_map_flags(text, value); break;
	case 'y': add_name_or(text, advice, value & 0xffffffff); break;
	case 'w': add_name_or(text, whences, value & 0xffffffff); break;
	case 'c': add_name_or(text, fcntl_commands, value & 0xffffffff); break;
	case 'k': add_name_or(text, ioctl_commands, value & 0xffffffff); break;
	case 'B': add_name_or(text, sigmask_how, value & 0xffffffff); break;
	case 'h': add_name_or(text, resources, value & 0xffffffff); break;
	case 'Q': add_name_or(text, prctl_options, value & 0xffffffff); break;
	case 'U': add_name_or(text, arch_codes, value & 0xffffffff); break;
	case 'L': add_name_or(text, clocks, value & 0xffffffff); break;
	case '$': add_name_or(text, epoll_operations, value & 0xffffffff); break;
	case 'e': add_futex_operation(text, value); break;
	case 'Z': add_name_or(text, families, value & 0xffffffff); break;
	case '#': add_socket_type(text, value); break;
	case 'C': add_clone_flags(text, value); break;
	case 'N':
	case 'K':
		if (value == 0 || user_get(&sigset, value) != 0)
			add_pointer(text, value);
		else
			add_sigset(text, sigset);
		break;
	default:
		if (!strace_add_struct(text, kind, arg, index, result))
			add_numbers(text, kind, value);
	}
	/* clang-format on */
}

void strace_add_result(struct strace_text *text, uint32_t number, int64_t result)
{
	if (result < 0 && result >= -4095) {
		int error = (int)-result;
		if (strace_errno_name(error) != NULL)
			strace_add(text, "-1 %s (%s)", strace_errno_name(error), strace_errno_text(error));
		else if (error == ERESTARTSYS)
			strace_add(text, "? ERESTARTSYS (To be restarted if SA_RESTART is set)");
		else if (error == ERESTARTNOINTR)
			strace_add(text, "? ERESTARTNOINTR (To be restarted)");
		else if (error == ERESTARTNOHAND)
			strace_add(text, "? ERESTARTNOHAND (To be restarted if no handler)");
		else if (error == ERESTART_RESTARTBLOCK)
			strace_add(text, "? ERESTART_RESTARTBLOCK (Interrupted by signal)");
		else
			strace_add(text, "-1 (errno %d)", error);
		return;
	}
	const char *name = syscall_name(number);
	bool address = strcmp(name, "mmap") == 0 || strcmp(name, "brk") == 0 || strcmp(name, "mremap") == 0 ||
		       strcmp(name, "shmat") == 0;
	if (address)
		strace_add(text, "0x%lx", (uint64_t)result);
	else if (strcmp(name, "umask") == 0)
		strace_add(text, "0%lo", (uint64_t)result);
	else
		strace_add(text, "%ld", result);
}
