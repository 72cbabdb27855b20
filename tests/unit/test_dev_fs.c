/* SPDX-License-Identifier: Apache-2.0 */
/* The file-system device: what a well-behaved guest asks, configurations, several exports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/dev_fs_fixture.h"

static void init_negotiates(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_init_in in = {.major = 7, .minor = 38, .max_readahead = 65536, .flags = ~0u};
	assert_int_equal(mock_fuse_call(f, FUSE_INIT, 0, &in, sizeof(in)), 0);
	struct fuse_init_out *out = mock_payload(f);
	assert_int_equal(out->major, 7);
	assert_int_equal(out->minor, 38);
	assert_true(out->flags & FUSE_BIG_WRITES);
	assert_false(out->flags & (FUSE_EXPORT_SUPPORT | FUSE_POSIX_LOCKS | FUSE_MAP_ALIGNMENT));
	assert_int_equal(out->max_write, out->max_pages * 4096);
	/* A newer major: our version, and another try. */
	in.major = 8;
	assert_int_equal(mock_fuse_call(f, FUSE_INIT, 0, &in, sizeof(in)), 0);
	assert_int_equal(((struct fuse_init_out *)mock_payload(f))->major, 7);
	in.major = 6;
	assert_int_equal(mock_fuse_call(f, FUSE_INIT, 0, &in, sizeof(in)), -EPROTO);
	/* The short form of older drivers. */
	in.major = 7;
	assert_int_equal(mock_fuse_call(f, FUSE_INIT, 0, &in, 16), 0);
	/* A new INIT forgets what the last session knew. */
	uint64_t node = mock_node(f, "file");
	assert_int_not_equal(node, 0);
	assert_int_equal(mock_fuse_call(f, FUSE_INIT, 0, &in, sizeof(in)), 0);
	struct fuse_getattr_in attr = {0};
	assert_int_equal(mock_fuse_call(f, FUSE_GETATTR, node, &attr, sizeof(attr)), -ESTALE);
}

static void before_init_nothing_is_served(void **state)
{
	struct mock_fuse *f = *state;
	struct fs_config config = {.tag = "t", .export_count = 1, .nodes_max = 16};
	config.exports[0].root_fd = open(f->directory, O_PATH);
	mock_guest_fini(&f->g);
	assert_int_equal(mock_fuse_new(f, &config), 0);
	assert_int_equal(mock_lookup(f, 1, "file", NULL), -EIO);
	struct fuse_init_in in = {.major = 7, .minor = 38};
	assert_int_equal(mock_fuse_call(f, FUSE_INIT, 0, &in, sizeof(in)), 0);
	assert_int_equal(mock_lookup(f, 1, "file", NULL), 0);
	assert_int_equal(mock_fuse_call(f, FUSE_DESTROY, 0, NULL, 0), 0);
	assert_int_equal(mock_lookup(f, 1, "file", NULL), -EIO);
}

static void lookup_describes_files(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_entry_out entry, again;
	struct stat st;
	assert_int_equal(mock_lookup(f, 1, "file", &entry), 0);
	assert_int_equal(lstat(mock_path(f, "file"), &st), 0);
	assert_int_equal(entry.attr.ino, st.st_ino);
	assert_int_equal(entry.attr.size, 11);
	assert_int_equal(entry.attr.mode, S_IFREG | 0644);
	assert_int_equal(entry.attr.uid, st.st_uid);
	assert_int_equal(entry.attr.mtime, st.st_mtim.tv_sec);
	assert_int_equal(entry.attr.mtimensec, st.st_mtim.tv_nsec);
	assert_int_equal(entry.entry_valid, 3600);
	/* The same node again, from the cache. */
	assert_int_equal(mock_lookup(f, 1, "file", &again), 0);
	assert_int_equal(entry.nodeid, again.nodeid);
	assert_int_equal(entry.generation, again.generation);
	assert_int_equal(mock_lookup(f, 1, "missing", NULL), -ENOENT);
	assert_int_equal(mock_lookup(f, entry.nodeid, "x", NULL), -ENOTDIR);
	assert_int_equal(mock_lookup(f, 77, "x", NULL), -ESTALE);
	assert_int_equal(mock_lookup(f, 0, "x", NULL), -ESTALE);
	/* Symbolic links are text. */
	assert_int_equal(mock_lookup(f, 1, "link", &entry), 0);
	assert_true(S_ISLNK(entry.attr.mode));
	assert_int_equal(mock_fuse_call(f, FUSE_READLINK, entry.nodeid, NULL, 0), 0);
	assert_int_equal(f->reply_bytes, 7);
	assert_memory_equal(mock_payload(f), "dir/sub", 7);
	assert_int_equal(mock_lookup(f, entry.nodeid, "deep", NULL), -ENOTDIR);
	assert_int_equal(mock_fuse_call(f, FUSE_READLINK, 1, NULL, 0), -EINVAL);
}

