/* SPDX-License-Identifier: Apache-2.0 */
#include "image/export_layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/util.h"
#include "image/layer_names.h"
#include "run/fd.h"

#define BUFFER_BYTES (256u << 10)
#define HOLE_MIN (64u << 10) /* shorter ones are written out */
#define GZIP_LEVEL 6

/* A file with several names, by its number. */
struct known {
	uint64_t nid;
	char *path; /* NULL: free */
};

struct exporting {
	struct image_file *image;
	const struct erofs *fs;
	struct archive *archive;
	struct archive_entry *entry; /* used again and again */
	struct progress *progress;
	char path[LAYER_PATH_MAX + 2];
	size_t path_length;
	unsigned depth;
	uint64_t entries, data_bytes;
	struct known *known; /* open addressing, at most half full */
	size_t known_count, known_room;
	/* Where the archive goes: hashed, compressed, hashed, written. */
	EVP_MD_CTX *in_hash, *out_hash;
	bool compress;
	z_stream gzip;
	uint8_t *buffer; /* BUFFER_BYTES, of compressed bytes */
	uint64_t out_bytes;
	int fd;
	struct err *err; /* what went wrong in a callback of libarchive's; code 0: nothing */
};

/* ---- the way out ---- */

static int put(struct exporting *x, const void *data, size_t bytes)
{
	if (EVP_DigestUpdate(x->out_hash, data, bytes) != 1)
		return err_set(x->err, -ENOMEM, "cannot hash the layer");
	x->out_bytes += bytes;
	int r = fd_write_all(x->fd, data, bytes);
	return r < 0 ? err_set(x->err, r, "cannot write the layer") : 0;
}

static int deflate_all(struct exporting *x, const void *data, size_t bytes, int flush)
{
	int r = 0;

	x->gzip.next_in = (Bytef *)(uintptr_t)data;
	x->gzip.avail_in = (unsigned)bytes;
	do {
		x->gzip.next_out = x->buffer;
		x->gzip.avail_out = BUFFER_BYTES;
		if (deflate(&x->gzip, flush) == Z_STREAM_ERROR)
			return err_set(x->err, -EINVAL, "cannot compress the layer");
		r = put(x, x->buffer, BUFFER_BYTES - x->gzip.avail_out);
	} while (r == 0 && x->gzip.avail_out == 0);
	return r;
}

static la_ssize_t on_write(struct archive *archive, void *context, const void *data, size_t bytes)
{
	struct exporting *x = context;

	if (x->err->code < 0)
		return (la_ssize_t)bytes;
	int r = EVP_DigestUpdate(x->in_hash, data, bytes) == 1 ? 0 : err_set(x->err, -ENOMEM, "cannot hash the layer");

	if (r == 0)
		r = x->compress ? deflate_all(x, data, bytes, Z_NO_FLUSH) : put(x, data, bytes);
	if (r == 0)
		return (la_ssize_t)bytes;
	archive_set_error(archive, -r, "cannot write");
	return -1;
}

static int archive_failed(struct exporting *x)
{
	if (x->err->code < 0)
		return x->err->code;
	return err_set(x->err, archive_errno(x->archive) == ENOMEM ? -ENOMEM : -EINVAL,
		       "cannot write \"%.200s\" as tar: %s!", x->path,
		       archive_error_string(x->archive) != NULL ? archive_error_string(x->archive) : "it does not fit");
}

/* ---- one file ---- */

static int image_failed(struct exporting *x, int code)
{
	return err_set(x->err, code, "cannot read \"%.200s\" in the image", x->path);
}

static struct known *known_slot(struct known *known, size_t room, uint64_t nid)
{
	size_t i = (size_t)(nid * 0x9e3779b97f4a7c15u >> 20) & (room - 1);

	while (known[i].path != NULL && known[i].nid != nid)
		i = (i + 1) & (room - 1);
	return &known[i];
}

