/* SPDX-License-Identifier: Apache-2.0 */
/* lampo-vmm: one process, one virtual machine. Set up first, lock down second, run third. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "vmm/boot.h"
#include "vmm/devices.h"
#include "vmm/report.h"
#include "vmm/threads.h"
#include "vmm/vm.h"

static struct vm vm;

static void process_prepare(const struct options *options)
{
	char name[16];
	jail_close_others(options);
	umask(0);                 /* modes come from the guest */
	signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is the guest's error */
	signal(SIGPIPE, SIG_IGN);
	snprintf(name, sizeof(name), "lampo-vmm:%s", options->id);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	if (options->timing) {
		if (options->start_ns != 0)
			timeline_mark_at(&vm.timeline, "command line", options->start_ns);
		timeline_mark(&vm.timeline, "monitor started");
	}
}

/* The device thread takes a share of the work: it makes guest memory and the jail while this one makes the
 * VM and its vCPUs. */
static int set_up(struct options *options, struct err *err)
{
	int r = vm_open(&vm, options, err);
	if (r < 0 || (r = devices_create(&vm, err)) < 0 || (r = threads_start_device(&vm, err)) < 0)
		return r;
	timeline_mark(&vm.timeline, "files open");
	if ((r = vm_create(&vm, err)) < 0)
		return r;
	timeline_mark(&vm.timeline, "KVM ready");
	if ((r = threads_await_memory(&vm, err)) < 0)
		return r;
	timeline_mark(&vm.timeline, "memory ready");
	if ((r = boot_build(&vm, err)) < 0)
		return r;
	timeline_mark(&vm.timeline, "boot information ready");
	for (unsigned i = 0; i < vm.cpu_count; i++)
		if ((r = vcpu_prepare(&vm.cpus[i], err)) < 0)
			return r;
	if ((r = clock_start(&vm.clock, vm.boot, regs_tsc_khz(vm.cpus[0].fd))) < 0)
		return err_set(err, r, "cannot tell the time to the guest: KVM does not know the TSC's frequency!");
	timeline_mark(&vm.timeline, "vCPUs ready");
	return control_start(&vm, options->control_fd, options->report_fd, options->detach, err);
}

int main(int argc, char **argv)
{
	static struct options options; /* vm points to it, and other threads look there */
	struct err err = {0};
	int r = options_parse(&options, argc, argv, &err);
	vm.options = &options;
	if (r == 0 && options.help)
		return fputs(options_help, stdout) < 0;
	if (r == 0) {
		process_prepare(&options);
		r = set_up(&options, &err);
	}
	if (r == 0)
		r = threads_lock_down(&vm, &err);
	if (r < 0)
		vm_fail(&vm, &err, VM_CODE_LAMPO_FAILED);
	timeline_mark(&vm.timeline, "locked down");
	report_ready(options.report_fd);
	vcpu_run(&vm.cpus[0]);
}
