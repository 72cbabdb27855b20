/* SPDX-License-Identifier: Apache-2.0 */
/* The file-system device under attack: path tricks, races, special files, malformed requests, exhaustion. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "tests/unit/mock_fuse.h"

#define OUTSIDE "outside secret"

/* directory/export is what the guest sees; directory/outside must never show. */
static int setup_export(void **state, bool read_only)
{
	struct mock_fuse *f = calloc(1, sizeof(*f));
	mock_fuse_directory(f);
	mock_mkdir(f, "outside", 0755);
	mock_file(f, "outside/secret", OUTSIDE, 0644);
	mock_mkdir(f, "export", 0755);
	mock_file(f, "export/file", "inside", 0644);
	mock_mkdir(f, "export/dir", 0755);
	mock_file(f, "export/dir/secret", "inside", 0644);
	struct fs_config config = {.tag = "test", .export_count = 1, .preset = true, .nodes_max = 64};
	config.exports[0] = (struct fs_export){.root_fd = open(mock_path(f, "export"), O_PATH), .read_only = read_only};
	assert_int_equal(mock_fuse_new(f, &config), 0);
	*state = f;
	return 0;
}
static int setup_ro(void **state) { return setup_export(state, true); }
static int setup_rw(void **state) { return setup_export(state, false); }

static int teardown(void **state)
{
	mock_fuse_fini(*state);
	free(*state);
	return 0;
}

static void names_that_are_no_component_are_refused(void **state)
{
	struct mock_fuse *f = *state;
	const char *names[] = {"",           ".",    "..",  "/",      "/etc",        "../outside",
			       "dir/secret", "dir/", "/..", "./file", "dir/../file", "//"};
	uint64_t dir = mock_node(f, "dir"), file = mock_node(f, "file");
	struct fuse_mknod_in node = {.mode = S_IFREG | 0644};
	struct fuse_mkdir_in mkdir_in = {.mode = 0755};
	struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
	struct fuse_rename_in rename_in = {.newdir = 1};
	struct fuse_rename2_in rename2 = {.newdir = 1};
	struct fuse_link_in link_in = {.oldnodeid = file};
	for (unsigned i = 0; i < countof(names); i++) {
		const char *n = names[i];
		assert_int_equal(mock_lookup(f, dir, n, NULL), -EINVAL);
		assert_int_equal(mock_fuse_names(f, FUSE_MKNOD, dir, &node, sizeof(node), n, NULL), -EINVAL);
		assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, dir, &mkdir_in, sizeof(mkdir_in), n, NULL), -EINVAL);
		assert_int_equal(mock_fuse_names(f, FUSE_CREATE, dir, &create, sizeof(create), n, NULL), -EINVAL);
		assert_int_equal(mock_fuse_names(f, FUSE_SYMLINK, dir, NULL, 0, n, "target"), -EINVAL);
		assert_int_equal(mock_fuse_names(f, FUSE_LINK, dir, &link_in, sizeof(link_in), n, NULL), -EINVAL);
		assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, dir, NULL, 0, n, NULL), -EINVAL);
		assert_int_equal(mock_fuse_names(f, FUSE_RMDIR, dir, NULL, 0, n, NULL), -EINVAL);
		assert_int_equal(mock_fuse_names(f, FUSE_RENAME, 1, &rename_in, sizeof(rename_in), n, "x"), -EINVAL);
		assert_int_equal(mock_fuse_names(f, FUSE_RENAME, 1, &rename_in, sizeof(rename_in), "file", n), -EINVAL);
		assert_int_equal(mock_fuse_names(f, FUSE_RENAME2, 1, &rename2, sizeof(rename2), "file", n), -EINVAL);
	}
	assert_string_equal(mock_list(f, 1, 4096, false), "dir file ");
	assert_string_equal(mock_list(f, dir, 4096, false), "secret ");
}

