/* SPDX-License-Identifier: Apache-2.0 */
/* Making, waiting for and removing the state directories; run/vmlist.c lists and finds them. */
#include "run/vmstate.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "run/fd.h"
#include "run/rundir.h"
#include "run/vmstate_scan.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)

bool vmstate_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > VM_NAME_MAX || !isalnum((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && strchr("_.-", name[i]) == NULL)
			return false;
	return true;
}

static int flock_retry(int fd, int operation)
{
	int r;

	do
		r = flock(fd, operation);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

bool vmstate_alive(int dir_fd)
{
	FD_AUTO int lock = fd_open_beneath(dir_fd, "lock", O_RDONLY, 0);

	if (lock < 0)
		return false;
	return flock_retry(lock, LOCK_SH | LOCK_NB) == -EWOULDBLOCK;
}

int vmstate_read_code(int dir_fd)
{
	char text[16];
	char *end;

	if (fd_read_file(dir_fd, "exit", text, sizeof(text)) <= 0)
		return -ENOENT;
	long code = strtol(text, &end, 10);
	return end == text || code < 0 || code > 255 ? -ENOENT : (int)code;
}

/* Whatever lies in the directory, for one that holds more than we know of. */
static void remove_all_files(int dir_fd)
{
	int copy = fd_open_beneath(dir_fd, ".", DIR_FLAGS, 0);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);

	if (dir == NULL) {
		fd_close_scope(&copy);
		return;
	}
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dir_fd, e->d_name, 0);
	closedir(dir);
}