static void a_number_used_again_is_another_file(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_entry_out first, entry;
	struct stat st;
	/* No descriptor holds a file of a read-only export: its inode number may come back. */
	assert_int_equal(mock_lookup(f, 1, "file", &first), 0);
	assert_int_equal(unlink(mock_path(f, "file")), 0);
	bool again = false;
	for (unsigned i = 0; i < 100 && !again; i++) {
		mock_file(f, "next", "another", 0644);
		assert_int_equal(stat(mock_path(f, "next"), &st), 0);
		again = st.st_ino == first.attr.ino;
		if (!again)
			assert_int_equal(unlink(mock_path(f, "next")), 0);
	}
	if (!again)
		skip();
	assert_int_equal(mock_lookup(f, 1, "next", &entry), 0);
	assert_int_not_equal(entry.nodeid, first.nodeid);
	uint64_t handle;
	struct fuse_getattr_in attr = {0};
	assert_int_equal(mock_open(f, first.nodeid, O_RDONLY, &handle), -ESTALE);
	assert_int_equal(mock_fuse_call(f, FUSE_GETATTR, first.nodeid, &attr, sizeof(attr)), -ESTALE);
	assert_string_equal(mock_guest_content(f, "next"), "another");
}

static void a_replaced_file_is_found_anew(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t old = mock_node(f, "file");
	mock_file(f, "other", "other text", 0644);
	assert_int_equal(rename(mock_path(f, "other"), mock_path(f, "file")), 0);
	struct fuse_getattr_in attr = {0};
	assert_int_equal(mock_fuse_call(f, FUSE_GETATTR, old, &attr, sizeof(attr)), -ESTALE);
	assert_string_equal(mock_guest_content(f, "file"), "other text");
	/* A link that becomes a file, and the other way round. */
	uint64_t link_node = mock_node(f, "link");
	assert_int_equal(rename(mock_path(f, "link"), mock_path(f, "l")), 0);
	mock_symlink(f, "link", "elsewhere");
	assert_int_not_equal(mock_node(f, "link"), link_node);
	struct fuse_access_in access_in = {.mask = R_OK};
	assert_int_equal(mock_fuse_call(f, FUSE_ACCESS, mock_node(f, "file"), &access_in, sizeof(access_in)), 0);
	assert_int_equal(mock_fuse_call(f, FUSE_STATFS, mock_node(f, "file"), NULL, 0), 0);
}

static void two_names_are_one_node(void **state)
{
	struct mock_fuse *f = *state;
	assert_int_equal(link(mock_path(f, "file"), mock_path(f, "dir/other")), 0);
	uint64_t a = mock_node(f, "file"), b = mock_node(f, "dir/other");
	assert_int_equal(a, b);
	assert_string_equal(mock_guest_content(f, "file"), "hello world");
}

static void forgotten_nodes_are_freed(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t node = mock_node(f, "file");
	mock_node(f, "file");
	struct fuse_getattr_in in = {0};
	mock_forget(f, node, 1);
	assert_int_equal(mock_fuse_call(f, FUSE_GETATTR, node, &in, sizeof(in)), 0);
	mock_forget(f, node, 1);
	assert_int_equal(mock_fuse_call(f, FUSE_GETATTR, node, &in, sizeof(in)), -ESTALE);
	mock_forget(f, node, UINT64_MAX); /* harmless */
	mock_forget(f, 1, UINT64_MAX);    /* roots stay */
	assert_int_equal(mock_fuse_call(f, FUSE_GETATTR, 1, &in, sizeof(in)), 0);

	/* A file keeps its directory alive; many at once. */
	uint64_t dir = mock_node(f, "dir"), sub = mock_node(f, "dir/sub"), deep = mock_node(f, "dir/sub/deep");
	struct {
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one[3];
	} batch = {{.count = 3}, {{dir, 100}, {sub, 100}, {9999, 1}}};
	assert_int_equal(mock_fuse_call(f, FUSE_BATCH_FORGET, 0, &batch, sizeof(batch)), 1);
	uint64_t handle;
	assert_int_equal(mock_open(f, deep, O_RDONLY, &handle), 0);
	assert_int_equal(mock_read(f, handle, 0, 100), 0);
	assert_int_equal(f->reply_bytes, 9);
	assert_int_equal(mock_release(f, handle, false), 0);
	assert_int_equal(mock_fuse_call(f, FUSE_GETATTR, dir, &in, sizeof(in)), -ESTALE);
}