static void strange_names_are_just_names(void **state)
{
	struct mock_fuse *f = *state;
	char longest[256], too_long[257];
	memset(longest, 'n', 255);
	longest[255] = '\0';
	memset(too_long, 'n', 256);
	too_long[256] = '\0';
	const char *names[] = {"new\nline", "\n",   "...",  "..a",     " ", "-rf",
			       "\xff\xfe",  "a\\b", "%s%n", "\x1b[2J", "~", longest};
	struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
	for (unsigned i = 0; i < countof(names); i++) {
		struct fuse_entry_out entry;
		uint64_t handle;
		assert_int_equal(mock_fuse_names(f, FUSE_CREATE, 1, &create, sizeof(create), names[i], NULL), 0);
		memcpy(&entry, mock_payload(f), sizeof(entry));
		handle = ((struct fuse_open_out *)((struct fuse_entry_out *)mock_payload(f) + 1))->fh;
		assert_int_equal(mock_release(f, handle, false), 0);
		assert_int_equal(access(mock_path(f, "export"), F_OK), 0);
		assert_int_equal(mock_open(f, entry.nodeid, O_RDONLY, &handle), 0);
		assert_int_equal(mock_release(f, handle, false), 0);
		mock_forget(f, entry.nodeid, 1);
	}
	for (unsigned i = 0; i < countof(names); i++)
		assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, 1, NULL, 0, names[i], NULL), 0);
	assert_int_equal(mock_lookup(f, 1, too_long, NULL), -ENAMETOOLONG);
	assert_int_equal(mock_fuse_names(f, FUSE_CREATE, 1, &create, sizeof(create), too_long, NULL), -ENAMETOOLONG);
	assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, too_long, NULL), 0);
	assert_int_equal(((struct lampo_walk_out *)mock_payload(f))->error, -ENAMETOOLONG);
}

static void deep_trees_need_no_more_than_shallow_ones(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_mkdir_in in = {.mode = 0755};
	uint64_t at = 1;
	/* Far beyond PATH_MAX: 500 levels of 200 bytes. */
	char name[201];
	memset(name, 'd', 200);
	name[200] = '\0';
	for (unsigned i = 0; i < 500; i++) {
		assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, at, &in, sizeof(in), name, NULL), 0);
		uint64_t next = ((struct fuse_entry_out *)mock_payload(f))->nodeid;
		mock_forget(f, at, 1);
		at = next;
	}
	struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
	assert_int_equal(mock_fuse_names(f, FUSE_CREATE, at, &create, sizeof(create), "deepest", NULL), 0);
	/* Take it down again by moving each level up. */
	struct fuse_rename_in rename_in = {.newdir = 1};
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, at, NULL, 0, "deepest", NULL), 0);
	mock_forget(f, at, 1);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t top = mock_node(f, name);
		int r = mock_fuse_names(f, FUSE_RENAME, top, &rename_in, sizeof(rename_in), name, "next");
		assert_int_equal(r, i == 499 ? -ENOENT : 0);
		assert_int_equal(mock_fuse_names(f, FUSE_RMDIR, 1, NULL, 0, name, NULL), 0);
		if (i < 499)
			assert_int_equal(
			    mock_fuse_names(f, FUSE_RENAME, 1, &rename_in, sizeof(rename_in), "next", name), 0);
		mock_forget(f, top, 100);
	}
}

static void special_files_are_seen_but_not_opened(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_entry_out entry;
	uint64_t handle;
	assert_int_equal(mkfifo(mock_path(f, "export/fifo"), 0644), 0);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/export/socket", f->directory);
	assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
	bool device = mknod(mock_path(f, "export/null"), S_IFCHR | 0666, makedev(1, 3)) == 0;
	const char *names[] = {"fifo", "socket", "null"};
	struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
	for (unsigned i = 0; i < 2u + device; i++) {
		const uint32_t flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC};
		assert_int_equal(mock_lookup(f, 1, names[i], &entry), 0);
		for (unsigned j = 0; j < countof(flags); j++)
			assert_int_equal(mock_open(f, entry.nodeid, flags[j], &handle), -EACCES);
		assert_int_equal(mock_open(f, entry.nodeid, O_DIRECTORY, &handle), -ENOTDIR);
		assert_int_equal(mock_fuse_names(f, FUSE_CREATE, 1, &create, sizeof(create), names[i], NULL), -EACCES);
		struct fuse_setattr_in set = {.valid = FATTR_SIZE};
		assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, entry.nodeid, &set, sizeof(set)), -EINVAL);
		struct fuse_getxattr_in get = {.size = 10};
		assert_int_equal(mock_fuse_names(f, FUSE_GETXATTR, entry.nodeid, &get, sizeof(get), "user.x", NULL),
				 -ENODATA);
	}
	if (device)
		assert_int_equal(entry.attr.rdev, 0x103);
	close(s);
}

