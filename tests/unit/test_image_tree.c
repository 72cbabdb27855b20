/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of an image being made: names, links, attributes, and its limits. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "image/tree.h"

static int setup(void **state)
{
	*state = tree_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	tree_free(*state);
	return 0;
}

static int add(struct tree *tree, struct tree_node *dir, const char *name, uint32_t mode, struct tree_node **node)
{
	return tree_add(tree, dir, name, strlen(name), mode, node);
}

static void test_a_new_tree_has_a_root(void **state)
{
	struct tree_node *root = tree_root(*state);

	assert_int_equal(root->inode->mode, S_IFDIR | 0755);
	assert_int_equal(root->child_count, 0);
	assert_null(root->parent);
	assert_int_equal(tree_node_count(*state), 1);
}

static void test_bad_names_are_refused(void **state)
{
	char name[300];
	struct tree_node *node;

	memset(name, 'a', sizeof(name));
	assert_int_equal(tree_add(*state, tree_root(*state), "", 0, S_IFREG, &node), -EINVAL);
	assert_int_equal(tree_add(*state, tree_root(*state), ".", 1, S_IFREG, &node), -EINVAL);
	assert_int_equal(tree_add(*state, tree_root(*state), "..", 2, S_IFREG, &node), -EINVAL);
	assert_int_equal(tree_add(*state, tree_root(*state), "a/b", 3, S_IFREG, &node), -EINVAL);
	assert_int_equal(tree_add(*state, tree_root(*state), "a\0b", 3, S_IFREG, &node), -EINVAL);
	assert_int_equal(tree_add(*state, tree_root(*state), name, 256, S_IFREG, &node), -ENAMETOOLONG);
	assert_int_equal(tree_add(*state, tree_root(*state), name, 255, S_IFREG, &node), 0);
	assert_int_equal(tree_add(*state, tree_root(*state), "...", 3, S_IFREG, &node), 0);
	assert_int_equal(tree_add(*state, node, "x", 1, S_IFREG, &node), -ENOTDIR);
	assert_int_equal(tree_node_count(*state), 3);
}

static void test_names_are_found_and_sorted(void **state)
{
	struct tree_node *root = tree_root(*state), *node;
	char name[16];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%u", i * 7919 % 1000);
		assert_int_equal(add(*state, root, name, S_IFREG | 0600, &node), 0);
		assert_int_equal(add(*state, root, name, S_IFREG | 0600, &node), -EEXIST);
	}
	for (unsigned i = 0; i < 1000; i += 3) {
		snprintf(name, sizeof(name), "%u", i);
		node = tree_find(root, name, strlen(name));
		assert_non_null(node);
		assert_string_equal(node->name, name);
		tree_remove(*state, node);
		assert_null(tree_find(root, name, strlen(name)));
	}
	assert_int_equal(root->child_count, 666);
	struct tree_node **children = tree_sorted(root);
	for (unsigned i = 1; i < root->child_count; i++)
		assert_true(strcmp(children[i - 1]->name, children[i]->name) < 0);
	/* Removal after sorting, from front and back. */
	while (root->child_count > 10)
		tree_remove(*state, tree_sorted(root)[root->child_count % 2 ? 0 : root->child_count - 1]);
	children = tree_sorted(root);
	for (unsigned i = 0; i < 10; i++)
		assert_ptr_equal(tree_find(root, children[i]->name, children[i]->name_length), children[i]);
}

static void test_bytes_sort_unsigned(void **state)
{
	struct tree_node *root = tree_root(*state), *node;
	static const char *const names[] = {"\xff", "a", "ab", "B", "a!", "\x01"}, *const sorted[] = {"\x01", "B",
												      "a",    "a!",
												      "ab",   "\xff"};

	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(add(*state, root, names[i], S_IFREG, &node), 0);
	for (unsigned i = 0; i < 6; i++)
		assert_string_equal(tree_sorted(root)[i]->name, sorted[i]);
}

