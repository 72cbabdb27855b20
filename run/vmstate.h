/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory of a VM, RUNDIR/vm/ID/:
 *
 *   lock     flock(LOCK_EX) held by the monitor as long as it lives: a free lock is a dead VM
 *   info     JSON: struct vm_info; written before the monitor starts to run
 *   control  the monitor's control socket
 *   log      output of a detached VM
 *   exit     exit code in decimal digits; none: the monitor was killed
 *
 * Who removes it, and how nobody is surprised:
 *
 *   - A creator holds flock(LOCK_SH) on "vm" until its VM's info is complete (LOCK_EX if the VM has a
 *     name, which makes names unique). Who removes the remains of dead VMs holds LOCK_EX on "vm", so
 *     that it never sees a directory half made.
 *   - Who waits for a VM's end holds flock(LOCK_SH) on the VM's own directory, and a directory is only
 *     removed with LOCK_EX on it: so that the waiter still finds the exit code. If the remover finds
 *     it taken, it leaves the removal to the waiter.
 *   - A dead VM that nobody is to ask about any more (in the foreground, or with --rm: "ephemeral") is
 *     removed by whoever notices; others stay, as exited, until `lampo rm`.
 */
#ifndef LAMPO_RUN_VMSTATE_H
#define LAMPO_RUN_VMSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/host/err.h"

#define VM_ID_CHARS 12u
#define VM_NAME_MAX 63u
/* Exit code of a VM whose monitor was killed: as of a process killed by SIGKILL. */
#define VM_CODE_KILLED 137

struct vm_info {
	char id[VM_ID_CHARS + 1];
	char name[VM_NAME_MAX + 1]; /* "": none */
	bool detached;
	bool remove; /* --rm */
	unsigned cpus;
	uint64_t memory_bytes;
	pid_t pid;           /* of the monitor, in the starter's pid namespace */
	uint64_t created_ns; /* CLOCK_REALTIME */
	int stop_signal;     /* what `lampo stop` sends */
	char *image;         /* name or digest of the image; NULL: a program of the host */
	char *command;       /* JSON array of strings, as text; both malloc'd, vm_info_fini() frees them */
};

/* One VM as found in the run directory. */
struct vm_entry {
	struct vm_info info;
	bool alive;
	int code; /* exit code if it is not alive */
};

struct vm_list {
	struct vm_entry *entries; /* by time of creation */
	size_t count;
};

/* A VM has this name or can have it: 1..63 of letters, digits, '_', '.', '-', the first a letter or a digit. */
bool vmstate_name_valid(const char *name);

/* A state directory in the making: between vmstate_create() and vmstate_publish(). */
struct vmstate {
	int vm_fd;   /* "vm"; the creator's lock is on it until vmstate_publish() */
	int dir_fd;  /* the VM's own directory */
	int lock_fd; /* locked; to be given to the monitor and closed here */
	char id[VM_ID_CHARS + 1];
};

/* Makes the directory and the lock of a new VM. name: NULL or "" for none; -EEXIST if a VM that is
 * alive or listed has it. On failure nothing is left behind. Fill pid etc. later: vmstate_publish(). */
int vmstate_create(struct vmstate *state, const char *name, struct err *err);
/* Writes the info file and ends the creation: from now on the VM is listed. */
int vmstate_publish(struct vmstate *state, const struct vm_info *info, struct err *err);
/* Removes the directory unless somebody waits for the VM: then `code` is written for him, and he
 * removes it. Closes all descriptors of the state. Safe to call at any time after vmstate_create(). */
void vmstate_discard(struct vmstate *state, int code);
/* Closes the descriptors and leaves the directory. */
void vmstate_close(struct vmstate *state);

/* All VMs; removes the remains of dead ephemeral ones on the way. vmstate_list_fini() frees. */
int vmstate_list(struct vm_list *list, struct err *err);
void vmstate_list_fini(struct vm_list *list);

/* Finds the one VM with this name, or whose id begins so; -ENOENT, or -EEXIST if several do. On
 * success *dir_fd is its directory. vm_info_fini(&entry->info) frees. */
int vmstate_find(const char *reference, struct vm_entry *entry, int *dir_fd, struct err *err);
/* The directory of the VM with exactly this id; a descriptor or -errno. */
int vmstate_open(const char *id);
void vm_info_fini(struct vm_info *info);

/* Waits until the VM is dead, at most timeout_ms (-1: for ever); sets *code. -ETIMEDOUT. Removes it if
 * it is ephemeral and no other waits. */
int vmstate_wait(int dir_fd, const struct vm_info *info, int timeout_ms, int *code, struct err *err);
/* Removes a dead VM. -EBUSY if it is alive. */
int vmstate_remove(int dir_fd, const struct vm_info *info, struct err *err);

/* The info file's text (malloc'd) and back. For vmstate_parse() text is NUL-terminated; -EINVAL if it
 * is not an info file. */
char *vmstate_format(const struct vm_info *info);
int vmstate_parse(const char *text, struct vm_info *info);

#endif