static void walk_resolves_a_path_at_once(void **state)
{
	struct mock_fuse *f = *state;
	assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, "dir/sub/deep", NULL), 0);
	struct lampo_walk_out *walk = mock_payload(f);
	struct fuse_entry_out *entries = (void *)(walk + 1);
	assert_int_equal(f->reply_bytes, sizeof(*walk) + 3 * sizeof(*entries));
	assert_int_equal(walk->count, 3);
	assert_int_equal(walk->error, 0);
	assert_true(S_ISDIR(entries[1].attr.mode));
	assert_int_equal(entries[2].attr.size, 9);
	/* Each is one lookup. */
	uint64_t deep = entries[2].nodeid;
	mock_forget(f, deep, 1);
	struct fuse_getattr_in attr = {0};
	assert_int_equal(mock_fuse_call(f, FUSE_GETATTR, deep, &attr, sizeof(attr)), -ESTALE);

	const struct {
		const char *path;
		unsigned count;
		int error;
	} cases[] = {
	    {"dir/missing/x", 1, -ENOENT}, {"missing", 0, -ENOENT}, {"file/x", 1, -ENOTDIR},
	    {"link/deep", 1, -ELOOP},      {"link", 1, 0},          {"dir/sub", 2, 0},
	};
	for (unsigned i = 0; i < countof(cases); i++) {
		assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, cases[i].path, NULL), 0);
		assert_int_equal(walk->count, cases[i].count);
		assert_int_equal(walk->error, cases[i].error);
	}
	const char *bad[] = {"",      "/dir",        "dir/", "dir//sub", ".",
			     "dir/.", "dir/../file", "..",   "/",        "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
	for (unsigned i = 0; i < countof(bad); i++)
		assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, bad[i], NULL), -EINVAL);
	assert_int_equal(mock_fuse_call(f, LAMPO_FUSE_WALK, 1, "dir", 3), -EINVAL);
	/* No room for the entries: nothing is looked up. */
	f->reply_room = sizeof(struct fuse_out_header) + sizeof(*walk) + sizeof(*entries);
	assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, "dir/sub", NULL), -EINVAL);
	assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, "dir", NULL), 0);
}

static void reading_works_at_any_offset(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t handle;
	assert_int_equal(mock_open(f, mock_node(f, "file"), O_RDONLY, &handle), 0);
	assert_true(((struct fuse_open_out *)mock_payload(f))->open_flags & FOPEN_KEEP_CACHE);
	assert_int_equal(mock_read(f, handle, 6, 5), 0);
	assert_int_equal(f->reply_bytes, 5);
	assert_memory_equal(mock_payload(f), "world", 5);
	assert_int_equal(mock_read(f, handle, 6, 500), 0);
	assert_int_equal(f->reply_bytes, 5);
	assert_int_equal(mock_read(f, handle, 11, 500), 0);
	assert_int_equal(f->reply_bytes, 0);
	assert_int_equal(mock_read(f, handle, 1ull << 40, 500), 0);
	assert_int_equal(f->reply_bytes, 0);
	assert_int_equal(mock_read(f, handle, INT64_MAX, 500), -EINVAL);
	assert_int_equal(mock_read(f, handle, UINT64_MAX, 500), -EINVAL);
	/* No more than there is room for. */
	f->reply_room = 20;
	assert_int_equal(mock_read(f, handle, 0, UINT32_MAX), 0);
	assert_int_equal(f->reply_bytes, 4);
	f->reply_room = 16;
	assert_int_equal(mock_read(f, handle, 0, 100), 0);
	assert_int_equal(f->reply_bytes, 0);
	f->reply_room = FUSE_ROOM;
	assert_int_equal(mock_release(f, handle, false), 0);
	assert_int_equal(mock_read(f, handle, 0, 1), -EBADF);
	assert_int_equal(mock_release(f, handle, false), -EBADF);
}