static void test_links_share_an_inode(void **state)
{
	struct tree_node *root = tree_root(*state), *file, *link, *dir;

	assert_int_equal(add(*state, root, "file", S_IFREG, &file), 0);
	assert_int_equal(tree_link(*state, root, "link", 4, file->inode, &link), 0);
	assert_int_equal(file->inode->links, 2);
	tree_remove(*state, file);
	assert_int_equal(link->inode->links, 1);
	assert_int_equal(tree_set_xattr(link->inode, "user.x", "1", 1), 0);
	assert_int_equal(add(*state, root, "dir", S_IFDIR, &dir), 0);
	assert_int_equal(tree_link(*state, root, "dir2", 4, dir->inode, &link), -EPERM);
	assert_int_equal(tree_link(*state, root, "link", 4, dir->inode, &link), -EPERM);
	assert_int_equal(tree_link(*state, root, "dir", 3, tree_find(root, "link", 4)->inode, &link), -EEXIST);
}

static void test_removing_takes_all_below(void **state)
{
	struct tree_node *node;

	assert_int_equal(tree_walk(*state, "a/b/c/d", true, &node), 0);
	assert_int_equal(tree_walk(*state, "a/b/e", true, &node), 0);
	assert_int_equal(tree_walk(*state, "z", true, &node), 0);
	assert_int_equal(tree_node_count(*state), 7);
	assert_int_equal(tree_walk(*state, "a", false, &node), 0);
	tree_remove(*state, node);
	assert_int_equal(tree_node_count(*state), 2);
	assert_int_equal(tree_walk(*state, "a/b", false, &node), -ENOENT);
}

static void test_paths(void **state)
{
	struct tree_node *root = tree_root(*state), *node, *file, *again;

	assert_int_equal(tree_walk(*state, "", false, &node), 0);
	assert_ptr_equal(node, root);
	assert_int_equal(tree_walk(*state, "/./", false, &node), 0);
	assert_ptr_equal(node, root);
	assert_int_equal(tree_walk(*state, "a/b", false, &node), -ENOENT);
	assert_int_equal(tree_walk(*state, "//a///b/./", true, &node), 0);
	assert_int_equal(node->inode->mode, S_IFDIR | 0755);
	assert_int_equal(tree_walk(*state, "a/b", false, &again), 0);
	assert_ptr_equal(node, again);
	assert_int_equal(tree_walk(*state, "a/../b", true, &node), -EINVAL);
	assert_int_equal(tree_walk(*state, "..", true, &node), -EINVAL);
	assert_int_equal(add(*state, again, "file", S_IFREG, &file), 0);
	assert_int_equal(tree_walk(*state, "a/b/file", true, &node), 0);
	assert_ptr_equal(node, file);
	assert_int_equal(tree_walk(*state, "a/b/file/x", true, &node), -ENOTDIR);
	assert_int_equal(add(*state, root, "link", S_IFLNK, &node), 0);
	assert_int_equal(tree_set_target(node->inode, "a", 1), 0);
	assert_int_equal(tree_walk(*state, "link", false, &again), 0);
	assert_ptr_equal(node, again);
	assert_int_equal(tree_walk(*state, "link/b", false, &node), -ELOOP);
}

static void test_depth_is_limited(void **state)
{
	struct tree_node *node = tree_root(*state);

	for (unsigned i = 0; i < TREE_DEPTH_MAX; i++)
		assert_int_equal(add(*state, node, "d", S_IFDIR, &node), 0);
	assert_int_equal(add(*state, node, "d", S_IFDIR, &node), -ENAMETOOLONG);
	/* And taking it apart needs no stack. */
	tree_remove(*state, tree_find(tree_root(*state), "d", 1));
	assert_int_equal(tree_node_count(*state), 1);
}

static void test_targets(void **state)
{
	char target[5000];
	struct tree_node *node;

	memset(target, 't', sizeof(target));
	assert_int_equal(add(*state, tree_root(*state), "l", S_IFLNK, &node), 0);
	assert_int_equal(tree_set_target(node->inode, "", 0), -EINVAL);
	assert_int_equal(tree_set_target(node->inode, "a\0b", 3), -EINVAL);
	assert_int_equal(tree_set_target(node->inode, target, 4096), -ENAMETOOLONG);
	assert_int_equal(tree_set_target(node->inode, target, 4095), 0);
	assert_int_equal(tree_set_target(node->inode, "/x", 2), 0);
	assert_string_equal(node->inode->target, "/x");
}

