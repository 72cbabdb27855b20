/* SPDX-License-Identifier: Apache-2.0 */
/* index.json: the names of images. Replaced as a whole, under index.lock, so that readers need no lock. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image/json.h"
#include "image/store_internal.h"
#include "run/fd.h"

#define INDEX_VERSION 1

int store_index_lock(const struct store *store, struct err *err)
{
	FD_AUTO int fd = fd_open_beneath(store->dir_fd, "index.lock", O_RDONLY | O_CREAT, 0644);
	int code = fd < 0 ? fd : store_flock(fd, LOCK_EX);

	if (code < 0)
		return store_fail(store, code, err, "lock %s/index.lock", store->path);
	return fd_take(&fd);
}

void store_index_free(struct store_index *index)
{
	free(index->entries);
	*index = (struct store_index){0};
}

/* ---- reading ----------------------------------------------------------------------------------- */

static int damaged(const struct store *store, struct err *err, const char *why)
{
	err_set(err, -EUCLEAN, "the list of images %s/" STORE_INDEX " is damaged: %s!", store->path, why);
	return err_hint(err, "write {\"version\": 1, \"images\": []} into it: images then have no names ('lampo "
			     "images' lists them), and "
			     "'lampo tag DIGEST NAME' gives them new ones; do not prune before");
}

static bool copy_string(char *to, size_t size, const json_t *object, const char *key, struct err *err)
{
	const char *text;

	if (image_json_string(object, key, &text, STORE_INDEX, err) < 0 || strlen(text) >= size)
		return false;
	memcpy(to, text, strlen(text) + 1);
	return true;
}

static bool read_entry(const json_t *object, struct store_entry *entry)
{
	struct reference reference;
	char digest[IMAGE_DIGEST_TEXT], name[REFERENCE_MAX];
	struct store_origin *origin = &entry->origin;
	json_t *from = NULL;
	struct err ignored;

	*entry = (struct store_entry){0};
	if (!json_is_object(object) || !copy_string(entry->name, sizeof(entry->name), object, "name", &ignored) ||
	    !copy_string(digest, sizeof(digest), object, "digest", &ignored))
		return false;
	if (image_digest_parse(&entry->digest, digest) < 0 || reference_parse(&reference, entry->name, &ignored) < 0)
		return false;
	reference_format(&reference, name);
	if (strcmp(name, entry->name) != 0 || !json_is_integer(json_object_get(object, "created")) ||
	    image_json_object(object, "origin", &from, STORE_INDEX, &ignored) < 0)
		return false;
	entry->created = json_integer_value(json_object_get(object, "created"));
	if (from == NULL)
		return true;
	entry->origin.manifest_bytes = (uint64_t)json_integer_value(json_object_get(from, "manifest_bytes"));
	return copy_string(origin->reference, sizeof(origin->reference), from, "reference", &ignored) &&
	       copy_string(origin->manifest_digest, sizeof(origin->manifest_digest), from, "manifest_digest",
			   &ignored) &&
	       copy_string(origin->manifest_type, sizeof(origin->manifest_type), from, "manifest_type", &ignored);
}

static int read_entries(const struct store *store, const json_t *root, struct store_index *index, struct err *err)
{
	const json_t *images = json_object_get(root, "images"), *version = json_object_get(root, "version");
	size_t count = json_array_size(images);

	if (!json_is_integer(version) || !json_is_array(images))
		return damaged(store, err, "'version' or 'images' is missing");
	if (json_integer_value(version) > INDEX_VERSION) {
		err_set(err, -EPROTO, "%s/" STORE_INDEX " was written by a newer version of Lampo!", store->path);
		return err_hint(err, "use that version, or name another directory in LAMPO_DATA");
	}
	index->entries = calloc(count + 1, sizeof(index->entries[0]));
	if (index->entries == NULL)
		return err_set(err, -ENOMEM, "cannot read the list of images");
	for (size_t i = 0; i < count; i++) {
		struct store_entry *entry = &index->entries[i];
		if (!read_entry(json_array_get(images, i), entry))
			return damaged(store, err, "an entry is not valid");
		/* It is written in order. */
		if (i > 0 && strcmp(entry[-1].name, entry->name) >= 0)
			return damaged(store, err, "names are not in order");
		index->count++;
	}
	return 0;
}