static void a_file_that_turns_into_a_fifo_does_not_block(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t node = mock_node(f, "file"), handle;
	assert_int_equal(unlink(mock_path(f, "export/file")), 0);
	assert_int_equal(mkfifo(mock_path(f, "export/file"), 0644), 0);
	assert_int_equal(mock_open(f, node, O_RDONLY, &handle), -ESTALE);
	assert_true(mock_open(f, node, O_WRONLY, &handle) < 0);
	struct fuse_setattr_in set = {.valid = FATTR_SIZE, .size = 1};
	assert_true(mock_fuse_call(f, FUSE_SETATTR, node, &set, sizeof(set)) < 0);
	/* Or into a symbolic link to the outside. */
	assert_int_equal(unlink(mock_path(f, "export/file")), 0);
	mock_symlink(f, "export/file", "../outside/secret");
	assert_int_equal(mock_open(f, node, O_RDONLY, &handle), -ELOOP);
	assert_int_equal(mock_open(f, node, O_RDWR | O_TRUNC, &handle), -ELOOP);
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, node, &set, sizeof(set)), -ELOOP);
	assert_string_equal(mock_content(f, "outside/secret"), OUTSIDE);
}

struct swapper {
	struct mock_fuse *f;
	atomic_bool stop;
	char a[128], b[128], dir[128];
};

/* export/swap is by turns a directory and a symbolic link to the outside. */
static void *swap(void *argument)
{
	struct swapper *s = argument;
	while (!atomic_load(&s->stop))
		renameat2(AT_FDCWD, s->a, AT_FDCWD, s->b, RENAME_EXCHANGE);
	return NULL;
}

static void swapping_directory_and_link_leads_nowhere(void **state)
{
	struct mock_fuse *f = *state;
	struct swapper s = {.f = f};
	mock_mkdir(f, "export/swap", 0755);
	mock_file(f, "export/swap/secret", "inside", 0644);
	mock_symlink(f, "export/other", "../outside");
	snprintf(s.a, sizeof(s.a), "%s/export/swap", f->directory);
	snprintf(s.b, sizeof(s.b), "%s/export/other", f->directory);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, swap, &s), 0);
	unsigned directories = 0, links = 0;
	for (unsigned i = 0; i < 20000; i++) {
		struct fuse_entry_out entry;
		int r = mock_lookup(f, 1, "swap", &entry);
		if (r != 0)
			continue;
		if (S_ISDIR(entry.attr.mode)) {
			directories++;
			const char *text = mock_guest_content(f, "swap/secret");
			assert_string_not_equal(text, OUTSIDE);
			assert_string_not_equal(mock_list(f, entry.nodeid, 4096, true), "");
			assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, "swap/secret", NULL), 0);
		} else {
			links++;
			assert_int_equal(mock_lookup(f, entry.nodeid, "secret", NULL), -ENOTDIR);
		}
		struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
		if (mock_fuse_names(f, FUSE_CREATE, entry.nodeid, &create, sizeof(create), "planted", NULL) == 0)
			mock_release(f, ((struct fuse_open_out *)((struct fuse_entry_out *)mock_payload(f) + 1))->fh,
				     false);
		if (i % 100 == 0) {
			struct fuse_init_in init = {.major = 7, .minor = 38};
			mock_fuse_call(f, FUSE_INIT, 0, &init, sizeof(init));
		}
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	assert_true(directories > 0);
	assert_true(links > 0);
	assert_int_not_equal(access(mock_path(f, "outside/planted"), F_OK), 0);
	assert_string_equal(mock_content(f, "outside/secret"), OUTSIDE);
}

