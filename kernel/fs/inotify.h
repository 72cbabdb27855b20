/* SPDX-License-Identifier: Apache-2.0 */
/* What the file layer tells inotify (kernel/fs/inotify.c). */
#ifndef NUCLEO_FS_INOTIFY_H
#define NUCLEO_FS_INOTIFY_H

#include <linux/inotify.h>

#include "kernel/fs/vfs.h"

extern unsigned inotify_watches; /* 0: nobody watches anything, and all of this costs a look at it */

/* `inode` had the event IN_*; name: of the entry in it that had it, or NULL. Does not sleep. Only changes made in
 * the guest are ever told: the host's are not seen. */
void inotify_event(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name);
/* The inode of a name, and its directory. */
void inotify_event_dentry(struct dentry *dentry, uint32_t mask);

static inline void fs_notify(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name)
{
	if (unlikely(inotify_watches != 0))
		inotify_event(inode, mask, cookie, name);
}
static inline void fs_notify_dentry(struct dentry *dentry, uint32_t mask)
{
	if (unlikely(inotify_watches != 0))
		inotify_event_dentry(dentry, mask);
}
/* A new name in its directory. */
static inline void fs_notify_made(struct dentry *dentry)
{
	if (unlikely(inotify_watches != 0) && dentry->inode != NULL)
		inotify_event(dentry->parent->inode, IN_CREATE | (inode_is_dir(dentry->inode) ? IN_ISDIR : 0), 0,
			      dentry->name);
}
/* A name of `victim` has gone from `dir`. */
void inotify_removed(struct inode *dir, struct inode *victim, const char *name);
uint32_t fs_notify_cookie(void); /* joins the two halves of a move */

#endif