/* The whole file, malloc'd. */
static int read_text(const struct store *store, char **text, size_t *bytes, struct err *err)
{
	FD_AUTO int fd = fd_open_beneath(store->dir_fd, STORE_INDEX, O_RDONLY | O_NONBLOCK, 0);
	struct stat st;

	if (fd == -ENOENT)
		return damaged(store, err, "it is missing");
	if (fd < 0 || fstat(fd, &st) < 0)
		return store_fail(store, fd < 0 ? fd : -errno, err, "open %s/" STORE_INDEX, store->path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)STORE_INDEX_MAX)
		return damaged(store, err, "it is no file of a sensible size");
	char *buffer = malloc((size_t)st.st_size + 1);
	if (buffer == NULL)
		return err_set(err, -ENOMEM, "cannot read the list of images");
	ssize_t n = pread(fd, buffer, (size_t)st.st_size, 0);
	if (n < 0) {
		int code = -errno;
		free(buffer);
		return store_fail(store, code, err, "read %s/" STORE_INDEX, store->path);
	}
	buffer[n] = '\0';
	*text = buffer;
	*bytes = (size_t)n;
	return 0;
}

int store_index_read(const struct store *store, struct store_index *index, struct err *err)
{
	char *text = NULL;
	size_t bytes = 0;
	json_t *root = NULL;
	struct err why;

	*index = (struct store_index){0};
	int code = read_text(store, &text, &bytes, err);
	if (code < 0)
		return code;
	code = image_json_parse(&root, text, bytes, STORE_INDEX_MAX, STORE_INDEX, &why);
	free(text);
	if (code < 0)
		return damaged(store, err, why.text);
	code = read_entries(store, root, index, err);
	json_decref(root);
	if (code < 0)
		store_index_free(index);
	return code;
}

const struct store_entry *store_index_find(const struct store_index *index, const char *name)
{
	for (size_t i = 0; i < index->count; i++)
		if (strcmp(index->entries[i].name, name) == 0)
			return &index->entries[i];
	return NULL;
}

const struct store_entry *store_index_digest(const struct store_index *index, const struct image_digest *digest)
{
	for (size_t i = 0; i < index->count; i++)
		if (memcmp(&index->entries[i].digest, digest, sizeof(*digest)) == 0)
			return &index->entries[i];
	return NULL;
}

/* ---- changing ---------------------------------------------------------------------------------- */

static json_t *entry_json(const struct store_entry *entry)
{
	char digest[IMAGE_DIGEST_TEXT];
	const struct store_origin *o = &entry->origin;

	image_digest_format(&entry->digest, digest);
	return json_pack("{s:s, s:s, s:I, s:{s:s, s:s, s:s, s:I}}", "name", entry->name, "digest", digest, "created",
			 (json_int_t)entry->created, "origin", "reference", o->reference, "manifest_digest",
			 o->manifest_digest, "manifest_type", o->manifest_type, "manifest_bytes",
			 (json_int_t)o->manifest_bytes);
}

static char *format_index(const struct store_index *index)
{
	json_t *images = json_array();
	int failed = images == NULL;

	for (size_t i = 0; i < index->count && !failed; i++)
		failed = json_array_append_new(images, entry_json(&index->entries[i]));
	json_t *root = failed ? NULL : json_pack("{s:i, s:O}", "version", INDEX_VERSION, "images", images);
	char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	json_decref(images);
	return text;
}

