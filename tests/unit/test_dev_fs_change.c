/* SPDX-License-Identifier: Apache-2.0 */
/* The file-system device: what a well-behaved guest changes on a writable export. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/xattr.h>

#include "tests/unit/dev_fs_fixture.h"

static uint64_t create(struct mock_fuse *f, uint64_t parent, const char *name, uint32_t flags, uint32_t mode,
		       int *error)
{
	struct fuse_create_in in = {.flags = flags, .mode = mode};
	*error = mock_fuse_names(f, FUSE_CREATE, parent, &in, sizeof(in), name, NULL);
	if (*error != 0)
		return 0;
	return ((struct fuse_open_out *)((struct fuse_entry_out *)mock_payload(f) + 1))->fh;
}

static void files_are_made_written_and_read(void **state)
{
	struct mock_fuse *f = *state;
	int error;
	/* The mode forbids writing, but the one who makes the file may. */
	uint64_t handle = create(f, 1, "new", O_RDWR | O_EXCL, S_IFREG | 0444, &error);
	assert_int_equal(error, 0);
	struct fuse_entry_out entry;
	memcpy(&entry, mock_payload(f), sizeof(entry));
	assert_int_equal(entry.attr.mode, S_IFREG | 0444);
	assert_int_equal(entry.entry_valid, 1);
	assert_int_equal(mock_write(f, handle, 0, "0123456789", 0), 0);
	assert_int_equal(((struct fuse_write_out *)mock_payload(f))->size, 10);
	assert_int_equal(mock_write(f, handle, 4, "xx", 0), 0);
	/* Appending ignores the offset. */
	assert_int_equal(mock_write(f, handle, 0, "end", O_APPEND), 0);
	assert_string_equal(mock_content(f, "new"), "0123xx6789end");
	assert_int_equal(mock_read(f, handle, 3, 4), 0);
	assert_memory_equal(mock_payload(f), "3xx6", 4);
	assert_int_equal(mock_write(f, handle, UINT64_MAX, "x", 0), -EINVAL);
	assert_int_equal(mock_write(f, handle, 0, "", 0), 0);
	assert_int_equal(mock_release(f, handle, false), 0);

	create(f, 1, "new", O_RDWR | O_EXCL, S_IFREG | 0644, &error);
	assert_int_equal(error, -EEXIST);
	create(f, 1, "dir", O_RDWR, S_IFREG | 0644, &error);
	assert_int_equal(error, -EISDIR);
	create(f, 1, "link", O_RDWR, S_IFREG | 0644, &error);
	assert_int_equal(error, -ELOOP);
	handle = create(f, 1, "file", O_RDWR | O_TRUNC, S_IFREG | 0600, &error);
	assert_int_equal(error, 0);
	memcpy(&entry, mock_payload(f), sizeof(entry));
	assert_int_equal(entry.attr.size, 0);
	assert_int_equal(entry.attr.mode, S_IFREG | 0644);
	assert_string_equal(mock_content(f, "file"), "");
}

static void an_unlinked_file_lives_while_it_is_open(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t node = mock_node(f, "file"), handle, other;
	assert_int_equal(mock_open(f, node, O_RDWR, &handle), 0);
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, 1, NULL, 0, "file", NULL), 0);
	assert_int_equal(mock_read(f, handle, 0, 100), 0);
	assert_int_equal(f->reply_bytes, 11);
	assert_int_equal(mock_write(f, handle, 0, "HELLO", 0), 0);
	struct fuse_setattr_in set = {.valid = FATTR_SIZE | FATTR_FH, .fh = handle, .size = 5};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, node, &set, sizeof(set)), 0);
	assert_int_equal(((struct fuse_attr_out *)mock_payload(f))->attr.size, 5);
	assert_int_equal(((struct fuse_attr_out *)mock_payload(f))->attr.nlink, 0);
	assert_int_equal(mock_open(f, node, O_RDONLY, &other), -ESTALE);
	mock_forget(f, node, 1);
	assert_int_equal(mock_read(f, handle, 0, 100), 0);
	assert_int_equal(f->reply_bytes, 5);
	assert_int_equal(mock_release(f, handle, false), 0);
}

