/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal's ioctls and its part in job control (kernel/fs/tty_ioctl.c). */
#ifndef NUCLEO_FS_TTY_JOB_H
#define NUCLEO_FS_TTY_JOB_H

#include "kernel/fs/tty.h"

/* The first process gets the terminal as its own, once there is one. */
void tty_own_first(struct tty *tty);
/* Before a read or write: a background process gets `signal`. 0; -ERESTARTSYS: it was sent; -EIO. */
int tty_job_control(struct tty *tty, int signal);
void tty_group_signal(int pgrp, int signal);
int64_t tty_ioctl(struct tty *tty, uint32_t command, uint64_t argument);

#endif
