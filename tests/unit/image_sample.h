/* SPDX-License-Identifier: Apache-2.0 */
/* Small images for tests, with everything in them that the format has. */
#ifndef TESTS_UNIT_IMAGE_SAMPLE_H
#define TESTS_UNIT_IMAGE_SAMPLE_H

#include "image/writer.h"

#define SAMPLE_CONFIG "{\"architecture\":\"amd64\",\"os\":\"linux\"}"

/* An unnamed file in memory. */
int sample_file(void);
/* Contents that are nowhere zero and differ from block to block. */
void sample_fill(uint8_t *data, size_t bytes, uint32_t seed);
/* Adds "path" (missing directories are made) as a regular file. */
struct tree_inode *sample_add_file(struct tree *tree, struct image_writer *writer, const char *path, const void *data,
				   size_t bytes);
struct tree_node *sample_add(struct tree *tree, const char *path, uint32_t mode);
/* A tree with a bit of everything; the contents go to the writer. */
void sample_tree(struct tree *tree, struct image_writer *writer);
/* Makes that image: a descriptor. */
int sample_image(struct image_digest *digest);
/* Runs a program with the image as its file: its exit status, -1 if it is not there. */
int sample_fsck(int fd);

#endif
