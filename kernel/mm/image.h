/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image: the EROFS that the root comes from, mapped read-only (LAMPO_VA_IMAGE). Caches and page tables hold its
 * pages in place. They are pages without metadata: a `struct page *` is the address of the data itself; nobody counts
 * their references, frees or writes them (page_is_image(), kernel/mm/page_internal.h). All VMs of a host share them.
 *
 * The host may change or lose bytes of the file. So nothing of it is used before image_verify() has had it compared
 * with the image's Merkle tree; each block once. Nothing here sleeps.
 */
#ifndef NUCLEO_MM_IMAGE_H
#define NUCLEO_MM_IMAGE_H

#include "kernel/arch.h"

struct page;

uint64_t image_bytes(void); /* 0: there is none */
const void *image_base(void);
/* The page at a byte offset, which is a multiple of PAGE_SIZE and lies in the image. */
struct page *image_page(uint64_t offset);

/* All blocks of [offset, offset + bytes) are as they should be: 0, or -EIO (a line in the log says which is not). So
 * that requests are few, all blocks of [from, to) are asked for along with them, and those from there on to `until`
 * will be verified meanwhile, if the host has time. */
int image_verify(uint64_t offset, uint64_t bytes, uint64_t from, uint64_t to, uint64_t until);
/* Copies `count` consecutive blocks from the one at byte `offset` on, each into a page; verifies them. 0, -EIO or
 * -ENOMEM. */
int image_copy(uint64_t offset, struct page **pages, unsigned count);
/* Whether a page is verified. */
bool image_is_verified(const struct page *page);

struct image_statistics {
	uint64_t blocks, requests; /* that were verified */
};
extern struct image_statistics image_statistics;

#endif
