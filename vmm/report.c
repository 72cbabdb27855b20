/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/report.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Whether somebody takes it. */
static bool report_send(int fd, struct vm_report *report)
{
	report->version = VM_PROTOCOL_VERSION;
	return fd >= 0 && send(fd, report, sizeof(*report), MSG_NOSIGNAL) == sizeof(*report);
}

void report_ready(int fd)
{
	struct vm_report report = {.kind = VM_REPORT_READY};
	report_send(fd, &report);
}

void report_error(int fd, const struct err *err, int code)
{
	struct vm_report report = {.kind = VM_REPORT_ERROR, .code = code};
	_Static_assert(sizeof(report.text) == sizeof(err->text) && sizeof(report.hint) == sizeof(err->hint),
		       "same texts");
	/* Not what lies behind the ends of the texts. */
	snprintf(report.text, sizeof(report.text), "%s", err->text);
	snprintf(report.hint, sizeof(report.hint), "%s", err->hint);
	if (!report_send(fd, &report)) /* nobody: standard error then, which is a detached VM's log */
		err_print(err, "lampo-vmm");
}

void report_timing(int fd, const struct timeline *timeline)
{
	if (fd < 0) {
		timeline_print(timeline);
		return;
	}
	struct vm_report report = {.kind = VM_REPORT_TIMING, .stage_count = timeline->count};
	for (unsigned i = 0; i < timeline->count; i++) {
		strncpy(report.stages[i].name, timeline->stages[i].name, sizeof(report.stages[i].name) - 1);
		report.stages[i].monotonic_ns = timeline->stages[i].monotonic_ns;
	}
	report_send(fd, &report);
}

void report_exit(int fd, int code)
{
	struct vm_report report = {.kind = VM_REPORT_EXIT, .code = code};
	report_send(fd, &report);
}

void report_write_exit(int state_fd, int code)
{
	if (state_fd < 0)
		return;
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", code);
	int fd = openat(state_fd, "exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	/* A half-written file never gets the name; who finds none takes the VM for dead without a code. */
	if (write(fd, text, (size_t)n) == n)
		renameat(state_fd, "exit.new", state_fd, "exit");
	close(fd);
}
