/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/fd and fdinfo. The key of an entry is the descriptor, its parent's the process. */
#include "kernel/fs/procfs.h"

#include "kernel/proc/process.h"

static struct file *fd_file(struct pseudo_inode *inode)
{
	struct pseudo_inode owner = {.key = inode->parent_key};
	struct process *p = proc_process_of(&owner);

	return p != NULL ? file_table_get_file(p->files, (int)inode->key) : NULL;
}

static int fd_readlink(struct pseudo_inode *inode, char *to, size_t size)
{
	struct file *file = fd_file(inode);
	int length;

	if (file == NULL)
		return -ENOENT;
	file_path(file, to, size);
	length = (int)strlen(to);
	file_put(file);
	return length;
}

static int fd_follow(struct inode *inode, struct dentry **dentry)
{
	struct file *file = fd_file(pseudo_of(inode));

	if (file == NULL)
		return -ENOENT;
	*dentry = file->dentry != NULL ? dentry_get(file->dentry) : dentry_new_file(file);
	file_put(file);
	return *dentry != NULL ? 0 : -ENOMEM;
}

static void show_fdinfo(struct text *text, struct pseudo_inode *inode)
{
	struct file *file = fd_file(inode);

	if (file == NULL)
		return;
	text_printf(text, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t20\nino:\t%llu\n", (unsigned long long)file->position,
		    file->flags, file->inode != NULL ? (unsigned long long)file->inode->ino : 0ull);
	file_put(file);
}

static const struct pseudo_entry fd_entry = {
    .name = "fd", .mode = S_IFLNK | 0700, .readlink = fd_readlink, .follow = fd_follow};
static const struct pseudo_entry fdinfo_entry = {.name = "fdinfo", .mode = PROC_FILE, .show = show_fdinfo};

static int find_fd(struct pseudo_inode *dir, const char *name, uint64_t *key)
{
	struct process *p = proc_process_of(dir);
	struct file *file;

	if (p == NULL || !pseudo_number(name, key))
		return -ENOENT;
	file = file_table_get_file(p->files, (int)*key);
	if (file == NULL)
		return -ENOENT;
	file_put(file);
	return 0;
}

int proc_lookup_fd(struct pseudo_inode *dir, const char *name, const struct pseudo_entry **entry, uint64_t *key)
{
	*entry = &fd_entry;
	return find_fd(dir, name, key);
}

int proc_lookup_fdinfo(struct pseudo_inode *dir, const char *name, const struct pseudo_entry **entry, uint64_t *key)
{
	*entry = &fdinfo_entry;
	return find_fd(dir, name, key);
}

static int list_descriptors(struct pseudo_inode *dir, struct dir_list *list, unsigned type)
{
	struct process *p = proc_process_of(dir);
	int result = 0;

	if (p == NULL)
		return -ENOENT;
	for (int fd = file_table_next(p->files, 0); fd >= 0 && result == 0; fd = file_table_next(p->files, fd + 1))
		result = pseudo_list_number(list, "", (uint64_t)fd, type);
	return result;
}

int proc_list_fds(struct pseudo_inode *dir, struct dir_list *list)
{
	return list_descriptors(dir, list, 10); /* DT_LNK */
}

int proc_list_fdinfos(struct pseudo_inode *dir, struct dir_list *list)
{
	return list_descriptors(dir, list, 8); /* DT_REG */
}