static void moving_a_directory_out_does_not_open_the_outside(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t dir = mock_node(f, "dir");
	assert_int_equal(rename(mock_path(f, "export/dir"), mock_path(f, "outside/dir")), 0);
	/* What the guest knew stays as it was for a process that stood in it, but ".." leads nowhere. */
	assert_int_equal(mock_lookup(f, dir, "..", NULL), -EINVAL);
	assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, dir, NULL, 0, "../secret", NULL), -EINVAL);
	assert_int_equal(mock_node(f, "dir"), 0);
}

static void procfs_is_closed(void **state)
{
	struct mock_fuse *f = *state;
	struct fs_config config = {.tag = "t", .export_count = 2, .preset = true, .nodes_max = 64};
	config.exports[0] = (struct fs_export){.root_fd = open("/", O_PATH)};
	config.exports[1] = (struct fs_export){.root_fd = open("/proc", O_PATH)};
	mock_guest_fini(&f->g);
	assert_int_equal(mock_fuse_new(f, &config), 0);
	uint64_t proc = mock_node(f, "proc"), handle;
	if (proc == 0)
		skip();
	for (unsigned i = 0; i < 2; i++) {
		uint64_t node = i == 0 ? proc : 2;
		assert_int_equal(mock_lookup(f, node, "self", NULL), -EACCES);
		assert_int_equal(mock_lookup(f, node, "uptime", NULL), -EACCES);
		assert_int_equal(mock_open(f, node, O_DIRECTORY, &handle), -EACCES);
	}
	assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, "proc/self/mem", NULL), 0);
	assert_int_equal(((struct lampo_walk_out *)mock_payload(f))->error, -EACCES);
}

/* 64 descriptors for nodes: that bounds the files of a writable export; of a read-only one the guest may know
 * four times as many. */
static void nodes_bounded(struct mock_fuse *f, unsigned expected)
{
	char name[64];
	for (unsigned i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "export/many-%03u", i);
		mock_file(f, name, "", 0644);
	}
	unsigned found = 0;
	for (unsigned i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "many-%03u", i);
		int r = mock_lookup(f, 1, name, NULL);
		assert_true(r == 0 || r == -ENFILE);
		found += r == 0;
	}
	assert_int_equal(found, expected);
	/* Listing with lookups still gives all names, and looking up a known one works. */
	assert_int_equal(strlen(mock_list(f, 1, 4096, true)), 400 * 9 + strlen("dir file "));
	assert_int_equal(mock_lookup(f, 1, "many-000", NULL), 0);
	/* Forgetting makes room. */
	mock_forget(f, mock_node(f, "many-001"), UINT64_MAX);
	assert_int_equal(mock_lookup(f, 1, "many-399", NULL), 0);
}
static void nodes_of_a_read_only_export_are_bounded(void **state) { nodes_bounded(*state, 255); }
static void nodes_of_a_writable_export_are_bounded(void **state) { nodes_bounded(*state, 63); }

static void directories_are_bounded(void **state)
{
	struct mock_fuse *f = *state;
	char name[64];
	unsigned found = 0;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "export/sub-%03u", i);
		mock_mkdir(f, name, 0755);
		int r = mock_lookup(f, 1, name + 7, NULL);
		assert_true(r == 0 || r == -ENFILE);
		found += r == 0;
	}
	assert_int_equal(found, 63);
	assert_int_equal(mock_lookup(f, 1, "file", NULL), 0);
}

static void handles_are_bounded(void **state)
{
	struct mock_fuse *f = *state;
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	uint64_t node = mock_node(f, "file"), handle = 0, last = 0;
	unsigned opened = 0;
	int r;
	while ((r = mock_open(f, node, O_RDONLY, &handle)) == 0 && opened < 1000000) {
		last = handle;
		opened++;
	}
	assert_int_equal(r, -ENFILE);
	assert_true(opened <= 4096);
	assert_int_equal(mock_open(f, 1, O_DIRECTORY, &handle), -ENFILE);
	struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
	assert_int_equal(mock_fuse_names(f, FUSE_CREATE, 1, &create, sizeof(create), "new", NULL), -ENFILE);
	assert_int_equal(mock_release(f, last, false), 0);
	assert_int_equal(mock_open(f, node, O_RDONLY, &handle), 0);
	/* A stale handle does not reach the file that has its place now. */
	assert_int_not_equal(handle, last);
	assert_int_equal(mock_read(f, last, 0, 1), -EBADF);
	const uint64_t wild[] = {0, UINT64_MAX - 1, 4096, 0xffffffff, handle + 1, handle ^ (1ull << 63)};
	for (unsigned i = 0; i < countof(wild); i++)
		assert_int_equal(mock_read(f, wild[i], 0, 1), -EBADF);
}

