/* SPDX-License-Identifier: Apache-2.0 */
/* An image in memory for tests of kernel/, made by the writer of images. Of plain types only: its implementation is
 * built like a host program, its users like the kernel. */
#ifndef TESTS_KERNEL_IMAGE_H
#define TESTS_KERNEL_IMAGE_H

#include <stdint.h>

void kernel_image_begin(void);
void kernel_image_dir(const char *path, uint32_t mode, uint32_t uid, uint32_t gid);
void kernel_image_file(const char *path, const void *data, uint64_t bytes, uint32_t mode);
/* A page of data at `at`, holes before and behind. */
void kernel_image_sparse(const char *path, const void *page, uint64_t at, uint64_t bytes);
void kernel_image_symlink(const char *path, const char *target);
void kernel_image_link(const char *path, const char *existing);
void kernel_image_node(const char *path, uint32_t mode, uint32_t major, uint32_t minor);
void kernel_image_xattr(const char *path, const char *name, const char *value);
void kernel_image_time(const char *path, int64_t seconds, uint32_t ns);
/* Writes it. */
void kernel_image_end(void);

extern uint8_t *kernel_image_bytes; /* page-aligned, may be changed */
extern uint64_t kernel_image_erofs_bytes, kernel_image_file_bytes;
/* Nothing is verified so far. */
void kernel_image_forget_verified(void);
/* As the monitor's answer to LAMPO_PORT_VERIFY. */
uint64_t kernel_image_verify(uint64_t block, unsigned count);

#endif
