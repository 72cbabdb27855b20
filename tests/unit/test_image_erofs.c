/* SPDX-License-Identifier: Apache-2.0 */
/* The EROFS reader: everything that the writer put down comes back, and hostile file systems are refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "tests/unit/erofs_exercise.h"
#include "tests/unit/image_sample.h"

static int setup(void **state)
{
	struct image_file *image = calloc(1, sizeof(*image));
	struct image_digest digest;
	struct err err;
	int fd = sample_image(&digest);

	assert_int_equal(image_file_open(image, fd, &digest, &err), 0);
	*state = image;
	return 0;
}

static int teardown(void **state)
{
	image_file_close(*state);
	free(*state);
	return 0;
}

static struct erofs *fs_of(void **state) { return &((struct image_file *)*state)->erofs; }

static struct erofs_inode find(void **state, const char *path)
{
	struct erofs_inode inode;

	assert_int_equal(erofs_walk(fs_of(state), path, false, &inode), 0);
	return inode;
}

static void test_attributes_come_back(void **state)
{
	struct erofs_inode inode = find(state, "/usr/bin/program"), alias = find(state, "usr/bin/alias");

	assert_int_equal(inode.mode, S_IFREG | 04755);
	assert_int_equal(inode.uid, 1000);
	assert_int_equal(inode.gid, 70000);
	assert_int_equal(inode.mtime, 1700000000);
	assert_int_equal(inode.mtime_ns, 123456789);
	assert_int_equal(inode.nlink, 2);
	assert_int_equal(inode.size, 20000);
	assert_int_equal(inode.layout, EROFS_LAYOUT_PLAIN);
	assert_int_equal(inode.nid, alias.nid);
	inode = find(state, "/");
	assert_int_equal(inode.mode, S_IFDIR | 0755);
	/* ".", ".." of itself, and of dev, etc, many, usr */
	assert_int_equal(inode.nlink, 6);
}

static void test_devices_come_back(void **state)
{
	uint32_t major, minor;
	struct erofs_inode inode = find(state, "dev/null");

	assert_int_equal(inode.mode, S_IFCHR | 0666);
	erofs_rdev(&inode, &major, &minor);
	assert_int_equal(major, 1);
	assert_int_equal(minor, 3);
	inode = find(state, "dev/disk");
	assert_int_equal(inode.mode, S_IFBLK | 0660);
	erofs_rdev(&inode, &major, &minor);
	assert_int_equal(major, 0xabc);
	assert_int_equal(minor, 0x54321);
	assert_int_equal(find(state, "dev/pipe").mode, S_IFIFO | 0600);
	assert_int_equal(find(state, "dev/socket").mode, S_IFSOCK | 0755);
}

static void test_contents_come_back(void **state)
{
	static const struct {
		const char *path;
		uint64_t bytes;
		uint8_t layout;
	} files[] = {
	    {"usr/bin/program", 20000, EROFS_LAYOUT_PLAIN}, {"etc/empty", 0, EROFS_LAYOUT_PLAIN},
	    {"etc/block", 4096, EROFS_LAYOUT_PLAIN},        {"etc/inline", 2048, EROFS_LAYOUT_INLINE},
	    {"etc/not-inline", 2049, EROFS_LAYOUT_PLAIN},   {"etc/attributes", 100, EROFS_LAYOUT_INLINE},
	};
	static uint8_t expected[20000], data[20001];

	sample_fill(expected, sizeof(expected), 1);
	for (unsigned i = 0; i < countof(files); i++) {
		struct erofs_inode inode = find(state, files[i].path);
		assert_int_equal(inode.size, files[i].bytes);
		assert_int_equal(inode.layout, files[i].layout);
		assert_int_equal(erofs_read(fs_of(state), &inode, 0, data, sizeof(data)), files[i].bytes);
		assert_memory_equal(data, expected, files[i].bytes);
		/* From the middle; at and beyond the end. */
		assert_int_equal(erofs_read(fs_of(state), &inode, files[i].bytes / 3, data, 50),
				 min_u64(50, files[i].bytes - files[i].bytes / 3));
		assert_memory_equal(data, expected + files[i].bytes / 3,
				    min_u64(50, files[i].bytes - files[i].bytes / 3));
		assert_int_equal(erofs_read(fs_of(state), &inode, files[i].bytes, data, 1), 0);
		assert_int_equal(erofs_read(fs_of(state), &inode, UINT64_MAX, data, 1), 0);
	}
}

