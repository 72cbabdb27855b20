/* SPDX-License-Identifier: Apache-2.0 */
/* Names and copies in trees that are being built: nothing leads out of a tree, nothing replaces what it must not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "image/build_tree.h"

static struct build_contents contents;

static struct tree_node *add(struct tree *tree, const char *path, uint32_t mode, const char *text)
{
	struct build_place place;

	assert_int_equal(build_walk(tree, path, BUILD_WALK_MAKE, 0, 0, &place), 0);
	assert_null(place.node);
	assert_int_equal(tree_add(tree, place.dir, place.name, strlen(place.name), mode, &place.node), 0);
	if (S_ISLNK(mode))
		assert_int_equal(tree_set_target(place.node->inode, text, strlen(text)), 0);
	else if (S_ISREG(mode))
		assert_int_equal(build_contents_add_memory(&contents, place.node->inode, text, strlen(text)), 0);
	return place.node;
}

static struct tree_node *file(struct tree *tree, const char *path, const char *text)
{
	return add(tree, path, S_IFREG | 0644, text);
}
static struct tree_node *symlink_to(struct tree *tree, const char *path, const char *to)
{
	return add(tree, path, S_IFLNK | 0777, to);
}
static struct tree_node *directory(struct tree *tree, const char *path)
{
	return add(tree, path, S_IFDIR | 0750, NULL);
}

static struct tree_node *find(struct tree *tree, const char *path, unsigned flags)
{
	struct build_place place;

	return build_walk(tree, path, flags, 0, 0, &place) == 0 ? place.node : NULL;
}

static void expect_text(struct tree *tree, const char *path, const char *text)
{
	struct tree_node *node = find(tree, path, 0);
	struct err err = {0};
	char *data;
	size_t bytes;

	if (node == NULL)
		fail_msg("'%s' is missing", path);
	assert_int_equal(build_contents_read(&contents, node->inode, 1000, &data, &bytes, &err), 0);
	assert_string_equal(data, text);
	free(data);
}

static void links_are_followed_within_the_tree(void **state)
{
	struct tree *tree = tree_new();
	struct build_place place;

	(void)state;
	struct tree_node *target = file(tree, "/usr/lib/x", "1");
	symlink_to(tree, "/lib", "usr/lib");
	symlink_to(tree, "/absolute", "/usr");
	symlink_to(tree, "/out", "../../../../usr/lib");
	struct tree_node *last = symlink_to(tree, "/last", "lib/x");
	symlink_to(tree, "/usr/up", "../lib");
	assert_ptr_equal(find(tree, "/lib/x", 0), target);
	assert_ptr_equal(find(tree, "lib//./x", 0), target);
	assert_ptr_equal(find(tree, "/absolute/lib/x", 0), target);
	assert_ptr_equal(find(tree, "/out/x", 0), target);
	assert_ptr_equal(find(tree, "/../../usr/lib/../lib/x", 0), target);
	assert_ptr_equal(find(tree, "/usr/up/x", 0), target);
	assert_ptr_equal(find(tree, "/last", BUILD_WALK_FOLLOW), target);
	assert_ptr_equal(find(tree, "/last", 0), last);
	assert_ptr_equal(find(tree, "/", 0), tree_root(tree));
	assert_ptr_equal(find(tree, "..", 0), tree_root(tree));
	/* A name that is missing is reported with where it would be. */
	assert_int_equal(build_walk(tree, "/lib/new", 0, 0, 0, &place), 0);
	assert_null(place.node);
	assert_string_equal(place.name, "new");
	assert_string_equal(place.dir->name, "lib");
	tree_free(tree);
}

static void paths_that_lead_nowhere_are_refused(void **state)
{
	struct tree *tree = tree_new();
	struct build_place place;
	struct tree_node *dir;
	char name[300];

	(void)state;
	file(tree, "/f", "1");
	symlink_to(tree, "/loop", "loop");
	symlink_to(tree, "/a", "b");
	symlink_to(tree, "/b", "a");
	symlink_to(tree, "/dangling", "nowhere/x");
	assert_int_equal(build_walk(tree, "/f/x", 0, 0, 0, &place), -ENOTDIR);
	assert_int_equal(build_walk(tree, "/f/x", BUILD_WALK_MAKE, 0, 0, &place), -ENOTDIR);
	assert_int_equal(build_walk(tree, "/loop/x", 0, 0, 0, &place), -ELOOP);
	assert_int_equal(build_walk(tree, "/a", BUILD_WALK_FOLLOW, 0, 0, &place), -ELOOP);
	assert_int_equal(build_walk(tree, "/no/x", 0, 0, 0, &place), -ENOENT);
	assert_int_equal(build_walk(tree, "/dangling", BUILD_WALK_FOLLOW, 0, 0, &place), -ENOENT);
	assert_int_equal(build_walk_dir(tree, "/f", 0, 0, &dir), -ENOTDIR);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(build_walk(tree, name, BUILD_WALK_MAKE, 0, 0, &place), -ENAMETOOLONG);
	tree_free(tree);
}

static void missing_directories_are_made_with_their_owner(void **state)
{
	struct tree *tree = tree_new();
	struct tree_node *dir;

	(void)state;
	symlink_to(tree, "/link", "new/place");
	assert_int_equal(build_walk_dir(tree, "/link/deep", 7, 8, &dir), 0);
	assert_ptr_equal(find(tree, "/new/place/deep", 0), dir);
	assert_int_equal(dir->inode->uid, 7);
	assert_int_equal(dir->parent->inode->gid, 8);
	assert_int_equal(dir->inode->mode, S_IFDIR | 0755);
	tree_free(tree);
}

