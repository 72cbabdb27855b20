/* SPDX-License-Identifier: Apache-2.0 */
/* /sys: the parts that runtimes look at (number of CPUs, huge pages, control groups). */
#include "kernel/fs/pseudo.h"

#include "kernel/arch.h"
#include "kernel/fs/procfs.h"

#define SYSFS_MAGIC 0x62656572u

static void show_cpu_range(struct text *text, struct pseudo_inode *inode)
{
	(void)inode;
	if (boot_info->cpu_count > 1)
		text_printf(text, "0-%u\n", boot_info->cpu_count - 1);
	else
		text_printf(text, "0\n");
}

static void show_cpu_mask(struct text *text, struct pseudo_inode *inode)
{
	(void)inode;
	text_printf(text, "%llx\n", boot_info->cpu_count >= 64 ? ~0ull : (1ull << boot_info->cpu_count) - 1);
}

static void show_own_mask(struct text *text, struct pseudo_inode *inode)
{
	text_printf(text, "%llx\n", 1ull << (inode->key & 63));
}

static void show_own_number(struct text *text, struct pseudo_inode *inode)
{
	text_printf(text, "%llu\n", (unsigned long long)inode->key);
}

static void show_node_memory(struct text *text, struct pseudo_inode *inode)
{
	struct page_statistics p;

	(void)inode;
	page_statistics(&p);
	text_printf(text, "Node 0 MemTotal: %llu kB\nNode 0 MemFree: %llu kB\nNode 0 MemUsed: %llu kB\n",
		    (unsigned long long)p.total * 4, (unsigned long long)p.free * 4,
		    (unsigned long long)(p.total - p.free) * 4);
}

static void show_clock_khz(struct text *text, struct pseudo_inode *inode)
{
	(void)inode;
	text_printf(text, "%llu\n", (unsigned long long)boot_info->tsc_khz);
}

#define TEXT(n, t)                                                                                                     \
	{                                                                                                              \
		.name = n, .mode = PROC_FILE, .text = t "\n"                                                           \
	}
#define SHOW(n, f)                                                                                                     \
	{                                                                                                              \
		.name = n, .mode = PROC_FILE, .show = f                                                                \
	}
#define DIR(n, c)                                                                                                      \
	{                                                                                                              \
		.name = n, .mode = PROC_DIR, .children = c                                                             \
	}
#define END                                                                                                            \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}

static const struct pseudo_entry topology_entries[] = {
    SHOW("core_id", show_own_number),
    TEXT("physical_package_id", "0"),
    SHOW("core_cpus", show_own_mask),
    SHOW("core_cpus_list", show_own_number),
    SHOW("thread_siblings", show_own_mask),
    SHOW("thread_siblings_list", show_own_number),
    SHOW("core_siblings", show_cpu_mask),
    SHOW("core_siblings_list", show_cpu_range),
    SHOW("package_cpus", show_cpu_mask),
    SHOW("package_cpus_list", show_cpu_range),
    END,
};

static const struct pseudo_entry frequency_entries[] = {
    SHOW("cpuinfo_max_freq", show_clock_khz),
    SHOW("cpuinfo_min_freq", show_clock_khz),
    SHOW("scaling_cur_freq", show_clock_khz),
    SHOW("scaling_max_freq", show_clock_khz),
    END,
};

static const struct pseudo_entry one_cpu_entries[] = {
    DIR("topology", topology_entries),
    DIR("cpufreq", frequency_entries),
    TEXT("online", "1"),
    END,
};

static const struct pseudo_entry cpu_entry = {.name = "cpu", .mode = PROC_DIR, .children = one_cpu_entries};

static int lookup_cpu(struct pseudo_inode *dir, const char *name, const struct pseudo_entry **entry, uint64_t *key)
{
	(void)dir;
	if (strncmp(name, "cpu", 3) != 0 || !pseudo_number(name + 3, key) || *key >= boot_info->cpu_count)
		return -ENOENT;
	*entry = &cpu_entry;
	return 0;
}

static int list_cpus(struct pseudo_inode *dir, struct dir_list *list)
{
	int result = 0;

	(void)dir;
	for (unsigned i = 0; i < boot_info->cpu_count && result == 0; i++)
		result = pseudo_list_number(list, "cpu", i, 4);
	return result;
}

static const struct pseudo_entry cpu_entries[] = {
    SHOW("online", show_cpu_range),
    SHOW("possible", show_cpu_range),
    SHOW("present", show_cpu_range),
    TEXT("offline", ""),
    TEXT("kernel_max", "63"),
    TEXT("isolated", ""),
    END,
};

static const struct pseudo_entry node0_entries[] = {
    SHOW("cpulist", show_cpu_range),
    SHOW("cpumap", show_cpu_mask),
    SHOW("meminfo", show_node_memory),
    TEXT("distance", "10"),
    END,
};

static const struct pseudo_entry node_entries[] = {
    TEXT("online", "0"),     TEXT("possible", "0"),       TEXT("has_cpu", "0"),
    TEXT("has_memory", "0"), DIR("node0", node0_entries), END,
};

static const struct pseudo_entry system_entries[] = {
    {.name = "cpu", .mode = PROC_DIR, .children = cpu_entries, .lookup = lookup_cpu, .list = list_cpus},
    DIR("node", node_entries),
    END,
};

static const struct pseudo_entry no_entries[] = {END};
static const struct pseudo_entry devices_entries[] = {DIR("system", system_entries), END};
static const struct pseudo_entry thp_entries[] = {
    TEXT("enabled", "always [madvise] never"),
    TEXT("defrag", "always defer defer+madvise [madvise] never"),
    TEXT("hpage_pmd_size", "2097152"),
    TEXT("shmem_enabled", "always within_size advise [never] deny force"),
    TEXT("use_zero_page", "1"),
    END,
};
static const struct pseudo_entry mm_entries[] = {DIR("transparent_hugepage", thp_entries), DIR("hugepages", no_entries),
						 END};
static const struct pseudo_entry kernel_entries[] = {DIR("mm", mm_entries), END};
static const struct pseudo_entry fs_entries[] = {DIR("cgroup", no_entries), END};
static const struct pseudo_entry class_entries[] = {DIR("net", no_entries), DIR("tty", no_entries),
						    DIR("block", no_entries), END};

static const struct pseudo_entry root_entries[] = {
    DIR("devices", devices_entries), DIR("kernel", kernel_entries),
    DIR("fs", fs_entries),           DIR("class", class_entries),
    DIR("block", no_entries),        DIR("bus", no_entries),
    DIR("module", no_entries),       END,
};

static const struct pseudo_entry root = {.name = "", .mode = PROC_DIR, .children = root_entries};

int sysfs_new(struct super **super) { return pseudo_new("sysfs", SYSFS_MAGIC, &root, super); }
