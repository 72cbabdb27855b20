/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that are right: what is in them arrives, and what they hide is gone. */
#include "tests/unit/image_layer_fixture.h"

static void kinds_and_attributes_arrive(void **state)
{
	struct fixture f;
	struct tar t = {0};
	(void)state;

	fixture_open(&f);
	tar_add(&t, "./", '5', NULL);
	tar_add(&t, "./etc/", '5', NULL);
	struct tar_header h = tar_header("etc/passwd", '0', 5);
	memcpy(h.mode, "0006750", 8);
	memcpy(h.uid, "0001750", 8);
	memcpy(h.gid, "\x80\x00\x00\x00\x7f\xff\xff\xff", 8);
	memcpy(h.mtime, "00000001750", 12);
	tar_put_header(&t, &h);
	tar_put_data(&t, "hello", 5);
	tar_add(&t, "etc/link", '2', "passwd");
	tar_add(&t, "etc/hard", '1', "etc/passwd");
	tar_add(&t, "etc/empty", '0', NULL);
	h = tar_header("dev/null", '3', 0);
	memcpy(h.major, "0000001", 8);
	memcpy(h.minor, "0000003", 8);
	tar_put_header(&t, &h);
	h = tar_header("dev/sda", '4', 0);
	memcpy(h.major, "0000010", 8);
	memcpy(h.minor, "0001000", 8);
	tar_put_header(&t, &h);
	tar_add(&t, "run/fifo", '6', NULL);
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	const struct tree_inode *i = find(&f, "etc/passwd")->inode;
	assert_int_equal(i->mode, S_IFREG | 06750);
	assert_int_equal(i->uid, 1000);
	assert_int_equal(i->gid, 0x7fffffff);
	assert_int_equal(i->mtime, 1000);
	assert_ptr_equal(find(&f, "etc/hard")->inode, i);
	assert_int_equal(i->links, 2);
	assert_string_equal(find(&f, "etc/link")->inode->target, "passwd");
	assert_int_equal(find(&f, "dev/null")->inode->mode & S_IFMT, S_IFCHR);
	assert_int_equal(find(&f, "dev/null")->inode->rdev_minor, 3);
	assert_int_equal(find(&f, "dev/sda")->inode->mode & S_IFMT, S_IFBLK);
	assert_int_equal(find(&f, "dev/sda")->inode->rdev_major, 8);
	assert_int_equal(find(&f, "dev/sda")->inode->rdev_minor, 512);
	assert_int_equal(find(&f, "run/fifo")->inode->mode & S_IFMT, S_IFIFO);
	assert_int_equal(find(&f, "dev")->inode->mode, S_IFDIR | 0755);
	fixture_finish(&f);
	assert_text(&f, "/etc/passwd", "hello");
	assert_text(&f, "/etc/hard", "hello");
	assert_text(&f, "/etc/empty", "");
	fixture_close(&f);
}

static void whiteouts_hide_what_is_below(void **state)
{
	struct fixture f;
	struct tar t = {0};
	(void)state;

	fixture_open(&f);
	tar_add(&t, "a/file", '0', "1");
	tar_add(&t, "a/dir/x", '0', "1");
	tar_add(&t, "a/kept", '0', "1");
	tar_add(&t, "b/dir/x", '0', "1");
	tar_add(&t, "b/dir/y/z", '0', "1");
	tar_add(&t, "c/x", '0', "1");
	tar_add(&t, "e/kept", '0', "1");
	tar_add(&t, "older", '2', "a");
	tar_add(&t, "a/gone", '0', "1");
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	tar_add(&t, "a/.wh.file", '0', NULL);
	tar_add(&t, "a/.wh.dir", '0', NULL);
	tar_add(&t, "a/.wh.nothing", '0', NULL);
	tar_add(&t, "no/where/.wh.x", '0', NULL);
	tar_add(&t, "c", '0', "2"); /* with whiteouts for what was in the directory that it replaces: umoci's way */
	tar_add(&t, "c/.wh.x", '0', NULL);
	tar_add(&t, "c/.wh..wh..opq", '0', NULL);
	tar_add(&t, "e", '2', "a");
	tar_add(&t, "e/.wh.kept", '0', NULL);
	tar_add(&t, "older/.wh.gone", '0', NULL);
	tar_add(&t, "b/dir/new", '0', "2"); /* the whiteout comes after what this layer adds: only the older vanishes */
	tar_add(&t, "b/.wh.dir", '0', NULL);
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	assert_false(has(&f, "a/file"));
	assert_false(has(&f, "a/dir"));
	assert_false(has(&f, "no"));
	assert_true(has(&f, "a/kept"));
	assert_false(has(&f, "a/gone"));
	assert_true(S_ISREG(find(&f, "c")->inode->mode));
	assert_true(S_ISLNK(find(&f, "e")->inode->mode));
	assert_false(has(&f, "b/dir/x"));
	assert_false(has(&f, "b/dir/y"));
	assert_true(has(&f, "b/dir/new"));
	assert_false(has(&f, "a/.wh.file"));
	fixture_finish(&f);
	assert_text(&f, "/b/dir/new", "2");
	fixture_close(&f);
}