static void copies_merge_directories_and_replace_files(void **state)
{
	struct tree *from = tree_new(), *to = tree_new();
	struct build_copy copy = {.tree = to, .uid = -1, .gid = -1, .mode = -1};

	(void)state;
	file(from, "/d/new", "new");
	file(from, "/d/same", "from");
	file(from, "/lib/x", "x");
	file(from, "/link", "a file now");
	directory(from, "/d/e");
	file(to, "/d/old", "old");
	file(to, "/d/same", "to");
	directory(to, "/usr");
	symlink_to(to, "/lib", "usr/lib");
	directory(to, "/usr/lib");
	symlink_to(to, "/link", "d/old");
	assert_int_equal(build_copy_children(&copy, tree_root(from), tree_root(to)), 0);
	expect_text(to, "/d/new", "new");
	expect_text(to, "/d/same", "from");
	expect_text(to, "/d/old", "old"); /* not written through the link */
	expect_text(to, "/usr/lib/x", "x");
	expect_text(to, "/link", "a file now");
	assert_int_equal(find(to, "/d/e", 0)->inode->mode, S_IFDIR | 0750);
	assert_true(S_ISLNK(find(to, "/lib", 0)->inode->mode));
	build_copy_fini(&copy);
	tree_free(from);
	tree_free(to);
}

static void directories_and_files_do_not_replace_each_other(void **state)
{
	struct tree *from = tree_new(), *to = tree_new();
	struct build_copy copy = {.tree = to, .uid = -1, .gid = -1, .mode = -1};

	(void)state;
	struct tree_node *a_file = file(from, "/f", "1"), *a_dir = directory(from, "/d");
	directory(to, "/x");
	file(to, "/y", "y");
	symlink_to(to, "/to-file", "y");
	symlink_to(to, "/dangling", "nowhere");
	symlink_to(to, "/loop", "loop");
	assert_int_equal(build_copy_node(&copy, a_file, tree_root(to), "x"), -EISDIR);
	assert_int_equal(build_copy_node(&copy, a_dir, tree_root(to), "y"), -ENOTDIR);
	assert_int_equal(build_copy_node(&copy, a_dir, tree_root(to), "to-file"), -ENOTDIR);
	assert_int_equal(build_copy_node(&copy, a_dir, tree_root(to), "dangling"), -ENOTDIR);
	assert_int_equal(build_copy_node(&copy, a_dir, tree_root(to), "loop"), -ELOOP);
	expect_text(to, "/y", "y");
	build_copy_fini(&copy);
	tree_free(from);
	tree_free(to);
}

static void owners_modes_links_and_attributes_are_copied(void **state)
{
	struct tree *from = tree_new(), *to = tree_new();
	struct build_copy copy = {.tree = to, .uid = 5, .gid = -1, .mode = 0700};
	struct tree_node *node, *device = add(from, "/dev", S_IFCHR | 0666, NULL);

	(void)state;
	struct tree_node *one = file(from, "/one", "linked");
	one->inode->gid = 9;
	one->inode->mtime = 1234;
	assert_int_equal(tree_set_xattr(one->inode, "user.a", "b", 1), 0);
	assert_int_equal(tree_link(from, tree_root(from), "two", 3, one->inode, &node), 0);
	device->inode->rdev_major = 1;
	device->inode->rdev_minor = 3;
	symlink_to(from, "/link", "one");
	assert_int_equal(build_copy_children(&copy, tree_root(from), tree_root(to)), 0);
	const struct tree_inode *copied = find(to, "/one", 0)->inode;
	assert_ptr_equal(find(to, "/two", 0)->inode, copied);
	assert_int_equal(copied->links, 2);
	assert_int_equal(copied->uid, 5);
	assert_int_equal(copied->gid, 9);
	assert_int_equal(copied->mode, S_IFREG | 0700);
	assert_int_equal(copied->mtime, 1234);
	assert_string_equal(copied->xattrs->name, "user.a");
	assert_int_equal(find(to, "/dev", 0)->inode->rdev_minor, 3);
	assert_int_equal(find(to, "/link", 0)->inode->mode, S_IFLNK | 0777); /* --chmod is not for links */
	/* Again, over what is there: still one inode with two names. */
	assert_int_equal(build_copy_children(&copy, tree_root(from), tree_root(to)), 0);
	expect_text(to, "/two", "linked");
	assert_ptr_equal(find(to, "/one", 0)->inode, find(to, "/two", 0)->inode);
	build_copy_fini(&copy);
	tree_free(from);
	tree_free(to);
}

static int free_contents(void **state)
{
	(void)state;
	build_contents_free(&contents);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(links_are_followed_within_the_tree),
	    cmocka_unit_test(paths_that_lead_nowhere_are_refused),
	    cmocka_unit_test(missing_directories_are_made_with_their_owner),
	    cmocka_unit_test(copies_merge_directories_and_replace_files),
	    cmocka_unit_test(directories_and_files_do_not_replace_each_other),
	    cmocka_unit_test(owners_modes_links_and_attributes_are_copied),
	};

	return cmocka_run_group_tests(tests, NULL, free_contents);
}
