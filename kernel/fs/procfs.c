/* SPDX-License-Identifier: Apache-2.0 */
/* /proc without the directories of processes (proc(5)). */
#include "kernel/fs/procfs.h"

#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"

#define PROC_MAGIC 0x9fa0u
#define TICKS 100u /* USER_HZ */

static unsigned long long kib(uint64_t pages) { return (unsigned long long)pages * (PAGE_SIZE / 1024); }

static void show_meminfo(struct text *text, struct pseudo_inode *inode)
{
	struct page_statistics p;

	(void)inode;
	page_statistics(&p);
	text_printf(text,
		    "MemTotal:       %8llu kB\n"
		    "MemFree:        %8llu kB\n"
		    "MemAvailable:   %8llu kB\n"
		    "Buffers:               0 kB\n"
		    "Cached:         %8llu kB\n"
		    "SwapCached:            0 kB\n",
		    kib(p.total), kib(p.free), kib(p.free + p.cached), kib(p.cached));
	text_printf(text,
		    "Active:         %8llu kB\n"
		    "Inactive:       %8llu kB\n"
		    "SwapTotal:             0 kB\n"
		    "SwapFree:              0 kB\n"
		    "Dirty:                 0 kB\n"
		    "Writeback:             0 kB\n",
		    kib(p.total - p.free - p.cached), kib(p.cached));
	text_printf(text,
		    "AnonPages:      %8llu kB\n"
		    "Mapped:         %8llu kB\n"
		    "Shmem:                 0 kB\n"
		    "Slab:           %8llu kB\n"
		    "CommitLimit:    %8llu kB\n"
		    "Committed_AS:   %8llu kB\n"
		    "HugePages_Total:       0\n"
		    "HugePages_Free:        0\n"
		    "Hugepagesize:       2048 kB\n",
		    kib(p.total - p.free - p.cached - p.kernel), kib(p.cached), kib(p.kernel), kib(p.total),
		    kib(p.total - p.free - p.cached));
}

/* CPU time of all processes, in ns. */
static uint64_t busy_ns(void)
{
	uint64_t sum = 0;

	list_for_each(node, &processes) sum += process_cpu_ns(list_entry(node, struct process, node));
	return sum;
}

static void show_stat(struct text *text, struct pseudo_inode *inode)
{
	unsigned cpus = boot_info->cpu_count;
	uint64_t up = clock_monotonic(), busy = busy_ns(), all = up * cpus, tick = NS_PER_SECOND / TICKS, count = 0;
	unsigned long long user, idle;

	(void)inode;
	busy = min_u64(busy, all);
	user = (unsigned long long)(busy / tick);
	idle = (unsigned long long)((all - busy) / tick);
	text_printf(text, "cpu  %llu 0 0 %llu 0 0 0 0 0 0\n", user, idle);
	for (unsigned i = 0; i < cpus; i++)
		text_printf(text, "cpu%u %llu 0 0 %llu 0 0 0 0 0 0\n", i, user / cpus, idle / cpus);
	list_for_each(node, &processes) count++;
	text_printf(text, "intr 0\nctxt 0\nbtime %llu\nprocesses %llu\nprocs_running %u\nprocs_blocked 0\n",
		    (unsigned long long)((clock_realtime() - up) / NS_PER_SECOND), (unsigned long long)count,
		    sched_runnable());
}

static void show_uptime(struct text *text, struct pseudo_inode *inode)
{
	uint64_t up = clock_monotonic(), idle = up * boot_info->cpu_count;

	(void)inode;
	idle -= min_u64(idle, busy_ns());
	text_printf(text, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / NS_PER_SECOND),
		    (unsigned long long)(up / 10000000 % 100), (unsigned long long)(idle / NS_PER_SECOND),
		    (unsigned long long)(idle / 10000000 % 100));
}

static void show_loadavg(struct text *text, struct pseudo_inode *inode)
{
	unsigned threads = 0;
	int last = 1;

	(void)inode;
	list_for_each(node, &processes)
	{
		struct process *p = list_entry(node, struct process, node);

		threads += p->thread_count;
		last = p->pid > last ? p->pid : last;
	}
	text_printf(text, "0.00 0.00 0.00 %u/%u %d\n", sched_runnable(), threads, last);
}

static void show_cmdline(struct text *text, struct pseudo_inode *inode)
{
	(void)inode;
	text_printf(text, "lampo\n");
}

/* ---- mounts ---- */

static const char *mount_point(struct super *super, char *buffer)
{
	return super->point == NULL ? "/" : dentry_path(super->root, buffer, PATH_BYTES);
}