/* The first name of a file that has several; *first NULL: this is it. */
static int known_look(struct exporting *x, uint64_t nid, const char **first)
{
	if (2 * (x->known_count + 1) > x->known_room) {
		size_t room = x->known_room > 0 ? 2 * x->known_room : 64;
		struct known *bigger = calloc(room, sizeof(*bigger));
		if (bigger == NULL)
			return err_set(x->err, -ENOMEM, "cannot export the image");
		for (size_t i = 0; i < x->known_room; i++)
			if (x->known[i].path != NULL)
				*known_slot(bigger, room, x->known[i].nid) = x->known[i];
		free(x->known);
		x->known = bigger;
		x->known_room = room;
	}
	struct known *slot = known_slot(x->known, x->known_room, nid);
	*first = slot->path;
	if (slot->path != NULL)
		return 0;
	slot->nid = nid;
	slot->path = strdup(x->path);
	x->known_count++;
	return slot->path == NULL ? err_set(x->err, -ENOMEM, "cannot export the image") : 0;
}

static int xattrs_set(struct exporting *x, const struct erofs_inode *inode)
{
	struct erofs_xattr xattr;
	uint32_t position = 0;
	int r;

	while ((r = erofs_xattr(x->fs, inode, &position, &xattr)) > 0)
		archive_entry_xattr_add_entry(x->entry, xattr.name, xattr.value, xattr.value_bytes);
	return r < 0 ? image_failed(x, r) : 0;
}

static int target_set(struct exporting *x, const struct erofs_inode *inode)
{
	char target[LAYER_PATH_MAX + 1];

	if (inode->size == 0 || inode->size >= LAYER_PATH_MAX)
		return image_failed(x, -EUCLEAN);
	int64_t n = erofs_read(x->fs, inode, 0, target, inode->size);
	if (n != (int64_t)inode->size || memchr(target, '\0', (size_t)n) != NULL)
		return image_failed(x, n < 0 ? (int)n : -EUCLEAN);
	target[n] = '\0';
	archive_entry_set_symlink(x->entry, target);
	return 0;
}

static int attributes_set(struct exporting *x, const struct erofs_inode *inode)
{
	uint32_t device_major = 0, device_minor = 0;

	archive_entry_clear(x->entry);
	archive_entry_copy_pathname(x->entry, x->path);
	archive_entry_set_mode(x->entry, inode->mode);
	archive_entry_set_uid(x->entry, inode->uid);
	archive_entry_set_gid(x->entry, inode->gid);
	archive_entry_set_mtime(x->entry, inode->mtime, (long)inode->mtime_ns);
	archive_entry_set_size(x->entry, 0);
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) {
		erofs_rdev(inode, &device_major, &device_minor);
		archive_entry_set_rdevmajor(x->entry, device_major);
		archive_entry_set_rdevminor(x->entry, device_minor);
	}
	if (S_ISLNK(inode->mode))
		return target_set(x, inode);
	return 0;
}

/* Says where there are data, if there are holes worth it. */
static int sparse_set(struct exporting *x, const struct erofs_inode *inode)
{
	struct erofs_extent extent;
	uint64_t start = 0; /* of the data that are being collected */
	bool holes = false;

	for (uint64_t at = 0; at < inode->size; at += extent.bytes) {
		int r = erofs_extent(x->fs, inode, at, &extent);
		if (r < 0 || extent.bytes == 0)
			return image_failed(x, r < 0 ? r : -EUCLEAN);
		if (!extent.hole || extent.bytes < HOLE_MIN)
			continue;
		if (at > start)
			archive_entry_sparse_add_entry(x->entry, (int64_t)start, (int64_t)(at - start));
		start = at + extent.bytes;
		holes = true;
	}
	if (!holes)
		return 0;
	/* A file that is a hole altogether, or ends with one, has an empty piece at its end. */
	archive_entry_sparse_add_entry(x->entry, (int64_t)start, (int64_t)(inode->size - start));
	return 0;
}

