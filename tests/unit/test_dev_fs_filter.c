/* SPDX-License-Identifier: Apache-2.0 */
/* What the visibility filter hides stays hidden, whatever way the guest takes; and nothing else is hidden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/mock_fuse.h"

static const char *const visible[] = {"usr", "?etc", "home/me/src", "single", "bin"};
static const char *const hidden[] = {"usr/secret", "etc/shadow", "home/me/src/.key", "usr/share/hidden/deep",
				     "other/x"};

static int setup_export(void **state, bool read_only, bool filtered)
{
	struct mock_fuse *f = calloc(1, sizeof(*f));
	mock_fuse_directory(f);
	const char *directories[] = {
	    "usr",          "usr/bin",  "usr/secret", "usr/share", "usr/share/hidden", "usr/share/hidden/deep",
	    "etc",          "etc/pub",  "etc/priv",   "home",      "home/me",          "home/me/src",
	    "home/me/.ssh", "home/you", "root",       "other",     "other/x"};
	for (unsigned i = 0; i < countof(directories); i++)
		mock_mkdir(f, directories[i], 0755);
	mock_file(f, "usr/bin/tool", "tool", 0755);
	mock_file(f, "usr/secret/s", "secret", 0644);
	mock_file(f, "usr/share/hidden/deep/d", "deep secret", 0644);
	mock_file(f, "usr/share/hidden/open", "open", 0600);
	mock_file(f, "etc/passwd", "passwd", 0644);
	mock_file(f, "etc/shadow", "shadow", 0644);
	mock_file(f, "etc/sudoers", "sudoers", 0640);
	mock_file(f, "etc/execute-only", "x", 0711);
	mock_file(f, "etc/priv/key", "key", 0644);
	mock_file(f, "etc/pub/p", "p", 0644);
	chmod(mock_path(f, "etc/priv"), 0750);
	mock_file(f, "home/me/src/code", "code", 0600);
	mock_file(f, "home/me/src/.key", "my key", 0644);
	mock_file(f, "home/me/.ssh/id", "ssh", 0644);
	mock_file(f, "single", "single", 0600);
	mock_symlink(f, "bin", "usr/bin");
	mock_symlink(f, "usr/to-secret", "secret");
	mock_symlink(f, "usr/to-root", "/root");
	mock_symlink(f, "etc/to-shadow", "shadow");
	mock_symlink(f, "home/me/src/up", "../.ssh/id");
	struct fs_export export = {.read_only = read_only};
	if (filtered) {
		export.visible = visible;
		export.visible_count = countof(visible);
	}
	export.hidden = hidden;
	export.hidden_count = countof(hidden);
	assert_int_equal(mock_fuse_start(f, export), 0);
	*state = f;
	return 0;
}
static int setup_ro(void **state) { return setup_export(state, true, true); }
static int setup_rw(void **state) { return setup_export(state, false, true); }
static int setup_hidden_only(void **state) { return setup_export(state, false, false); }

static int teardown(void **state)
{
	mock_fuse_fini(*state);
	free(*state);
	return 0;
}

static void lookups_and_lists_agree(void **state)
{
	struct mock_fuse *f = *state;
	const struct {
		const char *directory, *names;
	} cases[] = {
	    {"", "bin etc home single usr "},
	    {"usr", "bin share to-root to-secret "},
	    {"usr/bin", "tool "},
	    {"usr/share/hidden", "open "},
	    {"etc", "passwd pub to-shadow "},
	    {"etc/pub", "p "},
	    {"home", "me "},
	    {"home/me", "src "},
	    {"home/me/src", "code up "},
	};
	for (unsigned i = 0; i < countof(cases); i++) {
		uint64_t node = mock_node(f, cases[i].directory);
		assert_int_not_equal(node, 0);
		assert_string_equal(mock_list(f, node, 4096, false), cases[i].names);
		assert_string_equal(mock_list(f, node, 4096, true), cases[i].names);
		assert_string_equal(mock_list(f, node, 200, true), cases[i].names);
	}
	/* The same without an open. */
	struct fuse_read_in unopened = {.fh = LAMPO_FH_NODE, .size = 4096};
	assert_int_equal(mock_fuse_call(f, FUSE_READDIR, mock_node(f, "home"), &unopened, sizeof(unopened)), 0);
	assert_int_equal(f->reply_bytes, 32);
	assert_memory_equal(((struct fuse_dirent *)mock_payload(f))->name, "me", 2);
	unopened.offset = ((struct fuse_dirent *)mock_payload(f))->off;
	assert_int_equal(mock_fuse_call(f, FUSE_READDIR, mock_node(f, "home"), &unopened, sizeof(unopened)), 0);
	assert_int_equal(f->reply_bytes, 0);
	const char *gone[] = {"root",
			      "other",
			      "other/x",
			      "usr/secret",
			      "usr/secret/s",
			      "etc/shadow",
			      "etc/sudoers",
			      "etc/execute-only",
			      "etc/priv",
			      "etc/priv/key",
			      "home/you",
			      "home/me/.ssh",
			      "home/me/.ssh/id",
			      "home/me/src/.key",
			      "usr/share/hidden/deep",
			      "usr/share/hidden/deep/d"};
	for (unsigned i = 0; i < countof(gone); i++) {
		assert_int_equal(mock_node(f, gone[i]), 0);
		assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, gone[i], NULL), 0);
		assert_int_equal(((struct lampo_walk_out *)mock_payload(f))->error, -ENOENT);
	}
	assert_string_equal(mock_guest_content(f, "usr/bin/tool"), "tool");
	assert_string_equal(mock_guest_content(f, "etc/passwd"), "passwd");
	assert_string_equal(mock_guest_content(f, "home/me/src/code"), "code");
	assert_string_equal(mock_guest_content(f, "single"), "single");
	assert_string_equal(mock_guest_content(f, "usr/share/hidden/open"), "open");
}