static const uint32_t all_opcodes[] = {
    FUSE_LOOKUP,      FUSE_GETATTR,     FUSE_SETATTR,  FUSE_READLINK,     FUSE_SYMLINK,
    FUSE_MKNOD,       FUSE_MKDIR,       FUSE_UNLINK,   FUSE_RMDIR,        FUSE_RENAME,
    FUSE_LINK,        FUSE_OPEN,        FUSE_READ,     FUSE_WRITE,        FUSE_STATFS,
    FUSE_RELEASE,     FUSE_FSYNC,       FUSE_SETXATTR, FUSE_GETXATTR,     FUSE_LISTXATTR,
    FUSE_REMOVEXATTR, FUSE_FLUSH,       FUSE_INIT,     FUSE_OPENDIR,      FUSE_READDIR,
    FUSE_RELEASEDIR,  FUSE_FSYNCDIR,    FUSE_ACCESS,   FUSE_CREATE,       FUSE_DESTROY,
    FUSE_FALLOCATE,   FUSE_READDIRPLUS, FUSE_RENAME2,  FUSE_LSEEK,        FUSE_COPY_FILE_RANGE,
    FUSE_SYNCFS,      LAMPO_FUSE_WALK,  FUSE_FORGET,   FUSE_BATCH_FORGET,
};

static void requests_of_any_length_are_survived(void **state)
{
	struct mock_fuse *f = *state;
	static char args[300];
	const char fills[] = {0, 'a', (char)0xff};
	for (unsigned i = 0; i < countof(all_opcodes); i++) {
		for (unsigned fill = 0; fill < countof(fills); fill++) {
			memset(args, fills[fill], sizeof(args));
			for (uint32_t bytes = 0; bytes < sizeof(args); bytes += bytes < 120 ? 1 : 17) {
				mock_fuse_call(f, all_opcodes[i], 1, args, bytes);
				mock_fuse_call(f, all_opcodes[i], UINT64_MAX, args, bytes);
			}
		}
	}
	assert_string_equal(mock_content(f, "export/file"), "inside");
	assert_string_equal(mock_content(f, "outside/secret"), OUTSIDE);
}

static void headers_that_lie_are_refused(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_in_header header = {.opcode = FUSE_LOOKUP, .nodeid = 1};
	const uint32_t lengths[] = {0, 1, 39, 40, 44, 46, 1000, 0x7fffffff, UINT32_MAX};
	for (unsigned i = 0; i < countof(lengths); i++) {
		header.len = lengths[i];
		assert_int_equal(mock_fuse_raw(f, &header, "file", 5), -EINVAL);
	}
	header.len = 45;
	assert_int_equal(mock_fuse_raw(f, &header, "file", 5), 0);
	/* WRITE with less data than it says. */
	uint64_t handle;
	assert_int_equal(mock_open(f, mock_node(f, "file"), O_RDWR, &handle), 0);
	struct fuse_write_in in = {.fh = handle, .size = 100};
	assert_int_equal(mock_fuse_call(f, FUSE_WRITE, 1, &in, sizeof(in)), -EINVAL);
	in.size = UINT32_MAX;
	assert_int_equal(mock_fuse_call(f, FUSE_WRITE, 1, &in, sizeof(in)), -EINVAL);
	assert_string_equal(mock_content(f, "export/file"), "inside");
	/* BATCH_FORGET of more than it brings. */
	struct fuse_batch_forget_in batch = {.count = UINT32_MAX};
	assert_int_equal(mock_fuse_call(f, FUSE_BATCH_FORGET, 1, &batch, sizeof(batch)), 1);
}

