/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID and /proc/PID/task/TID (proc(5)). */
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "kernel/fs/procfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"

#define TICK_NS (NS_PER_SECOND / 100) /* USER_HZ */

static struct thread *thread_of(struct pseudo_inode *inode)
{
	struct process *process = process_find((int)inode->key);

	return process != NULL && process->leader != NULL ? process->leader : thread_find((int)inode->key);
}

struct process *proc_process_of(struct pseudo_inode *inode)
{
	struct process *process = process_find((int)inode->key);
	struct thread *thread;

	if (process != NULL)
		return process;
	thread = thread_find((int)inode->key);
	return thread != NULL ? thread->process : NULL;
}

/* ---- memory of the process ---- */

/* Only the current address space can be read: another process's shows as empty. */
static void put_memory(struct text *text, struct mm *mm, uint64_t start, uint64_t end)
{
	char *chunk;

	if (mm == NULL || mm != current->process->mm)
		return;
	chunk = path_buffer_get();
	while (chunk != NULL && start < end && end - start < 8 << 20) {
		uint64_t n = min_u64(end - start, PATH_BYTES);

		if (user_read(chunk, start, n) < 0)
			break;
		text_put(text, chunk, n);
		start += n;
	}
	path_buffer_put(chunk);
}

static void show_cmdline(struct text *text, struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);

	if (p != NULL && p->mm != NULL)
		put_memory(text, p->mm, p->mm->arg_start, p->mm->arg_end);
}

static void show_environ(struct text *text, struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);

	if (p != NULL && p->mm != NULL)
		put_memory(text, p->mm, p->mm->env_start, p->mm->env_end);
}

static void show_auxv(struct text *text, struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);
	unsigned n = 0;

	if (p == NULL || p->mm == NULL)
		return;
	while (n + 2 <= countof(p->mm->auxv) && p->mm->auxv[n] != 0)
		n += 2;
	text_put(text, p->mm->auxv, min_u64(n + 2, countof(p->mm->auxv)) * 8);
}

static void put_mapping(struct text *text, const struct vma_info *v)
{
	uint64_t before = text->bytes;
	char *buffer;
	bool shared = (v->flags & MAP_TYPE) == MAP_SHARED || (v->flags & MAP_TYPE) == MAP_SHARED_VALIDATE;
	struct inode *inode = v->file != NULL ? v->file->inode : NULL;

	text_printf(
	    text, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", (unsigned long long)v->start,
	    (unsigned long long)v->end, v->prot & PROT_READ ? 'r' : '-', v->prot & PROT_WRITE ? 'w' : '-',
	    v->prot & PROT_EXEC ? 'x' : '-', shared ? 's' : 'p', (unsigned long long)(v->file != NULL ? v->offset : 0),
	    inode != NULL ? RDEV_MAJOR(inode->super->dev) : 0, inode != NULL ? RDEV_MINOR(inode->super->dev) : 0,
	    inode != NULL ? (unsigned long long)inode->ino : 0ull);
	if (v->file == NULL && v->name == NULL) {
		text_put(text, "\n", 1);
		return;
	}
	while (text->bytes - before < 73 && !text->failed)
		text_put(text, " ", 1);
	if (v->file == NULL) {
		text_put(text, v->name, strlen(v->name));
	} else if ((buffer = path_buffer_get()) != NULL) {
		const char *path = file_path(v->file, buffer, PATH_BYTES);

		text_put(text, path, strlen(path));
		path_buffer_put(buffer);
	}
	text_put(text, "\n", 1);
}

static void show_mappings(struct text *text, struct pseudo_inode *inode, bool sizes)
{
	struct process *p = proc_process_of(inode);
	struct vma_info v;
	uint64_t at = 0;

	while (p != NULL && p->mm != NULL && mm_vma_info(p->mm, at, &v)) {
		put_mapping(text, &v);
		if (sizes) {
			unsigned long long resident = (unsigned long long)v.resident_pages * 4;

			text_printf(
			    text,
			    "Size:           %8llu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n",
			    (unsigned long long)(v.end - v.start) / 1024);
			text_printf(text,
				    "Rss:            %8llu kB\nPss:            %8llu kB\nShared_Clean:          0 "
				    "kB\nShared_Dirty:          0 kB\n"
				    "Private_Clean:         0 kB\nPrivate_Dirty:  %8llu kB\nAnonymous:      %8llu kB\n",
				    resident, resident, v.file == NULL ? resident : 0ull,
				    v.file == NULL ? resident : 0ull);
		}
		at = v.end;
	}
}

static void show_maps(struct text *text, struct pseudo_inode *inode) { show_mappings(text, inode, false); }

