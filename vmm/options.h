/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's command line. Whoever starts monitors (run/) writes it; by hand it serves for tests. */
#ifndef LAMPO_VMM_OPTIONS_H
#define LAMPO_VMM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/host/err.h"
#include "image/image_file.h"
#include "include/abi/boot.h"

#define OPTIONS_MEMORY_DEFAULT (512ull << 20)

struct options_volume {
	int fd; /* O_PATH */
	bool read_only;
	const char *target; /* guest path */
};

/* Strings and arrays of strings point into argv or are owned by the options; -1 stands for a
 * descriptor that was not given. */
struct options {
	const char *id;
	const char *kernel; /* NULL: find it beside the executable */
	unsigned cpus;
	uint64_t memory_bytes; /* a multiple of 2 MiB */
	int report_fd, control_fd, state_fd, lock_fd, root_fd, image_fd;
	struct image_digest image_digest; /* if image_digest_given: what the image must be */
	bool detach, tty, standard_input, timing, strace, counts, root_overlay, overflow_to_root, environment, help,
	    image_digest_given;
	uint64_t start_ns; /* CLOCK_MONOTONIC when the command line was started; 0: unknown */
	const char *hostname, *cwd;
	uint32_t uid, gid;
	uint16_t rows, columns; /* 0: unknown */
	const char **env, **visible, **hidden;
	unsigned env_count, visible_count, hidden_count;
	struct options_volume volumes[LAMPO_MOUNTS_MAX - 1];
	unsigned volume_count;
	char *const *argv; /* the program and its arguments */
	unsigned argc;
};

/* -EINVAL: *err says what is wrong with which option. With --help only `help` is set. */
int options_parse(struct options *options, int argc, char **argv, struct err *err);
void options_fini(struct options *options);
extern const char options_help[];

#endif