/* The lock goes last: a directory without one is dead, and one that is half removed must not look alive. */
static int remove_dir(int vm_fd, const char *id, int dir_fd)
{
	static const char *const names[] = {"info", "control", "lock"};

	for (size_t i = 0; i < countof(names); i++)
		unlinkat(dir_fd, names[i], 0);
	if (unlinkat(vm_fd, id, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	remove_all_files(dir_fd);
	return unlinkat(vm_fd, id, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int vmstate_reap(int vm_fd, const char *id, int dir_fd)
{
	int code = flock_retry(dir_fd, LOCK_EX | LOCK_NB);

	if (code < 0)
		return code;
	code = remove_dir(vm_fd, id, dir_fd);
	flock_retry(dir_fd, LOCK_UN);
	return code;
}

static int create_fail(const char *what, int code, struct err *err)
{
	err_set(err, code, "cannot make the VM's state directory: %s", what);
	if (code == -ENOSPC || code == -EDQUOT)
		err_hint(err, "make room in the run directory, or name one on another file system in LAMPO_RUN_DIR");
	return code;
}

static int make_id_dir(int vm_fd, char id[VM_ID_CHARS + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[VM_ID_CHARS / 2];

	for (int tries = 0; tries < 100; tries++) {
		if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
			return -EIO;
		for (unsigned i = 0; i < VM_ID_CHARS; i++)
			id[i] = digits[i % 2 == 0 ? bytes[i / 2] >> 4 : bytes[i / 2] & 15];
		id[VM_ID_CHARS] = '\0';
		if (mkdirat(vm_fd, id, 0700) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int name_is_free(int vm_fd, const char *name, struct err *err)
{
	struct vm_list list = {0};
	int code = vmstate_scan(vm_fd, true, &list, err);

	if (code < 0)
		return code;
	for (size_t i = 0; i < list.count && code == 0; i++)
		if (strcmp(list.entries[i].info.name, name) == 0) {
			code = err_set(err, -EEXIST, "cannot name the VM %s: VM %s has that name!", name,
				       list.entries[i].info.id);
			err_hint(err, "remove it with 'lampo rm %s', or choose another name", name);
		}
	vmstate_list_fini(&list);
	return code;
}

int vmstate_create(struct vmstate *state, const char *name, struct err *err)
{
	bool named = name != NULL && name[0] != '\0';

	*state = (struct vmstate){.vm_fd = -1, .dir_fd = -1, .lock_fd = -1};
	state->vm_fd = rundir_open(err);
	if (state->vm_fd < 0)
		return state->vm_fd;
	int code = flock_retry(state->vm_fd, named ? LOCK_EX : LOCK_SH);
	if (code < 0) {
		create_fail("flock", code, err);
		goto fail;
	}
	if (named) {
		code = name_is_free(state->vm_fd, name, err);
		if (code < 0)
			goto fail;
	}
	code = make_id_dir(state->vm_fd, state->id);
	if (code < 0) {
		create_fail("mkdir", code, err);
		goto fail;
	}
	state->dir_fd = fd_open_beneath(state->vm_fd, state->id, DIR_FLAGS, 0);
	code = state->dir_fd;
	if (code >= 0)
		state->lock_fd = code = fd_open_beneath(state->dir_fd, "lock", O_RDWR | O_CREAT | O_EXCL, 0600);
	if (code >= 0)
		code = flock_retry(state->lock_fd, LOCK_EX);
	if (code < 0) {
		create_fail("lock", code, err);
		vmstate_discard(state, VM_CODE_KILLED);
		return code;
	}
	return 0;
fail:
	vmstate_close(state);
	return code;
}

int vmstate_publish(struct vmstate *state, const struct vm_info *info, struct err *err)
{
	char *text = vmstate_format(info);

	if (text == NULL)
		return create_fail("info", -ENOMEM, err);
	int code = fd_write_file(state->dir_fd, "info", text, strlen(text));
	free(text);
	if (code < 0)
		return create_fail("info", code, err);
	flock_retry(state->vm_fd, LOCK_UN);
	return 0;
}

void vmstate_discard(struct vmstate *state, int code)
{
	if (state->dir_fd >= 0) {
		if (vmstate_reap(state->vm_fd, state->id, state->dir_fd) == -EWOULDBLOCK) {
			char text[16];
			int n = snprintf(text, sizeof(text), "%d\n", code);
			fd_write_file(state->dir_fd, "exit", text, (size_t)n);
			/* The waiter may have gone meanwhile and found the VM alive: then it is ours again. */
			if (!vmstate_alive(state->dir_fd))
				vmstate_reap(state->vm_fd, state->id, state->dir_fd);
		}
	} else if (state->vm_fd >= 0 && state->id[0] != '\0') {
		unlinkat(state->vm_fd, state->id, AT_REMOVEDIR);
	}
	vmstate_close(state);
}

void vmstate_close(struct vmstate *state)
{
	fd_close_scope(&state->lock_fd);
	fd_close_scope(&state->dir_fd);
	fd_close_scope(&state->vm_fd);
	state->vm_fd = state->dir_fd = state->lock_fd = -1;
}

static bool wait_lock(int dir_fd, int timeout_ms)
{
	FD_AUTO int lock = fd_open_beneath(dir_fd, "lock", O_RDONLY, 0);
	struct timespec start, now, step = {.tv_nsec = 500000};

	if (lock < 0)
		return true;
	if (timeout_ms < 0)
		return flock_retry(lock, LOCK_SH) == 0;
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (flock_retry(lock, LOCK_SH | LOCK_NB) < 0) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 >= timeout_ms)
			return false;
		nanosleep(&step, NULL);
		step.tv_nsec = step.tv_nsec < 16000000 ? step.tv_nsec * 2 : step.tv_nsec;
	}
	return true;
}

/* The code of a VM whose lock is free. That of a foreground VM is written by its starter, who may be a
 * moment later than the monitor's end. */
static int final_code(int dir_fd, bool detached)
{
	for (int tries = 0;; tries++) {
		int code = vmstate_read_code(dir_fd);
		if (code >= 0)
			return code;
		if (detached || tries == 50)
			return VM_CODE_KILLED;
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
}

int vmstate_wait(int dir_fd, const struct vm_info *info, int timeout_ms, int *code, struct err *err)
{
	flock_retry(dir_fd, LOCK_SH);
	if (!wait_lock(dir_fd, timeout_ms)) {
		flock_retry(dir_fd, LOCK_UN);
		return err_set(err, -ETIMEDOUT, "VM %s did not end in time!", info->id);
	}
	*code = final_code(dir_fd, info->detached);
	flock_retry(dir_fd, LOCK_UN);
	if (!info->detached || info->remove) {
		FD_AUTO int vm_fd = rundir_open(err);
		if (vm_fd >= 0)
			vmstate_reap(vm_fd, info->id, dir_fd);
	}
	return 0;
}

int vmstate_remove(int dir_fd, const struct vm_info *info, struct err *err)
{
	FD_AUTO int vm_fd = rundir_open(err);
	int code = -EWOULDBLOCK;

	if (vm_fd < 0)
		return vm_fd;
	if (vmstate_alive(dir_fd)) {
		err_set(err, -EBUSY, "cannot remove VM %s: it is running!", info->id);
		return err_hint(err, "stop it with 'lampo stop %s', or use 'lampo rm -f'", info->id);
	}
	/* Those who wait for it need only a moment to read its code. */
	for (int tries = 0; tries < 500 && code == -EWOULDBLOCK; tries++) {
		code = vmstate_reap(vm_fd, info->id, dir_fd);
		if (code == -EWOULDBLOCK)
			nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
	if (code < 0 && code != -ENOENT)
		return err_set(err, code, "cannot remove the state of VM %s", info->id);
	return 0;
}
