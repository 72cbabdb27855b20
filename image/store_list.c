/* SPDX-License-Identifier: Apache-2.0 */
/* Listing and finding images, with and without names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/store_internal.h"

/* Size, and for images without a name the time. */
static void look_at_file(const struct store *store, struct store_entry *entry)
{
	char path[STORE_IMAGE_PATH];
	struct stat st;

	store_image_path(&entry->digest, path);
	entry->bytes = 0;
	if (fstatat(store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	entry->bytes = (uint64_t)st.st_size;
	if (entry->name[0] == '\0')
		entry->created = st.st_mtime;
}

struct listing {
	struct store_index index;
	size_t named;
};

static int add_unnamed(const struct store *store, const char *name, void *context, struct err *err)
{
	struct listing *listing = context;
	struct store_entry entry = {0};

	if (!store_image_name(name, &entry.digest))
		return 0;
	if (store_index_digest(&(struct store_index){listing->index.entries, listing->named}, &entry.digest) != NULL)
		return 0;
	look_at_file(store, &entry);
	struct store_entry *grown = realloc(listing->index.entries, (listing->index.count + 1) * sizeof(*grown));
	if (grown == NULL)
		return err_set(err, -ENOMEM, "cannot list the images");
	listing->index.entries = grown;
	grown[listing->index.count++] = entry;
	return 0;
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(&((const struct store_entry *)a)->digest, &((const struct store_entry *)b)->digest,
		      sizeof(struct image_digest));
}

int store_list(struct store *store, struct store_entry **entries, size_t *count, struct err *err)
{
	struct listing listing;
	int code = store_index_read(store, &listing.index, err);

	if (code < 0)
		return code;
	listing.named = listing.index.count;
	for (size_t i = 0; i < listing.named; i++)
		look_at_file(store, &listing.index.entries[i]);
	code = store_each_file(store, STORE_IMAGES, add_unnamed, &listing, err);
	if (code < 0) {
		store_index_free(&listing.index);
		return code;
	}
	qsort(listing.index.entries + listing.named, listing.index.count - listing.named,
	      sizeof(listing.index.entries[0]), by_digest);
	*entries = listing.index.entries;
	*count = listing.index.count;
	return 0;
}

/* Digits of a digest, in `text` with or without "sha256:"; NULL if it is something else. */
static const char *digest_digits(const char *text)
{
	enum { DIGITS_MIN = 6 };

	if (strncmp(text, "sha256:", strlen("sha256:")) == 0)
		text += strlen("sha256:");
	size_t length = strspn(text, "0123456789abcdef");
	return length >= DIGITS_MIN && length <= STORE_HEX && text[length] == '\0' ? text : NULL;
}

static int find_digits(const char *digits, const struct store_entry *entries, size_t count, struct store_entry *entry,
		       struct err *err)
{
	const struct store_entry *found = NULL;

	for (size_t i = 0; i < count; i++) {
		char text[IMAGE_DIGEST_TEXT];
		image_digest_format(&entries[i].digest, text);
		if (strncmp(text + strlen("sha256:"), digits, strlen(digits)) != 0)
			continue;
		if (found != NULL && memcmp(&found->digest, &entries[i].digest, sizeof(found->digest)) != 0) {
			err_set(err, -EEXIST, "the digests of several images begin with %s!", digits);
			return err_hint(err, "give more digits, or a name");
		}
		if (found == NULL)
			found = &entries[i];
	}
	if (found == NULL)
		return -ENOENT;
	*entry = *found;
	return 0;
}

/* Among all images by the digits of a digest; -ENOENT without *err. */
static int find_by_digits(struct store *store, const char *digits, struct store_entry *entry, struct err *err)
{
	struct store_entry *entries;
	size_t count;
	int code = store_list(store, &entries, &count, err);

	if (code < 0)
		return code;
	code = find_digits(digits, entries, count, entry, err);
	free(entries);
	return code;
}

static int find_by_name(struct store *store, const char *name, struct store_entry *entry, struct err *err)
{
	struct store_index index;
	int code = store_index_read(store, &index, err);

	if (code < 0)
		return code;
	const struct store_entry *found = store_index_find(&index, name);
	if (found != NULL) {
		*entry = *found;
		look_at_file(store, entry);
	}
	store_index_free(&index);
	return found != NULL ? 0 : -ENOENT;
}

int store_find(struct store *store, const char *text, struct store_entry *entry, struct err *err)
{
	struct reference reference;
	char name[REFERENCE_MAX];
	const char *digits = digest_digits(text);
	int code = -ENOENT;

	if (reference_parse(&reference, text, err) == 0) {
		if (reference.digest[0] != '\0') {
			digits = reference.digest + strlen("sha256:");
		} else {
			reference_format(&reference, name);
			code = find_by_name(store, name, entry, err);
		}
	} else if (digits == NULL) {
		return err->code;
	}
	if (code == -ENOENT && digits != NULL)
		code = find_by_digits(store, digits, entry, err);
	if (code == -ENOENT) {
		err_set(err, code, "there is no image %s!", text);
		err_hint(err, "'lampo images' lists the images");
	}
	return code;
}
