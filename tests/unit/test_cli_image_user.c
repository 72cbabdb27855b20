/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups are looked up in the image's files, whatever nonsense is in them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "cli/image_user.h"
#include "image/writer.h"

static struct err err;
static struct image_file image;

/* An image with these files; NULL: it is not there. A `passwd` that begins with '/' is a symbolic link. */
static void make_image(const char *passwd, const char *group)
{
	const char *const paths[] = {"etc/passwd", "etc/group"}, *const texts[] = {passwd, group};
	struct image_limits limits = IMAGE_LIMITS_DEFAULT;
	struct tree *tree = tree_new();
	struct image_writer *writer;
	struct image_digest digest;
	struct tree_node *dir, *node;
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0 && tree != NULL);
	assert_int_equal(image_writer_open(&writer, fd, &limits, &err), 0);
	assert_int_equal(tree_walk(tree, "etc", true, &dir), 0);
	for (size_t i = 0; i < countof(paths); i++) {
		const char *name = paths[i] + strlen("etc/");
		if (texts[i] == NULL)
			continue;
		bool link = texts[i][0] == '/';
		assert_int_equal(tree_add(tree, dir, name, strlen(name), link ? S_IFLNK | 0777 : S_IFREG | 0644, &node),
				 0);
		if (link) {
			assert_int_equal(tree_set_target(node->inode, texts[i], strlen(texts[i])), 0);
			continue;
		}
		assert_int_equal(image_writer_start(writer, &err), 0);
		assert_int_equal(image_writer_write(writer, texts[i], strlen(texts[i]), &err), 0);
		assert_int_equal(image_writer_end(writer, &node->inode->data, &err), 0);
	}
	assert_int_equal(image_writer_finish(writer, tree, "{}", &digest, &err), 0);
	image_writer_close(writer);
	tree_free(tree);
	assert_int_equal(image_file_open(&image, fd, &digest, &err), 0);
}

static void expect(const char *text, uint32_t uid, uint32_t gid, const char *home)
{
	struct image_user user;

	if (image_user_find(&image, text, &user, &err) != 0)
		fail_msg("'%s': %s", text, err.text);
	assert_int_equal(user.uid, uid);
	assert_int_equal(user.gid, gid);
	assert_string_equal(user.home, home);
}

static void expect_not(const char *text)
{
	struct image_user user;

	if (image_user_find(&image, text, &user, &err) == 0)
		fail_msg("'%s' was taken", text);
	assert_true(err.text[0] != '\0');
}

static void names_and_numbers(void **state)
{
	(void)state;
	make_image("root:x:0:0:r:/root:/bin/sh\na:x:10:20::/home/a:\n30:x:40:50::/thirty:\nb:x:30:60::/home/b",
		   "g:x:70:a\n80:x:90:");
	expect("", 0, 0, "/root");
	expect(":", 0, 0, "/root");
	expect("root", 0, 0, "/root");
	expect("a", 10, 20, "/home/a");
	expect("10", 10, 20, "/home/a");
	expect("a:g", 10, 70, "/home/a");
	expect("a:5", 10, 5, "/home/a");
	expect("a:80", 10, 90, "/home/a");
	expect("b", 30, 60, "/home/b");
	/* A name counts before a number. */
	expect("30", 40, 50, "/thirty");
	expect("4294967294", 4294967294u, 0, "/");
	expect("7:8", 7, 8, "/");
	expect(":g", 0, 70, "/root");
	image_file_close(&image);
}

static void what_is_not_there(void **state)
{
	char long_name[2000];

	(void)state;
	make_image("root:x:0:0::/root:\n", NULL);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	expect_not("nosuch");
	expect_not("root:nosuch");
	expect_not("4294967295");
	expect_not("4294967296");
	expect_not("18446744073709551616");
	expect_not("-1");
	expect_not("0x10");
	expect_not(" 1");
	expect_not("1:4294967295");
	expect_not(long_name);
	image_file_close(&image);
}

static void files_full_of_nonsense(void **state)
{
	(void)state;
	make_image("\n\n:::::::\nroot\nroot:x\nroot:x:a:b\nroot:x:4294967295:0::/x:\nroot:x:1:99999999999::/"
		   "x:\nx::2:3::relative:\n"
		   "y:x:4:5:a:b:c:d:e:f:/g\nroot:x:6:7::/right:/bin/sh:more\n:x:8:9::/empty:",
		   ":x:1:\ng\ng:x\ng:x:y\ng:x:-1\ng:x:11");
	expect("root", 6, 7, "/right");
	expect("x", 2, 3, "/");
	expect("y", 4, 5, "/");
	expect("1:g", 1, 11, "/");
	image_file_close(&image);
	make_image("", "");
	expect("", 0, 0, "/");
	expect_not("root");
	image_file_close(&image);
}

static void links_stay_in_the_image(void **state)
{
	(void)state;
	/* To what this host has. */
	make_image("/proc/self/../../etc/passwd", NULL);
	expect_not("root");
	expect("5", 5, 0, "/");
	image_file_close(&image);
	make_image("/etc/group", "someone:x:3:4::/home:");
	expect("someone", 3, 4, "/home");
	image_file_close(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_and_numbers),
	    cmocka_unit_test(what_is_not_there),
	    cmocka_unit_test(files_full_of_nonsense),
	    cmocka_unit_test(links_stay_in_the_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