static void attributes_are_set(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t node = mock_node(f, "file");
	struct stat st;
	struct fuse_setattr_in set = {.valid = FATTR_MODE, .mode = S_IFREG | 06751};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, node, &set, sizeof(set)), 0);
	/* Set-user-id bits do not reach the host. */
	assert_int_equal(((struct fuse_attr_out *)mock_payload(f))->attr.mode, S_IFREG | 0751);
	set = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = 3};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, node, &set, sizeof(set)), 0);
	assert_string_equal(mock_content(f, "file"), "hel");
	set.size = UINT64_MAX;
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, node, &set, sizeof(set)), -EINVAL);
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, 1, &set, sizeof(set)), -EINVAL);
	set.size = 1;
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, 1, &set, sizeof(set)), -EISDIR);
	set = (struct fuse_setattr_in){
	    .valid = FATTR_ATIME | FATTR_MTIME, .atime = 1000, .atimensec = 5, .mtime = 2000, .mtimensec = 7};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, node, &set, sizeof(set)), 0);
	assert_int_equal(stat(mock_path(f, "file"), &st), 0);
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
	assert_int_equal(st.st_mtim.tv_nsec, 7);
	set.mtimensec = 1000000000;
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, node, &set, sizeof(set)), -EINVAL);
	set = (struct fuse_setattr_in){.valid = FATTR_MTIME | FATTR_MTIME_NOW};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, node, &set, sizeof(set)), 0);
	assert_int_equal(stat(mock_path(f, "file"), &st), 0);
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_true(st.st_mtim.tv_sec > 2000);
	/* A link itself, not what it leads to. */
	uint64_t link_node = mock_node(f, "link");
	set = (struct fuse_setattr_in){.valid = FATTR_MTIME, .mtime = 3000};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, link_node, &set, sizeof(set)), 0);
	assert_int_equal(lstat(mock_path(f, "link"), &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 3000);
	set = (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 0777};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, link_node, &set, sizeof(set)), -EOPNOTSUPP);
	set = (struct fuse_setattr_in){.valid = FATTR_UID | FATTR_GID, .uid = getuid(), .gid = getgid()};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, node, &set, sizeof(set)), 0);
}

static void names_are_made_and_removed(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_mkdir_in dir = {.mode = 0775, .umask = 022};
	struct fuse_mknod_in node = {.mode = S_IFREG | 0666, .umask = 027};
	struct stat st;
	assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, 1, &dir, sizeof(dir), "made", NULL), 0);
	assert_int_equal(((struct fuse_entry_out *)mock_payload(f))->attr.mode, S_IFDIR | 0755);
	assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, 1, &dir, sizeof(dir), "made", NULL), -EEXIST);
	uint64_t made = mock_node(f, "made");
	assert_int_equal(mock_fuse_names(f, FUSE_MKNOD, made, &node, sizeof(node), "f", NULL), 0);
	assert_int_equal(((struct fuse_entry_out *)mock_payload(f))->attr.mode, S_IFREG | 0640);
	node.mode = S_IFIFO | 0600;
	assert_int_equal(mock_fuse_names(f, FUSE_MKNOD, made, &node, sizeof(node), "fifo", NULL), 0);
	struct fuse_setattr_in set = {.valid = FATTR_MODE, .mode = 0644};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, mock_node(f, "made/fifo"), &set, sizeof(set)), 0);
	const uint32_t refused[] = {S_IFCHR, S_IFBLK, S_IFSOCK, S_IFDIR, S_IFLNK, S_IFMT};
	for (unsigned i = 0; i < countof(refused); i++) {
		node.mode = refused[i] | 0600;
		assert_int_equal(mock_fuse_names(f, FUSE_MKNOD, made, &node, sizeof(node), "device", NULL), -EPERM);
	}
	assert_int_equal(mock_fuse_names(f, FUSE_SYMLINK, made, NULL, 0, "s", "../../../etc/passwd"), 0);
	assert_int_equal(lstat(mock_path(f, "made/s"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(mock_fuse_names(f, FUSE_SYMLINK, made, NULL, 0, "s2", ""), -EINVAL);
	assert_string_equal(mock_list(f, made, 4096, true), "f fifo s ");

	struct fuse_link_in link_in = {.oldnodeid = mock_node(f, "made/f")};
	assert_int_equal(mock_fuse_names(f, FUSE_LINK, 1, &link_in, sizeof(link_in), "hard", NULL), 0);
	assert_int_equal(((struct fuse_entry_out *)mock_payload(f))->nodeid, link_in.oldnodeid);
	assert_int_equal(((struct fuse_entry_out *)mock_payload(f))->attr.nlink, 2);
	/* The other name goes; the file can still be opened by the one that stays. */
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, made, NULL, 0, "f", NULL), 0);
	uint64_t handle;
	assert_int_equal(mock_open(f, link_in.oldnodeid, O_RDWR, &handle), 0);
	link_in.oldnodeid = made;
	assert_int_equal(mock_fuse_names(f, FUSE_LINK, 1, &link_in, sizeof(link_in), "dirlink", NULL), -EPERM);

	assert_int_equal(mock_fuse_names(f, FUSE_RMDIR, 1, NULL, 0, "made", NULL), -ENOTEMPTY);
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, 1, NULL, 0, "made", NULL), -EISDIR);
	assert_int_equal(mock_fuse_names(f, FUSE_RMDIR, 1, NULL, 0, "hard", NULL), -ENOTDIR);
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, made, NULL, 0, "s", NULL), 0);
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, made, NULL, 0, "fifo", NULL), 0);
	assert_int_equal(mock_fuse_names(f, FUSE_RMDIR, 1, NULL, 0, "made", NULL), 0);
	assert_int_equal(access(mock_path(f, "made"), F_OK), -1);
}