/* The same layer, with the mark first, in the middle, and last: the same result. */
static void opaque_directories_hide_older_layers_only(void **state)
{
	(void)state;
	for (unsigned at = 0; at < 4; at++) {
		struct fixture f;
		struct tar t = {0};
		fixture_open(&f);
		tar_add(&t, "d/old", '0', "1");
		struct tar_header h = tar_header("d/sub", '5', 0);
		memcpy(h.mode, "0000700", 8);
		tar_put_header(&t, &h);
		tar_add(&t, "d/sub/old", '0', "1");
		tar_add(&t, "d/sub/deep/old", '0', "1");
		tar_add(&t, "e/old", '0', "1");
		tar_end(&t);
		assert_int_equal(fixture_apply(&f, &t), 0);
		for (unsigned i = 0; i < 4; i++) {
			if (i == at)
				tar_add(&t, "d/.wh..wh..opq", '0', NULL);
			if (i == 0)
				tar_add(&t, "d", '5', NULL);
			if (i == 1)
				tar_add(&t, "d/new", '0', "2");
			if (i == 2)
				tar_add(&t, "d/sub/new", '0', "2");
		}
		tar_end(&t);
		assert_int_equal(fixture_apply(&f, &t), 0);
		assert_false(has(&f, "d/old"));
		assert_false(has(&f, "d/sub/old"));
		assert_false(has(&f, "d/sub/deep"));
		assert_true(has(&f, "d/new"));
		assert_true(has(&f, "d/sub/new"));
		assert_true(has(&f, "e/old"));
		assert_int_equal(find(&f, "d/sub")->inode->mode, S_IFDIR | 0755);
		/* A third layer hides the second's. */
		tar_add(&t, ".wh..wh..opq", '0', NULL);
		tar_add(&t, "only", '0', "3");
		tar_end(&t);
		assert_int_equal(fixture_apply(&f, &t), 0);
		assert_false(has(&f, "d"));
		assert_false(has(&f, "e"));
		assert_int_equal(tree_node_count(f.tree), 2);
		fixture_finish(&f);
		assert_text(&f, "/only", "3");
		fixture_close(&f);
	}
}

static void entries_replace_each_other(void **state)
{
	struct fixture f;
	struct tar t = {0};
	(void)state;

	fixture_open(&f);
	tar_add(&t, "dir/x", '0', "1");
	tar_add(&t, "file", '0', "1");
	tar_add(&t, "link", '2', "/outside/probe");
	tar_add(&t, "linkdir", '2', "dir");
	tar_add(&t, "twice", '0', "first");
	tar_add(&t, "twice", '0', "second");
	tar_add(&t, "same", '5', NULL);
	tar_add(&t, "same/kept", '0', "1");
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	tar_add(&t, "dir", '0', "now a file");
	tar_add(&t, "file/", '5', NULL);
	tar_add(&t, "file/in", '0', "2");
	tar_add(&t, "link", '0', "now a file");
	tar_add(&t, "linkdir/", '5', NULL);
	struct tar_header h = tar_header("same", '5', 0);
	memcpy(h.mode, "0001777", 8);
	tar_put_header(&t, &h);
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	assert_int_equal(find(&f, "linkdir")->inode->mode, S_IFDIR | 0755);
	assert_int_equal(find(&f, "same")->inode->mode, S_IFDIR | 01777);
	fixture_finish(&f);
	assert_text(&f, "/dir", "now a file");
	assert_text(&f, "/file/in", "2");
	assert_text(&f, "/link", "now a file");
	assert_text(&f, "/twice", "second");
	assert_text(&f, "/same/kept", "1");
	fixture_close(&f);
}

