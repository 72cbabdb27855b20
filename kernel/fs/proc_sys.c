/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/sys: what programs read of the kernel's settings. Most of them cannot be changed. */
#include "kernel/fs/procfs.h"

#include "kernel/proc/process.h"
#include "kernel/sys/misc.h"

static void show_hostname(struct text *text, struct pseudo_inode *inode)
{
	(void)inode;
	text_printf(text, "%s\n", misc_hostname());
}

static void put_uuid(struct text *text, const uint8_t *bytes)
{
	for (unsigned i = 0; i < 16; i++) {
		uint8_t b = bytes[i];

		if (i == 6)
			b = (b & 0x0f) | 0x40; /* RFC 4122, version 4 */
		if (i == 8)
			b = (b & 0x3f) | 0x80;
		text_printf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b);
	}
	text_printf(text, "\n");
}

static void show_boot_id(struct text *text, struct pseudo_inode *inode)
{
	static uint8_t id[16];
	static bool made;

	(void)inode;
	if (!made) {
		arch_random(id, sizeof(id));
		made = true;
	}
	put_uuid(text, id);
}

static void show_uuid(struct text *text, struct pseudo_inode *inode)
{
	uint8_t id[16];

	(void)inode;
	arch_random(id, sizeof(id));
	put_uuid(text, id);
}

/* Accepted, without effect: containers' tools write them. */
static int ignore(struct pseudo_inode *inode, const char *data, uint64_t bytes)
{
	(void)inode;
	(void)data;
	(void)bytes;
	return 0;
}

#define SETTING(n, t)                                                                                                  \
	{                                                                                                              \
		.name = n, .mode = PROC_FILE, .text = t "\n"                                                           \
	}
#define END                                                                                                            \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}

static const struct pseudo_entry random_entries[] = {
    {.name = "boot_id", .mode = PROC_FILE, .show = show_boot_id},
    {.name = "uuid", .mode = PROC_FILE, .show = show_uuid},
    SETTING("entropy_avail", "256"),
    SETTING("poolsize", "256"),
    SETTING("write_wakeup_threshold", "256"),
    END,
};

static const struct pseudo_entry kernel_entries[] = {
    {.name = "hostname", .mode = PROC_FILE, .show = show_hostname},
    SETTING("domainname", "(none)"),
    SETTING("osrelease", "6.1.0-lampo"),
    SETTING("ostype", "Linux"),
    SETTING("version", "#1 SMP nucleo"),
    SETTING("pid_max", "4194304"),
    SETTING("threads-max", "65536"),
    SETTING("cap_last_cap", "40"),
    SETTING("ngroups_max", "32"),
    SETTING("overflowuid", "65534"),
    SETTING("overflowgid", "65534"),
    SETTING("randomize_va_space", "2"),
    SETTING("core_pattern", "core"),
    SETTING("core_uses_pid", "0"),
    SETTING("perf_event_paranoid", "4"),
    SETTING("kptr_restrict", "1"),
    SETTING("dmesg_restrict", "1"),
    SETTING("shmmax", "18446744073692774399"),
    SETTING("shmall", "18446744073692774399"),
    SETTING("shmmni", "4096"),
    SETTING("msgmax", "8192"),
    SETTING("msgmnb", "16384"),
    SETTING("sem", "32000\t1024000000\t500\t32000"),
    SETTING("sched_rt_period_us", "1000000"),
    SETTING("sched_rt_runtime_us", "950000"),
    SETTING("unprivileged_userns_clone", "0"),
    {.name = "random", .mode = PROC_DIR, .children = random_entries},
    END,
};

static const struct pseudo_entry vm_entries[] = {
    {.name = "overcommit_memory", .mode = S_IFREG | 0644, .text = "1\n", .store = ignore},
    SETTING("overcommit_ratio", "50"),
    SETTING("max_map_count", "65530"),
    SETTING("mmap_min_addr", "65536"),
    SETTING("swappiness", "0"),
    SETTING("nr_hugepages", "0"),
    SETTING("vfs_cache_pressure", "100"),
    SETTING("page-cluster", "3"),
    SETTING("min_free_kbytes", "1024"),
    {.name = "drop_caches", .mode = S_IFREG | 0200, .text = "", .store = ignore},
    END,
};

static const struct pseudo_entry inotify_entries[] = {
    SETTING("max_user_watches", "65536"),
    SETTING("max_user_instances", "128"),
    SETTING("max_queued_events", "16384"),
    END,
};

static const struct pseudo_entry epoll_entries[] = {SETTING("max_user_watches", "1048576"), END};

static const struct pseudo_entry fs_entries[] = {
    SETTING("file-max", "1048576"),
    SETTING("nr_open", "1048576"),
    SETTING("file-nr", "0\t0\t1048576"),
    SETTING("pipe-max-size", "1048576"),
    SETTING("pipe-user-pages-soft", "16384"),
    SETTING("aio-max-nr", "65536"),
    SETTING("protected_hardlinks", "0"),
    SETTING("protected_symlinks", "0"),
    {.name = "inotify", .mode = PROC_DIR, .children = inotify_entries},
    {.name = "epoll", .mode = PROC_DIR, .children = epoll_entries},
    END,
};

static const struct pseudo_entry net_core_entries[] = {
    SETTING("somaxconn", "4096"),      SETTING("rmem_max", "212992"),     SETTING("wmem_max", "212992"),
    SETTING("rmem_default", "212992"), SETTING("wmem_default", "212992"), END,
};

static const struct pseudo_entry net_ipv4_entries[] = {
    SETTING("ip_local_port_range", "32768\t60999"),
    SETTING("tcp_fin_timeout", "60"),
    SETTING("tcp_keepalive_time", "7200"),
    SETTING("tcp_rmem", "4096\t131072\t6291456"),
    SETTING("tcp_wmem", "4096\t16384\t4194304"),
    SETTING("ip_unprivileged_port_start", "1024"),
    END,
};

static const struct pseudo_entry net_entries[] = {
    {.name = "core", .mode = PROC_DIR, .children = net_core_entries},
    {.name = "ipv4", .mode = PROC_DIR, .children = net_ipv4_entries},
    END,
};

const struct pseudo_entry proc_sys_entries[] = {
    {.name = "kernel", .mode = PROC_DIR, .children = kernel_entries},
    {.name = "vm", .mode = PROC_DIR, .children = vm_entries},
    {.name = "fs", .mode = PROC_DIR, .children = fs_entries},
    {.name = "net", .mode = PROC_DIR, .children = net_entries},
    END,
};
