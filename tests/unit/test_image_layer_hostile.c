/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that are wrong or mean harm: refused, with an error that says why, in bounded time and memory. The host is
 * never asked for a name. */
#include <fcntl.h>

#include "tests/unit/image_layer_fixture.h"

/* One archive of one entry (its second layer, if first has something) is refused with `code`. */
static void refused(struct tar *first, struct tar *second, int code, const char *says)
{
	struct fixture f;

	fixture_open(&f);
	if (first != NULL) {
		tar_end(first);
		int r = fixture_apply(&f, first);
		if (r != 0)
			fail_msg("%s", f.err.text);
	}
	tar_end(second);
	int r = fixture_apply(&f, second);
	if (r != code)
		fail_msg("%s: %d, not %d: %s", says, r, code, r < 0 ? f.err.text : "");
	assert_non_null(strstr(f.err.text, "the layer"));
	if (strstr(f.err.text, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", f.err.text, says);
	fixture_close(&f);
}

static void entry_refused(const char *name, char type, const char *data, int code, const char *says)
{
	struct tar t = {0};

	tar_add(&t, name, type, data);
	refused(NULL, &t, code, says);
}

static void names_that_lead_out_are_refused(void **state)
{
	static const char *const names[] = {"../x",           "..",       "a/../x", "a/..", "./../x",
					    "a/b/../../../x", "a/.././b", "..//x"};
	static const char *const absolute[] = {"/etc/x", "//x", "/"};
	(void)state;

	for (size_t i = 0; i < countof(names); i++) {
		entry_refused(names[i], '0', "x", -EINVAL, "\"..\"");
		entry_refused(names[i], '5', NULL, -EINVAL, "\"..\"");
		struct tar t = {0};
		tar_add(&t, "f", '0', "x");
		tar_add(&t, "l", '1', names[i]);
		refused(NULL, &t, -EINVAL, "hard link to");
	}
	for (size_t i = 0; i < countof(absolute); i++) {
		entry_refused(absolute[i], '0', "x", -EINVAL, "absolute");
		struct tar t = {0};
		tar_add(&t, "l", '1', absolute[i]);
		refused(NULL, &t, -EINVAL, "absolute");
	}
	/* "...", "..x" and ".x" are ordinary names. */
	struct fixture f;
	struct tar t = {0};
	fixture_open(&f);
	tar_add(&t, "..x/...", '0', "x");
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	fixture_close(&f);
}

static void long_names_are_refused(void **state)
{
	char name[9000], says[] = "bytes";
	(void)state;

	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	entry_refused(name, '0', "x", -ENAMETOOLONG, says);
	entry_refused(name, '2', "x", -ENAMETOOLONG, says);
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 100 == 99 ? '/' : 'n';
	name[4097] = '\0';
	entry_refused(name, '0', "x", -ENAMETOOLONG, says);
	name[8999] = '\0';
	struct tar t = {0};
	tar_add_pax(&t, "path", name, 8000);
	tar_add(&t, "x", '5', NULL);
	refused(NULL, &t, -ENAMETOOLONG, says);
	name[4096] = 'n';
	memset(name, 't', 4096);
	name[4096] = '\0';
	entry_refused("l", '2', name, -EINVAL, "target");
}

/* A name cannot have a NUL; libarchive takes what is before it. It must not become another way out. */
static void a_nul_ends_a_name(void **state)
{
	struct fixture f;
	struct tar t = {0};
	(void)state;

	fixture_open(&f);
	tar_add_pax(&t, "path", "good\0/../../bad", 15);
	tar_add(&t, "x", '0', "x");
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	assert_true(has(&f, "good"));
	assert_int_equal(tree_node_count(f.tree), 2);
	fixture_close(&f);
}

/* CVE-2014-6407, CVE-2014-9356, CVE-2021-32760: an ancestor that is a link to the host's files. It leads to the tree's
 * own directory of that name, whatever is done through it. */
static void links_out_lead_nowhere(void **state)
{
	static const char *const targets[] = {"", "../../../../../../../../../../..", "/proc/self/root"};
	char dir[] = "/tmp/lampo-layer-XXXXXX", probe[64], target[256], path[256], back[8] = "";
	(void)state;

	assert_non_null(mkdtemp(dir));
	snprintf(probe, sizeof(probe), "%s/probe", dir);
	int fd = open(probe, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "intact", 6), 6);
	for (size_t i = 0; i < countof(targets); i++) {
		struct fixture f;
		struct tar t = {0};
		fixture_open(&f);
		snprintf(target, sizeof(target), "%s%s", targets[i], dir);
		tar_add(&t, "etc", '2', target);
		tar_end(&t);
		assert_int_equal(fixture_apply(&f, &t), 0);
		tar_add(&t, "etc/probe", '0', "changed");
		struct tar_header h = tar_header("etc/probe", '0', 0);
		memcpy(h.mode, "0007777", 8);
		tar_put_header(&t, &h);
		tar_add(&t, "etc/new", '5', NULL);
		tar_add(&t, "etc/hard", '1', "etc/probe");
		tar_add(&t, "etc/.wh.probe", '0', NULL);
		tar_add(&t, "etc/.wh..wh..opq", '0', NULL);
		tar_end(&t);
		int r = fixture_apply(&f, &t);
		if (r != 0)
			fail_msg("%s", f.err.text);
		assert_true(S_ISLNK(find(&f, "etc")->inode->mode));
		snprintf(path, sizeof(path), "%s%s/hard", i == 2 ? "proc/self/root" : "", dir);
		assert_true(has(&f, path));
		fixture_close(&f);
	}
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(pread(fd, back, 8, 0), 6);
	assert_string_equal(back, "intact");
	close(fd);
	assert_int_equal(unlink(probe), 0);
	assert_int_equal(rmdir(dir), 0); /* nothing else came to be in it */
}

static void endless_links_are_refused(void **state)
{
	struct tar t = {0}, u = {0};
	char name[16], target[16];
	(void)state;

	tar_add(&t, "a", '2', "b");
	tar_add(&t, "b", '2', "a");
	tar_add(&u, "a/x", '0', "x");
	refused(&t, &u, -ELOOP, "links");
	tar_add(&t, "self", '2', "self/x");
	tar_add(&u, "self/.wh.x", '0', "x");
	refused(&t, &u, -ELOOP, "links");
	for (unsigned i = 0; i < 41; i++) {
		snprintf(name, sizeof(name), "l%u", i);
		snprintf(target, sizeof(target), "l%u", i + 1);
		tar_add(&t, name, '2', target);
	}
	tar_add(&u, "l0/x", '0', "x");
	refused(&t, &u, -ELOOP, "links");
}

static void links_to_whiteouts_are_refused(void **state)
{
	struct tar t = {0};
	(void)state;

	tar_add(&t, "l", '2', "d/.wh.x");
	tar_add(&t, "l/file", '0', "x");
	refused(NULL, &t, -EINVAL, "whiteout");
}

/* Few bytes, much work: each link leads through 40 long ones, and each entry through it. */
static void expensive_links_are_bounded(void **state)
{
	struct fixture f;
	struct tar t = {0};
	char target[4001], name[32];
	(void)state;

	fixture_open(&f);
	for (size_t i = 0; i < 4000; i += 2)
		memcpy(target + i, "./", 2);
	for (unsigned i = 0; i < 39; i++) {
		snprintf(target + 3990, 11, "l%u", i + 1);
		snprintf(name, sizeof(name), "l%u", i);
		tar_add(&t, name, '2', target);
	}
	tar_add(&t, "l39", '5', NULL);
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "l0/.wh.%u", i);
		tar_add(&t, name, '0', NULL);
	}
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), -EFBIG);
	assert_non_null(strstr(f.err.text, "work"));
	fixture_close(&f);
}

