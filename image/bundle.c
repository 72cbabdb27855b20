/* SPDX-License-Identifier: Apache-2.0 */
#include "image/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "image/stream.h"
#include "run/fd.h"

#define LINKS_MAX 8u
#define CHUNK_BYTES (256u << 10)

/* ---- the list of an archive ---- */

struct reader {
	int fd;
	int64_t at, bytes;
	uint8_t buffer[64u << 10];
};

static la_ssize_t reader_read(struct archive *archive, void *context, const void **data)
{
	struct reader *reader = context;
	ssize_t n;

	do
		n = pread(reader->fd, reader->buffer, sizeof(reader->buffer), reader->at);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		archive_set_error(archive, errno, "cannot read the file");
		return ARCHIVE_FATAL;
	}
	*data = reader->buffer;
	reader->at += n;
	return n;
}

static la_int64_t reader_skip(struct archive *archive, void *context, la_int64_t bytes)
{
	struct reader *reader = context;
	int64_t left = reader->bytes - reader->at;
	(void)archive;

	if (bytes > left)
		bytes = left > 0 ? left : 0;
	reader->at += bytes;
	return bytes;
}

/* "./a" and "a" are the same. */
static const char *plain_name(const char *name)
{
	while (name[0] == '.' && name[1] == '/')
		name += 2 + strspn(name + 2, "/");
	return name;
}

static int member_add(struct bundle *b, size_t *room, struct archive *archive, struct archive_entry *entry,
		      uint64_t file_bytes, struct err *err)
{
	const char *name = archive_entry_pathname(entry), *target = archive_entry_symlink(entry);
	int64_t bytes = archive_entry_size(entry), offset = archive_filter_bytes(archive, 0);
	bool is_file = archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == NULL &&
		       archive_entry_sparse_count(entry) == 0;

	if (name == NULL || strlen(name) > BUNDLE_NAME_MAX || (!is_file && target == NULL))
		return 0;
	if (is_file && (bytes < 0 || offset < 0 || (uint64_t)offset > file_bytes ||
			(uint64_t)bytes > file_bytes - (uint64_t)offset))
		return err_set(err, -EBADMSG, "cannot read %s: it is truncated in %.200s!", b->path, name);
	if (b->count == BUNDLE_MEMBERS_MAX)
		return err_set(err, -EFBIG, "cannot use %s: it has more than %u files!", b->path, BUNDLE_MEMBERS_MAX);
	if (b->count == *room) {
		*room = *room > 0 ? 2 * *room : 64;
		struct bundle_member *bigger = reallocarray(b->members, *room, sizeof(*bigger));
		if (bigger == NULL)
			return err_set(err, -ENOMEM, "cannot read %s", b->path);
		b->members = bigger;
	}
	struct bundle_member member = {.offset = (uint64_t)offset, .bytes = is_file ? (uint64_t)bytes : 0};
	member.name = strdup(plain_name(name));
	member.target = is_file ? NULL : strndup(target, BUNDLE_NAME_MAX);
	if (member.name == NULL || (!is_file && member.target == NULL)) {
		free(member.name);
		free(member.target);
		return err_set(err, -ENOMEM, "cannot read %s", b->path);
	}
	b->members[b->count++] = member;
	return 0;
}

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const struct bundle_member *)a)->name, ((const struct bundle_member *)b)->name);
}