static void test_mapped_files_are_whole_blocks(void **state)
{
	struct erofs_inode inode = find(state, "usr/bin/program");
	struct erofs_extent extent;

	assert_int_equal(erofs_extent(fs_of(state), &inode, 0, &extent), 0);
	assert_false(extent.hole);
	assert_int_equal(extent.offset % EROFS_BLOCK, 0);
	assert_int_equal(extent.bytes, 20000);
	/* A mapping of the last page shows zeros behind the file's end. */
	for (uint64_t at = 20000; at < 20480; at++)
		assert_int_equal(fs_of(state)->base[extent.offset + at], 0);
	assert_int_equal(erofs_extent(fs_of(state), &inode, 20000, &extent), -EINVAL);
}

static void test_holes_come_back(void **state)
{
	struct erofs_inode inode = find(state, "sparse");
	uint8_t expected[5000], *data = calloc(1, 505000);
	struct erofs_extent extent;
	uint64_t holes = 0;

	assert_int_equal(inode.size, 505000);
	assert_int_equal(inode.layout, EROFS_LAYOUT_CHUNKED);
	assert_int_equal(erofs_read(fs_of(state), &inode, 0, data, 505000), 505000);
	sample_fill(expected, sizeof(expected), 3);
	for (uint64_t i = 0; i < 505000; i++)
		assert_int_equal(data[i], i >= 200000 && i < 205000 ? expected[i - 200000] : 0);
	for (uint64_t at = 0; at < inode.size; at += extent.bytes) {
		assert_int_equal(erofs_extent(fs_of(state), &inode, at, &extent), 0);
		holes += extent.hole ? extent.bytes : 0;
	}
	/* All but the 64 KiB with the data. */
	assert_int_equal(holes, 505000 - 65536);
	free(data);
}

static void test_xattrs_come_back(void **state)
{
	static uint8_t expected[20000];
	struct erofs_inode inode = find(state, "etc/attributes");
	struct erofs_xattr xattr;
	uint32_t position = 0;

	sample_fill(expected, sizeof(expected), 1);
	assert_int_equal(erofs_xattr(fs_of(state), &inode, &position, &xattr), 1);
	assert_string_equal(xattr.name, "system.posix_acl_access");
	assert_int_equal(xattr.value_bytes, 28);
	assert_int_equal(erofs_xattr(fs_of(state), &inode, &position, &xattr), 1);
	assert_string_equal(xattr.name, "trusted.overlay.x");
	assert_memory_equal(xattr.value, "y", 1);
	assert_int_equal(erofs_xattr(fs_of(state), &inode, &position, &xattr), 1);
	assert_string_equal(xattr.name, "user.large");
	assert_int_equal(xattr.value_bytes, 9000);
	assert_memory_equal(xattr.value, expected, 9000);
	assert_int_equal(erofs_xattr(fs_of(state), &inode, &position, &xattr), 0);
	inode = find(state, "etc/small");
	position = 0;
	assert_int_equal(erofs_xattr(fs_of(state), &inode, &position, &xattr), 0);
}

static void test_directories_are_listed_in_order(void **state)
{
	struct erofs_inode dir = find(state, "many");
	struct erofs_entry entry;
	char before[256] = "", name[256];
	uint64_t position = 0, nid;
	unsigned count = 0;
	uint8_t type;

	assert_true(dir.size > EROFS_BLOCK);
	while (erofs_list(fs_of(state), &dir, &position, &entry) == 1) {
		memcpy(name, entry.name, entry.length);
		name[entry.length] = '\0';
		assert_true(strcmp(before, name) < 0);
		strcpy(before, name);
		assert_int_equal(erofs_lookup(fs_of(state), &dir, name, entry.length, &nid, &type), 0);
		assert_int_equal(nid, entry.nid);
		assert_int_equal(type, entry.type);
		count++;
	}
	assert_int_equal(count, 402);
	assert_int_equal(erofs_lookup(fs_of(state), &dir, "", 0, &nid, NULL), -ENOENT);
	assert_int_equal(erofs_lookup(fs_of(state), &dir, "zzz", 3, &nid, NULL), -ENOENT);
	assert_int_equal(erofs_lookup(fs_of(state), &dir, "..", 2, &nid, NULL), 0);
	assert_int_equal(nid, fs_of(state)->root_nid);
	dir = find(state, "etc/small");
	assert_int_equal(erofs_lookup(fs_of(state), &dir, "x", 1, &nid, NULL), -ENOTDIR);
	position = 0;
	assert_int_equal(erofs_list(fs_of(state), &dir, &position, &entry), -ENOTDIR);
}

