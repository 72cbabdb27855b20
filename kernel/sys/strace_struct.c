/* SPDX-License-Identifier: Apache-2.0 */
/* --strace: texts of structures, shortened as strace does without -v. */
#include <asm/poll.h>
#include <asm/stat.h>
#include <linux/eventpoll.h>
#include <linux/resource.h>
#include <linux/stat.h>
#include <linux/time.h>
#include <linux/uio.h>

#include "kernel/mm/mm.h"
#include "kernel/net/socket.h"
#include "kernel/proc/process.h"
#include "kernel/sys/strace_struct.h"

#define SHOWN_ENTRIES 16u

static void add_seconds(struct strace_text *text, uint64_t va, const char *fraction)
{
	int64_t value[2];
	if (va == 0)
		strace_add(text, "NULL");
	else if (user_get(&value, va) != 0)
		strace_add(text, "0x%lx", va);
	else
		strace_add(text, "{tv_sec=%ld, tv_%s=%ld}", value[0], fraction, value[1]);
}

static void add_stat(struct strace_text *text, uint64_t va, bool extended)
{
	static const char *const types[16] = {
	    [1] = "S_IFIFO", [2] = "S_IFCHR",  [4] = "S_IFDIR",   [6] = "S_IFBLK",
	    [8] = "S_IFREG", [10] = "S_IFLNK", [12] = "S_IFSOCK",
	};
	union {
		struct stat stat;
		struct statx statx;
	} u;
	bool failed = extended ? user_get(&u.statx, va) != 0 : user_get(&u.stat, va) != 0;
	if (failed) {
		strace_add(text, "0x%lx", va);
		return;
	}
	uint32_t mode = extended ? u.statx.stx_mode : u.stat.st_mode;
	const char *type = types[mode >> 12 & 15];
	strace_add(text, "{%s_mode=%s|0%o, ", extended ? "stx" : "st", type != NULL ? type : "0", mode & 07777);
	if ((mode & 0170000) == 0020000 || (mode & 0170000) == 0060000)
		strace_add(text, "%s_rdev=makedev(0x%x, 0x%x), ...}", extended ? "stx" : "st",
			   extended ? u.statx.stx_rdev_major : (uint32_t)(u.stat.st_rdev >> 8 & 0xfff),
			   extended ? u.statx.stx_rdev_minor : (uint32_t)(u.stat.st_rdev & 0xff));
	else
		strace_add(text, "%s_size=%lu, ...}", extended ? "stx" : "st",
			   extended ? (uint64_t)u.statx.stx_size : (uint64_t)u.stat.st_size);
}

static void add_limit(struct strace_text *text, uint64_t value)
{
	if (value == RLIM64_INFINITY)
		strace_add(text, "RLIM64_INFINITY");
	else if (value % 1024 == 0 && value > 1024)
		strace_add(text, "%lu*1024", value / 1024);
	else
		strace_add(text, "%lu", value);
}

static void add_rlimit(struct strace_text *text, uint64_t va)
{
	struct rlimit64 limit;
	if (va == 0) {
		strace_add(text, "NULL");
	} else if (user_get(&limit, va) != 0) {
		strace_add(text, "0x%lx", va);
	} else {
		strace_add(text, "{rlim_cur=");
		add_limit(text, limit.rlim_cur);
		strace_add(text, ", rlim_max=");
		add_limit(text, limit.rlim_max);
		strace_add(text, "}");
	}
}

/* limit: bytes that count, over all entries (a read's result). */
static void add_iovec(struct strace_text *text, uint64_t va, uint64_t count, uint64_t limit)
{
	struct iovec entry;
	strace_add(text, "[");
	for (unsigned i = 0; i < count && i < SHOWN_ENTRIES; i++) {
		if (user_get(&entry, va + i * sizeof(entry)) != 0)
			break;
		uint64_t bytes = min_u64(entry.iov_len, limit);
		strace_add(text, "%s{iov_base=", i == 0 ? "" : ", ");
		strace_add_buffer(text, (uint64_t)entry.iov_base, bytes);
		strace_add(text, ", iov_len=%lu}", (uint64_t)entry.iov_len);
		limit -= bytes;
	}
	strace_add(text, count > SHOWN_ENTRIES ? ", ...]" : "]");
}