static int data_put(struct exporting *x, const void *data, uint64_t bytes)
{
	for (const uint8_t *at = data; bytes > 0;) {
		la_ssize_t n = archive_write_data(x->archive, at, bytes < BUFFER_BYTES ? (size_t)bytes : BUFFER_BYTES);
		if (n <= 0)
			return archive_failed(x);
		at += n;
		bytes -= (uint64_t)n;
	}
	return 0;
}

static int contents_put(struct exporting *x, const struct erofs_inode *inode)
{
	static const uint8_t zeros[BUFFER_BYTES];
	struct erofs_extent extent;
	int r;

	for (uint64_t at = 0; at < inode->size; at += extent.bytes) {
		r = erofs_extent(x->fs, inode, at, &extent);
		if (r < 0 || extent.bytes == 0)
			return image_failed(x, r < 0 ? r : -EUCLEAN);
		extent.bytes = min_u64(extent.bytes, inode->size - at);
		extent.bytes = min_u64(extent.bytes, extent.hole ? sizeof(zeros) : 64u << 20);
		if (!extent.hole && (r = erofs_verify(x->fs, extent.offset, extent.bytes)) < 0)
			return image_failed(x, r);
		r = data_put(x, extent.hole ? zeros : x->fs->base + extent.offset, extent.bytes);
		if (r < 0)
			return r;
		x->data_bytes += extent.bytes;
	}
	progress_set(x->progress, 0, "layer", "writing", x->data_bytes, 0);
	return 0;
}

static int file_put(struct exporting *x, const struct erofs_inode *inode)
{
	const char *first = NULL;
	bool is_file = S_ISREG(inode->mode);

	int r = attributes_set(x, inode);
	if (r == 0 && !S_ISDIR(inode->mode) && inode->nlink > 1)
		r = known_look(x, inode->nid, &first);
	if (r < 0)
		return r;
	if (first != NULL) {
		archive_entry_set_hardlink(x->entry, first);
	} else {
		r = xattrs_set(x, inode);
		if (r == 0 && is_file) {
			archive_entry_set_size(x->entry, (int64_t)inode->size);
			r = sparse_set(x, inode);
		}
	}
	if (r < 0)
		return r;
	if (archive_write_header(x->archive, x->entry) != ARCHIVE_OK)
		return archive_failed(x);
	return first == NULL && is_file ? contents_put(x, inode) : 0;
}

/* ---- the tree ---- */

static int tree_put(struct exporting *x, uint64_t nid);

