/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a monitor (lampo-vmm) and those who start or address it (run/) say to each other. Both sides are
 * always of one build; a struct that does not fit is refused.
 *
 * 1. Reports, monitor to starter, on the SOCK_SEQPACKET socket --report-fd: one struct vm_report per
 *    message. The order is READY, then EXIT; or ERROR at any time, then nothing. TIMING comes before
 *    EXIT if --timing was given. The monitor ends the VM when the other end is closed, unless --detach
 *    was given. EXIT is sent after all output was written and before the VM is taken down, which is
 *    slow. With a state directory the monitor also writes the exit code to its file "exit".
 *
 * 2. Control, on the SOCK_SEQPACKET socket --control-fd (listening, bound to "control" in the state
 *    directory): one struct vm_request per message, one struct vm_reply back.
 *
 * 3. --lock-fd N: a descriptor on which the starter holds flock(LOCK_EX). The monitor does nothing with
 *    it but keep it open as long as it lives: a free lock is how everybody knows that the VM is dead.
 *
 * 4. The monitor is started inside new user, mount, pid, net, ipc and uts namespaces, or those of them
 *    that the host allows (it may find itself in none). --overflow-to-root: the user namespace maps
 *    the caller's own ids only, so owners that appear as 65534 are to be shown to the guest as 0.
 *    --state-fd is given for --detach only; a foreground VM's exit code goes to the starter alone.
 *
 * 5. --environment: the strings of the monitor's own environment that begin with '+' are, without it, the
 *    guest program's environment. (Command lines are public on the host, environments are not.)
 */
#ifndef LAMPO_BASE_HOST_VM_PROTOCOL_H
#define LAMPO_BASE_HOST_VM_PROTOCOL_H

#include <stdint.h>

#define VM_PROTOCOL_VERSION 1u

enum vm_report_kind {
	VM_REPORT_READY = 1, /* set up and locked down; the guest runs now */
	VM_REPORT_EXIT,      /* code: the exit code for the caller, 0..255 as podman has them */
	VM_REPORT_ERROR,     /* text, hint; the caller exits with code (125 if the fault is Lampo's) */
	VM_REPORT_TIMING,    /* stages */
};

#define VM_STAGES_MAX 24
struct vm_stage {
	char name[32];
	uint64_t monotonic_ns; /* CLOCK_MONOTONIC of the host when the stage was complete */
};

struct vm_report {
	uint32_t version, kind;
	int32_t code;
	uint32_t stage_count;
	char text[768], hint[512];
	struct vm_stage stages[VM_STAGES_MAX];
};

enum vm_op {
	VM_OP_STATUS = 1, /* reply: state, usage */
	VM_OP_SIGNAL,     /* arg = signal number for the guest's program */
	VM_OP_END,        /* end the VM now; exit code 137 */
	VM_OP_RESIZE,     /* arg = columns << 16 | rows */
};

struct vm_request {
	uint32_t version, op;
	uint64_t arg;
};

struct vm_reply {
	uint32_t version;
	int32_t error; /* 0 or negative errno */
	uint32_t cpus;
	uint32_t pid;
	uint64_t memory_bytes;   /* guest memory given */
	uint64_t resident_bytes; /* of it, present on the host */
	uint64_t cpu_ns;         /* host CPU time of the monitor, all threads */
	uint64_t exits;          /* VM exits so far */
	uint64_t started_ns;     /* CLOCK_REALTIME */
};

#endif