static void test_xattrs_are_sorted_and_replaced(void **state)
{
	struct tree_inode *inode = tree_root(*state)->inode;

	assert_int_equal(tree_set_xattr(inode, "user.b", "1", 1), 0);
	assert_int_equal(tree_set_xattr(inode, "security.x", "22", 2), 0);
	assert_int_equal(tree_set_xattr(inode, "user.a", "", 0), 0);
	assert_int_equal(tree_set_xattr(inode, "user.b", "333", 3), 0);
	assert_string_equal(inode->xattrs->name, "security.x");
	assert_string_equal(inode->xattrs->next->name, "user.a");
	assert_string_equal(inode->xattrs->next->next->name, "user.b");
	assert_int_equal(inode->xattrs->next->next->value_bytes, 3);
	assert_null(inode->xattrs->next->next->next);
	/* Header 12; 4 + "x" + 2 = 7, 4 + "a" = 5, 4 + "b" + 3 = 8, each rounded up to 4. */
	assert_int_equal(tree_xattr_bytes(inode), 12 + 8 + 8 + 8);
}

static void test_xattrs_that_do_not_fit_are_refused(void **state)
{
	struct tree_inode *inode = tree_root(*state)->inode;
	static char value[65536];
	char name[300] = "user.", names[32];

	assert_int_equal(tree_set_xattr(inode, "com.example", "", 0), -EOPNOTSUPP);
	assert_int_equal(tree_set_xattr(inode, "user.", "", 0), -EOPNOTSUPP);
	assert_int_equal(tree_set_xattr(inode, "", "", 0), -EOPNOTSUPP);
	assert_int_equal(tree_set_xattr(inode, "system.posix_acl_accessX", "", 0), -EOPNOTSUPP);
	assert_int_equal(tree_set_xattr(inode, "system.posix_acl_default", "", 0), 0);
	memset(name + 5, 'x', 251);
	assert_int_equal(tree_set_xattr(inode, name, "", 0), -E2BIG);
	assert_int_equal(tree_set_xattr(inode, "user.x", value, sizeof(value)), -E2BIG);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(names, sizeof(names), "user.%u", i);
		assert_int_equal(tree_set_xattr(inode, names, value, 65000), 0);
	}
	/* Four and a bit fit the 16-bit count of 4-byte units. */
	assert_int_equal(tree_set_xattr(inode, "user.4", value, 3000), -E2BIG);
	assert_int_equal(tree_set_xattr(inode, "user.4", value, 1000), 0);
	/* Replacing counts what goes. */
	assert_int_equal(tree_set_xattr(inode, "user.0", value, 65000), 0);
	assert_int_equal(tree_set_xattr(inode, "user.0", value, 0), 0);
	assert_int_equal(tree_set_xattr(inode, "user.5", value, 60000), 0);
}

static void test_the_number_of_xattrs_is_limited(void **state)
{
	struct tree_inode *inode = tree_root(*state)->inode;
	char name[32];
	int r = 0;

	for (unsigned i = 0; i <= TREE_XATTRS_MAX && r == 0; i++) {
		snprintf(name, sizeof(name), "user.%u", i);
		r = tree_set_xattr(inode, name, "", 0);
		assert_int_equal(r, i < TREE_XATTRS_MAX ? 0 : -E2BIG);
	}
}

/* 64 KiB attributes until the budget is used up: then an error, and taking away gives it back. */
static void test_memory_is_limited(void **state)
{
	static char value[65000];
	struct tree_node *dir, *node = NULL;
	char name[32];
	int r = 0;
	unsigned count = 0;

	assert_int_equal(tree_walk(*state, "d", true, &dir), 0);
	for (unsigned i = 0; r == 0 && i < 100000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		if (i % 4 == 0)
			assert_int_equal(add(*state, dir, name, S_IFREG, &node), 0);
		snprintf(name, sizeof(name), "user.%u", i % 4);
		r = tree_set_xattr(node->inode, name, value, sizeof(value));
		count = i;
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(count > TREE_BYTES_MAX / 65536 - 2 && count <= TREE_BYTES_MAX / 65000);
	tree_remove(*state, dir);
	assert_int_equal(tree_walk(*state, "e", true, &node), 0);
	assert_int_equal(tree_set_xattr(node->inode, "user.x", value, sizeof(value)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_new_tree_has_a_root, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_names_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_names_are_found_and_sorted, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bytes_sort_unsigned, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_links_share_an_inode, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_removing_takes_all_below, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_depth_is_limited, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_targets, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_xattrs_are_sorted_and_replaced, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_xattrs_that_do_not_fit_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_number_of_xattrs_is_limited, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_memory_is_limited, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
