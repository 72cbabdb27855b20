/* SPDX-License-Identifier: Apache-2.0 */
/* The store keeps what it is given, and nothing that is asked of it harms what it has. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/util.h"
#include "tests/unit/image_store_fixture.h"

static struct store store;

static void open_store(void) { assert_int_equal(store_open(&store, true, &fixture_err), 0); }

static unsigned files_in(const char *name)
{
	DIR *dir = opendir(fixture_path(name));
	unsigned count = 0;

	assert_non_null(dir);
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		count += e->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static unsigned count_of_images(void)
{
	struct store_entry *entries;
	size_t count;

	assert_int_equal(store_list(&store, &entries, &count, &fixture_err), 0);
	free(entries);
	return (unsigned)count;
}

/* ---- what works -------------------------------------------------------------------------------- */

static void a_store_is_made_only_on_demand(void **state)
{
	struct stat st;

	(void)state;
	setenv("LAMPO_DATA", fixture_path("a/b/c"), 1);
	assert_int_equal(store_open(&store, false, &fixture_err), -ENOENT);
	assert_int_equal(lstat(fixture_path("a"), &st), -1);
	open_store();
	assert_int_equal(count_of_images(), 0);
	assert_int_equal(stat(fixture_path("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	store_close(&store);
	assert_int_equal(store_open(&store, false, &fixture_err), 0);
	store_close(&store);
}

static void an_image_is_kept_and_found(void **state)
{
	struct image_digest digest;
	struct store_entry entry;
	struct image_file image;
	struct stat st;
	char text[IMAGE_DIGEST_TEXT];

	(void)state;
	open_store();
	assert_int_equal(fixture_commit(&store, 1, "app:1", &digest), 0);
	image_digest_format(&digest, text);
	assert_int_equal(store_find(&store, "app:1", &entry, &fixture_err), 0);
	assert_string_equal(entry.name, "app:1");
	assert_int_equal(entry.bytes, FIXTURE_BYTES);
	assert_int_equal(store_find(&store, text, &entry, &fixture_err), 0);
	assert_int_equal(store_find(&store, text + strlen("sha256:"), &entry, &fixture_err), 0);
	text[strlen("sha256:") + 6] = '\0';
	assert_int_equal(store_find(&store, text + strlen("sha256:"), &entry, &fixture_err), 0);
	text[strlen("sha256:") + 5] = '\0';
	assert_int_equal(store_find(&store, text + strlen("sha256:"), &entry, &fixture_err), -ENOENT);
	assert_int_equal(store_find(&store, "app", &entry, &fixture_err), -ENOENT);
	assert_int_equal(stat(fixture_image_path(&digest), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_int_equal(store_image_open(&store, &digest, &image, &fixture_err), 0);
	image_file_close(&image);
	assert_int_equal(files_in("tmp"), 0);
	store_close(&store);
}

static void names_come_and_go(void **state)
{
	struct image_digest one, two;
	struct store_entry entry;
	struct store_origin origin = {.reference = "registry.example:5000/app:1", .manifest_bytes = 7};

	(void)state;
	open_store();
	assert_int_equal(fixture_commit(&store, 1, "one", &one), 0);
	assert_int_equal(fixture_commit(&store, 2, NULL, &two), 0);
	assert_int_equal(count_of_images(), 2);
	assert_int_equal(store_tag(&store, &two, "one", &origin, &fixture_err), 0);
	assert_int_equal(store_tag(&store, &two, "Host.example/a/b:T", NULL, &fixture_err), 0);
	assert_int_equal(store_find(&store, "one:latest", &entry, &fixture_err), 0);
	assert_memory_equal(&entry.digest, &two, sizeof(two));
	assert_string_equal(entry.origin.reference, origin.reference);
	assert_int_equal(entry.origin.manifest_bytes, 7);
	assert_int_equal(store_find(&store, "host.example/a/b:T", &entry, &fixture_err), 0);
	assert_int_equal(count_of_images(), 3);
	assert_int_equal(store_untag(&store, "one", &fixture_err), 0);
	assert_int_equal(store_untag(&store, "one", &fixture_err), -ENOENT);
	assert_int_equal(store_find(&store, "one", &entry, &fixture_err), -ENOENT);
	store_close(&store);
}

static void pruning_keeps_what_has_a_name(void **state)
{
	struct image_digest named, unnamed;
	struct store_pruned pruned;

	(void)state;
	open_store();
	assert_int_equal(fixture_commit(&store, 1, "named", &named), 0);
	assert_int_equal(fixture_commit(&store, 2, NULL, &unnamed), 0);
	write_file(fixture_path("tmp/left-behind"), "x");
	write_file(fixture_path("quarantine/left-behind"), "xy");
	assert_int_equal(store_prune(&store, false, &pruned, &fixture_err), 0);
	assert_int_equal(pruned.images, 1);
	assert_int_equal(pruned.bytes, FIXTURE_BYTES + 3);
	assert_true(store_has(&store, &named));
	assert_false(store_has(&store, &unnamed));
	assert_int_equal(files_in("tmp") + files_in("quarantine"), 0);
	store_close(&store);
}

static void removing_spares_named_images(void **state)
{
	struct image_digest digest;

	(void)state;
	open_store();
	assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
	assert_int_equal(store_remove(&store, &digest, &fixture_err), -EEXIST);
	assert_true(store_has(&store, &digest));
	assert_int_equal(store_untag(&store, "x", &fixture_err), 0);
	assert_int_equal(store_remove(&store, &digest, &fixture_err), 0);
	assert_false(store_has(&store, &digest));
	store_close(&store);
}

static void an_image_that_is_there_is_kept(void **state)
{
	struct image_digest digest;
	struct stat before, after;

	(void)state;
	open_store();
	assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
	assert_int_equal(stat(fixture_image_path(&digest), &before), 0);
	assert_int_equal(fixture_commit(&store, 1, "y", &digest), 0);
	assert_int_equal(stat(fixture_image_path(&digest), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(files_in("tmp"), 0);
	store_close(&store);
}

/* ---- damage ------------------------------------------------------------------------------------ */

static void flip(const struct image_digest *digest, off_t at)
{
	uint8_t byte;
	int fd = open(fixture_image_path(digest), O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void damage_is_found_put_aside_and_healed(void **state)
{
	struct image_digest digest;
	struct image_file image;

	(void)state;
	open_store();
	for (off_t at = 0; at < FIXTURE_BYTES; at += 997) {
		assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
		assert_int_equal(chmod(fixture_image_path(&digest), 0644), 0);
		flip(&digest, at);
		assert_int_equal(store_verify(&store, &digest, NULL, NULL, &fixture_err), -EUCLEAN);
		assert_true(fixture_err.hint[0] != '\0');
		assert_false(store_has(&store, &digest));
		assert_int_equal(files_in("quarantine"), 1);
		assert_int_equal(store_image_open(&store, &digest, &image, &fixture_err), -ENOENT);
		assert_int_equal(store_verify(&store, &digest, NULL, NULL, &fixture_err), -ENOENT);
	}
	assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
	assert_int_equal(store_verify(&store, &digest, NULL, NULL, &fixture_err), 0);
	store_close(&store);
}

/* Whether the footer shows it or not. */
static void making_an_image_again_heals_it(void **state)
{
	static const off_t places[] = {0, VERITY_BLOCK, FIXTURE_BYTES - VERITY_BLOCK, FIXTURE_BYTES - 1};
	struct image_digest digest;

	(void)state;
	open_store();
	assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
	for (size_t i = 0; i < countof(places); i++) {
		flip(&digest, places[i]);
		assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
		assert_int_equal(store_verify(&store, &digest, NULL, NULL, &fixture_err), 0);
	}
	assert_int_equal(truncate(fixture_image_path(&digest), 100), 0);
	assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
	assert_int_equal(store_verify(&store, &digest, NULL, NULL, &fixture_err), 0);
	store_close(&store);
}

static void what_is_not_the_image_is_refused(void **state)
{
	uint8_t bytes[FIXTURE_BYTES];
	struct image_digest digest, other;
	struct store_draft draft;

	(void)state;
	open_store();
	fixture_image(bytes, 1, &digest);
	fixture_image(bytes, 2, &other);
	for (size_t length = 0; length <= FIXTURE_BYTES; length += VERITY_BLOCK / 2) {
		assert_int_equal(store_draft_open(&store, &draft, &fixture_err), 0);
		assert_int_equal(fd_write_all(draft.fd, bytes, length), 0);
		assert_true(store_draft_commit(&store, &draft, &digest, "x", NULL, &fixture_err) < 0);
		assert_int_equal(draft.fd, -1);
	}
	assert_int_equal(files_in("tmp") + files_in("images/sha256"), 0);
	assert_int_equal(count_of_images(), 0);
	store_close(&store);
}

static void a_damaged_index_stops_everything_and_loses_nothing(void **state)
{
	static const char *const texts[] = {
	    "",
	    "{",
	    "[]",
	    "{}",
	    "{\"version\":1}",
	    "{\"version\":\"1\",\"images\":[]}",
	    "{\"version\":1,\"images\":[1]}",
	    "{\"version\":1,\"images\":[{}]}",
	    "{\"version\":1,\"version\":1,\"images\":[]}",
	    "{\"version\":1,\"images\":[{\"name\":\"x:latest\",\"digest\":\"sha256:1\",\"created\":1}]}",
	    "{\"version\":1,\"images\":[{\"name\":\"../x\",\"digest\":"
	    "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\",\"created\":1}]}",
	    "{\"version\":1,\"images\":[{\"name\":\"x:latest\",\"digest\":"
	    "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\",\"created\":\"1\"}]}",
	    "{\"version\":1,\"images\":[{\"name\":\"x:latest\",\"digest\":"
	    "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\",\"created\":1,\"origin\":{"
	    "\"reference\":1}}]}",
	    "{\"version\":1,\"images\":[{\"name\":\"x:latest\",\"digest\":"
	    "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\",\"created\":1},{\"name\":\"x:"
	    "latest\",\"digest\":"
	    "\"sha256:0000000000000000000000000000000000000000000000000000000000000001\",\"created\":1}]}",
	};
	struct image_digest digest, other;
	struct store_entry *entries, entry;
	struct store_pruned pruned;
	size_t count;

	(void)state;
	open_store();
	assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
	for (size_t i = 0; i <= countof(texts); i++) {
		if (i < countof(texts))
			write_file(fixture_path("index.json"), texts[i]);
		else
			unlink(fixture_path("index.json"));
		assert_int_equal(store_list(&store, &entries, &count, &fixture_err), -EUCLEAN);
		assert_true(fixture_err.hint[0] != '\0');
		assert_int_equal(store_find(&store, "x", &entry, &fixture_err), -EUCLEAN);
		assert_int_equal(store_tag(&store, &digest, "y", NULL, &fixture_err), -EUCLEAN);
		assert_int_equal(store_untag(&store, "x", &fixture_err), -EUCLEAN);
		assert_int_equal(store_prune(&store, false, &pruned, &fixture_err), -EUCLEAN);
		assert_int_equal(store_remove(&store, &digest, &fixture_err), -EUCLEAN);
		assert_int_equal(fixture_commit(&store, 2, "z", &other), -EUCLEAN);
		assert_true(store_has(&store, &digest));
	}
	/* What the hint says. */
	write_file(fixture_path("index.json"), "{\"version\": 1, \"images\": []}");
	assert_int_equal(count_of_images(), 2);
	assert_int_equal(store_tag(&store, &digest, "x", NULL, &fixture_err), 0);
	store_close(&store);
}

static void an_index_of_a_newer_version_is_left_alone(void **state)
{
	struct image_digest digest;
	struct stat before, after;

	(void)state;
	open_store();
	write_file(fixture_path("index.json"), "{\"version\":2,\"images\":[],\"more\":true}");
	assert_int_equal(stat(fixture_path("index.json"), &before), 0);
	assert_int_equal(fixture_commit(&store, 1, "x", &digest), -EPROTO);
	assert_int_equal(stat(fixture_path("index.json"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	store_close(&store);
}

/* ---- hostile names and directories --------------------------------------------------------------- */

static void hostile_names_are_refused(void **state)
{
	static const char *const names[] = {"",   "../x",  "/etc/passwd", "a/../b", "a\nb", "a b",  "-x",
					    "x:", "x:a/b", "x@y",         "A",      "\xff", "a//b", "."};
	struct image_digest digest;
	struct store_entry entry;

	(void)state;
	open_store();
	assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
	for (size_t i = 0; i < countof(names); i++) {
		assert_int_equal(store_tag(&store, &digest, names[i], NULL, &fixture_err), -EINVAL);
		assert_true(store_untag(&store, names[i], &fixture_err) < 0);
		assert_true(store_find(&store, names[i], &entry, &fixture_err) < 0);
		assert_int_equal(fixture_commit(&store, 1, names[i], &digest), -EINVAL);
	}
	assert_int_equal(count_of_images(), 1);
	store_close(&store);
}

static void symbolic_links_in_the_store_are_not_followed(void **state)
{
	struct image_digest digest;
	struct image_file image;
	char elsewhere[] = "/tmp/lampo-elsewhere-XXXXXX", target[128];

	(void)state;
	open_store();
	assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
	assert_non_null(mkdtemp(elsewhere));
	snprintf(target, sizeof(target), "%s/file", elsewhere);
	assert_int_equal(rename(fixture_image_path(&digest), target), 0);
	assert_int_equal(symlink(target, fixture_image_path(&digest)), 0);
	assert_int_equal(store_image_open(&store, &digest, &image, &fixture_err), -ELOOP);
	assert_false(store_has(&store, &digest));
	/* The link is replaced, what it leads to stays. */
	assert_int_equal(fixture_commit(&store, 1, "x", &digest), 0);
	assert_int_equal(store_image_open(&store, &digest, &image, &fixture_err), 0);
	image_file_close(&image);
	assert_int_equal(unlink(target), 0);
	assert_int_equal(rmdir(fixture_path("tmp")), 0);
	assert_int_equal(symlink(elsewhere, fixture_path("tmp")), 0);
	assert_true(fixture_commit(&store, 2, "y", &digest) < 0);
	assert_int_equal(rmdir(elsewhere), 0);
	store_close(&store);
}

static void a_directory_that_others_can_change_is_refused(void **state)
{
	(void)state;
	assert_int_equal(chmod(fixture_dir, 0777), 0);
	assert_int_equal(store_open(&store, true, &fixture_err), -EPERM);
	assert_int_equal(chmod(fixture_dir, 0720), 0);
	assert_int_equal(store_open(&store, true, &fixture_err), -EPERM);
	assert_int_equal(chmod(fixture_dir, 0755), 0);
	open_store();
	store_close(&store);
}

/* ---- others ------------------------------------------------------------------------------------- */

static void rubbish_is_swept_but_not_what_is_being_written(void **state)
{
	struct store_draft living, next;

	(void)state;
	open_store();
	assert_int_equal(store_draft_open(&store, &living, &fixture_err), 0);
	write_file(fixture_path("tmp/draft-dead"), "x");
	assert_int_equal(store_draft_open(&store, &next, &fixture_err), 0);
	assert_int_equal(files_in("tmp"), 2);
	store_draft_abandon_all();
	assert_int_equal(files_in("tmp"), 0);
	store_draft_discard(&store, &living);
	store_draft_discard(&store, &next);
	store_draft_discard(&store, &next);
	store_close(&store);
}

static void pruning_waits_for_others(void **state)
{
	struct store other;
	struct store_pruned pruned;
	struct image_digest digest;

	(void)state;
	open_store();
	assert_int_equal(store_open(&other, false, &fixture_err), 0);
	assert_int_equal(fixture_commit(&other, 1, NULL, &digest), 0);
	assert_int_equal(store_prune(&store, false, &pruned, &fixture_err), -EBUSY);
	assert_int_equal(store_remove(&store, &digest, &fixture_err), -EBUSY);
	assert_true(store_has(&store, &digest));
	/* And has its share of the lock again. */
	assert_int_equal(store_prune(&other, false, &pruned, &fixture_err), -EBUSY);
	store_close(&other);
	assert_int_equal(store_prune(&store, true, &pruned, &fixture_err), 0);
	assert_false(store_has(&store, &digest));
	store_close(&store);
}

/* One of several processes that do everything at once; exits with the number of failures. */
static void worker(unsigned number)
{
	unsigned failures = 0;
	char name[32];

	for (unsigned i = 0; i < 12; i++) {
		struct image_digest digest;
		struct store_pruned pruned;
		struct store mine;
		if (store_open(&mine, true, &fixture_err) < 0)
			_exit(255);
		snprintf(name, sizeof(name), "worker-%u", number);
		failures += fixture_commit(&mine, i % 3, name, &digest) != 0;
		failures += fixture_commit(&mine, 3 + i % 2, NULL, &digest) != 0;
		failures += store_tag(&mine, &digest, "shared", NULL, &fixture_err) != 0;
		failures += store_verify(&mine, &digest, NULL, NULL, &fixture_err) != 0;
		int code = store_prune(&mine, i % 4 == 0, &pruned, &fixture_err);
		failures += code != 0 && code != -EBUSY;
		store_close(&mine);
	}
	_exit((int)failures);
}

static void many_at_once_lose_nothing(void **state)
{
	enum { WORKERS = 6 };
	struct store_entry *entries;
	size_t count;
	int status;

	(void)state;
	for (unsigned i = 0; i < WORKERS; i++)
		if (fork() == 0)
			worker(i);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	open_store();
	assert_int_equal(store_list(&store, &entries, &count, &fixture_err), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(store_verify(&store, &entries[i].digest, NULL, NULL, &fixture_err), 0);
	free(entries);
	assert_int_equal(files_in("tmp"), 0);
	store_close(&store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_store_is_made_only_on_demand),
	    TEST(an_image_is_kept_and_found),
	    TEST(names_come_and_go),
	    TEST(pruning_keeps_what_has_a_name),
	    TEST(removing_spares_named_images),
	    TEST(an_image_that_is_there_is_kept),
	    TEST(damage_is_found_put_aside_and_healed),
	    TEST(making_an_image_again_heals_it),
	    TEST(what_is_not_the_image_is_refused),
	    TEST(a_damaged_index_stops_everything_and_loses_nothing),
	    TEST(an_index_of_a_newer_version_is_left_alone),
	    TEST(hostile_names_are_refused),
	    TEST(symbolic_links_in_the_store_are_not_followed),
	    TEST(a_directory_that_others_can_change_is_refused),
	    TEST(rubbish_is_swept_but_not_what_is_being_written),
	    TEST(pruning_waits_for_others),
	    TEST(many_at_once_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