static void show_smaps(struct text *text, struct pseudo_inode *inode) { show_mappings(text, inode, true); }

static void show_smaps_rollup(struct text *text, struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);
	unsigned long long resident = p != NULL && p->mm != NULL ? (unsigned long long)p->mm->resident_pages * 4 : 0;

	text_printf(text, "00010000-7f7fffff0000 ---p 00000000 00:00 0                              [rollup]\n");
	text_printf(
	    text,
	    "Rss:            %8llu kB\nPss:            %8llu kB\nPrivate_Dirty:  %8llu kB\nAnonymous:      %8llu kB\n",
	    resident, resident, resident, resident);
}

/* Pages of code and of data, as statm and status tell them apart. */
static void count_pages(struct mm *mm, uint64_t *code, uint64_t *data, uint64_t *stack)
{
	struct vma_info v;
	uint64_t at = 0;

	*code = *data = *stack = 0;
	while (mm_vma_info(mm, at, &v)) {
		uint64_t pages = (v.end - v.start) >> PAGE_SHIFT;

		if (v.name != NULL && strcmp(v.name, "[stack]") == 0)
			*stack += pages;
		else if (v.prot & PROT_EXEC)
			*code += pages;
		else if (v.prot & PROT_WRITE)
			*data += pages;
		at = v.end;
	}
}

static void show_statm(struct text *text, struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);
	uint64_t code, data, stack;

	if (p == NULL || p->mm == NULL) {
		text_printf(text, "0 0 0 0 0 0 0\n");
		return;
	}
	count_pages(p->mm, &code, &data, &stack);
	text_printf(text, "%llu %llu 0 %llu 0 %llu 0\n", (unsigned long long)p->mm->mapped_pages,
		    (unsigned long long)p->mm->resident_pages, (unsigned long long)code,
		    (unsigned long long)(data + stack));
}

/* ---- state ---- */

static char state_of(const struct process *p, const struct thread *t)
{
	if (p->zombie)
		return 'Z';
	if (p->stopped)
		return 'T';
	return t == NULL || t->state == THREAD_SLEEPING ? 'S' : 'R';
}

static void show_stat(struct text *text, struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);
	struct thread *t = thread_of(inode);
	uint64_t cpu;

	if (p == NULL)
		return;
	cpu = process_cpu_ns(p) / TICK_NS;
	text_printf(text, "%d (%s) %c %d %d %d 0 -1 4194304 %llu 0 %llu 0 %llu 0 0 0 20 %d %u 0 %llu ", (int)inode->key,
		    t != NULL ? t->comm : p->comm, state_of(p, t), p->parent != NULL ? p->parent->pid : 0, p->pgid,
		    p->sid, p->mm != NULL ? (unsigned long long)p->mm->faults : 0ull,
		    p->mm != NULL ? (unsigned long long)p->mm->faults_major : 0ull, (unsigned long long)cpu,
		    t != NULL ? t->nice : 0, p->thread_count, (unsigned long long)(p->start_ns / TICK_NS));
	if (p->mm != NULL)
		text_printf(text, "%llu %llu %llu %llu %llu %llu 0 0 ",
			    (unsigned long long)(p->mm->mapped_pages << PAGE_SHIFT),
			    (unsigned long long)p->mm->resident_pages,
			    (unsigned long long)p->limits[RLIMIT_RSS].rlim_cur, (unsigned long long)p->mm->code_start,
			    (unsigned long long)p->mm->code_end, (unsigned long long)p->mm->stack_start);
	else
		text_printf(text, "0 0 0 0 0 0 0 0 ");
	text_printf(text, "0 0 0 0 0 0 0 17 %u 0 0 0 0 0 ", t != NULL ? t->cpu : 0);
	if (p->mm != NULL)
		text_printf(text, "%llu %llu %llu %llu %llu %llu %llu %d\n", (unsigned long long)p->mm->data_start,
			    (unsigned long long)p->mm->data_end, (unsigned long long)p->mm->brk_start,
			    (unsigned long long)p->mm->arg_start, (unsigned long long)p->mm->arg_end,
			    (unsigned long long)p->mm->env_start, (unsigned long long)p->mm->env_end, p->exit_status);
	else
		text_printf(text, "0 0 0 0 0 0 0 %d\n", p->exit_status);
}