static int members_read(struct bundle *b, struct archive *archive, uint64_t file_bytes, struct err *err)
{
	struct archive_entry *entry;
	size_t room = 0;
	uint64_t entries = 0;
	int r;

	while ((r = archive_read_next_header(archive, &entry)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		if (++entries > 10 * BUNDLE_MEMBERS_MAX)
			return err_set(err, -EFBIG, "cannot use %s: it has too many entries!", b->path);
		r = member_add(b, &room, archive, entry, file_bytes, err);
		if (r < 0)
			return r;
	}
	if (r != ARCHIVE_EOF)
		return err_set(
		    err, archive_errno(archive) == ENOMEM ? -ENOMEM : -EBADMSG, "cannot read %s: %s!", b->path,
		    archive_error_string(archive) != NULL ? archive_error_string(archive) : "it is no archive");
	if (b->count > 0)
		qsort(b->members, b->count, sizeof(*b->members), compare_members);
	return 0;
}

static int list_read(struct bundle *b, struct err *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	struct archive *archive = archive_read_new();
	struct stat st;
	int r;

	if (reader == NULL || archive == NULL) {
		r = err_set(err, -ENOMEM, "cannot read %s", b->path);
	} else if (fstat(b->fd, &st) < 0) {
		r = err_set(err, -errno, "cannot read %s", b->path);
	} else {
		reader->fd = b->fd;
		reader->bytes = st.st_size;
		archive_read_support_format_tar(archive);
		archive_read_set_read_callback(archive, reader_read);
		archive_read_set_skip_callback(archive, reader_skip);
		archive_read_set_callback_data(archive, reader);
		if (archive_read_open1(archive) != ARCHIVE_OK)
			r = err_set(err, -EBADMSG, "cannot read %s: %s!", b->path, archive_error_string(archive));
		else
			r = members_read(b, archive, (uint64_t)st.st_size, err);
	}
	archive_read_free(archive);
	free(reader);
	return r;
}

/* ---- opening ---- */

static int64_t fd_source_read(void *context, void *to, size_t bytes, struct err *err)
{
	int fd = *(int *)context;
	ssize_t n;

	do
		n = read(fd, to, bytes);
	while (n < 0 && errno == EINTR);
	return n < 0 ? err_set(err, -errno, "cannot read the archive") : n;
}

/* Keeps what comes from fd, decompressed, in a file of the store. */
static int spool(struct bundle *b, int fd, struct err *err)
{
	struct layer_source source = {.read = fd_source_read, .context = &fd, .name = b->path};
	struct stream *stream;
	int64_t n = 0;

	int r = stream_open(&stream, &source, &LAYER_LIMITS_DEFAULT, STREAM_DETECT, err);
	if (r < 0)
		return r;
	uint8_t *chunk = malloc(CHUNK_BYTES);
	r = chunk == NULL ? err_set(err, -ENOMEM, "cannot read %s", b->path)
			  : store_draft_open(b->store, &b->spool, err);
	if (r == 0) {
		b->spooled = true;
		b->fd = b->spool.fd;
	}
	while (r == 0 && (n = stream_read(stream, chunk, CHUNK_BYTES, err)) > 0)
		if ((r = fd_write_all(b->fd, chunk, (size_t)n)) < 0)
			err_set(err, r, "cannot keep what comes from %s in the store", b->path);
	free(chunk);
	stream_close(stream);
	return r < 0 ? r : (int)n;
}

static bool is_compressed(int fd)
{
	uint8_t magic[4] = {0};

	return pread(fd, magic, 4, 0) == 4 &&
	       (memcmp(magic, "\x1f\x8b\x08", 3) == 0 || memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0);
}

int bundle_open(struct bundle *bundle, struct store *store, const char *path, struct err *err)
{
	bool is_input = strcmp(path, "-") == 0;
	struct stat st;
	int r = 0;

	*bundle = (struct bundle){.store = store, .fd = -1, .path = strdup(is_input ? "standard input" : path)};
	int fd = is_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (bundle->path == NULL)
		r = err_set(err, -ENOMEM, "cannot open %s", path);
	else if (fd < 0 || fstat(fd, &st) < 0)
		r = err_set(err, -errno, "cannot open %s", bundle->path);
	else if (S_ISDIR(st.st_mode))
		bundle->is_directory = true;
	else if (!S_ISREG(st.st_mode) || is_input || is_compressed(fd))
		r = spool(bundle, fd, err);
	if (r == 0 && !bundle->spooled) {
		bundle->fd = fd;
		fd = -1;
	}
	if (fd >= 0)
		close(fd);
	if (r == 0 && !bundle->is_directory)
		r = list_read(bundle, err);
	if (r < 0)
		bundle_close(bundle);
	return r;
}

void bundle_close(struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->count; i++) {
		free(bundle->members[i].name);
		free(bundle->members[i].target);
	}
	free(bundle->members);
	free(bundle->path);
	if (bundle->spooled)
		store_draft_discard(bundle->store, &bundle->spool);
	else if (bundle->fd >= 0)
		close(bundle->fd);
	*bundle = (struct bundle){.fd = -1};
}

/* ---- finding ---- */

static int not_there(const struct bundle *b, const char *name, struct err *err)
{
	return err_set(err, -ENOENT, "there is no %.200s in %s!", name, b->path);
}

/* "a/b/../c" becomes "a/c", in place; false: it leads out. */
static bool name_simplify(char *name)
{
	char *out = name;

	for (const char *in = name; *in != '\0'; in += strspn(in, "/")) {
		size_t length = strcspn(in, "/");
		if (length == 2 && in[0] == '.' && in[1] == '.') {
			if (out == name)
				return false;
			out--;
			while (out > name && out[-1] != '/')
				out--;
		} else if (length > 0 && !(length == 1 && in[0] == '.')) {
			memmove(out, in, length);
			out += length;
			*out = in[length] != '\0' ? '/' : '\0';
			out += in[length] != '\0';
		}
		in += length;
	}
	*out = '\0';
	return out > name;
}