static void add_sigaction(struct strace_text *text, uint64_t va)
{
	struct k_sigaction action;
	if (va == 0) {
		strace_add(text, "NULL");
		return;
	}
	if (user_get(&action, va) != 0) {
		strace_add(text, "0x%lx", va);
		return;
	}
	if (action.handler <= 1)
		strace_add(text, "{sa_handler=%s, ", action.handler == 0 ? "SIG_DFL" : "SIG_IGN");
	else
		strace_add(text, "{sa_%s=0x%lx, ", (action.flags & SA_SIGINFO) != 0 ? "sigaction" : "handler",
			   action.handler);
	strace_add(text, "sa_mask=0x%lx, sa_flags=0x%lx", action.mask, action.flags);
	if ((action.flags & 0x04000000) != 0)
		strace_add(text, ", sa_restorer=0x%lx", action.restorer);
	strace_add(text, "}");
}

static void add_sockaddr(struct strace_text *text, uint64_t va, uint64_t bytes)
{
	uint16_t family;
	uint8_t data[16];
	if (va == 0) {
		strace_add(text, "NULL");
	} else if (bytes < 2 || user_get(&family, va) != 0) {
		strace_add(text, "0x%lx", va);
	} else if (family == AF_UNIX) {
		uint8_t first = 0;
		strace_add(text, "{sa_family=AF_UNIX");
		if (bytes > 2 && user_get(&first, va + 2) == 0) {
			strace_add(text, first == 0 ? ", sun_path=@" : ", sun_path=");
			strace_add_string(text, va + (first == 0 ? 3 : 2),
					  (unsigned)min_u64(bytes - 2 - (first == 0), 108));
		}
		strace_add(text, "}");
	} else if (family == AF_INET && bytes >= 16 && user_get(&data, va) == 0) {
		strace_add(text, "{sa_family=AF_INET, sin_port=htons(%u), sin_addr=inet_addr(\"%u.%u.%u.%u\")}",
			   data[2] << 8 | data[3], data[4], data[5], data[6], data[7]);
	} else {
		strace_add(text, "{sa_family=%u, ...}", family);
	}
}

static const char *const poll_bits[16] = {
    "POLLIN",     "POLLPRI",    "POLLOUT",    "POLLERR", "POLLHUP", "POLLNVAL", "POLLRDNORM",
    "POLLRDBAND", "POLLWRNORM", "POLLWRBAND", "POLLMSG", NULL,      NULL,       "POLLRDHUP",
};

static void add_poll_bits(struct strace_text *text, uint32_t events, const char *prefix)
{
	bool first = true;
	for (unsigned i = 0; i < 16; i++) {
		if ((events & 1u << i) != 0 && poll_bits[i] != NULL) {
			strace_add(text, "%s%s%s", first ? "" : "|", prefix, poll_bits[i]);
			first = false;
		}
	}
	if (first)
		strace_add(text, "0");
}

static void add_pollfds(struct strace_text *text, uint64_t va, uint64_t count)
{
	struct pollfd fd;
	strace_add(text, "[");
	for (unsigned i = 0; i < count && i < SHOWN_ENTRIES && user_get(&fd, va + i * sizeof(fd)) == 0; i++) {
		strace_add(text, "%s{fd=%d, events=", i == 0 ? "" : ", ", fd.fd);
		add_poll_bits(text, (uint16_t)fd.events, "");
		strace_add(text, "}");
	}
	strace_add(text, count > SHOWN_ENTRIES ? ", ...]" : "]");
}

