/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a monitor (lampo-vmm) and hearing from it. Order of calls: monitor_start(), then
 * monitor_receive() until EXIT, ERROR or the end, then monitor_fini().
 */
#ifndef LAMPO_RUN_MONITOR_H
#define LAMPO_RUN_MONITOR_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/host/err.h"
#include "base/host/vm_protocol.h"
#include "run/spawn.h"
#include "run/vmstate.h"

#define MONITOR_VOLUMES_MAX 11u

struct monitor_volume {
	int fd; /* O_PATH of the host's directory or file */
	bool read_only;
	const char *target; /* absolute guest path */
};

/* What VM to start. Strings are borrowed until monitor_fini(). */
struct monitor_config {
	const char *vmm_path;    /* the monitor's program; NULL: find it beside this program */
	const char *kernel_path; /* NULL: the monitor finds it */
	const char *name;        /* NULL: none */
	const char *image_name;  /* for lists of VMs; NULL: no image */
	int stop_signal;         /* what `lampo stop` is to send */
	unsigned cpus;
	uint64_t memory_bytes;
	uid_t uid;
	gid_t gid;
	const char *hostname; /* NULL: the VM's id */
	const char *cwd;
	const char *const *env; /* "K=V", NULL-terminated */
	char *const *command;   /* NULL-terminated, at least one */
	/* What becomes the guest's root, one of the two; the other is -1. image_fd: an image file, open for reading. */
	int root_fd; /* O_PATH */
	int image_fd;
	const char *image_digest;                   /* "sha256:...": what the image must be; NULL: anything */
	const char *const *visible, *const *hidden; /* NULL-terminated, or NULL: everything, nothing */
	struct monitor_volume volumes[MONITOR_VOLUMES_MAX];
	unsigned volume_count;
	bool detach, remove, interactive, tty, timing, strace, counts;
	unsigned rows, columns;      /* 0: unknown */
	uint64_t start_ns;           /* CLOCK_MONOTONIC: when the command line was started */
	const sigset_t *signal_mask; /* of the monitor */
};

struct monitor {
	struct vmstate state;
	struct spawn spawn;
	int report_fd; /* SOCK_SEQPACKET; poll it */
	bool ready;
	char **argv, **envp; /* owned */
	char *argv_text, *envp_text;
};

/* Makes the state directory and starts the monitor. On failure nothing is left behind. */
int monitor_start(struct monitor *monitor, const struct monitor_config *config, struct err *err);
/* Receives one report (waits for it). If the monitor has died without a last report, the result is a
 * VM_REPORT_ERROR that says so, with the right code. */
void monitor_receive(struct monitor *monitor, struct vm_report *report);
/* Ends the monitor by force (SIGKILL); a report follows all the same. */
void monitor_kill(struct monitor *monitor);
/* After a foreground VM's end: removes the state directory. `code` is for those who wait for the VM. */
void monitor_discard(struct monitor *monitor, int code);
/* Frees; the VM lives on if it is detached. */
void monitor_fini(struct monitor *monitor);

/* A command as a JSON array for vm_info: bytes that are no UTF-8 replaced, at most some 4 KiB, malloc'd. */
char *monitor_command_json(char *const *command);

#endif
