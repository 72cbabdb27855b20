/* SPDX-License-Identifier: Apache-2.0 */
/* The system itself: names, sizes, random numbers, barriers, and what only a real machine's root may do. */
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <linux/random.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/misc.h"
#include "kernel/sys/syscall.h"

static char hostname[__NEW_UTS_LEN + 1], domainname[__NEW_UTS_LEN + 1] = "(none)";
static bool hostname_set;

const char *misc_hostname(void)
{
	if (hostname_set)
		return hostname;
	const char *from = boot_info->hostname != 0 ? (const char *)boot_info + boot_info->hostname : "lampo";
	size_t length = strnlen(from, __NEW_UTS_LEN);
	memcpy(hostname, from, length);
	hostname[length] = '\0';
	hostname_set = true;
	return hostname;
}

const char *misc_domainname(void) { return domainname; }

static void name_copy(char to[__NEW_UTS_LEN + 1], const char *from)
{
	size_t length = strnlen(from, __NEW_UTS_LEN);
	memcpy(to, from, length);
	to[length] = '\0';
}

SYSCALL(uname)
{
	struct new_utsname *name = kzalloc(sizeof(*name));
	if (name == NULL)
		return -ENOMEM;
	name_copy(name->sysname, "Linux");
	name_copy(name->nodename, misc_hostname());
	name_copy(name->release, NUCLEO_RELEASE);
	name_copy(name->version, NUCLEO_VERSION);
	name_copy(name->machine, "x86_64");
	name_copy(name->domainname, domainname);
	int r = user_put(args->arg[0], name);
	kfree(name);
	return r;
}

static bool has_capability(unsigned capability)
{
	return (current->process->credentials.cap_effective & 1ull << capability) != 0;
}

static int64_t name_set(const struct syscall_args *args, char *name)
{
	char new[__NEW_UTS_LEN + 1] = {0};
	int64_t length = (int)args->arg[1];
	if (!has_capability(CAP_SYS_ADMIN))
		return -EPERM;
	if (length < 0 || length > __NEW_UTS_LEN)
		return -EINVAL;
	if (user_read(new, args->arg[0], (uint64_t)length) != 0)
		return -EFAULT;
	memcpy(name, new, sizeof(new));
	return 0;
}

SYSCALL(sethostname)
{
	misc_hostname();
	return name_set(args, hostname);
}

SYSCALL(setdomainname) { return name_set(args, domainname); }

SYSCALL(sysinfo)
{
	struct page_statistics pages;
	struct sysinfo info;
	unsigned count = 0;

	page_statistics(&pages);
	list_for_each(node, &processes) count += list_entry(node, struct process, node)->thread_count;
	memset(&info, 0, sizeof(info));
	info.uptime = (long)(clock_monotonic() / NS_PER_SECOND);
	info.loads[0] = info.loads[1] = info.loads[2] = (unsigned long)sched_runnable() << 16;
	info.totalram = pages.total * PAGE_SIZE;
	info.freeram = pages.free * PAGE_SIZE;
	info.bufferram = 0;
	info.procs = (uint16_t)count;
	info.mem_unit = 1;
	return user_put(args->arg[0], &info);
}

