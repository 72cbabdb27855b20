/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nucleo's overlay over an image whose file system is hostile: an input is changes to one that the writer made, offset
 * (2 bytes) and value (1 byte) each, spread over it. Whatever names, links, attributes and data come out: nothing
 * panics, and all memory comes back. All blocks count as verified: an image may be hostile and whole.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fs/overlay.h"
#include "kernel/mm/image.h"
#include "tests/unit/kernel_fs.h"
#include "tests/unit/kernel_host.h"
#include "tests/unit/kernel_image.h"

#define DEPTH 5u
#define ENTRIES 40u /* of one directory */
#define STEPS 400u  /* in all */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *pristine;
static unsigned steps;

static void start(void)
{
	static char text[9000];
	char name[64];

	memset(text, 't', sizeof(text));
	kernel_image_begin();
	kernel_image_file("/etc/motd", "hello\n", 6, 0644);
	kernel_image_file("/usr/bin/program", text, 8192, 0755);
	kernel_image_file("/usr/bin/other", text, 9000, 0755);
	kernel_image_link("/usr/bin/again", "/usr/bin/program");
	kernel_image_sparse("/usr/sparse", text, 40960, 100000);
	kernel_image_symlink("/bin", "usr/bin");
	kernel_image_node("/dev/null", 0020666, 1, 3);
	kernel_image_xattr("/usr/bin/program", "user.a", "value");
	kernel_image_xattr("/usr/bin/program", "security.b", "other");
	for (unsigned i = 0; i < 200; i++) {
		ksnprintf(name, sizeof(name), "/many/a-name-that-fills-blocks-%u", i);
		kernel_image_symlink(name, name);
	}
	kernel_image_end();
	pristine = malloc(kernel_image_erofs_bytes);
	memcpy(pristine, kernel_image_bytes, kernel_image_erofs_bytes);
	fs_machine_reset();
	fs_machine_end(); /* the host's directory is not needed */
	nucleo_host_image = kernel_image_bytes;
	boot_info->image_bytes = kernel_image_erofs_bytes;
	memset(arch_phys_to_virt(boot_info->image_verified_gpa), 0xff, kernel_image_erofs_bytes / PAGE_SIZE / 8 + 8);
}

static void look_at_file(struct inode *inode)
{
	static uint8_t buffer[2 * PAGE_SIZE];
	uint64_t size = inode->cache.size, places[] = {0, size / 2, size > 5000 ? size - 5000 : 0};
	struct page *page;

	for (unsigned i = 0; i < countof(places); i++) {
		int64_t n = cache_read(&inode->cache, places[i], (uint64_t)buffer, sizeof(buffer), false);

		kassert(n <= (int64_t)sizeof(buffer));
		if (places[i] < size && cache_get_for_write(&inode->cache, places[i] >> PAGE_SHIFT, &page) == 0) {
			memset(page_address(page), 1, PAGE_SIZE);
			page_put(page);
		}
	}
	if (size < UINT32_MAX) {
		struct attributes cut = {.valid = ATTR_SIZE, .size = size / 3};

		memfs_of(inode)->lower_bytes = min_u64(memfs_of(inode)->lower_bytes, cut.size);
		cache_truncate(&inode->cache, cut.size);
		cache_read(&inode->cache, 0, (uint64_t)buffer, sizeof(buffer), false);
	}
}

static void look_at(struct inode *inode)
{
	static char names[4096], text[PATH_BYTES];

	if (inode_is_regular(inode))
		look_at_file(inode);
	if (inode_is_link(inode))
		kassert(inode->ops->readlink(inode, text, sizeof(text)) <= (int)sizeof(text));
	int64_t n = inode->ops->list_xattr(inode, names, sizeof(names));
	for (int64_t at = 0; at < n; at += (int64_t)strlen(names + at) + 1)
		inode->ops->get_xattr(inode, names + at, text, sizeof(text));
}

static void look_into(struct dentry *dir, unsigned depth)
{
	struct dir_list list = {0};
	struct dir_list_entry entry;
	struct dentry *found;
	uint64_t offset = 0;
	unsigned entries = 0;

	if (dentry_lookup(dir, "no such name", 12, "", &found) == 0)
		dentry_put(found);
	if (dir->inode->ops->list(dir, &list) == 0)
		while (dir_list_next(&list, &offset, &entry) && entries++ < ENTRIES && steps++ < STEPS) {
			if (dentry_lookup(dir, entry.name, entry.length, "", &found) != 0)
				continue;
			if (found->inode != NULL) {
				look_at(found->inode);
				if (inode_is_dir(found->inode) && depth < DEPTH)
					look_into(found, depth + 1);
			}
			dentry_put(found);
		}
	dir_list_fini(&list);
}

/* The names that the overlay makes itself stay for ever, otherwise. */
static void unpin_below(struct dentry *dir)
{
	dentry_shrink(0);
	while (!list_empty(&dir->children)) {
		struct dentry *child = dentry_get(list_first(&dir->children, struct dentry, sibling));

		kassert((child->flags & DENTRY_PINNED) != 0);
		unpin_below(child);
		dentry_drop(child);
		dentry_unpin(child);
		dentry_put(child);
	}
}

static void forget(struct super *super)
{
	unpin_below(super->root);
	kassert(super->root->references == 1);
	dentry_put(super->root);
	kfree(super);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct page_statistics before, after;
	struct super *super;

	if (pristine == NULL)
		start();
	memcpy(kernel_image_bytes, pristine, kernel_image_erofs_bytes);
	for (size_t i = 0; i + 3 <= size; i += 3)
		kernel_image_bytes[(data[i] | data[i + 1] << 8) % kernel_image_erofs_bytes] = data[i + 2];
	dentry_shrink(0);
	page_statistics(&before);
	steps = 0;
	if (overlay_image_new(&super) == 0) {
		look_into(super->root, 0);
		forget(super);
	}
	page_statistics(&after);
	/* Some pages of the heap may be in use more than before, but not ever more of them. */
	static uint64_t least = UINT64_MAX;
	if (least == UINT64_MAX)
		least = after.free;
	kassert(after.free + 64 >= least && after.cached == before.cached);
	return 0;
}