static void a_large_read_fills_many_segments(void **state)
{
	struct mock_fuse *f = *state;
	static char data[200000];
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (char)(i % 251);
	int fd = open(mock_path(f, "large"), O_CREAT | O_WRONLY, 0644);
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	close(fd);
	struct fuse_read_in in = {.size = sizeof(data)};
	assert_int_equal(mock_open(f, mock_node(f, "large"), O_RDONLY, &in.fh), 0);
	/* The header apart from the data, and the data in uneven pieces. */
	struct fuse_in_header header = {.len = sizeof(header) + sizeof(in), .opcode = FUSE_READ, .nodeid = 1};
	memcpy(mock_at(&f->g, f->request), &header, sizeof(header));
	memcpy((char *)mock_at(&f->g, f->request) + sizeof(header), &in, sizeof(in));
	uint64_t pieces = mock_alloc(&f->g, 300000);
	const struct mock_segment segments[] = {
	    {f->request, 40, false},
	    {f->request + 40, 40, false},
	    {f->reply, 7, true},
	    {f->reply + 7, 9, true},
	    {pieces, 1, true},
	    {pieces + 1, 99999, true},
	    {pieces + 100000, 150000, true},
	};
	mock_submit(&f->g, FUSE_QUEUE, segments, countof(segments));
	virtio_device_notify(f->g.device, FUSE_QUEUE);
	uint32_t head, used;
	assert_true(mock_take(&f->g, FUSE_QUEUE, &head, &used));
	assert_int_equal(used, 16 + sizeof(data));
	assert_memory_equal(mock_at(&f->g, pieces), data, sizeof(data));
}

static void directories_are_listed(void **state)
{
	struct mock_fuse *f = *state;
	assert_string_equal(mock_list(f, 1, 4096, false), "absolute dir file link ");
	assert_string_equal(mock_list(f, 1, 4096, true), "absolute dir file link ");
	for (unsigned i = 0; i < 300; i++) {
		char name[64];
		snprintf(name, sizeof(name), "dir/entry-with-a-longer-name-%03u", i);
		mock_file(f, name, "", 0644);
	}
	/* The same whatever the size of the reads. */
	uint64_t dir = mock_node(f, "dir");
	char *all = strdup(mock_list(f, dir, 65536, false));
	assert_int_equal(strlen(all), 4 + 300 * 29);
	const uint32_t sizes[] = {200, 333, 1000, 4096, 10000};
	for (unsigned i = 0; i < countof(sizes); i++) {
		assert_string_equal(mock_list(f, dir, sizes[i], false), all);
		assert_string_equal(mock_list(f, dir, sizes[i], true), all);
	}
	/* Only the last reply leaves LAMPO_LIST_ROOM of what was asked for. */
	const uint32_t full[] = {1000, 4096, 8192, 32768};
	for (unsigned i = 0; i < countof(full); i++) {
		struct fuse_read_in in = {.fh = LAMPO_FH_NODE, .size = full[i]};
		unsigned short_replies = 0;
		do {
			assert_int_equal(mock_fuse_call(f, FUSE_READDIR, dir, &in, sizeof(in)), 0);
			assert_int_equal(short_replies, 0);
			short_replies += f->reply_bytes + LAMPO_LIST_ROOM <= full[i];
			for (uint32_t at = 0; at < f->reply_bytes;) {
				const struct fuse_dirent *d = (void *)((char *)mock_payload(f) + at);
				in.offset = d->off;
				at += (uint32_t)FUSE_DIRENT_SIZE(d);
			}
		} while (short_replies == 0 && f->reply_bytes > 0);
		assert_int_equal(mock_fuse_call(f, FUSE_READDIR, dir, &in, sizeof(in)), 0);
		assert_int_equal(f->reply_bytes, 0);
	}
	free(all);
	uint64_t handle;
	assert_int_equal(mock_open(f, mock_node(f, "file"), O_RDONLY | O_DIRECTORY, &handle), -ENOTDIR);
	assert_int_equal(mock_open(f, dir, O_RDONLY, &handle), -EISDIR);
	/* Handles of files and directories are not mixed up. */
	assert_int_equal(mock_open(f, dir, O_RDONLY | O_DIRECTORY, &handle), 0);
	assert_int_equal(mock_read(f, handle, 0, 10), -EISDIR);
	assert_int_equal(mock_release(f, handle, false), -EBADF);
	assert_int_equal(mock_release(f, handle, true), 0);
}

