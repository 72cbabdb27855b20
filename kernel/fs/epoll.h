/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NUCLEO_FS_EPOLL_H
#define NUCLEO_FS_EPOLL_H

#include "kernel/fs/file.h"

/* The last reference of a watched file is gone: its entries leave all epoll sets. By file_put(). */
void epoll_file_released(struct file *file);

#endif