static void replies_without_room_have_no_effect(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_mkdir_in dir = {.mode = 0755};
	struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
	const uint32_t rooms[] = {0, 1, 15, 16, 17, 143};
	for (unsigned i = 0; i < countof(rooms); i++) {
		f->reply_room = rooms[i];
		int expected = rooms[i] < 16 ? 1 : -EINVAL;
		assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, 1, &dir, sizeof(dir), "new", NULL), expected);
		assert_int_equal(mock_fuse_names(f, FUSE_CREATE, 1, &create, sizeof(create), "new", NULL), expected);
		assert_int_equal(mock_lookup(f, 1, "file", NULL), expected);
	}
	f->reply_room = 16;
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, 1, NULL, 0, "file", NULL), 0);
	assert_int_not_equal(access(mock_path(f, "export/new"), F_OK), 0);
}

static void directory_offsets_may_be_anything(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_read_in in = {.size = 4096};
	assert_int_equal(mock_open(f, 1, O_DIRECTORY, &in.fh), 0);
	const uint64_t offsets[] = {1, 7, 1ull << 31, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 1};
	for (unsigned i = 0; i < countof(offsets); i++) {
		in.offset = offsets[i];
		mock_fuse_call(f, FUSE_READDIR, 1, &in, sizeof(in));
		mock_fuse_call(f, FUSE_READDIRPLUS, 1, &in, sizeof(in));
	}
	const uint32_t sizes[] = {0, 1, 23, 24, 25, 31, 32, UINT32_MAX};
	for (unsigned i = 0; i < countof(sizes); i++) {
		in.offset = 0;
		in.size = sizes[i];
		assert_int_equal(mock_fuse_call(f, FUSE_READDIR, 1, &in, sizeof(in)), 0);
	}
}

static void a_header_in_many_pieces_is_read_whole(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_in_header header = {.len = 45, .opcode = FUSE_LOOKUP, .unique = 9, .nodeid = 1};
	memcpy(mock_at(&f->g, f->request), &header, sizeof(header));
	memcpy((char *)mock_at(&f->g, f->request) + 40, "file", 5);
	const struct mock_segment pieces[] = {
	    {f->request, 1, false},      {f->request + 1, 38, false}, {f->request + 39, 4, false},
	    {f->request + 43, 2, false}, {f->reply, 3, true},         {f->reply + 3, 1, true},
	    {f->reply + 4, 200, true},
	};
	mock_submit(&f->g, FUSE_QUEUE, pieces, countof(pieces));
	virtio_device_notify(f->g.device, FUSE_QUEUE);
	uint32_t head, used;
	assert_true(mock_take(&f->g, FUSE_QUEUE, &head, &used));
	assert_int_equal(used, 16 + sizeof(struct fuse_entry_out));
	/* A header cut short, or none at all, is not answered. */
	mock_submit(&f->g, FUSE_QUEUE, pieces + 1, 1);
	mock_submit(&f->g, FUSE_QUEUE, pieces + 6, 1);
	virtio_device_notify(f->g.device, FUSE_QUEUE);
	assert_true(mock_take(&f->g, FUSE_QUEUE, &head, &used));
	assert_int_equal(used, 0);
	assert_true(mock_take(&f->g, FUSE_QUEUE, &head, &used));
	assert_int_equal(used, 0);
}

static void a_reset_closes_everything(void **state)
{
	struct mock_fuse *f = *state;
	int before = dup(0);
	close(before);
	uint64_t handle;
	mock_node(f, "dir/secret");
	assert_int_equal(mock_open(f, mock_node(f, "file"), O_RDONLY, &handle), 0);
	assert_int_equal(mock_open(f, 1, O_DIRECTORY, &handle), 0);
	mock_write32(&f->g, 0x70, 0);
	int after = dup(0);
	close(after);
	assert_int_equal(before, after);
	assert_int_equal(mock_preset(&f->g, VIRTIO_F_VERSION_1, 16), 0);
	assert_string_equal(mock_guest_content(f, "file"), "inside");
}

