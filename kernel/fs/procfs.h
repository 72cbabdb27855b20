/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of /proc. */
#ifndef NUCLEO_FS_PROCFS_H
#define NUCLEO_FS_PROCFS_H

#include "kernel/fs/pseudo.h"

extern const struct pseudo_entry proc_pid_entry;     /* key: pid; /proc/PID */
extern const struct pseudo_entry proc_sys_entries[]; /* /proc/sys */
void proc_show_cpuinfo(struct text *text, struct pseudo_inode *inode);
void proc_show_mounts(struct text *text, struct pseudo_inode *inode);
void proc_show_mountinfo(struct text *text, struct pseudo_inode *inode);

/* The process of an entry whose key is a pid or tid; NULL: gone. */
struct process *proc_process_of(struct pseudo_inode *inode);

/* proc_fd.c */
int proc_lookup_fd(struct pseudo_inode *dir, const char *name, const struct pseudo_entry **entry, uint64_t *key);
int proc_list_fds(struct pseudo_inode *dir, struct dir_list *list);
int proc_lookup_fdinfo(struct pseudo_inode *dir, const char *name, const struct pseudo_entry **entry, uint64_t *key);
int proc_list_fdinfos(struct pseudo_inode *dir, struct dir_list *list);

#define PROC_DIR (S_IFDIR | 0555)
#define PROC_FILE (S_IFREG | 0444)
#define PROC_LINK (S_IFLNK | 0777)

#endif