/* Merged /usr: an older layer made lib a link, a newer one says lib/x. */
static void links_on_the_way_are_followed_inside(void **state)
{
	struct fixture f;
	struct tar t = {0};
	(void)state;

	fixture_open(&f);
	tar_add(&t, "usr/lib/old", '0', "1");
	tar_add(&t, "lib", '2', "usr/lib");
	tar_add(&t, "abs", '2', "/usr/lib");
	tar_add(&t, "up", '2', "../../../usr/./lib/..");
	tar_add(&t, "chain", '2', "abs");
	tar_add(&t, "dangling", '2', "later/made");
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	tar_add(&t, "lib/a", '0', "a");
	tar_add(&t, "abs/b", '0', "b");
	tar_add(&t, "up/lib/c", '0', "c");
	tar_add(&t, "chain/d/e", '0', "d");
	tar_add(&t, "dangling/f", '0', "f");
	tar_add(&t, "lib/h", '1', "chain/a");
	tar_add(&t, "lib/.wh.old", '0', NULL);
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	assert_true(S_ISLNK(find(&f, "lib")->inode->mode));
	assert_false(has(&f, "usr/lib/old"));
	assert_ptr_equal(find(&f, "usr/lib/h")->inode, find(&f, "usr/lib/a")->inode);
	fixture_finish(&f);
	assert_text(&f, "/usr/lib/a", "a");
	assert_text(&f, "/usr/lib/b", "b");
	assert_text(&f, "/usr/lib/c", "c");
	assert_text(&f, "/usr/lib/d/e", "d");
	assert_text(&f, "/later/made/f", "f");
	fixture_close(&f);
}

static void hard_links_reach_older_layers(void **state)
{
	struct fixture f;
	struct tar t = {0};
	(void)state;

	fixture_open(&f);
	tar_add(&t, "a/file", '0', "data");
	tar_add(&t, "a/other", '0', "other");
	tar_add(&t, "a/sym", '2', "file");
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	tar_add(&t, "b/link", '1', "./a/file");
	tar_add(&t, "a/other", '1', "a/file"); /* replaces */
	tar_add(&t, "a/other", '1', "a/file"); /* again */
	tar_add(&t, "b/sym", '1', "a/sym");
	tar_add(&t, "a/.wh.file", '0', NULL);
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	assert_false(has(&f, "a/file"));
	assert_ptr_equal(find(&f, "b/link")->inode, find(&f, "a/other")->inode);
	assert_int_equal(find(&f, "b/link")->inode->links, 2);
	assert_true(S_ISLNK(find(&f, "b/sym")->inode->mode));
	fixture_finish(&f);
	assert_text(&f, "/b/link", "data");
	fixture_close(&f);
}