static void test_paths(void **state)
{
	struct erofs_inode inode;
	struct erofs *fs = fs_of(state);
	char name[300], path[5000];

	assert_int_equal(erofs_walk(fs, "/bin/program", false, &inode), 0);
	assert_int_equal(inode.size, 20000);
	assert_int_equal(erofs_walk(fs, "//etc/../usr/./bin/..//../../bin/program", false, &inode), 0);
	assert_int_equal(inode.size, 20000);
	assert_int_equal(erofs_walk(fs, "bin", false, &inode), 0);
	assert_true(S_ISLNK(inode.mode));
	assert_int_equal(erofs_walk(fs, "bin", true, &inode), 0);
	assert_true(S_ISDIR(inode.mode));
	assert_int_equal(erofs_walk(fs, "bin/", false, &inode), 0);
	assert_true(S_ISDIR(inode.mode));
	assert_int_equal(erofs_walk(fs, "etc/small/", false, &inode), -ENOTDIR);
	assert_int_equal(erofs_walk(fs, "etc/small/x", false, &inode), -ENOTDIR);
	assert_int_equal(erofs_walk(fs, "etc/none/x", false, &inode), -ENOENT);
	/* A name of 3000 bytes. */
	assert_int_equal(erofs_walk(fs, "long-link", true, &inode), -ENAMETOOLONG);
	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	assert_int_equal(erofs_walk(fs, name, false, &inode), 0);
	name[255] = 'n';
	name[256] = '\0';
	assert_int_equal(erofs_walk(fs, name, false, &inode), -ENAMETOOLONG);
	memset(path, '/', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(erofs_walk(fs, path, false, &inode), -ENAMETOOLONG);
}

static void test_link_loops_end(void **state)
{
	const struct image_limits limits = IMAGE_LIMITS_DEFAULT;
	struct tree *tree = tree_new();
	struct image_writer *writer;
	struct image_digest digest;
	struct image_file image;
	struct erofs_inode inode;
	struct err err;
	int fd = sample_file();
	(void)state;

	assert_int_equal(image_writer_open(&writer, fd, &limits, &err), 0);
	assert_int_equal(tree_set_target(sample_add(tree, "a", S_IFLNK | 0777)->inode, "b", 1), 0);
	assert_int_equal(tree_set_target(sample_add(tree, "b", S_IFLNK | 0777)->inode, "/a/x", 4), 0);
	assert_int_equal(image_writer_finish(writer, tree, "{}", &digest, &err), 0);
	image_writer_close(writer);
	tree_free(tree);
	assert_int_equal(image_file_open(&image, fd, NULL, &err), 0);
	assert_int_equal(erofs_walk(&image.erofs, "a", true, &inode), -ELOOP);
	image_file_close(&image);
}

static void test_the_exercise_finds_no_fault(void **state) { assert_int_equal(erofs_exercise(fs_of(state), 500), 4); }

/* ---- hostile ---- */

/* A copy of the file system, unprotected, in a heap block of its size. */
static uint8_t *copy_of(void **state, struct erofs *fs)
{
	uint8_t *copy = malloc(fs_of(state)->bytes);

	memcpy(copy, fs_of(state)->base, fs_of(state)->bytes);
	assert_int_equal(erofs_open(fs, copy, fs_of(state)->bytes, NULL, NULL), 0);
	return copy;
}

static void test_superblocks_that_are_refused(void **state)
{
	uint64_t bytes = fs_of(state)->bytes;
	struct erofs fs;
	uint8_t *copy = copy_of(state, &fs);
	struct erofs_disk_super *super = (void *)(copy + EROFS_SUPER_OFFSET), good = *super;

	assert_int_equal(erofs_open(&fs, copy, EROFS_SUPER_OFFSET + 127, NULL, NULL), -EUCLEAN);
	assert_int_equal(erofs_open(&fs, copy, 0, NULL, NULL), -EUCLEAN);
	assert_int_equal(erofs_open(&fs, copy, bytes - 1, NULL, NULL), -EUCLEAN);
#define REFUSED(change)                                                                                                \
	do {                                                                                                           \
		*super = good;                                                                                         \
		super->change;                                                                                         \
		assert_int_equal(erofs_open(&fs, copy, bytes, NULL, NULL), -EUCLEAN);                                  \
	} while (0)
	REFUSED(magic ^= 1);
	REFUSED(block_bits = 9);
	REFUSED(dir_block_bits = 1);
	REFUSED(feature_incompat |= 1);
	REFUSED(extra_devices = 1);
	REFUSED(blocks = 0);
	REFUSED(blocks += 1);
	REFUSED(blocks = UINT32_MAX);
	REFUSED(build_time_ns = 1000000000);
	free(copy);
}

static void test_inodes_that_are_refused(void **state)
{
	struct erofs fs;
	uint8_t *copy = copy_of(state, &fs);
	struct erofs_inode inode, program = find(state, "usr/bin/program"), sparse = find(state, "sparse"),
				  bin = find(state, "bin");

	assert_int_equal(erofs_inode(&fs, UINT64_MAX, &inode), -EUCLEAN);
	assert_int_equal(erofs_inode(&fs, fs.bytes / EROFS_NID_BYTES, &inode), -EUCLEAN);
	assert_int_equal(erofs_inode(&fs, (fs.bytes - fs.meta_offset) / EROFS_NID_BYTES - 1, &inode), -EUCLEAN);
#define INODE_REFUSED(which, change)                                                                                   \
	do {                                                                                                           \
		struct erofs_disk_inode_extended *disk = (void *)(copy + which.offset), good = *disk;                  \
		disk->change;                                                                                          \
		assert_int_equal(erofs_inode(&fs, which.nid, &inode), -EUCLEAN);                                       \
		*disk = good;                                                                                          \
		assert_int_equal(erofs_inode(&fs, which.nid, &inode), 0);                                              \
	} while (0)
	INODE_REFUSED(program, format |= 0x10);
	INODE_REFUSED(program, format = 1 | 1 << 1);
	INODE_REFUSED(program, format = 1 | 5 << 1);
	INODE_REFUSED(program, xattr_count = UINT16_MAX);
	INODE_REFUSED(program, mode = 0644);
	INODE_REFUSED(program, size = UINT64_MAX);
	INODE_REFUSED(program, size = INT64_MAX);
	INODE_REFUSED(program, u = UINT32_MAX);
	INODE_REFUSED(program, u = (uint32_t)(fs.bytes / EROFS_BLOCK) - 4);
	INODE_REFUSED(program, mtime_ns = 1000000000);
	INODE_REFUSED(sparse, u |= 0x40);
	INODE_REFUSED(sparse, u = 0x80000000);
	INODE_REFUSED(sparse, size = 1ull << 40);
	INODE_REFUSED(sparse, size = INT64_MAX);
	INODE_REFUSED(bin, size = 0);
	INODE_REFUSED(bin, size = 4096);
	/* An inline tail must not leave its block. */
	INODE_REFUSED(bin, size = 4090);
	free(copy);
}

static void test_chunks_beyond_the_end_are_refused(void **state)
{
	struct erofs_inode sparse = find(state, "sparse");
	struct erofs_extent extent;
	struct erofs fs;
	uint8_t *copy = copy_of(state, &fs), byte;
	uint32_t *list = (void *)(copy + sparse.offset + 64);

	list[0] = (uint32_t)(fs.bytes / EROFS_BLOCK);
	assert_int_equal(erofs_extent(&fs, &sparse, 0, &extent), -EUCLEAN);
	list[0] = (uint32_t)(fs.bytes / EROFS_BLOCK) - 1;
	assert_int_equal(erofs_extent(&fs, &sparse, 0, &extent), -EUCLEAN);
	assert_int_equal(erofs_read(&fs, &sparse, 0, &byte, 1), -EUCLEAN);
	free(copy);
}

static void test_directories_that_are_refused(void **state)
{
	struct erofs_inode dir = find(state, "etc");
	struct erofs_extent extent;
	struct erofs_entry entry;
	struct erofs fs;
	uint8_t *copy = copy_of(state, &fs);
	uint64_t nid;

	assert_int_equal(erofs_extent(&fs, &dir, 0, &extent), 0);
	struct erofs_disk_dirent *first = (void *)(copy + extent.offset);
	static const uint16_t offsets[] = {0, 1, 11, 12, 13, 24, 4095, 4096, UINT16_MAX};
	uint16_t good = first->name_offset;
	for (unsigned i = 0; i < countof(offsets); i++) {
		uint64_t position = 0;
		int r = 1;
		first->name_offset = offsets[i];
		while (r == 1)
			r = erofs_list(&fs, &dir, &position, &entry);
		/* Other bytes could make a name, too. */
		assert_true(r == -EUCLEAN || (r == 0 && (offsets[i] == 12 || offsets[i] == 24)));
		r = erofs_lookup(&fs, &dir, "small", 5, &nid, NULL);
		assert_true(r == -EUCLEAN || r == -ENOENT);
	}
	first->name_offset = good;
	char *name = (char *)copy + extent.offset + good;
	name[0] = '/';
	uint64_t position = 0;
	assert_int_equal(erofs_list(&fs, &dir, &position, &entry), -EUCLEAN);
	name[0] = '\0';
	position = 0;
	assert_int_equal(erofs_list(&fs, &dir, &position, &entry), -EUCLEAN);
	free(copy);
}

static void test_xattrs_that_are_refused(void **state)
{
	struct erofs_inode inode = find(state, "etc/attributes");
	struct erofs_xattr xattr;
	struct erofs fs;
	uint8_t *copy = copy_of(state, &fs);
	struct erofs_disk_xattr_header *header = (void *)(copy + inode.offset + 64);
	struct erofs_disk_xattr *first = (void *)(header + 1), good = *first;
	uint32_t position = 0;

	header->shared_count = 255;
	assert_int_equal(erofs_xattr(&fs, &inode, &position, &xattr), -EUCLEAN);
	header->shared_count = 0;
	first->name_index = 5;
	assert_int_equal(erofs_xattr(&fs, &inode, &position, &xattr), -EUCLEAN);
	first->name_index = 0x81;
	assert_int_equal(erofs_xattr(&fs, &inode, &position, &xattr), -EUCLEAN);
	*first = good;
	first->value_bytes = UINT16_MAX;
	assert_int_equal(erofs_xattr(&fs, &inode, &position, &xattr), -EUCLEAN);
	free(copy);
}

static int refuse(void *context, uint64_t offset, uint64_t bytes)
{
	struct erofs_extent *bad = context;

	return offset < bad->offset + bad->bytes && offset + bytes > bad->offset ? -EIO : 0;
}

static void test_nothing_is_used_that_check_refuses(void **state)
{
	struct erofs_inode inode, program = find(state, "usr/bin/program");
	struct erofs_extent bad = {.offset = EROFS_SUPER_OFFSET, .bytes = 1};
	struct erofs fs;
	uint8_t byte;
	uint64_t bytes = fs_of(state)->bytes;

	assert_int_equal(erofs_open(&fs, fs_of(state)->base, bytes, refuse, &bad), -EIO);
	bad.bytes = 0;
	assert_int_equal(erofs_open(&fs, fs_of(state)->base, bytes, refuse, &bad), 0);
	bad = (struct erofs_extent){.offset = program.offset, .bytes = 1};
	assert_int_equal(erofs_walk(&fs, "usr/bin/program", false, &inode), -EIO);
	bad = (struct erofs_extent){.offset = (uint64_t)program.u * EROFS_BLOCK + 4096, .bytes = 1};
	assert_int_equal(erofs_walk(&fs, "usr/bin/program", false, &inode), 0);
	assert_int_equal(erofs_read(&fs, &inode, 0, &byte, 1), 1);
	assert_int_equal(erofs_read(&fs, &inode, 4096, &byte, 1), -EIO);
	assert_int_equal(erofs_verify(&fs, bytes, 1), -EUCLEAN);
	assert_int_equal(erofs_verify(&fs, 1, UINT64_MAX), -EUCLEAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_attributes_come_back),
	    cmocka_unit_test(test_devices_come_back),
	    cmocka_unit_test(test_contents_come_back),
	    cmocka_unit_test(test_mapped_files_are_whole_blocks),
	    cmocka_unit_test(test_holes_come_back),
	    cmocka_unit_test(test_xattrs_come_back),
	    cmocka_unit_test(test_directories_are_listed_in_order),
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_link_loops_end),
	    cmocka_unit_test(test_the_exercise_finds_no_fault),
	    cmocka_unit_test(test_superblocks_that_are_refused),
	    cmocka_unit_test(test_inodes_that_are_refused),
	    cmocka_unit_test(test_chunks_beyond_the_end_are_refused),
	    cmocka_unit_test(test_directories_that_are_refused),
	    cmocka_unit_test(test_xattrs_that_are_refused),
	    cmocka_unit_test(test_nothing_is_used_that_check_refuses),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