static void bad_whiteouts_are_refused(void **state)
{
	static const struct {
		const char *name, *says;
	} bad[] = {
	    {".wh.", "whiteout"},         {"a/.wh..", "whiteout"},        {"a/.wh...", "whiteout"},
	    {".wh..wh.plnk", "whiteout"}, {".wh..wh.aufs/x", "whiteout"}, {"a/.wh..wh..opqx", "whiteout"},
	    {".wh.dir/file", "whiteout"}, {".wh.dir/.", "whiteout"},      {"../.wh.x", "\"..\""},
	    {"a/../.wh.x", "\"..\""},     {"a/.wh../../x", "whiteout"},   {"/.wh.etc", "absolute"},
	};
	(void)state;

	for (size_t i = 0; i < countof(bad); i++)
		entry_refused(bad[i].name, '0', NULL, -EINVAL, bad[i].says);
}

static void impossible_entries_are_refused(void **state)
{
	struct tar t = {0}, u = {0};
	(void)state;

	tar_add(&t, "file", '0', "x");
	tar_add(&u, "file/below", '0', "x");
	refused(&t, &u, -ENOTDIR, "no directory");
	entry_refused("l", '1', "nothing", -ENOENT, "not there");
	entry_refused("l", '1', "l", -ENOENT, "not there");
	entry_refused("l", '1', "", -EINVAL, "");
	tar_add(&t, "dir", '5', NULL);
	tar_add(&u, "l", '1', "dir");
	refused(&t, &u, -EISDIR, "directory");
	tar_add(&t, "dir/file", '0', "x");
	tar_add(&u, "dir", '1', "dir/file"); /* would take its own target away */
	refused(&t, &u, -EINVAL, "replaces");
	tar_add(&t, "file", '0', "x");
	tar_add(&u, "file", '1', "./file");
	refused(&t, &u, -EINVAL, "replaces");
	tar_add(&t, "file", '0', "x");
	tar_add(&u, "l", '1', ".");
	refused(&t, &u, -ENOENT, "not there");
	entry_refused(".", '0', "x", -EINVAL, "root");
	entry_refused(".", '2', "x", -EINVAL, "root");
	entry_refused("", '0', "x", -EINVAL, "name");
	entry_refused("l", '2', "", -EINVAL, "link");
}

