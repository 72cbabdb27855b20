/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lampo run IMAGE`: whether the first argument means an image, and what VM its configuration asks for. The rule, in
 * this order: after "--", or with --root, it is a program; what is the name or digest of an image of the store, or the
 * path of an image file, is an image; what is found on the host is a program; what names a registry is an image, pulled
 * first.
 */
#ifndef LAMPO_CLI_RUN_IMAGE_H
#define LAMPO_CLI_RUN_IMAGE_H

#include "cli/command.h"
#include "cli/environment.h"
#include "image/config.h"
#include "image/image_file.h"
#include "image/reference.h"
#include "run/monitor.h"

/* What a VM of an image is started with; the configuration points into it. */
struct run_image {
	bool used;    /* it is an image, and open */
	bool missing; /* it is neither an image nor a program */
	struct image_file image;
	struct image_config config;
	char name[REFERENCE_MAX], digest[IMAGE_DIGEST_TEXT];
	char **command;
	char *cwd;
};

/* Sets run->used, or run->missing (then -ENOENT with *err). run_image_fini() in any case. */
int run_image_find(struct run_image *run, const struct arguments *arguments, struct err *err);
/* If run->used: fills in what the image decides of config, and the environment. */
int run_image_configure(struct run_image *run, const struct arguments *arguments, struct monitor_config *config,
			struct environment *environment, struct err *err);
void run_image_fini(struct run_image *run);

#endif