static void add_epoll_event(struct strace_text *text, uint64_t va)
{
	struct epoll_event event;
	if (va == 0 || user_get(&event, va) != 0) {
		strace_add(text, va == 0 ? "NULL" : "0x%lx", va);
		return;
	}
	strace_add(text, "{events=");
	add_poll_bits(text, event.events & 0xffff, "E");
	if ((event.events & EPOLLET) != 0)
		strace_add(text, "|EPOLLET");
	if ((event.events & EPOLLONESHOT) != 0)
		strace_add(text, "|EPOLLONESHOT");
	if ((event.events & EPOLLEXCLUSIVE) != 0)
		strace_add(text, "|EPOLLEXCLUSIVE");
	strace_add(text, ", data=0x%lx}", (uint64_t)event.data);
}

static void add_wait_status(struct strace_text *text, uint64_t va, int64_t result)
{
	int status;
	if (va == 0 || result == 0 || user_get(&status, va) != 0)
		strace_add(text, va == 0 ? "NULL" : "0x%lx", va);
	else if ((status & 0x7f) == 0)
		strace_add(text, "[{WIFEXITED(s) && WEXITSTATUS(s) == %d}]", status >> 8 & 0xff);
	else
		strace_add(text, "[{WIFSIGNALED(s) && WTERMSIG(s) == %s}]", strace_signal_name(status & 0x7f));
}

void strace_add_siginfo(struct strace_text *text, const siginfo_t *info)
{
	if (info == NULL) {
		strace_add(text, "{si_code=SI_KERNEL}");
		return;
	}
	strace_add(text, "{si_signo=%s, si_code=%d", strace_signal_name(info->si_signo), info->si_code);
	switch (info->si_signo) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
		if (info->si_code > 0)
			strace_add(text, ", si_addr=%p", info->si_addr);
		break;
	case SIGCHLD:
		strace_add(text, ", si_pid=%d, si_uid=%u, si_status=%d", info->si_pid, info->si_uid, info->si_status);
		break;
	default:
		if (info->si_code <= 0)
			strace_add(text, ", si_pid=%d, si_uid=%u", info->si_pid, info->si_uid);
	}
	strace_add(text, "}");
}

static void add_pair(struct strace_text *text, uint64_t va)
{
	int fds[2];
	if (user_get(&fds, va) == 0)
		strace_add(text, "[%d, %d]", fds[0], fds[1]);
	else
		strace_add(text, "0x%lx", va);
}

bool strace_add_struct(struct strace_text *text, char kind, const uint64_t *arg, unsigned index, int64_t result)
{
	uint64_t va = arg[index];
	uint32_t bytes;

	/* clang-format off */
	switch (kind) {
	case 't':
	case 'T': add_seconds(text, va, "nsec"); break;
	case 'j':
	case 'J': add_seconds(text, va, "usec"); break;
	case 'X': add_stat(text, va, index == 4); break;
	case 'b':
	case 'Y': add_rlimit(text, va); break;
	case '2': add_pair(text, va); break;
	case 'i': add_iovec(text, va, arg[index + 1], UINT64_MAX); break;
	case 'I': add_iovec(text, va, arg[index + 1], (uint64_t)result); break;
	case 'g':
	case 'G': add_sigaction(text, va); break;
	case 'a': add_sockaddr(text, va, arg[index + 1]); break;
	case 'A':
		if (va == 0 || user_get(&bytes, arg[index + 1]) != 0)
			bytes = 0;
		add_sockaddr(text, va, bytes);
		break;
	case 'q': add_pollfds(text, va, arg[index + 1]); break;
	case '%': add_epoll_event(text, va); break;
	case 'E':
		strace_add(text, "[");
		for (int64_t i = 0; i < result && i < SHOWN_ENTRIES; i++) {
			if (i > 0)
				strace_add(text, ", ");
			add_epoll_event(text, va + (uint64_t)i * sizeof(struct epoll_event));
		}
		strace_add(text, result > SHOWN_ENTRIES ? ", ...]" : "]");
		break;
	case 'W': add_wait_status(text, va, result); break;
	default: return false;
	}
	/* clang-format on */
	return true;
}
