/* SPDX-License-Identifier: Apache-2.0 */
#include "run/vmstate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/util.h"
#include "run/fd.h"
#include "run/rundir.h"
#include "run/vmstate_scan.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
/* Names of directories that could be of VMs; others are not ours to touch. */
static bool id_valid(const char *name)
{
	return strlen(name) == VM_ID_CHARS && strspn(name, "0123456789abcdef") == VM_ID_CHARS;
}

void vm_info_fini(struct vm_info *info)
{
	free(info->command);
	free(info->image);
	info->command = info->image = NULL;
}

void vmstate_list_fini(struct vm_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		vm_info_fini(&list->entries[i].info);
	free(list->entries);
	*list = (struct vm_list){0};
}

/* 0, or -ENOENT if it is not (or not yet, or no longer) a VM that can be listed. `alive` is looked at
 * before the info: a VM that ends in between is shown as it was. */
static int read_entry(int vm_fd, const char *id, struct vm_entry *entry, int *dir_fd)
{
	char text[64 * 1024];

	*entry = (struct vm_entry){0};
	*dir_fd = fd_open_beneath(vm_fd, id, DIR_FLAGS, 0);
	if (*dir_fd < 0)
		return -ENOENT;
	entry->alive = vmstate_alive(*dir_fd);
	if (fd_read_file(*dir_fd, "info", text, sizeof(text)) < 0 || vmstate_parse(text, &entry->info) < 0 ||
	    strcmp(entry->info.id, id) != 0) {
		vm_info_fini(&entry->info);
		return -ENOENT;
	}
	if (!entry->alive) {
		entry->code = vmstate_read_code(*dir_fd);
		if (entry->code < 0)
			entry->code = VM_CODE_KILLED;
	}
	return 0;
}

/* With LOCK_EX on vm_fd nothing is in the making: what has no info now never gets one. */
static void reap_if_dead(int vm_fd, const char *id)
{
	struct vm_entry entry;
	int dir_fd;
	int code = read_entry(vm_fd, id, &entry, &dir_fd);

	if (dir_fd < 0)
		return;
	if (!vmstate_alive(dir_fd) && (code < 0 || !entry.info.detached || entry.info.remove))
		vmstate_reap(vm_fd, id, dir_fd);
	vm_info_fini(&entry.info);
	close(dir_fd);
}

static int list_add_entry(struct vm_list *list, struct vm_entry *entry)
{
	if ((list->count & (list->count - 1)) == 0) {
		size_t size = list->count == 0 ? 1 : list->count * 2;
		struct vm_entry *entries = realloc(list->entries, size * sizeof(*entries));
		if (entries == NULL)
			return -ENOMEM;
		list->entries = entries;
	}
	list->entries[list->count++] = *entry;
	return 0;
}

static int compare_created(const void *a, const void *b)
{
	const struct vm_entry *x = a, *y = b;

	if (x->info.created_ns != y->info.created_ns)
		return x->info.created_ns < y->info.created_ns ? -1 : 1;
	return strcmp(x->info.id, y->info.id);
}

/* Calls for each directory; returns how many are remains to be removed, or -errno. */
static int scan_once(DIR *dir, int vm_fd, bool reap, struct vm_list *list)
{
	int remains = 0;

	rewinddir(dir);
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		struct vm_entry entry;
		int dir_fd;

		if (!id_valid(e->d_name))
			continue;
		if (reap) {
			reap_if_dead(vm_fd, e->d_name);
			continue;
		}
		int code = read_entry(vm_fd, e->d_name, &entry, &dir_fd);
		fd_close_scope(&dir_fd);
		if (code < 0 || (!entry.alive && (!entry.info.detached || entry.info.remove))) {
			remains++;
			vm_info_fini(&entry.info);
			continue;
		}
		code = list_add_entry(list, &entry);
		if (code < 0) {
			vm_info_fini(&entry.info);
			return code;
		}
	}
	return remains;
}

int vmstate_scan(int vm_fd, bool exclusive, struct vm_list *list, struct err *err)
{
	int copy = fd_open_beneath(vm_fd, ".", DIR_FLAGS, 0);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);

	*list = (struct vm_list){0};
	if (dir == NULL) {
		int code = copy < 0 ? copy : -errno;
		fd_close_scope(&copy);
		return err_set(err, code, "cannot list the run directory");
	}
	int remains = scan_once(dir, vm_fd, false, list);
	if (remains > 0 && (exclusive || flock(vm_fd, LOCK_EX | LOCK_NB) == 0)) {
		scan_once(dir, vm_fd, true, NULL);
		if (!exclusive)
			flock(vm_fd, LOCK_UN);
	}
	closedir(dir);
	if (remains < 0) {
		vmstate_list_fini(list);
		return err_set(err, remains, "cannot list the run directory");
	}
	if (list->entries != NULL)
		qsort(list->entries, list->count, sizeof(list->entries[0]), compare_created);
	return 0;
}

int vmstate_list(struct vm_list *list, struct err *err)
{
	*list = (struct vm_list){0};
	FD_AUTO int vm_fd = rundir_open(err);
	return vm_fd < 0 ? vm_fd : vmstate_scan(vm_fd, false, list, err);
}

int vmstate_open(const char *id)
{
	struct err ignored;
	FD_AUTO int vm_fd = rundir_open(&ignored);

	if (vm_fd < 0)
		return vm_fd;
	return id_valid(id) ? fd_open_beneath(vm_fd, id, DIR_FLAGS, 0) : -ENOENT;
}

/* How many VMs the reference fits; id: of one of them. */
static unsigned match(const struct vm_list *list, const char *reference, char id[VM_ID_CHARS + 1])
{
	size_t len = strlen(reference);
	unsigned found = 0;

	if (list->entries == NULL)
		return 0;
	/* VMs without a name have the name "". */
	for (size_t i = 0; i < list->count && len > 0; i++) {
		const struct vm_info *info = &list->entries[i].info;
		bool named = strcmp(info->name, reference) == 0;
		if (named || strncmp(info->id, reference, len) == 0) {
			memcpy(id, info->id, sizeof(info->id));
			found++;
		}
		if (named)
			return 1;
	}
	return found;
}

int vmstate_find(const char *reference, struct vm_entry *entry, int *dir_fd, struct err *err)
{
	struct vm_list list;
	char id[VM_ID_CHARS + 1] = "";

	FD_AUTO int vm_fd = rundir_open(err);
	if (vm_fd < 0)
		return vm_fd;
	int code = vmstate_scan(vm_fd, false, &list, err);
	if (code < 0)
		return code;
	unsigned found = match(&list, reference, id);
	vmstate_list_fini(&list);
	if (found > 1) {
		err_set(err, -EEXIST, "several VMs have an id that begins with %s!", reference);
		return err_hint(err, "give more characters of the id; 'lampo ps -a' shows them");
	}
	if (found == 0 || read_entry(vm_fd, id, entry, dir_fd) < 0) {
		err_set(err, -ENOENT, "there is no VM named %s!", reference);
		return err_hint(err, "'lampo ps -a' lists all VMs");
	}
	return 0;
}