/* "." and ".." are skipped: 0. A name that no directory could have: -EUCLEAN. */
static int child_put(struct exporting *x, const struct erofs_entry *listed)
{
	size_t length = x->path_length;
	unsigned n = listed->length;
	char name[EROFS_NAME_MAX + 1];

	if (n == 0 || n > EROFS_NAME_MAX)
		return image_failed(x, -EUCLEAN);
	memcpy(name, listed->name, n);
	if ((n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	if (memchr(name, '/', n) != NULL || memchr(name, '\0', n) != NULL)
		return image_failed(x, -EUCLEAN);
	if (length + 1 + n > LAYER_PATH_MAX)
		return err_set(x->err, -ENAMETOOLONG, "cannot export \"%.200s...\": its path has more than %u bytes!",
			       x->path, LAYER_PATH_MAX);
	if (length > 0)
		x->path[x->path_length++] = '/';
	memcpy(x->path + x->path_length, name, n);
	x->path_length += n;
	x->path[x->path_length] = '\0';
	int r = tree_put(x, listed->nid);
	x->path_length = length;
	x->path[length] = '\0';
	return r;
}

static int tree_put(struct exporting *x, uint64_t nid)
{
	struct erofs_entry listed;
	struct erofs_inode inode;
	uint64_t position = 0;

	int r = erofs_inode(x->fs, nid, &inode);
	if (r < 0)
		return image_failed(x, r);
	/* A hostile file system may have directories within themselves. */
	if (++x->entries > TREE_NODES_MAX || x->depth > TREE_DEPTH_MAX)
		return err_set(x->err, -EUCLEAN, "cannot export the image: it has too many files or levels!");
	if (x->path_length == 0)
		strcpy(x->path, "./");
	r = file_put(x, &inode);
	if (x->path_length == 0)
		x->path[0] = '\0';
	if (r < 0 || !S_ISDIR(inode.mode))
		return r;
	x->depth++;
	while (r == 0 && (r = erofs_list(x->fs, &inode, &position, &listed)) > 0)
		r = child_put(x, &listed);
	x->depth--;
	return r < 0 && x->err->code == 0 ? image_failed(x, r) : r;
}

static int archive_put(struct exporting *x)
{
	x->archive = archive_write_new();
	x->entry = archive_entry_new();
	if (x->archive == NULL || x->entry == NULL)
		return err_set(x->err, -ENOMEM, "cannot export the image");
	archive_write_set_format_pax_restricted(x->archive);
	/* Names are bytes; and one form of extended attributes, that which others read. */
	if (archive_write_set_options(x->archive, "pax:hdrcharset=BINARY") != ARCHIVE_OK ||
	    archive_write_set_options(x->archive, "pax:xattrheader=SCHILY") != ARCHIVE_OK)
		return archive_failed(x);
	archive_write_set_bytes_per_block(x->archive, 10240);
	if (archive_write_open(x->archive, x, NULL, on_write, NULL) != ARCHIVE_OK)
		return archive_failed(x);
	int r = tree_put(x, x->fs->root_nid);
	if (r == 0 && archive_write_close(x->archive) != ARCHIVE_OK)
		r = archive_failed(x);
	if (r == 0 && x->compress)
		r = deflate_all(x, NULL, 0, Z_FINISH);
	return r;
}

static void fini(struct exporting *x)
{
	for (size_t i = 0; i < x->known_room; i++)
		free(x->known[i].path);
	free(x->known);
	archive_entry_free(x->entry);
	archive_write_free(x->archive); /* if it failed, writes an end to nowhere: see on_write() */
	if (x->compress)
		deflateEnd(&x->gzip);
	EVP_MD_CTX_free(x->in_hash);
	EVP_MD_CTX_free(x->out_hash);
	free(x->buffer);
}

int export_layer(struct image_file *image, int fd, bool compress, struct export_layer *layer, struct progress *progress,
		 struct err *err)
{
	struct exporting *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return err_set(err, -ENOMEM, "cannot export the image");
	*err = (struct err){0};
	*x = (struct exporting){.image = image,
				.fs = &image->erofs,
				.progress = progress,
				.in_hash = EVP_MD_CTX_new(),
				.out_hash = EVP_MD_CTX_new(),
				.buffer = malloc(BUFFER_BYTES),
				.fd = fd,
				.err = err};
	int r = 0;
	if (x->in_hash == NULL || x->out_hash == NULL || x->buffer == NULL ||
	    EVP_DigestInit_ex(x->in_hash, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestInit_ex(x->out_hash, EVP_sha256(), NULL) != 1 ||
	    (compress && deflateInit2(&x->gzip, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK))
		r = err_set(err, -ENOMEM, "cannot export the image");
	x->compress = compress && r == 0;
	if (r == 0)
		r = archive_put(x);
	layer->bytes = x->out_bytes;
	layer->compressed = compress;
	if (r == 0 && (EVP_DigestFinal_ex(x->in_hash, layer->diff_id.bytes, NULL) != 1 ||
		       EVP_DigestFinal_ex(x->out_hash, layer->digest.bytes, NULL) != 1))
		r = err_set(err, -ENOMEM, "cannot hash the layer");
	fini(x);
	free(x);
	return r;
}