static void renames_carry_their_nodes_along(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t dir = mock_node(f, "dir"), file = mock_node(f, "file"), deep = mock_node(f, "dir/sub/deep"), handle;
	struct fuse_rename_in in = {.newdir = dir};
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME, 1, &in, sizeof(in), "file", "moved"), 0);
	assert_int_equal(mock_node(f, "dir/moved"), file);
	assert_int_equal(mock_node(f, "file"), 0);
	assert_int_equal(mock_open(f, file, O_RDWR, &handle), 0);
	/* Over another: that one is gone. */
	mock_file(f, "victim", "v", 0644);
	uint64_t victim = mock_node(f, "victim");
	in.newdir = 1;
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME, dir, &in, sizeof(in), "moved", "victim"), 0);
	assert_int_equal(mock_node(f, "victim"), file);
	assert_int_equal(mock_open(f, victim, O_RDONLY, &handle), -ESTALE);
	assert_int_equal(mock_open(f, file, O_RDONLY, &handle), 0);
	/* A directory with what is in it. */
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME, 1, &in, sizeof(in), "dir", "renamed"), 0);
	assert_int_equal(mock_node(f, "renamed"), dir);
	assert_int_equal(mock_node(f, "renamed/sub/deep"), deep);
	assert_int_equal(mock_open(f, deep, O_RDONLY, &handle), 0);
	/* Into itself. */
	struct fuse_rename_in into = {.newdir = mock_node(f, "renamed/sub")};
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME, 1, &into, sizeof(into), "renamed", "x"), -EINVAL);

	struct fuse_rename2_in in2 = {.newdir = 1, .flags = RENAME_NOREPLACE};
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME2, 1, &in2, sizeof(in2), "victim", "renamed"), -EEXIST);
	in2.flags = RENAME_EXCHANGE;
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME2, 1, &in2, sizeof(in2), "victim", "renamed"), 0);
	assert_int_equal(mock_node(f, "victim"), dir);
	assert_int_equal(mock_node(f, "renamed"), file);
	assert_int_equal(mock_open(f, file, O_RDONLY, &handle), 0);
	in2.flags = RENAME_WHITEOUT;
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME2, 1, &in2, sizeof(in2), "victim", "y"), -EINVAL);
	in2.flags = RENAME_EXCHANGE | RENAME_NOREPLACE;
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME2, 1, &in2, sizeof(in2), "victim", "y"), -EINVAL);
	in2.newdir = 4000;
	in2.flags = 0;
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME2, 1, &in2, sizeof(in2), "victim", "y"), -ESTALE);
}