static void put_memory_status(struct text *text, struct mm *mm)
{
	uint64_t code, data, stack;
	unsigned long long size = (unsigned long long)mm->mapped_pages * 4,
			   resident = (unsigned long long)mm->resident_pages * 4;

	count_pages(mm, &code, &data, &stack);
	text_printf(text,
		    "VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmLck:\t%8llu kB\nVmPin:\t       0 kB\nVmHWM:\t%8llu "
		    "kB\nVmRSS:\t%8llu kB\n",
		    size, size, (unsigned long long)mm->locked_pages * 4, resident, resident);
	text_printf(text,
		    "RssAnon:\t%8llu kB\nRssFile:\t       0 kB\nRssShmem:\t       0 kB\nVmData:\t%8llu "
		    "kB\nVmStk:\t%8llu kB\nVmExe:\t%8llu kB\n",
		    resident, (unsigned long long)data * 4, (unsigned long long)stack * 4,
		    (unsigned long long)code * 4);
	text_printf(
	    text, "VmLib:\t       0 kB\nVmPTE:\t      64 kB\nVmSwap:\t       0 kB\nCoreDumping:\t0\nTHP_enabled:\t1\n");
}

static void put_signal_sets(struct text *text, const struct process *p, const struct thread *t)
{
	uint64_t ignored = 0, caught = 0;

	for (unsigned n = 1; p->handlers != NULL && n <= SIGNALS; n++) {
		if (p->handlers->actions[n].handler == 1)
			ignored |= signal_bit(n);
		else if (p->handlers->actions[n].handler > 1)
			caught |= signal_bit(n);
	}
	text_printf(text,
		    "SigQ:\t%u/"
		    "1024\nSigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		    p->signals.count, (unsigned long long)(t != NULL ? t->signals.set : 0),
		    (unsigned long long)p->signals.set, (unsigned long long)(t != NULL ? t->signal_mask : 0),
		    (unsigned long long)ignored, (unsigned long long)caught);
}

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "R (running)";
	case 'Z':
		return "Z (zombie)";
	case 'T':
		return "T (stopped)";
	default:
		return "S (sleeping)";
	}
}