static void impossible_owners_devices_and_sizes_are_refused(void **state)
{
	struct tar t = {0};
	struct tar_header h = tar_header("f", '0', 0);
	(void)state;

	memcpy(h.uid, "\x80\x00\x00\x00\xff\xff\xff\xff", 8);
	tar_put_header(&t, &h);
	refused(NULL, &t, -EINVAL, "owner");
	h = tar_header("f", '0', 0);
	memcpy(h.gid, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	tar_put_header(&t, &h);
	refused(NULL, &t, -EINVAL, "owner");
	h = tar_header("f", '3', 0);
	memcpy(h.major, "\x80\x00\x00\x00\x7f\xff\xff\xff", 8);
	tar_put_header(&t, &h);
	refused(NULL, &t, -EINVAL, "device");
	h = tar_header("f", '0', 0); /* -1 */
	memset(h.size, 0xff, 12);
	tar_put_header(&t, &h);
	refused(NULL, &t, -EBADMSG, "");
	h = tar_header("f", '0', 0); /* 2^63 - 1 */
	memcpy(h.size, "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff", 12);
	tar_put_header(&t, &h);
	refused(NULL, &t, -EBADMSG, "");
	tar_add_pax(&t, "size", "-5", 2);
	tar_add(&t, "f", '0', NULL);
	refused(NULL, &t, -EBADMSG, "");
	tar_add_pax(&t, "size", "99999999999999999999999", 23);
	tar_add(&t, "f", '0', NULL);
	refused(NULL, &t, -EBADMSG, "");
}

static void sparse_files_beyond_bounds_are_refused(void **state)
{
	static const struct {
		const char *size, *count, *map;
	} bad[] = {
	    {"9223372036854775807", "1", "9223372036854775800,4"}, /* 8 EiB */
	    {"8", "2", "0,4,2,4"},                                 /* overlap */
	    {"8", "2", "4,4,0,4"},                                 /* backwards */
	    {"8", "1", "100,8"},                                   /* beyond the end */
	    {"4", "1", "0,8"},                                     /* longer than the file */
	    {"8", "1", "18446744073709551615,8"},
	};
	(void)state;

	for (size_t i = 0; i < countof(bad); i++) {
		struct tar t = {0};
		tar_add_pax(&t, "GNU.sparse.size", bad[i].size, strlen(bad[i].size));
		tar_add_pax(&t, "GNU.sparse.numblocks", bad[i].count, strlen(bad[i].count));
		tar_add_pax(&t, "GNU.sparse.map", bad[i].map, strlen(bad[i].map));
		tar_add(&t, "f", '0', "12345678");
		struct fixture f;
		fixture_open(&f);
		tar_end(&t);
		int r = fixture_apply(&f, &t);
		if (r == 0)
			fail_msg("%s is taken", bad[i].map);
		assert_true(f.err.text[0] != '\0');
		fixture_close(&f);
	}
}

static void bad_attributes_are_refused(void **state)
{
	struct tar t = {0};
	char *value = calloc(1, 70000);
	(void)state;

	/* More than EROFS can say of one attribute. */
	struct tar_header x = tar_header("pax", 'x', 70000 + 31);
	tar_put_header(&t, &x);
	struct tar record = {0};
	tar_put(&record, "70031 SCHILY.xattr.user.large=", 30);
	tar_put(&record, value, 70000);
	tar_put(&record, "\n", 1);
	tar_put_data(&t, record.bytes, record.used);
	tar_free(&record);
	tar_add(&t, "f", '0', "x");
	refused(NULL, &t, -E2BIG, "attribute");
	/* A record whose length is a lie. */
	x = tar_header("pax", 'x', 20);
	tar_put_header(&t, &x);
	tar_put_data(&t, "99 path=somewhere\n\n\n", 20);
	tar_add(&t, "f", '0', "x");
	refused(NULL, &t, -EBADMSG, "");
	free(value);
}

/* ---- limits ---- */

static void bombs_end_at_the_limits(void **state)
{
	struct tar t = {0};
	(void)state;

	/* 96 MiB of zeros: gzip makes it a thousandth, zstd less. */
	struct tar_header h = tar_header("zeros", '0', 96u << 20);
	tar_put_header(&t, &h);
	tar_put(&t, NULL, 96u << 20);
	tar_end(&t);
	struct tar packed[] = {gzipped(t.bytes, t.used), zstd_made(t.bytes, t.used)};
	tar_free(&t);
	for (size_t i = 0; i < countof(packed); i++) {
		struct memory_source memory = {.data = packed[i].bytes, .bytes = packed[i].used};
		struct fixture f;
		fixture_open(&f);
		f.limits.ratio = 900;
		assert_int_equal(fixture_apply_source(&f, &memory, NULL, NULL), -EFBIG);
		assert_non_null(strstr(f.err.text, "900 times"));
		fixture_close(&f);
		fixture_open(&f);
		f.limits.bytes = 1u << 20;
		memory.at = 0;
		assert_int_equal(fixture_apply_source(&f, &memory, NULL, NULL), -EFBIG);
		assert_non_null(strstr(f.err.text, "1048576 bytes"));
		fixture_close(&f);
		tar_free(&packed[i]);
	}
}

static void too_many_entries_are_refused(void **state)
{
	struct fixture f;
	struct tar t = {0};
	char name[32];
	(void)state;

	for (unsigned i = 0; i < 1001; i++) {
		snprintf(name, sizeof(name), "%u", i);
		tar_add(&t, name, '0', NULL);
	}
	tar_end(&t);
	struct memory_source memory = {.data = t.bytes, .bytes = t.used};
	fixture_open(&f);
	f.limits.entries = 1000;
	assert_int_equal(fixture_apply_source(&f, &memory, NULL, NULL), -EFBIG);
	assert_non_null(strstr(f.err.text, "1000 entries"));
	fixture_close(&f);
	fixture_open(&f);
	f.limits.entries = 1001;
	memory.at = 0;
	assert_int_equal(fixture_apply_source(&f, &memory, NULL, NULL), 0);
	fixture_close(&f);
	tar_free(&t);
}

/* 10^6 entries and more, made as they are read, end at the limit without being held anywhere. */
struct endless {
	struct tar_header header;
	uint64_t count;
};

static int64_t endless_read(void *context, void *to, size_t bytes, struct err *err)
{
	struct endless *e = context;
	uint8_t *at = to;
	(void)err;

	for (size_t n = 0; n + 512 <= bytes; n += 512, e->count++) {
		unsigned sum = 0;
		snprintf(e->header.name, sizeof(e->header.name), "d/%llu", (unsigned long long)(e->count % 4096));
		memset(e->header.sum, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += ((uint8_t *)&e->header)[i];
		snprintf(e->header.sum, sizeof(e->header.sum), "%06o", sum);
		memcpy(at + n, &e->header, 512);
	}
	return (int64_t)(bytes / 512 * 512);
}

static void endless_archives_end_at_the_limit(void **state)
{
	struct endless endless = {.header = tar_header("d", '0', 0)};
	struct layer_source source = {.read = endless_read, .context = &endless, .name = "the layer"};
	struct fixture f;
	(void)state;

	fixture_open(&f);
	f.limits.entries = 300000;
	assert_int_equal(layer_apply(f.tree, f.writer, 1, &source, &f.limits, &f.err), -EFBIG);
	assert_true(endless.count < 310000);
	fixture_close(&f);
}

static void deep_directories_are_refused(void **state)
{
	struct fixture f;
	struct tar t = {0};
	char name[4000];
	(void)state;

	fixture_open(&f);
	for (size_t i = 0; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "d/", 2);
	name[sizeof(name) - 2] = '\0';
	tar_add(&t, name, '5', NULL);
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), -ENAMETOOLONG);
	fixture_close(&f);
}

