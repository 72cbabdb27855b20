/* SPDX-License-Identifier: Apache-2.0 */
/* Who a process is: ids, groups, sessions, capabilities. credentials(7), capabilities(7). */
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define ID_KEEP UINT32_MAX /* -1: leave as it is */

static struct credentials *credentials(void) { return &current->process->credentials; }

static bool capable(unsigned capability) { return (credentials()->cap_effective >> capability & 1) != 0; }

SYSCALL(getpid)
{
	SYSCALL_UNUSED_ARGS;
	return current->process->pid;
}

SYSCALL(getppid)
{
	SYSCALL_UNUSED_ARGS;
	return current->process->ppid;
}

SYSCALL(getuid)
{
	SYSCALL_UNUSED_ARGS;
	return credentials()->uid;
}

SYSCALL(geteuid)
{
	SYSCALL_UNUSED_ARGS;
	return credentials()->euid;
}

SYSCALL(getgid)
{
	SYSCALL_UNUSED_ARGS;
	return credentials()->gid;
}

SYSCALL(getegid)
{
	SYSCALL_UNUSED_ARGS;
	return credentials()->egid;
}

SYSCALL(getresuid)
{
	const struct credentials *c = credentials();

	if (user_put(args->arg[0], &c->uid) != 0 || user_put(args->arg[1], &c->euid) != 0 ||
	    user_put(args->arg[2], &c->suid) != 0)
		return -EFAULT;
	return 0;
}

SYSCALL(getresgid)
{
	const struct credentials *c = credentials();

	if (user_put(args->arg[0], &c->gid) != 0 || user_put(args->arg[1], &c->egid) != 0 ||
	    user_put(args->arg[2], &c->sgid) != 0)
		return -EFAULT;
	return 0;
}

/* What happens to capabilities when user ids change (capabilities(7)). */
static void fix_capabilities(const struct credentials *old)
{
	struct credentials *c = credentials();
	bool was_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
	bool is_root = c->uid == 0 || c->euid == 0 || c->suid == 0;

	if (was_root && !is_root && !current->process->keep_caps)
		c->cap_permitted = c->cap_effective = c->cap_ambient = 0;
	else if (old->euid == 0 && c->euid != 0)
		c->cap_effective = 0;
	else if (old->euid != 0 && c->euid == 0)
		c->cap_effective = c->cap_permitted;
}

static bool uid_is_own(uint32_t id)
{
	const struct credentials *c = credentials();

	return id == ID_KEEP || id == c->uid || id == c->euid || id == c->suid || capable(CAP_SETUID);
}

static bool gid_is_own(uint32_t id)
{
	const struct credentials *c = credentials();

	return id == ID_KEEP || id == c->gid || id == c->egid || id == c->sgid || capable(CAP_SETGID);
}

static void set_uids(uint32_t uid, uint32_t euid, uint32_t suid)
{
	struct credentials *c = credentials(), old = *c;

	if (uid != ID_KEEP)
		c->uid = uid;
	if (euid != ID_KEEP)
		c->euid = euid;
	if (suid != ID_KEEP)
		c->suid = suid;
	c->fsuid = c->euid;
	fix_capabilities(&old);
}

static void set_gids(uint32_t gid, uint32_t egid, uint32_t sgid)
{
	struct credentials *c = credentials();

	if (gid != ID_KEEP)
		c->gid = gid;
	if (egid != ID_KEEP)
		c->egid = egid;
	if (sgid != ID_KEEP)
		c->sgid = sgid;
	c->fsgid = c->egid;
}

SYSCALL(setuid)
{
	uint32_t id = (uint32_t)args->arg[0];
	const struct credentials *c = credentials();

	if (id == ID_KEEP)
		return -EINVAL;
	if (capable(CAP_SETUID))
		set_uids(id, id, id);
	else if (id == c->uid || id == c->suid)
		set_uids(ID_KEEP, id, ID_KEEP);
	else
		return -EPERM;
	return 0;
}

