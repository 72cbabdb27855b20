/* SPDX-License-Identifier: Apache-2.0 */
/* Files for tests of kernel/mm/: a cache over a buffer, with counts of what was asked for. */
#ifndef TESTS_KERNEL_FILES_H
#define TESTS_KERNEL_FILES_H

#include "kernel/fs/file.h"

struct host_file {
	struct file file;
	struct cache cache;
	uint8_t *content; /* the backing store */
	uint64_t room;
	unsigned fills, pages_filled, writes, pages_written;
	int error;                                   /* returned by the next fill or write_back, if not 0 */
	void (*during_fill)(struct host_file *file); /* as if another thread ran */
	bool released;
};

/* A file of `bytes` whose byte i is host_file_byte(i). access: O_RDONLY, O_RDWR. */
struct host_file *host_file_new(uint64_t bytes, uint32_t access);
void host_file_free(struct host_file *file);
uint8_t host_file_byte(uint64_t offset);

extern unsigned host_patch_changes; /* calls of patch_code_changed() */

#endif