/* A second vCPU rewrites the request while it is served. */
struct scribbler {
	atomic_bool stop;
	volatile uint32_t *words;
	unsigned count;
};
static void *scribble(void *argument)
{
	struct scribbler *s = argument;
	uint64_t seed = 1;
	while (!atomic_load(&s->stop)) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		s->words[(seed >> 33) % s->count] = (uint32_t)(seed >> 40) & 0x3f3f3f3f;
	}
	return NULL;
}

static void a_request_that_changes_under_way_is_survived(void **state)
{
	struct mock_fuse *f = *state;
	struct scribbler s = {.words = mock_at(&f->g, f->request), .count = 32};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, scribble, &s), 0);
	for (unsigned i = 0; i < 30000; i++) {
		const struct mock_segment segments[] = {{f->request, 120, false}, {f->reply, 4096, true}};
		uint32_t head, used;
		mock_submit(&f->g, FUSE_QUEUE, segments, 2);
		virtio_device_notify(f->g.device, FUSE_QUEUE);
		assert_true(mock_take(&f->g, FUSE_QUEUE, &head, &used));
		assert_true(used <= 4096);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	assert_string_equal(mock_content(f, "outside/secret"), OUTSIDE);
}

/* One vCPU works, another writes into rings, descriptors and registers, resets included. */
struct vandal {
	struct mock_fuse *f;
	atomic_bool stop;
};
static void *vandalize(void *argument)
{
	struct vandal *v = argument;
	struct mock_guest *g = &v->f->g;
	uint64_t seed = 7;
	while (!atomic_load(&v->stop)) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		uint32_t value = (uint32_t)(seed >> 32);
		volatile uint16_t *rings = mock_at(g, g->queues[0].desc);
		if (value % 8 < 6)
			rings[(seed >> 40) % 600] = (uint16_t)((value >> 8) % 40);
		else if (value % 8 == 6)
			mock_write32(g, (value >> 8) % 0x100 & ~3u, value >> 24);
		else
			virtio_device_notify(g->device, (value >> 8) % 3);
	}
	return NULL;
}

static void a_second_vcpu_that_vandalizes_is_survived(void **state)
{
	struct mock_fuse *f = *state;
	struct vandal v = {.f = f};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, vandalize, &v), 0);
	for (unsigned i = 0; i < 20000; i++) {
		const struct mock_segment segments[] = {{f->request, 45, false}, {f->reply, 4096, true}};
		struct fuse_in_header header = {.len = 45, .opcode = FUSE_LOOKUP, .nodeid = 1};
		memcpy(mock_at(&f->g, f->request), &header, sizeof(header));
		memcpy((char *)mock_at(&f->g, f->request) + sizeof(header), "file", 5);
		mock_submit(&f->g, FUSE_QUEUE, segments, 2);
		virtio_device_notify(f->g.device, FUSE_QUEUE);
		if (i % 50 == 0) {
			f->g.allocated = f->reply + FUSE_ROOM;
			mock_preset(&f->g, VIRTIO_F_VERSION_1, 16);
		}
	}
	atomic_store(&v.stop, true);
	pthread_join(thread, NULL);
	f->g.allocated = f->reply + FUSE_ROOM;
	assert_int_equal(mock_preset(&f->g, VIRTIO_F_VERSION_1, 16), 0);
	assert_string_equal(mock_guest_content(f, "file"), "inside");
	assert_string_equal(mock_content(f, "outside/secret"), OUTSIDE);
}