static void put_cpus_allowed(struct text *text, const struct thread *t)
{
	uint64_t mask = (t != NULL ? t->affinity : ~0ull) &
			(boot_info->cpu_count >= 64 ? ~0ull : (1ull << boot_info->cpu_count) - 1);
	bool first = true;

	text_printf(text, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t", (unsigned long long)mask);
	for (unsigned i = 0; i < 64; i++) {
		unsigned end = i;

		if (!(mask >> i & 1))
			continue;
		while (end + 1 < 64 && (mask >> (end + 1) & 1))
			end++;
		text_printf(text, end > i ? "%s%u-%u" : "%s%u", first ? "" : ",", i, end);
		first = false;
		i = end;
	}
	text_printf(text, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

static void show_status(struct text *text, struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);
	struct thread *t = thread_of(inode);
	const struct credentials *c;

	if (p == NULL)
		return;
	c = &p->credentials;
	text_printf(text,
		    "Name:\t%s\nUmask:\t%04o\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
		    t != NULL ? t->comm : p->comm, p->fs != NULL ? p->fs->umask : 0, state_name(state_of(p, t)), p->pid,
		    (int)inode->key, p->parent != NULL ? p->parent->pid : 0);
	text_printf(text, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t64\nGroups:\t", c->uid, c->euid,
		    c->suid, c->fsuid, c->gid, c->egid, c->sgid, c->fsgid);
	for (unsigned i = 0; i < c->group_count; i++)
		text_printf(text, "%u ", c->groups[i]);
	text_printf(text, "\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", p->pid, (int)inode->key, p->pgid,
		    p->sid);
	if (p->mm != NULL)
		put_memory_status(text, p->mm);
	text_printf(text, "Threads:\t%u\n", p->thread_count);
	put_signal_sets(text, p, t);
	text_printf(text,
		    "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%"
		    "016llx\nNoNewPrivs:\t%d\nSeccomp:\t0\n",
		    (unsigned long long)c->cap_inheritable, (unsigned long long)c->cap_permitted,
		    (unsigned long long)c->cap_effective, (unsigned long long)c->cap_bounding,
		    (unsigned long long)c->cap_ambient, p->no_new_privs);
	put_cpus_allowed(text, t);
	text_printf(text, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t0\n",
		    (unsigned long long)(t != NULL ? t->context_switches : 0));
}

static void show_limits(struct text *text, struct pseudo_inode *inode)
{
	static const struct {
		const char *name, *unit;
		unsigned resource;
	} rows[] = {
	    {"Max cpu time", "seconds", RLIMIT_CPU},         {"Max file size", "bytes", RLIMIT_FSIZE},
	    {"Max data size", "bytes", RLIMIT_DATA},         {"Max stack size", "bytes", RLIMIT_STACK},
	    {"Max core file size", "bytes", RLIMIT_CORE},    {"Max resident set", "bytes", RLIMIT_RSS},
	    {"Max processes", "processes", RLIMIT_NPROC},    {"Max open files", "files", RLIMIT_NOFILE},
	    {"Max locked memory", "bytes", RLIMIT_MEMLOCK},  {"Max address space", "bytes", RLIMIT_AS},
	    {"Max file locks", "locks", RLIMIT_LOCKS},       {"Max pending signals", "signals", RLIMIT_SIGPENDING},
	    {"Max msgqueue size", "bytes", RLIMIT_MSGQUEUE}, {"Max nice priority", "", RLIMIT_NICE},
	    {"Max realtime priority", "", RLIMIT_RTPRIO},    {"Max realtime timeout", "us", RLIMIT_RTTIME},
	};
	struct process *p = proc_process_of(inode);

	if (p == NULL)
		return;
	text_printf(text, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < countof(rows); i++) {
		char soft[24], hard[24];
		const struct rlimit *l = &p->limits[rows[i].resource];

		ksnprintf(soft, sizeof(soft), l->rlim_cur == RLIM_INFINITY ? "unlimited" : "%llu",
			  (unsigned long long)l->rlim_cur);
		ksnprintf(hard, sizeof(hard), l->rlim_max == RLIM_INFINITY ? "unlimited" : "%llu",
			  (unsigned long long)l->rlim_max);
		text_printf(text, "%-25s %-20s %-20s %-10s\n", rows[i].name, soft, hard, rows[i].unit);
	}
}

static void show_comm(struct text *text, struct pseudo_inode *inode)
{
	struct thread *t = thread_of(inode);

	if (t != NULL)
		text_printf(text, "%s\n", t->comm);
}

static int store_comm(struct pseudo_inode *inode, const char *data, uint64_t bytes)
{
	struct thread *t = thread_of(inode);

	if (t == NULL)
		return -ESRCH;
	if (bytes > 0 && data[bytes - 1] == '\n')
		bytes--;
	bytes = min_u64(bytes, sizeof(t->comm) - 1);
	memcpy(t->comm, data, bytes);
	t->comm[bytes] = '\0';
	if (t == t->process->leader)
		memcpy(t->process->comm, t->comm, sizeof(t->comm));
	return 0;
}

static int ignore(struct pseudo_inode *inode, const char *data, uint64_t bytes)
{
	(void)inode;
	(void)data;
	(void)bytes;
	return 0;
}

/* ---- links to objects ---- */

static int link_text(struct dentry *dentry, char *to, size_t size)
{
	char *buffer = path_buffer_get();
	int length;

	if (buffer == NULL)
		return -ENOMEM;
	length = ksnprintf(to, size, "%s", dentry_path(dentry, buffer, PATH_BYTES));
	path_buffer_put(buffer);
	return (int)min_u64((uint64_t)length, size - 1);
}

static struct dentry *exe_dentry(struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);

	return p != NULL && p->executable != NULL ? p->executable->dentry : NULL;
}

static struct dentry *cwd_dentry(struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);

	return p != NULL && p->fs != NULL ? p->fs->cwd : NULL;
}

static struct dentry *root_dentry(struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);

	return p != NULL && p->fs != NULL ? p->fs->root : NULL;
}

#define OBJECT_LINK(name)                                                                                              \
	static int name##_readlink(struct pseudo_inode *inode, char *to, size_t size)                                  \
	{                                                                                                              \
		struct dentry *dentry = name##_dentry(inode);                                                          \
		return dentry == NULL ? -ENOENT : link_text(dentry, to, size);                                         \
	}                                                                                                              \
	static int name##_follow(struct inode *inode, struct dentry **dentry)                                          \
	{                                                                                                              \
		struct dentry *found = name##_dentry(pseudo_of(inode));                                                \
		if (found == NULL)                                                                                     \
			return -ENOENT;                                                                                \
		*dentry = dentry_get(found);                                                                           \
		return 0;                                                                                              \
	}
OBJECT_LINK(exe)
OBJECT_LINK(cwd)
OBJECT_LINK(root)

/* ---- threads ---- */

static const struct pseudo_entry proc_task_entry;

static int lookup_task(struct pseudo_inode *dir, const char *name, const struct pseudo_entry **entry, uint64_t *key)
{
	struct thread *t;

	if (!pseudo_number(name, key))
		return -ENOENT;
	t = thread_find((int)*key);
	if (t == NULL || t->process != proc_process_of(dir))
		return -ENOENT;
	*entry = &proc_task_entry;
	return 0;
}