/* The new text, on the disk under a temporary name. */
static int write_new(const struct store *store, const char *text)
{
	FD_AUTO int fd = fd_open_beneath(store->dir_fd, STORE_INDEX_NEW, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return fd;
	int code = fd_write_all(fd, text, strlen(text));
	if (code == 0 && fsync(fd) < 0)
		code = -errno;
	return code;
}

int store_index_write(const struct store *store, const struct store_index *index, struct err *err)
{
	char *text = format_index(index);

	if (text == NULL)
		return err_set(err, -ENOMEM, "cannot write the list of images");
	int code = strlen(text) > STORE_INDEX_MAX ? -EFBIG : write_new(store, text);
	free(text);
	if (code == 0 && renameat(store->dir_fd, STORE_INDEX_NEW, store->dir_fd, STORE_INDEX) < 0)
		code = -errno;
	if (code < 0) {
		unlinkat(store->dir_fd, STORE_INDEX_NEW, 0);
		return store_fail(store, code, err, "write %s/" STORE_INDEX, store->path);
	}
	return store_sync_dir(store, ".", err);
}

int store_index_set(struct store_index *index, const char *name, const struct image_digest *digest,
		    const struct store_origin *origin, struct err *err)
{
	struct store_entry *entries = index->entries;
	size_t at = 0;

	while (at < index->count && strcmp(entries[at].name, name) < 0)
		at++;
	if (at == index->count || strcmp(entries[at].name, name) != 0) {
		entries = realloc(entries, (index->count + 1) * sizeof(*entries));
		if (entries == NULL)
			return err_set(err, -ENOMEM, "cannot change the list of images");
		index->entries = entries;
		memmove(&entries[at + 1], &entries[at], (index->count - at) * sizeof(*entries));
		index->count++;
	}
	entries[at] = (struct store_entry){.digest = *digest, .created = time(NULL)};
	snprintf(entries[at].name, sizeof(entries[at].name), "%s", name);
	if (origin != NULL)
		entries[at].origin = *origin;
	return 0;
}

int store_plain_name(const char *text, char name[REFERENCE_MAX], struct err *err)
{
	struct reference reference;
	int code = reference_parse(&reference, text, err);

	if (code < 0)
		return code;
	reference_format(&reference, name);
	if (reference.digest[0] == '\0' && name[0] != '\0')
		return 0;
	err_set(err, -EINVAL, "'%s' cannot be the name of an image: it has a digest!", text);
	return err_hint(err, "leave away what begins with '@'");
}

/* Reads, lets `change` do its work, and writes, all under the lock. */
static int change_index(struct store *store,
			int (*change)(struct store_index *index, const void *what, struct err *err), const void *what,
			struct err *err)
{
	struct store_index index;

	FD_AUTO int lock = store_index_lock(store, err);
	if (lock < 0)
		return lock;
	int code = store_index_read(store, &index, err);
	if (code == 0)
		code = change(&index, what, err);
	if (code == 0)
		code = store_index_write(store, &index, err);
	store_index_free(&index);
	return code;
}

struct tagging {
	const struct image_digest *digest;
	const char *const *names;
	const struct store_origin *origin;
};

static int add_names(struct store_index *index, const void *what, struct err *err)
{
	const struct tagging *tagging = what;
	char plain[REFERENCE_MAX];

	for (const char *const *name = tagging->names; *name != NULL; name++) {
		int code = store_plain_name(*name, plain, err);
		if (code == 0)
			code = store_index_set(index, plain, tagging->digest, tagging->origin, err);
		if (code < 0)
			return code;
	}
	return 0;
}

int store_tag_all(struct store *store, const struct image_digest *digest, const char *const *names,
		  const struct store_origin *origin, struct err *err)
{
	return change_index(store, add_names, &(struct tagging){digest, names, origin}, err);
}

int store_tag(struct store *store, const struct image_digest *digest, const char *name,
	      const struct store_origin *origin, struct err *err)
{
	return store_tag_all(store, digest, (const char *const[]){name, NULL}, origin, err);
}

static void remove_entry(struct store_index *index, size_t at)
{
	index->count--;
	for (; at < index->count; at++)
		index->entries[at] = index->entries[at + 1];
}

static int remove_name(struct store_index *index, const void *what, struct err *err)
{
	const char *name = what;
	const struct store_entry *entry = store_index_find(index, name);

	if (entry == NULL) {
		err_set(err, -ENOENT, "there is no image named %s!", name);
		return err_hint(err, "'lampo images' lists the images");
	}
	remove_entry(index, (size_t)(entry - index->entries));
	return 0;
}

int store_untag(struct store *store, const char *name, struct err *err)
{
	char plain[REFERENCE_MAX];
	int code = store_plain_name(name, plain, err);

	return code < 0 ? code : change_index(store, remove_name, plain, err);
}

static int remove_names(struct store_index *index, const void *what, struct err *err)
{
	const struct store_entry *entry;

	(void)err;
	while ((entry = store_index_digest(index, what)) != NULL)
		remove_entry(index, (size_t)(entry - index->entries));
	return 0;
}

int store_untag_all(struct store *store, const struct image_digest *digest, struct err *err)
{
	return change_index(store, remove_names, digest, err);
}
