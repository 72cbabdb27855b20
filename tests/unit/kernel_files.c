/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kernel_files.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/mm/vma.h"

unsigned host_patch_changes;

uint8_t host_file_byte(uint64_t offset) { return (uint8_t)(offset * 7 + (offset >> 12) * 13 + 1); }

static int fill(struct cache *cache, uint64_t index, struct page **pages, unsigned count)
{
	struct host_file *file = cache->owner;

	file->fills++;
	file->pages_filled += count;
	if (file->during_fill != NULL)
		file->during_fill(file);
	if (file->error != 0)
		return file->error;
	for (unsigned i = 0; i < count; i++) {
		uint64_t offset = (index + i) * PAGE_SIZE;
		if (offset < file->room)
			memcpy(page_address(pages[i]), file->content + offset, min_u64(PAGE_SIZE, file->room - offset));
	}
	return 0;
}

static int write_many(struct cache *cache, uint64_t index, struct page **pages, unsigned count, uint64_t bytes)
{
	struct host_file *file = cache->owner;

	file->writes++;
	file->pages_written += count;
	if (file->error != 0)
		return file->error;
	for (unsigned i = 0; i < count; i++) {
		uint64_t offset = (index + i) * PAGE_SIZE, n = min_u64(PAGE_SIZE, bytes - i * PAGE_SIZE);
		if (offset + n <= file->room)
			memcpy(file->content + offset, page_address(pages[i]), n);
	}
	return 0;
}

static int write_one(struct cache *cache, uint64_t index, struct page *page, uint64_t bytes)
{
	return write_many(cache, index, &page, 1, bytes);
}

static const struct cache_ops ops = {.fill = fill, .write_back = write_one, .write_back_many = write_many};

static int file_mmap(struct file *file, struct cache **cache, uint64_t offset, uint64_t bytes, int prot, int flags)
{
	(void)offset;
	(void)bytes;
	(void)prot;
	(void)flags;
	*cache = &container_of(file, struct host_file, file)->cache;
	return 0;
}

static const struct file_ops file_ops = {.mmap = file_mmap};

struct host_file *host_file_new(uint64_t bytes, uint32_t access)
{
	struct host_file *file = calloc(1, sizeof(*file));

	file->file.references = 1;
	file->file.flags = access;
	file->file.ops = &file_ops;
	file->room = bytes;
	file->content = malloc(bytes + 1);
	for (uint64_t i = 0; i < bytes; i++)
		file->content[i] = host_file_byte(i);
	cache_init(&file->cache, &ops, file);
	file->cache.size = bytes;
	return file;
}

void host_file_free(struct host_file *file)
{
	cache_fini(&file->cache);
	free(file->content);
	free(file);
}

struct file *file_get(struct file *file)
{
	file->references++;
	return file;
}

void file_put(struct file *file)
{
	if (--file->references == 0)
		container_of(file, struct host_file, file)->released = true;
}

void inode_get_stat(struct inode *inode, struct statx *stat)
{
	(void)inode;
	memset(stat, 0, sizeof(*stat));
}

struct cache *inode_cache(struct inode *inode)
{
	(void)inode;
	return NULL;
}

void patch_mm_free(struct mm *mm) { (void)mm; }

void patch_code_changed(struct mm *mm, uint64_t va, uint64_t bytes)
{
	(void)mm;
	(void)va;
	(void)bytes;
	host_patch_changes++;
}