/* ---- damage ---- */

static struct tar small_archive(void)
{
	struct tar t = {0};
	uint8_t noise[3000];
	uint32_t seed = 1;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
	tar_add(&t, "dir", '5', NULL);
	struct tar_header h = tar_header("dir/file", '0', sizeof(noise));
	tar_put_header(&t, &h);
	tar_put_data(&t, noise, sizeof(noise));
	tar_add_pax(&t, "SCHILY.xattr.user.a", "b", 1);
	tar_add(&t, "dir/link", '2', "file");
	tar_end(&t);
	return t;
}

static int apply_bytes(const void *data, size_t bytes, const char *digest, struct err *err)
{
	struct memory_source memory = {.data = data, .bytes = bytes};
	struct fixture f;

	fixture_open(&f);
	int r = fixture_apply_source(&f, &memory, digest, NULL);
	*err = f.err;
	fixture_close(&f);
	return r;
}

static void truncated_streams_are_refused(void **state)
{
	struct tar t = small_archive();
	struct tar packed[] = {gzipped(t.bytes, t.used), zstd_made(t.bytes, t.used)};
	struct err err;
	(void)state;

	for (size_t i = 0; i < countof(packed); i++) {
		for (size_t n = 5; n < packed[i].used; n += 31) {
			assert_int_equal(apply_bytes(packed[i].bytes, n, NULL, &err), -EBADMSG);
			assert_non_null(strstr(err.text, "the layer"));
		}
		assert_int_equal(apply_bytes(packed[i].bytes, packed[i].used - 1, NULL, &err), -EBADMSG);
		tar_free(&packed[i]);
	}
	/* A plain archive that ends in an entry. */
	for (size_t n = 1; n < t.used - 1024; n += 100)
		if (n % 512 != 0 && n / 512 != 1)
			assert_int_equal(apply_bytes(t.bytes, n, NULL, &err), -EBADMSG);
	tar_free(&t);
}