static void names_are_bytes(void **state)
{
	static const char *const names[] = {
	    "nfd-e\xcc\x81",           "nfc-\xc3\xa9", "invalid-\xff\xfe", "new\nline", "back\\slash", " ", "...",
	    "\xe1\x84\x92\xe1\x85\xa1"};
	struct fixture f;
	struct tar t = {0};
	char name[4200] = "", target[4096];
	(void)state;

	fixture_open(&f);
	for (size_t i = 0; i < countof(names); i++) {
		snprintf(name, sizeof(name), "ustar/%s", names[i]);
		tar_add(&t, name, '0', names[i]);
		snprintf(name, sizeof(name), "pax/%s", names[i]);
		tar_add_pax(&t, "path", name, strlen(name));
		tar_add(&t, "x", '0', names[i]);
		tar_add_pax(&t, "linkpath", names[i], strlen(names[i]));
		snprintf(name, sizeof(name), "link%zu", i);
		tar_add(&t, name, '2', "x");
	}
	memset(name, 'n', 255);
	name[255] = '\0';
	tar_add(&t, name, '0', "255");
	memset(target, 't', 4095);
	target[4095] = '\0';
	tar_add(&t, "longlink", '2', target);
	/* 4095 bytes of path */
	for (size_t i = 0; i < 4095; i++)
		name[i] = i % 200 == 199 ? '/' : 'p';
	name[4095] = '\0';
	tar_add(&t, name, '0', "deep");
	tar_end(&t);
	int r = fixture_apply(&f, &t);
	if (r != 0)
		fail_msg("%s", f.err.text);
	assert_string_equal(find(&f, "longlink")->inode->target, target);
	assert_true(has(&f, name));
	for (size_t i = 0; i < countof(names); i++) {
		snprintf(target, sizeof(target), "link%zu", i);
		assert_string_equal(find(&f, target)->inode->target, names[i]);
	}
	fixture_finish(&f);
	for (size_t i = 0; i < countof(names); i++) {
		snprintf(target, sizeof(target), "/ustar/%s", names[i]);
		assert_text(&f, target, names[i]);
		snprintf(target, sizeof(target), "/pax/%s", names[i]);
		assert_text(&f, target, names[i]);
	}
	fixture_close(&f);
}