static void symbolic_links_are_no_way_in(void **state)
{
	struct mock_fuse *f = *state;
	const char *links[] = {"bin", "usr/to-secret", "usr/to-root", "etc/to-shadow", "home/me/src/up"};
	for (unsigned i = 0; i < countof(links); i++) {
		uint64_t node = mock_node(f, links[i]), handle;
		assert_int_not_equal(node, 0);
		assert_int_equal(mock_fuse_call(f, FUSE_READLINK, node, NULL, 0), 0);
		assert_int_equal(mock_lookup(f, node, "s", NULL), -ENOTDIR);
		assert_int_equal(mock_open(f, node, O_RDONLY, &handle), -ELOOP);
		assert_int_equal(mock_open(f, node, O_RDONLY | O_DIRECTORY, &handle), -ENOTDIR);
	}
}

static void files_that_stop_being_public_close(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t node = mock_node(f, "etc/passwd"), pub = mock_node(f, "etc/pub"), handle;
	struct fuse_read_in unopened = {.fh = LAMPO_FH_NODE, .size = 100};
	assert_int_equal(mock_fuse_call(f, FUSE_READ, node, &unopened, sizeof(unopened)), 0);
	assert_int_equal(mock_open(f, node, O_RDONLY, &handle), 0);
	chmod(mock_path(f, "etc/passwd"), 0600);
	assert_int_equal(mock_open(f, node, O_RDONLY, &handle), -EACCES);
	assert_int_equal(mock_fuse_call(f, FUSE_READ, node, &unopened, sizeof(unopened)), -EACCES);
	assert_int_equal(mock_lookup(f, mock_node(f, "etc"), "passwd", NULL), -ENOENT);
	chmod(mock_path(f, "etc/pub"), 0754); /* o+r without o+x */
	assert_int_equal(mock_lookup(f, mock_node(f, "etc"), "pub", NULL), -ENOENT);
	assert_int_not_equal(pub, 0);
	assert_string_equal(mock_list(f, mock_node(f, "etc"), 4096, false), "to-shadow ");
}

static int rename_to(struct mock_fuse *f, const char *from, const char *from_name, const char *to, const char *to_name,
		     uint32_t flags)
{
	struct fuse_rename2_in in = {.newdir = mock_node(f, to), .flags = flags};
	return mock_fuse_names(f, FUSE_RENAME2, mock_node(f, from), &in, sizeof(in), from_name, to_name);
}

