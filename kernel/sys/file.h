/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the file system calls share. */
#ifndef NUCLEO_SYS_FILE_H
#define NUCLEO_SYS_FILE_H

#include "kernel/fs/vfs.h"

/* Whether the current process may take `victim` out of `dir`, which is locked: 0, -EACCES, -EPERM, -EROFS. */
int file_may_remove(struct inode *dir, struct inode *victim);

#endif