static void extended_attributes_and_times_arrive(void **state)
{
	struct fixture f;
	struct tar t = {0};
	const struct tree_xattr *x;
	(void)state;

	fixture_open(&f);
	tar_add_pax(&t, "SCHILY.xattr.user.bytes", "a\0b", 3);
	tar_add_pax(&t, "LIBARCHIVE.xattr.user.coded", "aGVsbG8", 7);
	tar_add_pax(&t, "SCHILY.xattr.security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	tar_add_pax(&t, "SCHILY.xattr.com.example.foreign", "x", 1);
	tar_add_pax(&t, "SCHILY.xattr.user.empty", "", 0);
	tar_add_pax(&t, "mtime", "1700000000.123456789", 20);
	tar_add_pax(&t, "uid", "4000000000", 10);
	tar_add(&t, "f", '0', "1");
	tar_add_pax(&t, "mtime", "-1.5", 4);
	tar_add(&t, "old", '0', "1");
	tar_add_pax(&t, "mtime", "99999999999999999999", 20);
	tar_add(&t, "late", '0', "1");
	tar_end(&t);
	int r = fixture_apply(&f, &t);
	if (r != 0)
		fail_msg("%s", f.err.text);
	const struct tree_inode *i = find(&f, "f")->inode;
	assert_int_equal(i->mtime, 1700000000);
	assert_int_equal(i->mtime_ns, 123456789);
	assert_int_equal(i->uid, 4000000000u);
	unsigned seen = 0;
	for (x = i->xattrs; x != NULL; x = x->next) {
		if (strcmp(x->name, "user.bytes") == 0 && x->value_bytes == 3 && memcmp(x->value, "a\0b", 3) == 0)
			seen |= 1;
		else if (strcmp(x->name, "user.coded") == 0 && x->value_bytes == 5 && memcmp(x->value, "hello", 5) == 0)
			seen |= 2;
		else if (strcmp(x->name, "security.capability") == 0 && x->value_bytes == 20)
			seen |= 4;
		else if (strcmp(x->name, "user.empty") == 0 && x->value_bytes == 0)
			seen |= 8;
		else
			fail_msg("unexpected attribute %s", x->name);
	}
	assert_int_equal(seen, 15);
	assert_true(find(&f, "old")->inode->mtime < 0);
	assert_true(find(&f, "old")->inode->mtime_ns < 1000000000);
	assert_true(find(&f, "late")->inode->mtime <= (int64_t)1 << 36);
	/* A newer layer's entry has only its own attributes. */
	tar_add(&t, "f", '0', "2");
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	assert_null(find(&f, "f")->inode->xattrs);
	fixture_finish(&f);
	fixture_close(&f);
}

static void sparse_files_keep_their_contents(void **state)
{
	struct fixture f;
	struct tar t = {0};
	uint8_t *expected = calloc(1, 1048576 + 512);
	(void)state;

	fixture_open(&f);
	/* GNU 0.1: a map in the header. */
	tar_add_pax(&t, "GNU.sparse.size", "1049088", 7);
	tar_add_pax(&t, "GNU.sparse.numblocks", "2", 1);
	tar_add_pax(&t, "GNU.sparse.map", "4096,5,1048576,512", 18);
	tar_add_pax(&t, "GNU.sparse.name", "sparse", 6);
	struct tar_header h = tar_header("GNUSparseFile.1/sparse", '0', 517);
	tar_put_header(&t, &h);
	uint8_t data[517];
	memset(data, 'D', sizeof(data));
	tar_put_data(&t, data, sizeof(data));
	tar_end(&t);
	int r = fixture_apply(&f, &t);
	if (r != 0)
		fail_msg("%s", f.err.text);
	fixture_finish(&f);
	memset(expected + 4096, 'D', 5);
	memset(expected + 1048576, 'D', 512);
	assert_contents(&f, "/sparse", expected, 1048576 + 512);
	fixture_close(&f);
	free(expected);
}

static void compressed_layers_are_seen_and_digests_compared(void **state)
{
	struct fixture f;
	struct tar t = {0};
	char digest[IMAGE_DIGEST_TEXT], diff_id[IMAGE_DIGEST_TEXT];
	(void)state;

	tar_add(&t, "f", '0', "text");
	tar_end(&t);
	tar_put(&t, "trailing bytes that belong to the digests", 41);
	digest_text(t.bytes, t.used, diff_id);
	struct tar packed[4] = {t, gzipped(t.bytes, t.used), zstd_made(t.bytes, t.used), gzipped(t.bytes, 700)};
	struct tar second = gzipped(t.bytes + 700, t.used - 700);
	tar_put(&packed[3], second.bytes, second.used); /* two members */
	for (size_t i = 0; i < countof(packed); i++) {
		for (size_t step = 0; step < 3; step++) {
			struct memory_source memory = {.data = packed[i].bytes, .bytes = packed[i].used, .step = step};
			fixture_open(&f);
			digest_text(packed[i].bytes, packed[i].used, digest);
			int r = fixture_apply_source(&f, &memory, digest, diff_id);
			if (r != 0)
				fail_msg("%s", f.err.text);
			fixture_finish(&f);
			assert_text(&f, "/f", "text");
			fixture_close(&f);
			memory.at = 0;
			fixture_open(&f);
			digest[10] ^= 1;
			assert_int_equal(fixture_apply_source(&f, &memory, digest, diff_id), -EBADMSG);
			digest[10] ^= 1;
			fixture_close(&f);
			memory.at = 0;
			fixture_open(&f);
			assert_int_equal(fixture_apply_source(&f, &memory, digest,
							      i == 0 ? "sha256:" : digest), /* not the diff_id */
					 -EBADMSG);
			fixture_close(&f);
		}
	}
	for (size_t i = 0; i < countof(packed); i++)
		tar_free(&packed[i]);
	tar_free(&second);
}

static void empty_layers_change_nothing(void **state)
{
	struct fixture f;
	struct tar t = {0};
	(void)state;

	fixture_open(&f);
	assert_int_equal(fixture_apply(&f, &t), 0);
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	struct tar zeros = {0};
	tar_put(&zeros, NULL, 10240);
	t = gzipped(zeros.bytes, zeros.used);
	tar_free(&zeros);
	assert_int_equal(fixture_apply(&f, &t), 0);
	assert_int_equal(tree_node_count(f.tree), 1);
	fixture_finish(&f);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kinds_and_attributes_arrive),
	    cmocka_unit_test(whiteouts_hide_what_is_below),
	    cmocka_unit_test(opaque_directories_hide_older_layers_only),
	    cmocka_unit_test(entries_replace_each_other),
	    cmocka_unit_test(links_on_the_way_are_followed_inside),
	    cmocka_unit_test(hard_links_reach_older_layers),
	    cmocka_unit_test(names_are_bytes),
	    cmocka_unit_test(extended_attributes_and_times_arrive),
	    cmocka_unit_test(sparse_files_keep_their_contents),
	    cmocka_unit_test(compressed_layers_are_seen_and_digests_compared),
	    cmocka_unit_test(empty_layers_change_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