static void hidden_names_cannot_be_moved_or_made(void **state)
{
	struct mock_fuse *f = *state;
	const uint32_t flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	for (unsigned i = 0; i < countof(flags); i++) {
		/* Out of hiding. */
		assert_int_equal(rename_to(f, "usr", "secret", "usr", "shown", flags[i]), -EACCES);
		assert_int_equal(rename_to(f, "home/me/src", ".key", "home/me/src", "key", flags[i]), -EACCES);
		/* By moving what lies above. */
		assert_int_equal(rename_to(f, "usr/share", "hidden", "usr/share", "h", flags[i]), -EBUSY);
		assert_int_equal(rename_to(f, "usr", "share", "usr", "s", flags[i]), -EBUSY);
		/* Into hiding, and into the place of it. */
		assert_int_equal(rename_to(f, "usr/bin", "tool", "usr", "secret", flags[i]), -EACCES);
		assert_int_equal(rename_to(f, "usr", "bin", "usr", "share", flags[i]), -EBUSY);
		/* Out of, into and within what is public only or only a way. */
		assert_int_equal(rename_to(f, "etc", "passwd", "usr", "p", flags[i]), -EACCES);
		assert_int_equal(rename_to(f, "etc", "sudoers", "usr", "p", flags[i]), -EACCES);
		assert_int_equal(rename_to(f, "usr/bin", "tool", "etc", "tool", flags[i]), -EACCES);
		assert_int_equal(rename_to(f, "home/me", ".ssh", "usr", "ssh", flags[i]), -EACCES);
		assert_int_equal(rename_to(f, "home/me", "src", "home/me", "x", flags[i]), -EACCES);
		assert_int_equal(rename_to(f, "", "root", "usr", "root", flags[i]), -EACCES);
		assert_int_equal(rename_to(f, "usr/bin", "tool", "", "root", flags[i]), -EACCES);
	}
	uint64_t usr = mock_node(f, "usr"), src = mock_node(f, "home/me/src");
	struct fuse_mkdir_in dir = {.mode = 0755};
	struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
	struct fuse_link_in link_in = {.oldnodeid = mock_node(f, "usr/bin/tool")};
	assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, usr, &dir, sizeof(dir), "secret", NULL), -EACCES);
	assert_int_equal(mock_fuse_names(f, FUSE_CREATE, src, &create, sizeof(create), ".key", NULL), -EACCES);
	assert_int_equal(mock_fuse_names(f, FUSE_SYMLINK, src, NULL, 0, ".key", "x"), -EACCES);
	assert_int_equal(mock_fuse_names(f, FUSE_LINK, src, &link_in, sizeof(link_in), ".key", NULL), -EACCES);
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, src, NULL, 0, ".key", NULL), -EACCES);
	assert_int_equal(mock_fuse_names(f, FUSE_RMDIR, usr, NULL, 0, "secret", NULL), -EACCES);
	assert_int_equal(mock_fuse_names(f, FUSE_RMDIR, mock_node(f, "home/me"), NULL, 0, "src", NULL), -EACCES);
	assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, 1, &dir, sizeof(dir), "new", NULL), -EACCES);
	assert_string_equal(mock_content(f, "home/me/src/.key"), "my key");
	assert_string_equal(mock_content(f, "usr/secret/s"), "secret");
}

static void public_places_cannot_be_changed(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t passwd = mock_node(f, "etc/passwd"), handle;
	struct fuse_setattr_in set = {.valid = FATTR_MODE, .mode = 0777};
	struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
	struct fuse_setxattr_in xattr = {.size = 1};
	assert_int_equal(mock_open(f, passwd, O_RDWR, &handle), -EACCES);
	struct fuse_write_in unopened = {.fh = LAMPO_FH_NODE};
	assert_int_equal(mock_fuse_call(f, FUSE_WRITE, passwd, &unopened, sizeof(unopened)), -EACCES);
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, passwd, &set, sizeof(set)), -EACCES);
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, 1, &set, sizeof(set)), -EACCES);
	assert_int_equal(mock_fuse_names(f, FUSE_CREATE, mock_node(f, "etc"), &create, sizeof(create), "passwd", NULL),
			 -EACCES);
	assert_int_equal(mock_fuse_names(f, FUSE_CREATE, mock_node(f, "etc"), &create, sizeof(create), "new", NULL),
			 -EACCES);
	assert_int_equal(mock_fuse_names(f, FUSE_SETXATTR, passwd, &xattr, 8, "user.x", "v"), -EACCES);
	/* Linking a public file to where all is visible would keep it readable when it no longer is public. */
	struct fuse_link_in link_in = {.oldnodeid = passwd};
	assert_int_equal(mock_fuse_names(f, FUSE_LINK, mock_node(f, "usr"), &link_in, sizeof(link_in), "p", NULL),
			 -EXDEV);
}