static int list_tasks(struct pseudo_inode *dir, struct dir_list *list)
{
	struct process *p = proc_process_of(dir);
	int result = 0;

	if (p == NULL)
		return -ENOENT;
	list_for_each(node, &p->threads) if (result == 0) result =
	    pseudo_list_number(list, "", (uint64_t)list_entry(node, struct thread, process_node)->tid, 4);
	return result;
}

#define COMMON_ENTRIES                                                                                                 \
	{.name = "exe", .mode = PROC_LINK, .readlink = exe_readlink, .follow = exe_follow},                            \
	    {.name = "cwd", .mode = PROC_LINK, .readlink = cwd_readlink, .follow = cwd_follow},                        \
	    {.name = "root", .mode = PROC_LINK, .readlink = root_readlink, .follow = root_follow},                     \
	    {.name = "fd", .mode = S_IFDIR | 0500, .lookup = proc_lookup_fd, .list = proc_list_fds},                   \
	    {.name = "fdinfo", .mode = PROC_DIR, .lookup = proc_lookup_fdinfo, .list = proc_list_fdinfos},             \
	    {.name = "maps", .mode = PROC_FILE, .show = show_maps},                                                    \
	    {.name = "smaps", .mode = PROC_FILE, .show = show_smaps},                                                  \
	    {.name = "smaps_rollup", .mode = PROC_FILE, .show = show_smaps_rollup},                                    \
	    {.name = "status", .mode = PROC_FILE, .show = show_status},                                                \
	    {.name = "stat", .mode = PROC_FILE, .show = show_stat},                                                    \
	    {.name = "statm", .mode = PROC_FILE, .show = show_statm},                                                  \
	    {.name = "cmdline", .mode = PROC_FILE, .show = show_cmdline},                                              \
	    {.name = "environ", .mode = S_IFREG | 0400, .show = show_environ},                                         \
	    {.name = "auxv", .mode = S_IFREG | 0400, .show = show_auxv},                                               \
	    {.name = "comm", .mode = S_IFREG | 0644, .show = show_comm, .store = store_comm},                          \
	    {.name = "limits", .mode = PROC_FILE, .show = show_limits},                                                \
	    {.name = "mounts", .mode = PROC_FILE, .show = proc_show_mounts},                                           \
	    {.name = "mountinfo", .mode = PROC_FILE, .show = proc_show_mountinfo},                                     \
	    {.name = "cgroup", .mode = PROC_FILE, .text = "0::/\n"},                                                   \
	    {.name = "oom_score", .mode = PROC_FILE, .text = "0\n"},                                                   \
	    {.name = "oom_score_adj", .mode = S_IFREG | 0644, .text = "0\n", .store = ignore},                         \
	    {.name = "oom_adj", .mode = S_IFREG | 0644, .text = "0\n", .store = ignore},                               \
	    {.name = "coredump_filter", .mode = S_IFREG | 0644, .text = "00000033\n", .store = ignore},                \
	    {.name = "wchan", .mode = PROC_FILE, .text = "0"},                                                         \
	    {.name = "personality", .mode = PROC_FILE, .text = "00000000\n"},                                          \
	    {.name = "loginuid", .mode = PROC_FILE, .text = "4294967295"},                                             \
	    {.name = "uid_map", .mode = PROC_FILE, .text = "         0          0 4294967295\n"},                      \
	    {.name = "gid_map", .mode = PROC_FILE, .text = "         0          0 4294967295\n"},                      \
	    {.name = "setgroups", .mode = PROC_FILE, .text = "allow\n"},                                               \
	{                                                                                                              \
		.name = "io", .mode = S_IFREG | 0400,                                                                  \
		.text = "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: "                         \
			"0\ncancelled_write_bytes: 0\n"                                                                \
	}

static const struct pseudo_entry task_entries[] = {COMMON_ENTRIES, {.name = NULL}};
static const struct pseudo_entry pid_entries[] = {
    COMMON_ENTRIES,
    {.name = "task", .mode = PROC_DIR, .lookup = lookup_task, .list = list_tasks},
    {.name = NULL},
};

static const struct pseudo_entry proc_task_entry = {.name = "task", .mode = PROC_DIR, .children = task_entries};

static void own_process(struct pseudo_inode *inode)
{
	struct process *p = proc_process_of(inode);

	if (p != NULL && p->dumpable) {
		inode->inode.uid = p->credentials.euid;
		inode->inode.gid = p->credentials.egid;
	}
}

const struct pseudo_entry proc_pid_entry = {
    .name = "pid", .mode = PROC_DIR, .children = pid_entries, .own = own_process};
