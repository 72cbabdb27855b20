/* SPDX-License-Identifier: Apache-2.0 */
/* Values of options. All return 0, or -EINVAL with *err saying what is wrong and how it should be. */
#ifndef LAMPO_CLI_PARSE_H
#define LAMPO_CLI_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/host/err.h"

/* "512M", "1G", "65536", "2GiB": bytes. Powers of 1024. */
int parse_size(const char *text, uint64_t *bytes, struct err *err);
/* As parse_size, within what a VM can have. */
int parse_memory(const char *text, uint64_t *bytes, struct err *err);
int parse_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *number, struct err *err);
/* "TERM", "SIGTERM", "term", "15" */
int parse_signal(const char *text, int *number, struct err *err);

struct parsed_volume {
	char *host;  /* malloc'd, both in one allocation: free(host) */
	char *guest; /* absolute, without "//", "." or a final '/', never "/" and never with ".." */
	bool read_only;
};
/* "HOST:GUEST[:ro|rw]" */
int parse_volume(const char *text, struct parsed_volume *volume, struct err *err);
/* The absolute path of a guest, made plain as for volumes ("/" is fine); in place. */
int parse_guest_path(char *path, struct err *err);

#endif