static void the_rest_can_be_changed(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t src = mock_node(f, "home/me/src"), handle;
	struct fuse_create_in create = {.flags = O_RDWR, .mode = 0644};
	struct fuse_mkdir_in dir = {.mode = 0755};
	assert_int_equal(mock_fuse_names(f, FUSE_CREATE, src, &create, sizeof(create), "new", NULL), 0);
	assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, src, &dir, sizeof(dir), ".key2", NULL), 0);
	assert_int_equal(rename_to(f, "home/me/src", "new", "usr/bin", "moved", 0), 0);
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, mock_node(f, "usr/bin"), NULL, 0, "moved", NULL), 0);
	/* A visible file itself may be written, though not moved. */
	assert_int_equal(mock_open(f, mock_node(f, "single"), O_RDWR, &handle), 0);
	assert_int_equal(mock_write(f, handle, 0, "S", 0), 0);
	assert_string_equal(mock_content(f, "single"), "Single");
	/* A rule is for one path: the same name elsewhere is nothing special. */
	assert_int_equal(mock_fuse_names(f, FUSE_MKDIR, mock_node(f, "usr/bin"), &dir, sizeof(dir), "secret", NULL), 0);
	assert_int_equal(rename_to(f, "usr/bin", "secret", "usr/bin", "shadow", 0), 0);
}

static void without_visible_all_but_the_hidden_is_there(void **state)
{
	struct mock_fuse *f = *state;
	assert_string_equal(mock_list(f, 1, 4096, false), "bin etc home other root single usr ");
	assert_string_equal(mock_list(f, mock_node(f, "etc"), 4096, true),
			    "execute-only passwd priv pub sudoers to-shadow ");
	assert_string_equal(mock_list(f, mock_node(f, "other"), 4096, true), "");
	assert_int_equal(mock_node(f, "etc/shadow"), 0);
	/* Moving what holds something hidden would show it. */
	assert_int_equal(rename_to(f, "", "etc", "", "e", 0), -EBUSY);
	assert_int_equal(rename_to(f, "", "root", "", "r", 0), 0);
	assert_int_equal(rename_to(f, "etc", "passwd", "", "p", 0), 0);
	assert_int_equal(rename_to(f, "", "home", "", "h", RENAME_EXCHANGE), -EBUSY);
}

static void the_root_itself_can_be_public(void **state)
{
	struct mock_fuse *f = *state;
	static const char *const all[] = {"?"};
	mock_guest_fini(&f->g);
	chmod(mock_path(f, "single"), 0600);
	assert_int_equal(mock_fuse_start(f, (struct fs_export){.read_only = true, .visible = all, .visible_count = 1}),
			 0);
	assert_string_equal(mock_list(f, 1, 4096, false), "bin etc home other root usr ");
	assert_string_equal(mock_list(f, mock_node(f, "etc"), 4096, false), "passwd pub shadow to-shadow ");
}

int main(void)
{
	umask(0);
#define T(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(lookups_and_lists_agree, setup_ro),
	    T(lookups_and_lists_agree, setup_rw),
	    T(symbolic_links_are_no_way_in, setup_ro),
	    T(symbolic_links_are_no_way_in, setup_rw),
	    T(files_that_stop_being_public_close, setup_ro),
	    T(files_that_stop_being_public_close, setup_rw),
	    T(hidden_names_cannot_be_moved_or_made, setup_rw),
	    T(public_places_cannot_be_changed, setup_rw),
	    T(the_rest_can_be_changed, setup_rw),
	    T(without_visible_all_but_the_hidden_is_there, setup_hidden_only),
	    T(the_root_itself_can_be_public, setup_ro),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
