/* SPDX-License-Identifier: Apache-2.0 */
/* File systems whose files are made when they are read: /proc and /sys. */
#ifndef NUCLEO_FS_PSEUDO_H
#define NUCLEO_FS_PSEUDO_H

#include "kernel/fs/vfs.h"

struct pseudo_inode;

/* One name; tables of these end with name == NULL. What is set says what it is. */
struct pseudo_entry {
	const char *name;
	uint32_t mode; /* with type */
	/* Regular files: constant text, or made by show; store takes what is written, at most a page. */
	const char *text;
	void (*show)(struct text *text, struct pseudo_inode *inode);
	int (*store)(struct pseudo_inode *inode, const char *data, uint64_t bytes);
	/* Links: text (-errno or length), or an object. */
	int (*readlink)(struct pseudo_inode *inode, char *to, size_t size);
	int (*follow)(struct inode *inode, struct dentry **dentry);
	void (*own)(struct pseudo_inode *inode); /* sets the owner; others have their directory's */
	/* Directories: fixed names, then computed ones. */
	const struct pseudo_entry *children;
	int (*lookup)(struct pseudo_inode *dir, const char *name, const struct pseudo_entry **entry, uint64_t *key);
	int (*list)(struct pseudo_inode *dir, struct dir_list *list);
};

struct pseudo_inode {
	struct inode inode;
	const struct pseudo_entry *entry;
	uint64_t key; /* which one: pid, CPU, ... */
	uint64_t parent_key;
};

static inline struct pseudo_inode *pseudo_of(struct inode *inode)
{
	return container_of(inode, struct pseudo_inode, inode);
}

int pseudo_new(const char *type, uint32_t magic, const struct pseudo_entry *root, struct super **super);
/* A decimal number as a whole name; false if it is none. */
bool pseudo_number(const char *name, uint64_t *number);
int pseudo_list_number(struct dir_list *list, const char *prefix, uint64_t number, unsigned type);

#endif