static void changes_of_the_host_are_seen(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t old = mock_node(f, "file"), handle;
	mock_file(f, "other", "other text", 0644);
	assert_int_equal(rename(mock_path(f, "other"), mock_path(f, "file")), 0);
	/* Opened by a node that is another file by now. */
	assert_int_equal(mock_open(f, old, O_RDONLY, &handle), -ESTALE);
	uint64_t new = mock_node(f, "file");
	assert_int_not_equal(old, new);
	assert_string_equal(mock_guest_content(f, "file"), "other text");
	assert_int_equal(unlink(mock_path(f, "file")), 0);
	assert_int_equal(mock_lookup(f, 1, "file", NULL), -ENOENT);
}

static void data_and_holes_are_found(void **state)
{
	struct mock_fuse *f = *state;
	int error;
	uint64_t handle = create(f, 1, "sparse", O_RDWR, S_IFREG | 0644, &error);
	struct fuse_fallocate_in allocate = {.fh = handle, .offset = 1u << 20, .length = 4096};
	assert_int_equal(mock_fuse_call(f, FUSE_FALLOCATE, 1, &allocate, sizeof(allocate)), 0);
	struct stat st;
	assert_int_equal(stat(mock_path(f, "sparse"), &st), 0);
	assert_int_equal(st.st_size, (1 << 20) + 4096);
	struct fuse_lseek_in seek = {.fh = handle, .offset = 0, .whence = SEEK_HOLE};
	assert_int_equal(mock_fuse_call(f, FUSE_LSEEK, 1, &seek, sizeof(seek)), 0);
	assert_int_equal(((struct fuse_lseek_out *)mock_payload(f))->offset, 0);
	seek.whence = SEEK_SET;
	assert_int_equal(mock_fuse_call(f, FUSE_LSEEK, 1, &seek, sizeof(seek)), -EINVAL);
	seek.whence = SEEK_DATA;
	seek.offset = UINT64_MAX;
	assert_int_equal(mock_fuse_call(f, FUSE_LSEEK, 1, &seek, sizeof(seek)), -EINVAL);
	allocate.mode = 0x40; /* unshare */
	assert_int_equal(mock_fuse_call(f, FUSE_FALLOCATE, 1, &allocate, sizeof(allocate)), -EOPNOTSUPP);
	allocate = (struct fuse_fallocate_in){.fh = handle, .offset = INT64_MAX, .length = INT64_MAX};
	assert_int_equal(mock_fuse_call(f, FUSE_FALLOCATE, 1, &allocate, sizeof(allocate)), -EFBIG);
}

static void copying_and_syncing_work(void **state)
{
	struct mock_fuse *f = *state;
	int error;
	uint64_t from, to = create(f, 1, "copy", O_RDWR, S_IFREG | 0644, &error);
	assert_int_equal(mock_open(f, mock_node(f, "file"), O_RDONLY, &from), 0);
	struct fuse_copy_file_range_in copy = {
	    .fh_in = from, .off_in = 6, .nodeid_out = 1, .fh_out = to, .len = UINT64_MAX};
	assert_int_equal(mock_fuse_call(f, FUSE_COPY_FILE_RANGE, 1, &copy, sizeof(copy)), 0);
	assert_string_equal(mock_content(f, "copy"), "world");
	copy.fh_out = from;
	assert_int_equal(mock_fuse_call(f, FUSE_COPY_FILE_RANGE, 1, &copy, sizeof(copy)), -EBADF);
	struct fuse_fsync_in sync_in = {.fh = to};
	assert_int_equal(mock_fuse_call(f, FUSE_FSYNC, 1, &sync_in, sizeof(sync_in)), 0);
	sync_in.fsync_flags = FUSE_FSYNC_FDATASYNC;
	assert_int_equal(mock_fuse_call(f, FUSE_FSYNC, 1, &sync_in, sizeof(sync_in)), 0);
	struct fuse_flush_in flush = {.fh = to};
	assert_int_equal(mock_fuse_call(f, FUSE_FLUSH, 1, &flush, sizeof(flush)), 0);
	uint64_t dir;
	assert_int_equal(mock_open(f, 1, O_DIRECTORY, &dir), 0);
	sync_in = (struct fuse_fsync_in){.fh = dir};
	assert_int_equal(mock_fuse_call(f, FUSE_FSYNCDIR, 1, &sync_in, sizeof(sync_in)), 0);
	struct fuse_syncfs_in syncfs_in = {0};
	assert_int_equal(mock_fuse_call(f, FUSE_SYNCFS, 1, &syncfs_in, sizeof(syncfs_in)), 0);
	assert_int_equal(mock_fuse_call(f, FUSE_STATFS, 1, NULL, 0), 0);
	assert_int_equal(((struct fuse_statfs_out *)mock_payload(f))->st.namelen, 255);
	struct fuse_access_in access_in = {.mask = R_OK | W_OK};
	assert_int_equal(mock_fuse_call(f, FUSE_ACCESS, 1, &access_in, sizeof(access_in)), 0);
	access_in.mask = 8;
	assert_int_equal(mock_fuse_call(f, FUSE_ACCESS, 1, &access_in, sizeof(access_in)), -EINVAL);
}