static void a_read_only_export_changes_nothing(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t file = mock_node(f, "file"), handle;
	struct fuse_setattr_in set = {.valid = FATTR_MODE, .mode = 0777};
	struct fuse_mknod_in node = {.mode = S_IFREG | 0644};
	struct fuse_mkdir_in dir = {.mode = 0755};
	struct fuse_create_in create = {.flags = O_WRONLY, .mode = 0644};
	struct fuse_rename_in rename_in = {.newdir = 1};
	struct fuse_rename2_in rename2 = {.newdir = 1};
	struct fuse_link_in link_in = {.oldnodeid = file};
	struct fuse_setxattr_in xattr = {.size = 1};
	assert_int_equal(mock_open(f, file, O_WRONLY, &handle), -EROFS);
	assert_int_equal(mock_open(f, file, O_RDWR, &handle), -EROFS);
	assert_int_equal(mock_open(f, file, O_RDONLY | O_TRUNC, &handle), -EROFS);
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, file, &set, sizeof(set)), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_MKNOD, 1, &node, sizeof(node), "new", NULL), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, 1, &dir, sizeof(dir), "new", NULL), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_CREATE, 1, &create, sizeof(create), "new", NULL), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_SYMLINK, 1, NULL, 0, "new", "target"), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_LINK, 1, &link_in, sizeof(link_in), "new", NULL), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, 1, NULL, 0, "file", NULL), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_RMDIR, 1, NULL, 0, "dir", NULL), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME, 1, &rename_in, sizeof(rename_in), "file", "new"), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME2, 1, &rename2, sizeof(rename2), "file", "new"), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_SETXATTR, file, &xattr, 8, "user.x", "v"), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_REMOVEXATTR, file, NULL, 0, "user.x", NULL), -EROFS);
	assert_int_equal(mock_open(f, file, O_RDONLY, &handle), 0);
	assert_int_equal(mock_write(f, handle, 0, "x", 0), -EBADF);
	struct fuse_write_in write_in = {.fh = LAMPO_FH_NODE};
	assert_int_equal(mock_fuse_call(f, FUSE_WRITE, file, &write_in, sizeof(write_in)), -EROFS);
	struct fuse_fallocate_in allocate = {.fh = handle, .length = 100};
	assert_int_equal(mock_fuse_call(f, FUSE_FALLOCATE, file, &allocate, sizeof(allocate)), -EBADF);
	struct fuse_access_in access_in = {.mask = W_OK};
	assert_int_equal(mock_fuse_call(f, FUSE_ACCESS, file, &access_in, sizeof(access_in)), -EROFS);
	assert_string_equal(mock_content(f, "file"), "hello world");
	assert_int_not_equal(access(mock_path(f, "new"), F_OK), 0);
}

static void other_operations_do_not_exist(void **state)
{
	struct mock_fuse *f = *state;
	char args[128] = "";
	const uint32_t codes[] = {FUSE_GETLK,
				  FUSE_SETLK,
				  FUSE_SETLKW,
				  FUSE_BMAP,
				  FUSE_IOCTL,
				  FUSE_POLL,
				  FUSE_SETUPMAPPING,
				  FUSE_REMOVEMAPPING,
				  FUSE_TMPFILE,
				  0,
				  7,
				  19,
				  52,
				  100,
				  4096,
				  0x4c56,
				  0x4c58,
				  UINT32_MAX};
	for (unsigned i = 0; i < countof(codes); i++)
		assert_int_equal(mock_fuse_call(f, codes[i], 1, args, sizeof(args)), -ENOSYS);
}