SYSCALL(setgid)
{
	uint32_t id = (uint32_t)args->arg[0];
	const struct credentials *c = credentials();

	if (id == ID_KEEP)
		return -EINVAL;
	if (capable(CAP_SETGID))
		set_gids(id, id, id);
	else if (id == c->gid || id == c->sgid)
		set_gids(ID_KEEP, id, ID_KEEP);
	else
		return -EPERM;
	return 0;
}

SYSCALL(setreuid)
{
	uint32_t uid = (uint32_t)args->arg[0], euid = (uint32_t)args->arg[1];
	const struct credentials *c = credentials();

	if (!uid_is_own(uid) || !uid_is_own(euid) ||
	    (!capable(CAP_SETUID) && uid == c->suid && uid != c->uid && uid != c->euid))
		return -EPERM;
	uint32_t new_euid = euid == ID_KEEP ? c->euid : euid;
	bool saved = uid != ID_KEEP || (euid != ID_KEEP && euid != c->uid);
	set_uids(uid, euid, saved ? new_euid : ID_KEEP);
	return 0;
}

SYSCALL(setregid)
{
	uint32_t gid = (uint32_t)args->arg[0], egid = (uint32_t)args->arg[1];
	const struct credentials *c = credentials();

	if (!gid_is_own(gid) || !gid_is_own(egid) ||
	    (!capable(CAP_SETGID) && gid == c->sgid && gid != c->gid && gid != c->egid))
		return -EPERM;
	uint32_t new_egid = egid == ID_KEEP ? c->egid : egid;
	bool saved = gid != ID_KEEP || (egid != ID_KEEP && egid != c->gid);
	set_gids(gid, egid, saved ? new_egid : ID_KEEP);
	return 0;
}

SYSCALL(setresuid)
{
	uint32_t uid = (uint32_t)args->arg[0], euid = (uint32_t)args->arg[1], suid = (uint32_t)args->arg[2];

	if (!uid_is_own(uid) || !uid_is_own(euid) || !uid_is_own(suid))
		return -EPERM;
	set_uids(uid, euid, suid);
	return 0;
}

SYSCALL(setresgid)
{
	uint32_t gid = (uint32_t)args->arg[0], egid = (uint32_t)args->arg[1], sgid = (uint32_t)args->arg[2];

	if (!gid_is_own(gid) || !gid_is_own(egid) || !gid_is_own(sgid))
		return -EPERM;
	set_gids(gid, egid, sgid);
	return 0;
}

/* These two give the old id, whether they did anything or not. */
SYSCALL(setfsuid)
{
	uint32_t id = (uint32_t)args->arg[0], old = credentials()->fsuid;

	if (id != ID_KEEP && (id == old || uid_is_own(id)))
		credentials()->fsuid = id;
	return old;
}

SYSCALL(setfsgid)
{
	uint32_t id = (uint32_t)args->arg[0], old = credentials()->fsgid;

	if (id != ID_KEEP && (id == old || gid_is_own(id)))
		credentials()->fsgid = id;
	return old;
}

SYSCALL(getgroups)
{
	const struct credentials *c = credentials();
	int room = (int)args->arg[0];

	if (room < 0)
		return -EINVAL;
	if (room == 0)
		return c->group_count;
	if ((unsigned)room < c->group_count)
		return -EINVAL;
	if (user_write(args->arg[1], c->groups, c->group_count * sizeof(c->groups[0])) != 0)
		return -EFAULT;
	return c->group_count;
}

SYSCALL(setgroups)
{
	struct credentials *c = credentials();
	uint32_t groups[countof(c->groups)];
	uint64_t count = args->arg[0];

	if (!capable(CAP_SETGID))
		return -EPERM;
	if (count > countof(groups))
		return -EINVAL;
	if (user_read(groups, args->arg[1], count * sizeof(groups[0])) != 0)
		return -EFAULT;
	memcpy(c->groups, groups, count * sizeof(groups[0]));
	c->group_count = (unsigned)count;
	return 0;
}

/* ---- sessions and process groups ---- */

static struct process *process_target(int pid) { return pid == 0 ? current->process : process_find(pid); }

