/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors for unit tests of kernel/fs/ and kernel/net/ over the threads of kernel_threads.h: a small table of
 * files, inodes without a tree. Calls go through the functions behind the system calls.
 */
#ifndef TESTS_KERNEL_DESCRIPTORS_H
#define TESTS_KERNEL_DESCRIPTORS_H

#include "kernel/fs/vfs.h"
#include "kernel/sys/syscall.h"
#include "tests/unit/kernel_threads.h"

/* machine_reset(), no open descriptors. */
void descriptors_reset(unsigned cpus);
unsigned descriptors_open(void); /* how many descriptors, and files without one, there are */
/* Runs function() in a thread of its own until nothing can go on. True: it has returned. */
bool descriptors_run(void (*function)(void));
/* Starts it and returns; machine_run() goes on with it. */
void descriptors_start(void (*function)(void));

/* call(sys_pipe2, fds, 0): arguments are numbers or pointers, missing ones 0. */
int64_t descriptors_call(int64_t (*function)(const struct syscall_args *), const uint64_t *arg, unsigned count);
#define call(function, ...)                                                                                            \
	descriptors_call(function, (const uint64_t[]){CALL_ARGS(__VA_ARGS__)},                                         \
			 sizeof((const uint64_t[]){CALL_ARGS(__VA_ARGS__)}) / 8)
#define CALL_ARGS(...) __VA_ARGS__
#define P(x) ((uint64_t)(x)) /* a pointer as an argument */

/* read(2), write(2), close(2), fcntl(F_SETFL) */
int64_t fd_read(int fd, void *to, uint64_t bytes);
int64_t fd_write(int fd, const void *from, uint64_t bytes);
void fd_nonblock(int fd, bool on);
uint32_t fd_poll(int fd);

#define DECLARE_CALL(name) int64_t sys_##name(const struct syscall_args *args)

#endif
