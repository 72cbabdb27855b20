/* SPDX-License-Identifier: Apache-2.0 */
/* From the vCPU's first instruction to the program's. */
#include "abi/doorbell.h"
#include "kernel/arch.h"
#include "kernel/entry/entry.h"
#include "kernel/entry/lock.h"
#include "kernel/entry/machine.h"
#include "kernel/fs/file.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/exec.h"
#include "kernel/proc/process.h"
#include "kernel/sys/strace.h"
#include "kernel/virtio/virtio.h"

struct lampo_boot_info *boot_info;
extern char boot_stack_top[];

static void stamp(enum lampo_timeline stage) { boot_info->timeline[stage] = arch_tsc(); }

/* Pointers to `count` strings that lie one after another at boot info + offset. */
static char **boot_strings(uint64_t offset, unsigned count)
{
	char **strings = kmalloc((count + 1) * sizeof(*strings));
	char *at = (char *)boot_info + offset;

	if (strings == NULL)
		return NULL;
	for (unsigned i = 0; i < count; i++) {
		strings[i] = at;
		at += strlen(at) + 1;
	}
	strings[count] = NULL;
	return strings;
}

/* The first thread: loads the program and becomes it. */
static void boot_program(void *arg)
{
	struct exec_strings strings = {.argc = boot_info->argc, .envc = boot_info->envc};

	(void)arg;
	int error = fs_init();
	if (error == -ENOMEM)
		panic("no memory for the file systems");
	if (error != 0)
		panic("cannot set up the file systems: error %d%s", -error,
		      boot_info->image_bytes != 0 ? ": the image is damaged" : "");
	fs_chdir_initial((const char *)boot_info + boot_info->cwd);
	stamp(LAMPO_T_ROOT);
	strings.argv = boot_strings(boot_info->argv, strings.argc);
	strings.envp = boot_strings(boot_info->envp, strings.envc);
	if (strings.argv == NULL || strings.envp == NULL)
		panic("no memory for the arguments");
	struct regs *regs = arch_thread_regs(current);
	memset(regs, 0, sizeof(*regs));
	error = exec_first(&strings, regs);
	if (error == 0)
		strace_first_program(strings.argv[0], strings.argc, strings.argv, strings.envc);
	kfree(strings.argv);
	kfree(strings.envp);
	if (error != 0)
		arch_exit(LAMPO_EXIT_EXEC | (uint32_t)-error);
	stamp(LAMPO_T_LOADED);
	regs->full = 1;
	stamp(LAMPO_T_PROGRAM);
	entry_start_program();
}

static void check_abi(const struct lampo_boot_info *info)
{
	if (info->magic != LAMPO_BOOT_MAGIC || info->abi_version != LAMPO_ABI_VERSION)
		panic("the monitor speaks another version of the boot protocol: %u", info->abi_version);
}

void boot_main(struct lampo_boot_info *info)
{
	struct process *process;

	boot_info = info;
	stamp(LAMPO_T_ENTRY);
	for (unsigned i = 0; i < info->cpu_count && i < LAMPO_CPUS_MAX; i++)
		cpus[i] = arch_phys_to_virt(info->cpu_pages + i * PAGE_SIZE);
	cpus[0]->started = 1;
	machine_init_cpu(cpus[0], (uint64_t)boot_stack_top);
	check_abi(info);
	kernel_lock();
	page_init();
	clock_init();
	sched_init_cpu(0);
	stamp(LAMPO_T_MEMORY);
	if (virtio_init() != 0)
		panic("no memory for the devices");
	stamp(LAMPO_T_DEVICES);
	if (process_new_first(&process) != 0)
		panic("no memory for the first process");
	arch_thread_prepare(process->leader, NULL, boot_program, NULL);
	sched_add(process->leader);
	sched_idle_loop();
}

void boot_secondary(void)
{
	kernel_lock();
	sched_init_cpu(arch_cpu_index());
	sched_idle_loop();
}