static void only_user_attributes_pass(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t node = mock_node(f, "file");
	struct fuse_setxattr_in set = {.size = 5};
	struct fuse_getxattr_in get = {0};
	const char *others[] = {"security.capability", "trusted.x", "system.posix_acl_access", "user", "nonsense"};
	for (unsigned i = 0; i < countof(others); i++) {
		assert_int_equal(mock_fuse_names(f, FUSE_SETXATTR, node, &set, 8, others[i], "value"), -EOPNOTSUPP);
		assert_int_equal(mock_fuse_names(f, FUSE_GETXATTR, node, &get, sizeof(get), others[i], NULL), -ENODATA);
		assert_int_equal(mock_fuse_names(f, FUSE_REMOVEXATTR, node, NULL, 0, others[i], NULL), -EOPNOTSUPP);
	}
	assert_int_equal(mock_fuse_names(f, FUSE_GETXATTR, node, &get, sizeof(get), "", NULL), -EINVAL);
	set.size = 4000000;
	assert_int_equal(mock_fuse_names(f, FUSE_SETXATTR, node, &set, 8, "user.x", "value"), -EINVAL);
	set.size = 5;
	int error = mock_fuse_names(f, FUSE_SETXATTR, node, &set, 8, "user.x", "value");
	if (error == -EOPNOTSUPP)
		skip(); /* the host's file system has none */
	assert_int_equal(error, 0);
	assert_int_equal(mock_fuse_names(f, FUSE_GETXATTR, node, &get, sizeof(get), "user.x", NULL), 0);
	assert_int_equal(((struct fuse_getxattr_out *)mock_payload(f))->size, 5);
	get.size = 4;
	assert_int_equal(mock_fuse_names(f, FUSE_GETXATTR, node, &get, sizeof(get), "user.x", NULL), -ERANGE);
	get.size = 100;
	assert_int_equal(mock_fuse_names(f, FUSE_GETXATTR, node, &get, sizeof(get), "user.x", NULL), 0);
	assert_int_equal(f->reply_bytes, 5);
	assert_memory_equal(mock_payload(f), "value", 5);
	if (setxattr(mock_path(f, "file"), "trusted.secret", "s", 1, 0) == 0) {
		assert_int_equal(mock_fuse_call(f, FUSE_LISTXATTR, node, &get, sizeof(get)), 0);
		assert_int_equal(f->reply_bytes, 7);
		assert_string_equal(mock_payload(f), "user.x");
	}
	assert_int_equal(mock_fuse_names(f, FUSE_REMOVEXATTR, node, NULL, 0, "user.x", NULL), 0);
	assert_int_equal(mock_fuse_names(f, FUSE_GETXATTR, node, &get, sizeof(get), "user.x", NULL), -ENODATA);
}

int main(void)
{
	umask(0);
	const struct CMUnitTest tests[] = {
	    RW(files_are_made_written_and_read),
	    RW(an_unlinked_file_lives_while_it_is_open),
	    RW(attributes_are_set),
	    RW(names_are_made_and_removed),
	    RW(renames_carry_their_nodes_along),
	    RW(changes_of_the_host_are_seen),
	    RW(data_and_holes_are_found),
	    RW(copying_and_syncing_work),
	    RW(only_user_attributes_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