/* Follows the archive's own links: older docker save has one file for equal layers. */
static int member_find(const struct bundle *b, const char *name, const struct bundle_member **found, struct err *err)
{
	char at[2 * BUNDLE_NAME_MAX + 2];

	if (strlen(name) > BUNDLE_NAME_MAX)
		return not_there(b, name, err);
	strcpy(at, plain_name(name));
	for (unsigned links = 0; links <= LINKS_MAX; links++) {
		const struct bundle_member key = {.name = at};
		const struct bundle_member *m =
		    b->count > 0 ? bsearch(&key, b->members, b->count, sizeof(key), compare_members) : NULL;
		if (m == NULL)
			return not_there(b, name, err);
		if ((m > b->members && strcmp(m[-1].name, at) == 0) ||
		    (m + 1 < b->members + b->count && strcmp(m[1].name, at) == 0))
			return err_set(err, -EINVAL, "cannot use %s: it has %.200s twice!", b->path, at);
		if (m->target == NULL) {
			*found = m;
			return 0;
		}
		char *slash = strrchr(at, '/');
		size_t dir = slash != NULL && m->target[0] != '/' ? (size_t)(slash - at) + 1 : 0;
		if (dir + strlen(m->target) > BUNDLE_NAME_MAX)
			return not_there(b, name, err);
		strcpy(at + dir, m->target + strspn(m->target, "/"));
		if (!name_simplify(at))
			return not_there(b, name, err);
	}
	return err_set(err, -ELOOP, "cannot find %.200s in %s", name, b->path);
}

static int directory_open(const struct bundle *b, const char *name, struct bundle_file *file, struct err *err)
{
	struct stat st;

	file->fd = fd_open_beneath(b->fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	file->own = true;
	if (file->fd == -ENOENT)
		return not_there(b, name, err);
	if (file->fd < 0)
		return err_set(err, file->fd, "cannot open %.200s in %s", name, b->path);
	if (fstat(file->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(file->fd);
		return err_set(err, -EINVAL, "cannot use %.200s in %s: it is no file!", name, b->path);
	}
	file->at = 0;
	file->end = file->bytes = (uint64_t)st.st_size;
	return 0;
}

int bundle_file_open(struct bundle *bundle, const char *name, struct bundle_file *file, struct err *err)
{
	const struct bundle_member *member;

	*file = (struct bundle_file){.fd = -1};
	if (bundle->is_directory)
		return directory_open(bundle, name, file, err);
	int r = member_find(bundle, name, &member, err);
	if (r == 0)
		*file = (struct bundle_file){.fd = bundle->fd,
					     .at = member->offset,
					     .end = member->offset + member->bytes,
					     .bytes = member->bytes};
	return r;
}

void bundle_file_close(struct bundle_file *file)
{
	if (file->own && file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

int64_t bundle_file_read(void *context, void *to, size_t bytes, struct err *err)
{
	struct bundle_file *file = context;
	ssize_t n;

	bytes = min_u64(bytes, file->end - file->at);
	if (bytes == 0)
		return 0;
	do
		n = pread(file->fd, to, bytes, (off_t)file->at);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return err_set(err, n < 0 ? -errno : -EIO, "cannot read a file of the image");
	file->at += (uint64_t)n;
	return n;
}

int bundle_read(struct bundle *bundle, const char *name, size_t bytes_max, char **text, size_t *bytes, struct err *err)
{
	struct bundle_file file;
	int64_t n = 0;

	*text = NULL;
	*bytes = 0;
	int r = bundle_file_open(bundle, name, &file, err);
	if (r < 0)
		return r;
	if (file.bytes > bytes_max)
		r = err_set(err, -EFBIG, "cannot use %.200s in %s: it has more than %zu bytes!", name, bundle->path,
			    bytes_max);
	else if ((*text = malloc((size_t)file.bytes + 1)) == NULL)
		r = err_set(err, -ENOMEM, "cannot read %.200s in %s", name, bundle->path);
	while (r == 0 && *bytes < file.bytes) {
		n = bundle_file_read(&file, *text + *bytes, (size_t)file.bytes - *bytes, err);
		if (n < 0)
			r = (int)n;
		else
			*bytes += (size_t)n;
	}
	bundle_file_close(&file);
	if (r == 0)
		(*text)[*bytes] = '\0';
	else {
		free(*text);
		*text = NULL;
	}
	return r;
}