SYSCALL(getpgid)
{
	struct process *process = process_target((int)args->arg[0]);

	return process != NULL ? process->pgid : -ESRCH;
}

SYSCALL(getpgrp)
{
	SYSCALL_UNUSED_ARGS;
	return current->process->pgid;
}

SYSCALL(getsid)
{
	struct process *process = process_target((int)args->arg[0]);

	return process != NULL ? process->sid : -ESRCH;
}

SYSCALL(setsid)
{
	struct process *process = current->process;

	SYSCALL_UNUSED_ARGS;
	list_for_each(node, &processes)
	{
		if (list_entry(node, struct process, node)->pgid == process->pid)
			return -EPERM;
	}
	process->pgid = process->sid = process->pid;
	return process->sid;
}

SYSCALL(setpgid)
{
	int pid = (int)args->arg[0], pgid = (int)args->arg[1];
	struct process *process = process_target(pid);

	if (pgid < 0)
		return -EINVAL;
	if (process == NULL || (process != current->process && process->parent != current->process))
		return -ESRCH;
	if (pgid == 0)
		pgid = process->pid;
	if (process->sid == process->pid || process->sid != current->process->sid)
		return -EPERM;
	bool found = pgid == process->pid;
	list_for_each(node, &processes)
	{
		const struct process *other = list_entry(node, struct process, node);
		found = found || (other->pgid == pgid && other->sid == process->sid);
	}
	if (!found)
		return -EPERM;
	process->pgid = pgid;
	return 0;
}

/* ---- capabilities ---- */

/* The header's version decides how many 32-bit words the sets have. Unknown: the version we prefer goes back. */
static int cap_header(uint64_t va, struct __user_cap_header_struct *header, unsigned *words)
{
	if (user_get(header, va) != 0)
		return -EFAULT;
	switch (header->version) {
	case _LINUX_CAPABILITY_VERSION_1:
		*words = 1;
		return 0;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		*words = 2;
		return 0;
	default:
		header->version = _LINUX_CAPABILITY_VERSION_3;
		return user_put(va, header) != 0 ? -EFAULT : -EINVAL;
	}
}

SYSCALL(capget)
{
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];
	unsigned words;

	int error = cap_header(args->arg[0], &header, &words);
	if (error != 0)
		return error == -EINVAL && args->arg[1] == 0 ? 0 : error;
	if (header.pid < 0)
		return -EINVAL;
	struct process *process = process_target(header.pid);
	if (process == NULL) {
		struct thread *thread = thread_find(header.pid);
		if (thread == NULL)
			return -ESRCH;
		process = thread->process;
	}
	const struct credentials *c = &process->credentials;
	for (unsigned i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(c->cap_effective >> i * 32);
		data[i].permitted = (uint32_t)(c->cap_permitted >> i * 32);
		data[i].inheritable = (uint32_t)(c->cap_inheritable >> i * 32);
	}
	return args->arg[1] == 0 ? 0 : user_write(args->arg[1], data, words * sizeof(data[0]));
}

SYSCALL(capset)
{
	struct credentials *c = credentials();
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];
	unsigned words;

	int error = cap_header(args->arg[0], &header, &words);
	if (error != 0)
		return error;
	if (header.pid != 0 && header.pid != current->tid && header.pid != current->process->pid)
		return -EPERM;
	memset(data, 0, sizeof(data));
	if (user_read(data, args->arg[1], words * sizeof(data[0])) != 0)
		return -EFAULT;
	uint64_t effective = data[0].effective | (uint64_t)data[1].effective << 32;
	uint64_t permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	uint64_t inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	uint64_t addable = capable(CAP_SETPCAP) ? c->cap_bounding : c->cap_permitted;
	if ((permitted & ~c->cap_permitted) != 0 || (effective & ~permitted) != 0 ||
	    (inheritable & ~(c->cap_inheritable | addable)) != 0)
		return -EPERM;
	c->cap_effective = effective;
	c->cap_permitted = permitted;
	c->cap_inheritable = inheritable;
	c->cap_ambient &= permitted & inheritable;
	return 0;
}