static void trailing_data_is_refused(void **state)
{
	struct tar t = small_archive();
	struct tar packed[] = {gzipped(t.bytes, t.used), zstd_made(t.bytes, t.used)};
	struct err err;
	(void)state;

	for (size_t i = 0; i < countof(packed); i++) {
		tar_put(&packed[i], "garbage!", 8);
		assert_int_equal(apply_bytes(packed[i].bytes, packed[i].used, NULL, &err), -EBADMSG);
		packed[i].used -= 8;
		tar_put(&packed[i], NULL, 512);
		assert_int_equal(apply_bytes(packed[i].bytes, packed[i].used, NULL, &err), -EBADMSG);
		tar_free(&packed[i]);
	}
	tar_free(&t);
}

static void flipped_bits_are_noticed(void **state)
{
	struct tar t = small_archive();
	struct tar packed[] = {t, gzipped(t.bytes, t.used), zstd_made(t.bytes, t.used)};
	char digest[IMAGE_DIGEST_TEXT];
	struct err err;
	(void)state;

	for (size_t i = 0; i < countof(packed); i++) {
		digest_text(packed[i].bytes, packed[i].used, digest);
		assert_int_equal(apply_bytes(packed[i].bytes, packed[i].used, digest, &err), 0);
		for (size_t at = 0; at < packed[i].used; at += 10) {
			packed[i].bytes[at] ^= (uint8_t)(1 << at / 10 % 8);
			int r = apply_bytes(packed[i].bytes, packed[i].used, digest, &err);
			if (r >= 0)
				fail_msg("byte %zu of %zu: not noticed", at, i);
			assert_true(err.text[0] != '\0');
			packed[i].bytes[at] ^= (uint8_t)(1 << at / 10 % 8);
		}
		tar_free(&packed[i]);
	}
}