static void a_full_ring_is_served_in_one_notification(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_in_header header = {.len = 45, .opcode = FUSE_LOOKUP, .nodeid = 1};
	memcpy(mock_at(&f->g, f->request), &header, sizeof(header));
	memcpy((char *)mock_at(&f->g, f->request) + sizeof(header), "file", 5);
	const struct mock_segment segments[] = {{f->request, 45, false}, {f->reply, 4096, true}};
	uint16_t head = mock_submit(&f->g, FUSE_QUEUE, segments, 2);
	for (unsigned i = 1; i < 16; i++)
		mock_publish(&f->g, FUSE_QUEUE, head);
	virtio_device_notify(f->g.device, FUSE_QUEUE);
	uint32_t used_head, used;
	for (unsigned i = 0; i < 16; i++) {
		assert_true(mock_take(&f->g, FUSE_QUEUE, &used_head, &used));
		assert_int_equal(used, 16 + sizeof(struct fuse_entry_out));
	}
	/* A ring full of bad chains comes back too, and what follows it is served. */
	uint64_t before = f->g.device->bad_chains;
	mock_desc_at(&f->g, FUSE_QUEUE, 5)->addr = UINT64_MAX;
	for (unsigned i = 0; i < 16; i++)
		mock_publish(&f->g, FUSE_QUEUE, 5);
	virtio_device_notify(f->g.device, FUSE_QUEUE);
	for (unsigned i = 0; i < 16; i++)
		assert_true(mock_take(&f->g, FUSE_QUEUE, &used_head, &used));
	assert_int_equal(f->g.device->bad_chains - before, 16);
	assert_string_equal(mock_guest_content(f, "file"), "inside");
	/* The tag for a driver that looks for it. */
	uint32_t word;
	virtio_mmio_read(f->g.device, 0x100, &word, 4);
	assert_memory_equal(&word, "test", 4);
	virtio_mmio_read(f->g.device, 0x100 + 36, &word, 4);
	assert_int_equal(word, 1);
}

static void a_host_without_descriptors_fails_requests_and_recovers(void **state)
{
	struct mock_fuse *f = *state;
	struct rlimit limit, low;
	getrlimit(RLIMIT_NOFILE, &limit);
	uint64_t node = mock_node(f, "file"), handle;
	int next = dup(0);
	close(next);
	low = (struct rlimit){(rlim_t)next, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	struct fuse_read_in in = {.fh = LAMPO_FH_NODE, .size = 10};
	struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
	assert_int_equal(mock_lookup(f, 1, "dir", NULL), -ENFILE);
	assert_int_equal(mock_open(f, node, O_RDONLY, &handle), -ENFILE);
	assert_int_equal(mock_open(f, 1, O_DIRECTORY, &handle), -ENFILE);
	assert_int_equal(mock_fuse_call(f, FUSE_READ, node, &in, sizeof(in)), -ENFILE);
	assert_int_equal(mock_fuse_names(f, FUSE_CREATE, 1, &create, sizeof(create), "new", NULL), -ENFILE);
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, 1, NULL, 0, "file", NULL), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(mock_lookup(f, 1, "dir", NULL), 0);
	assert_string_equal(mock_list(f, 1, 4096, true), "dir ");
}

int main(void)
{
	umask(0);
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = min_u64(limit.rlim_max, 8192);
	setrlimit(RLIMIT_NOFILE, &limit);
#define RO(name) cmocka_unit_test_setup_teardown(name, setup_ro, teardown)
#define RW(name) cmocka_unit_test_setup_teardown(name, setup_rw, teardown)
	const struct CMUnitTest tests[] = {
	    RW(names_that_are_no_component_are_refused),
	    RW(strange_names_are_just_names),
	    RW(deep_trees_need_no_more_than_shallow_ones),
	    RW(special_files_are_seen_but_not_opened),
	    RW(a_file_that_turns_into_a_fifo_does_not_block),
	    RW(swapping_directory_and_link_leads_nowhere),
	    RW(moving_a_directory_out_does_not_open_the_outside),
	    RO(procfs_is_closed),
	    RO(nodes_of_a_read_only_export_are_bounded),
	    RW(nodes_of_a_writable_export_are_bounded),
	    RO(directories_are_bounded),
	    RW(handles_are_bounded),
	    RW(requests_of_any_length_are_survived),
	    RW(headers_that_lie_are_refused),
	    RW(replies_without_room_have_no_effect),
	    RW(directory_offsets_may_be_anything),
	    RW(a_header_in_many_pieces_is_read_whole),
	    RW(a_reset_closes_everything),
	    RW(a_request_that_changes_under_way_is_survived),
	    RW(a_second_vcpu_that_vandalizes_is_survived),
	    RW(a_full_ring_is_served_in_one_notification),
	    RW(a_host_without_descriptors_fails_requests_and_recovers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