static void several_exports_stay_apart(void **state)
{
	struct mock_fuse *f = *state;
	struct fs_config config = {.tag = "t", .export_count = 3, .nodes_max = 64, .preset = true};
	config.exports[0] = (struct fs_export){.root_fd = open(f->directory, O_PATH), .read_only = true};
	config.exports[1] = (struct fs_export){.root_fd = open(mock_path(f, "dir"), O_PATH)};
	config.exports[2] = (struct fs_export){.root_fd = open(mock_path(f, "file"), O_PATH)};
	mock_guest_fini(&f->g);
	assert_int_equal(mock_fuse_new(f, &config), 0);
	/* The same directory through two exports: two nodes. */
	struct fuse_entry_out entry;
	uint64_t first = mock_node(f, "dir/sub");
	assert_int_equal(mock_lookup(f, 2, "sub", &entry), 0);
	assert_int_not_equal(entry.nodeid, first);
	struct fuse_mkdir_in dir = {.mode = 0755};
	assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, first, &dir, sizeof(dir), "x", NULL), -EROFS);
	assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, entry.nodeid, &dir, sizeof(dir), "x", NULL), 0);
	/* Nothing moves between them. */
	struct fuse_rename_in in = {.newdir = 1};
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME, 2, &in, sizeof(in), "sub", "new"), -EXDEV);
	struct fuse_link_in link_in = {.oldnodeid = mock_node(f, "file")};
	assert_int_equal(mock_fuse_names(f, FUSE_LINK, 2, &link_in, sizeof(link_in), "new", NULL), -EXDEV);
	/* An export of one file. */
	uint64_t handle;
	assert_int_equal(mock_lookup(f, 3, "x", NULL), -ENOTDIR);
	assert_int_equal(mock_open(f, 3, O_RDWR, &handle), 0);
	assert_int_equal(mock_write(f, handle, 0, "J", 0), 0);
	assert_int_equal(mock_release(f, handle, false), 0);
	assert_int_equal(mock_open(f, 3, O_RDONLY, &handle), 0);
	assert_int_equal(mock_read(f, handle, 0, 100), 0);
	assert_memory_equal(mock_payload(f), "Jello world", 11);
	struct fuse_setattr_in set = {.valid = FATTR_SIZE, .size = 5};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, 3, &set, sizeof(set)), 0);
	assert_string_equal(mock_content(f, "file"), "Jello");
}

static void bad_configurations_are_refused(void **state)
{
	struct mock_fuse *f = *state;
	struct virtio_device *device;
	const char *const bad[] = {"../etc", "/etc", "a/../b", "a/./b", "a//b"};
	struct fs_config config = {.tag = "t", .nodes_max = 64};
	assert_int_equal(fs_new(&device, &config, &f->g.memory, &f->g.host), -EINVAL);
	config.export_count = FS_EXPORTS_MAX + 1;
	assert_int_equal(fs_new(&device, &config, &f->g.memory, &f->g.host), -EINVAL);
	config.export_count = 1;
	config.nodes_max = 1;
	assert_int_equal(fs_new(&device, &config, &f->g.memory, &f->g.host), -EINVAL);
	config.nodes_max = 64;
	config.exports[0].root_fd = open(f->directory, O_PATH);
	for (unsigned i = 0; i < countof(bad); i++) {
		config.exports[0].visible = &bad[i];
		config.exports[0].visible_count = 1;
		assert_int_equal(fs_new(&device, &config, &f->g.memory, &f->g.host), -EINVAL);
	}
	config.exports[0].visible = NULL;
	/* The descriptor is still the caller's. */
	assert_true(fcntl(config.exports[0].root_fd, F_GETFD) >= 0);
	close(config.exports[0].root_fd);
	assert_int_equal(fs_new(&device, &config, &f->g.memory, &f->g.host), -EBADF);
}

static void overflow_ids_become_root(void **state)
{
	struct mock_fuse *f = *state;
	if (chown(mock_path(f, "file"), 65534, 65534) < 0)
		skip();
	struct fuse_entry_out entry;
	assert_int_equal(mock_lookup(f, 1, "file", &entry), 0);
	assert_int_equal(entry.attr.uid, 65534);
	struct fs_config config = {
	    .tag = "t", .export_count = 1, .nodes_max = 64, .preset = true, .overflow_to_root = true};
	config.exports[0].root_fd = open(f->directory, O_PATH);
	mock_guest_fini(&f->g);
	assert_int_equal(mock_fuse_new(f, &config), 0);
	assert_int_equal(mock_lookup(f, 1, "file", &entry), 0);
	assert_int_equal(entry.attr.uid, 0);
	assert_int_equal(entry.attr.gid, 0);
}

int main(void)
{
	umask(0);
	const struct CMUnitTest tests[] = {
	    RO(init_negotiates),
	    RO(before_init_nothing_is_served),
	    RO(lookup_describes_files),
	    RO(a_number_used_again_is_another_file),
	    RO(a_replaced_file_is_found_anew),
	    RO(two_names_are_one_node),
	    RO(forgotten_nodes_are_freed),
	    RO(walk_resolves_a_path_at_once),
	    RO(reading_works_at_any_offset),
	    RO(a_large_read_fills_many_segments),
	    RO(directories_are_listed),
	    RO(a_read_only_export_changes_nothing),
	    RW(other_operations_do_not_exist),
	    RW(several_exports_stay_apart),
	    RW(bad_configurations_are_refused),
	    RW(overflow_ids_become_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