static void what_is_no_archive_is_refused(void **state)
{
	struct err err;
	char noise[4096];
	(void)state;

	memset(noise, 'x', sizeof(noise));
	assert_int_equal(apply_bytes(noise, sizeof(noise), NULL, &err), -EBADMSG);
	assert_int_equal(apply_bytes("x", 1, NULL, &err), -EBADMSG);
	assert_int_equal(apply_bytes("\x1f\x8b\x08", 3, NULL, &err), -EBADMSG);
	assert_int_equal(apply_bytes("\x28\xb5\x2f\xfd", 4, NULL, &err), -EBADMSG);
}

/* A wrong digest is the better message where the archive is damaged, too. */
static void a_damaged_archive_is_blamed_on_its_digest(void **state)
{
	struct err err;
	char noise[300000], digest[IMAGE_DIGEST_TEXT];
	(void)state;

	memset(noise, 'x', sizeof(noise));
	digest_text("other", 5, digest);
	assert_int_equal(apply_bytes(noise, sizeof(noise), digest, &err), -EBADMSG);
	assert_non_null(strstr(err.text, digest));
}

static void the_sources_own_error_is_reported(void **state)
{
	struct tar t = small_archive();
	(void)state;

	for (size_t n = 0; n < t.used; n += 500) {
		struct memory_source memory = {.data = t.bytes, .bytes = n, .fail_at_end = -ETIMEDOUT};
		struct fixture f;
		fixture_open(&f);
		assert_int_equal(fixture_apply_source(&f, &memory, NULL, NULL), -ETIMEDOUT);
		assert_non_null(strstr(f.err.text, "the source fails"));
		fixture_close(&f);
	}
	tar_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_that_lead_out_are_refused),
	    cmocka_unit_test(long_names_are_refused),
	    cmocka_unit_test(a_nul_ends_a_name),
	    cmocka_unit_test(links_out_lead_nowhere),
	    cmocka_unit_test(endless_links_are_refused),
	    cmocka_unit_test(links_to_whiteouts_are_refused),
	    cmocka_unit_test(expensive_links_are_bounded),
	    cmocka_unit_test(bad_whiteouts_are_refused),
	    cmocka_unit_test(impossible_entries_are_refused),
	    cmocka_unit_test(impossible_owners_devices_and_sizes_are_refused),
	    cmocka_unit_test(sparse_files_beyond_bounds_are_refused),
	    cmocka_unit_test(bad_attributes_are_refused),
	    cmocka_unit_test(bombs_end_at_the_limits),
	    cmocka_unit_test(too_many_entries_are_refused),
	    cmocka_unit_test(endless_archives_end_at_the_limit),
	    cmocka_unit_test(deep_directories_are_refused),
	    cmocka_unit_test(truncated_streams_are_refused),
	    cmocka_unit_test(trailing_data_is_refused),
	    cmocka_unit_test(flipped_bits_are_noticed),
	    cmocka_unit_test(what_is_no_archive_is_refused),
	    cmocka_unit_test(a_damaged_archive_is_blamed_on_its_digest),
	    cmocka_unit_test(the_sources_own_error_is_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