void proc_show_mounts(struct text *text, struct pseudo_inode *inode)
{
	char *buffer = path_buffer_get();

	(void)inode;
	if (buffer == NULL)
		return;
	list_for_each(node, &supers)
	{
		struct super *s = list_entry(node, struct super, node);

		text_printf(text, "%s ", s->source);
		text_printf(text, "%s %s %s,relatime 0 0\n", mount_point(s, buffer), s->type,
			    s->flags & SUPER_READ_ONLY ? "ro" : "rw");
	}
	path_buffer_put(buffer);
}

void proc_show_mountinfo(struct text *text, struct pseudo_inode *inode)
{
	char *buffer = path_buffer_get();
	unsigned id = 20;

	(void)inode;
	if (buffer == NULL)
		return;
	list_for_each(node, &supers)
	{
		struct super *s = list_entry(node, struct super, node);
		const char *mode = s->flags & SUPER_READ_ONLY ? "ro" : "rw";

		text_printf(text, "%u %u %u:%u / ", id, s->point == NULL ? 1 : 20, RDEV_MAJOR(s->dev),
			    RDEV_MINOR(s->dev));
		text_printf(text, "%s %s,relatime - %s %s %s\n", mount_point(s, buffer), mode, s->type, s->source,
			    mode);
		id++;
	}
	path_buffer_put(buffer);
}

/* ---- the directory itself ---- */

static int self_readlink(struct pseudo_inode *inode, char *to, size_t size)
{
	(void)inode;
	return ksnprintf(to, size, "%d", current->process->pid);
}

static int thread_self_readlink(struct pseudo_inode *inode, char *to, size_t size)
{
	(void)inode;
	return ksnprintf(to, size, "%d/task/%d", current->process->pid, current->tid);
}

static int lookup_pid(struct pseudo_inode *dir, const char *name, const struct pseudo_entry **entry, uint64_t *key)
{
	(void)dir;
	if (!pseudo_number(name, key) || (process_find((int)*key) == NULL && thread_find((int)*key) == NULL))
		return -ENOENT;
	*entry = &proc_pid_entry;
	return 0;
}

static int list_pids(struct pseudo_inode *dir, struct dir_list *list)
{
	(void)dir;
	list_for_each(node, &processes)
	{
		int result = pseudo_list_number(list, "", (uint64_t)list_entry(node, struct process, node)->pid, 4);

		if (result < 0)
			return result;
	}
	return 0;
}

static const struct pseudo_entry net_entries[] = {
    {.name = "dev",
     .mode = PROC_FILE,
     .text = "Inter-|   Receive                                                |  Transmit\n"
	     " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
	     "carrier compressed\n"},
    {.name = "unix", .mode = PROC_FILE, .text = "Num       RefCount Protocol Flags    Type St Inode Path\n"},
    {.name = "tcp",
     .mode = PROC_FILE,
     .text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"},
    {.name = "udp",
     .mode = PROC_FILE,
     .text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref "
	     "pointer drops\n"},
    {.name = "route",
     .mode = PROC_FILE,
     .text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"},
    {.name = NULL},
};

static const struct pseudo_entry root_entries[] = {
    {.name = "self", .mode = PROC_LINK, .readlink = self_readlink},
    {.name = "thread-self", .mode = PROC_LINK, .readlink = thread_self_readlink},
    {.name = "cpuinfo", .mode = PROC_FILE, .show = proc_show_cpuinfo},
    {.name = "meminfo", .mode = PROC_FILE, .show = show_meminfo},
    {.name = "stat", .mode = PROC_FILE, .show = show_stat},
    {.name = "uptime", .mode = PROC_FILE, .show = show_uptime},
    {.name = "loadavg", .mode = PROC_FILE, .show = show_loadavg},
    {.name = "version", .mode = PROC_FILE, .text = "Linux version 6.1.0-lampo (nucleo) #1 SMP\n"},
    {.name = "cmdline", .mode = PROC_FILE, .show = show_cmdline},
    {.name = "filesystems",
     .mode = PROC_FILE,
     .text = "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\nnodev\toverlay\nnodev\tvirtiofs\n"},
    {.name = "mounts", .mode = PROC_LINK, .text = "self/mounts"},
    {.name = "net", .mode = PROC_DIR, .children = net_entries},
    {.name = "sys", .mode = PROC_DIR, .children = proc_sys_entries},
    {.name = "devices", .mode = PROC_FILE, .text = "Character devices:\n  1 mem\n  5 /dev/tty\n\nBlock devices:\n"},
    {.name = "swaps", .mode = PROC_FILE, .text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"},
    {.name = "partitions", .mode = PROC_FILE, .text = "major minor  #blocks  name\n\n"},
    {.name = "modules", .mode = PROC_FILE, .text = ""},
    {.name = NULL},
};

static const struct pseudo_entry root = {
    .name = "", .mode = PROC_DIR, .children = root_entries, .lookup = lookup_pid, .list = list_pids};

int procfs_new(struct super **super) { return pseudo_new("proc", PROC_MAGIC, &root, super); }