SYSCALL(getrandom)
{
	uint8_t block[256];
	uint64_t done = 0, bytes = min_u64(args->arg[1], INT32_MAX);

	if ((args->arg[2] & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) != 0 ||
	    (args->arg[2] & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	while (done < bytes) {
		uint64_t part = min_u64(bytes - done, sizeof(block));
		arch_random(block, part);
		if (user_write(args->arg[0] + done, block, part) != 0)
			return done > 0 ? (int64_t)done : -EFAULT;
		done += part;
		if (done < bytes && signal_pending(current))
			break;
	}
	return (int64_t)done;
}

/*
 * What is promised: when the call returns, every thread (of the process, for the private ones) has gone through a full
 * barrier since it began. Threads that do not run have: a context switch passes the kernel lock. The
 * others run on other vCPUs; arch_tlb_flush() of the process's whole space returns when each of these
 * has been interrupted and has answered, which is more than a barrier.
 */
SYSCALL(membarrier)
{
	const uint64_t supported =
	    MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
	    MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
	    MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
	uint64_t command = args->arg[0] & 0xffffffff;

	if (args->arg[1] != 0)
		return -EINVAL;
	switch (command) {
	case MEMBARRIER_CMD_QUERY:
		return (int64_t)supported;
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
		return 0;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		if (arch_cpu_count() > 1) {
			list_for_each(node, &processes)
			{
				struct process *process = list_entry(node, struct process, node);
				if (process->mm != NULL && (process->mm->cpus & ~(1u << arch_cpu_index())) != 0)
					arch_tlb_flush(process->mm, 0, UINT64_MAX);
			}
		}
		return 0;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		if (current->process->thread_count > 1 && (current->process->mm->cpus & ~(1u << arch_cpu_index())) != 0)
			arch_tlb_flush(current->process->mm, 0, UINT64_MAX);
		return 0;
	default:
		return -EINVAL;
	}
}

/* The kernel has no log of its own. */
SYSCALL(syslog)
{
	int type = (int)args->arg[0], bytes = (int)args->arg[2];
	switch (type) {
	case 0: /* close, open */
	case 1:
		return 0;
	case 2: /* read, read all, read and clear */
	case 3:
	case 4:
		return args->arg[1] == 0 || bytes < 0 ? -EINVAL : 0;
	case 5:
	case 6:
	case 7:
		return 0;
	case 8:
		return bytes < 1 || bytes > 8 ? -EINVAL : 0;
	case 9: /* unread */
	case 10:
		return 0; /* size */
	default:
		return -EINVAL;
	}
}

/* ---- NUMA: one node ---- */

SYSCALL(set_mempolicy)
{
	uint64_t mode = args->arg[0] & 0xffffffff & ~(uint64_t)MPOL_MODE_FLAGS;
	return mode >= MPOL_MAX ? -EINVAL : 0;
}

SYSCALL(mbind)
{
	uint64_t mode = args->arg[2] & ~(uint64_t)MPOL_MODE_FLAGS;
	return (args->arg[0] & (PAGE_SIZE - 1)) != 0 || mode >= MPOL_MAX ? -EINVAL : 0;
}

SYSCALL(get_mempolicy)
{
	uint64_t flags = args->arg[4], nodes = args->arg[2] / 8;
	int mode = MPOL_DEFAULT;

	if ((flags & ~(uint64_t)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)) != 0)
		return -EINVAL;
	if (args->arg[0] != 0 && user_put(args->arg[0], &mode) != 0)
		return -EFAULT;
	if (args->arg[1] != 0 && nodes > 0) {
		uint64_t mask = (flags & MPOL_F_MEMS_ALLOWED) != 0 ? 1 : 0;
		if (user_zero(args->arg[1], nodes) != 0 || user_write(args->arg[1], &mask, min_u64(nodes, 8)) != 0)
			return -EFAULT;
	}
	return 0;
}

/* ---- what a container's root may not do either ---- */

#define REFUSED(name)                                                                                                  \
	SYSCALL(name)                                                                                                  \
	{                                                                                                              \
		SYSCALL_UNUSED_ARGS;                                                                                   \
		return -EPERM;                                                                                         \
	}

REFUSED(swapon)
REFUSED(swapoff)
REFUSED(acct)
REFUSED(reboot)
REFUSED(iopl)
REFUSED(ioperm)
REFUSED(init_module)
REFUSED(finit_module)
REFUSED(delete_module)
REFUSED(kexec_load)
REFUSED(kexec_file_load)
REFUSED(vhangup)
REFUSED(quotactl)
REFUSED(perf_event_open)
REFUSED(bpf)

/* No protection keys: as on a CPU without them. */
SYSCALL(pkey_alloc) { return args->arg[0] != 0 ? -EINVAL : -ENOSPC; }

SYSCALL(pkey_free)
{
	SYSCALL_UNUSED_ARGS;
	return -EINVAL;
}

/* Restartable sequences would have to be watched at every switch to a program. glibc and the others do
 * without: they read the vCPU's number from the vDSO then. */
SYSCALL(rseq)
{
	SYSCALL_UNUSED_ARGS;
	return -ENOSYS;
}

/* Registered memory rings: their users (libuv, Go, Rust) fall back to plain calls. */
SYSCALL(io_uring_setup)
{
	SYSCALL_UNUSED_ARGS;
	return -ENOSYS;
}
