/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of files of an image that is being built: where they are, and laying them down. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/util.h"
#include "image/build_host.h"
#include "image/build_tree.h"
#include "run/fd.h"

#define PIECE (1u << 20)

/* ---- the list ---- */

static struct build_content *add(struct build_contents *contents, struct tree_inode *inode)
{
	if (contents->count == contents->room) {
		size_t room = contents->room != 0 ? contents->room * 2 : 64;
		void *grown = realloc(contents->list, room * sizeof(contents->list[0]));
		if (grown == NULL)
			return NULL;
		contents->list = grown;
		contents->room = room;
	}
	struct build_content *new = &contents->list[contents->count++];
	memset(new, 0, sizeof(*new));
	inode->nid = contents->count;
	return new;
}

void build_contents_free(struct build_contents *contents)
{
	for (size_t i = 0; i < contents->count; i++) {
		if (contents->list[i].from == BUILD_FROM_HOST)
			free(contents->list[i].host.path);
		else if (contents->list[i].from == BUILD_FROM_MEMORY)
			free(contents->list[i].memory);
	}
	free(contents->list);
	*contents = (struct build_contents){0};
}

int build_contents_add_image(struct build_contents *contents, struct tree_inode *inode, struct image_file *image,
			     const struct erofs_inode *from)
{
	struct build_content *new = add(contents, inode);

	if (new == NULL)
		return -ENOMEM;
	new->from = BUILD_FROM_IMAGE;
	new->bytes = from->size;
	new->image.file = image;
	new->image.nid = from->nid;
	return 0;
}

int build_contents_add_host(struct build_contents *contents, struct tree_inode *inode, int root_fd, const char *path,
			    const struct stat *st)
{
	struct build_content *new = add(contents, inode);

	if (new == NULL)
		return -ENOMEM;
	new->from = BUILD_FROM_HOST;
	new->bytes = (uint64_t)st->st_size;
	new->host.root_fd = root_fd;
	new->host.dev = st->st_dev;
	new->host.ino = st->st_ino;
	new->host.mtime = st->st_mtim;
	new->host.path = strdup(path);
	return new->host.path == NULL ? -ENOMEM : 0;
}

int build_contents_add_memory(struct build_contents *contents, struct tree_inode *inode, const void *data, size_t bytes)
{
	struct build_content *new = add(contents, inode);

	if (new == NULL)
		return -ENOMEM;
	new->from = BUILD_FROM_MEMORY;
	new->bytes = bytes;
	new->memory = malloc(bytes + 1);
	if (new->memory == NULL)
		return -ENOMEM;
	memcpy(new->memory, data, bytes);
	return 0;
}

static const struct build_content *content_of(const struct build_contents *contents, const struct tree_inode *inode)
{
	return inode->nid != 0 && inode->nid <= contents->count ? &contents->list[inode->nid - 1] : NULL;
}

uint64_t build_contents_bytes(const struct build_contents *contents, const struct tree_inode *inode)
{
	const struct build_content *content = S_ISREG(inode->mode) ? content_of(contents, inode) : NULL;

	return content != NULL ? content->bytes : 0;
}

/* ---- reading ---- */

/* A descriptor, or a negative errno with *err. */
static int open_host(const struct build_content *content, struct err *err)
{
	struct stat st;
	int fd = fd_open_beneath(content->host.root_fd, content->host.path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return err_set(err, fd, "cannot read '%s'", content->host.path);
	int code = fstat(fd, &st) < 0 ? -errno : 0;
	if (code == 0 && (st.st_dev != content->host.dev || st.st_ino != content->host.ino ||
			  (uint64_t)st.st_size != content->bytes || st.st_mtim.tv_sec != content->host.mtime.tv_sec ||
			  st.st_mtim.tv_nsec != content->host.mtime.tv_nsec))
		code = -EAGAIN;
	if (code == 0)
		return fd;
	close(fd);
	if (code != -EAGAIN)
		return err_set(err, code, "cannot read '%s'", content->host.path);
	err_set(err, code, "'%s' was changed while the image was built!", content->host.path);
	return err_hint(err, "build again when nothing writes to it");
}

/* Bytes, which may be fewer only at the end. */
static ssize_t read_host(int fd, uint64_t at, void *to, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(fd, (char *)to + done, bytes - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int open_image(const struct build_content *content, struct erofs_inode *inode, struct err *err)
{
	int code = erofs_inode(&content->image.file->erofs, content->image.nid, inode);

	if (code == 0 && (inode->size != content->bytes || !S_ISREG(inode->mode)))
		code = -EUCLEAN;
	return code < 0 ? err_set(err, code, "cannot read the base image") : 0;
}

int build_contents_read(const struct build_contents *contents, const struct tree_inode *inode, size_t max, char **data,
			size_t *bytes, struct err *err)
{
	const struct build_content *content = content_of(contents, inode);
	uint64_t size = content != NULL ? content->bytes : 0;
	struct erofs_inode from;
	int64_t n = 0;

	if (size > max)
		return err_set(err, -EFBIG, "cannot read a file of %llu bytes", (unsigned long long)size);
	*data = malloc(size + 1);
	if (*data == NULL)
		return err_set(err, -ENOMEM, "cannot read a file");
	if (content == NULL) {
		n = 0;
	} else if (content->from == BUILD_FROM_MEMORY) {
		memcpy(*data, content->memory, size);
		n = (int64_t)size;
	} else if (content->from == BUILD_FROM_HOST) {
		FD_AUTO int fd = open_host(content, err);
		n = fd < 0 ? fd : read_host(fd, 0, *data, size);
	} else {
		n = open_image(content, &from, err);
		if (n == 0)
			n = erofs_read(&content->image.file->erofs, &from, 0, *data, size);
	}
	if (n >= 0 && (uint64_t)n == size) {
		(*data)[size] = '\0';
		*bytes = size;
		return 0;
	}
	free(*data);
	*data = NULL;
	return err->code < 0 ? err->code : err_set(err, n < 0 ? (int)n : -EIO, "cannot read a file");
}

/* ---- writing ---- */

struct writing {
	const struct build_contents *contents;
	struct image_writer *writer;
	void *buffer; /* PIECE bytes */
	int64_t latest;
	uint64_t done, total;
	struct progress *progress;
	struct err *err;
};

static int write_host_data(struct writing *w, const struct build_content *content, int fd)
{
	for (uint64_t at = 0; at < content->bytes;) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			data = (off_t)content->bytes;
		if (data > (off_t)at) { /* a file system that knows no holes says -EINVAL */
			uint64_t hole = min_u64((uint64_t)data, content->bytes) - at;
			int code = image_writer_skip(w->writer, hole, w->err);
			if (code < 0)
				return code;
			at += hole;
			continue;
		}
		ssize_t n = read_host(fd, at, w->buffer, min_u64(PIECE, content->bytes - at));
		if (n <= 0)
			return err_set(w->err, n < 0 ? (int)n : -EAGAIN, "cannot read '%s'", content->host.path);
		int code = image_writer_write(w->writer, w->buffer, (size_t)n, w->err);
		if (code < 0)
			return code;
		at += (uint64_t)n;
	}
	return 0;
}

static int write_host(struct writing *w, const struct build_content *content, struct tree_inode *inode)
{
	FD_AUTO int fd = open_host(content, w->err);

	if (fd < 0)
		return fd;
	int code = build_host_xattrs(inode, fd);
	if (code < 0)
		return err_set(w->err, code, "cannot read the attributes of '%s'", content->host.path);
	return write_host_data(w, content, fd);
}

static int write_image(struct writing *w, const struct build_content *content)
{
	const struct erofs *fs = &content->image.file->erofs;
	struct erofs_inode from;
	struct erofs_extent extent;
	int code = open_image(content, &from, w->err);

	if (code < 0)
		return code;
	for (uint64_t at = 0; at < from.size; at += extent.bytes) {
		code = erofs_extent(fs, &from, at, &extent);
		if (code == 0 && extent.bytes == 0)
			code = -EUCLEAN;
		if (code == 0 && !extent.hole) {
			extent.bytes = min_u64(extent.bytes, PIECE);
			code = erofs_verify(fs, extent.offset, extent.bytes);
		}
		if (code < 0)
			return err_set(w->err, code, "cannot read the base image");
		code = extent.hole ? image_writer_skip(w->writer, extent.bytes, w->err)
				   : image_writer_write(w->writer, fs->base + extent.offset, extent.bytes, w->err);
		if (code < 0)
			return code;
	}
	return 0;
}

static int write_inode(struct writing *w, struct tree_inode *inode)
{
	const struct build_content *content = content_of(w->contents, inode);
	int code = 0;

	if (content == NULL)
		return 0; /* empty, or written under another name */
	code = image_writer_start(w->writer, w->err);
	if (code == 0 && content->from == BUILD_FROM_HOST)
		code = write_host(w, content, inode);
	else if (code == 0 && content->from == BUILD_FROM_IMAGE)
		code = write_image(w, content);
	else if (code == 0)
		code = image_writer_write(w->writer, content->memory, content->bytes, w->err);
	if (code == 0)
		code = image_writer_end(w->writer, &inode->data, w->err);
	inode->nid = 0;
	w->done += content->bytes;
	progress_set(w->progress, 0, "image", "writing", w->done, w->total);
	return code;
}

static int write_node(struct writing *w, struct tree_node *node)
{
	struct tree_inode *inode = node->inode;

	if (inode->mtime > w->latest) {
		inode->mtime = w->latest;
		inode->mtime_ns = 0;
	}
	if (S_ISREG(inode->mode))
		return write_inode(w, inode);
	if (!S_ISDIR(inode->mode) || node->child_count == 0)
		return 0;
	struct tree_node **children = tree_sorted(node);
	if (children == NULL)
		return err_set(w->err, -ENOMEM, "cannot write the image");
	int code = 0;
	for (uint32_t i = 0; i < node->child_count && code == 0; i++)
		code = write_node(w, children[i]);
	return code;
}

/* Of the files in the tree, for the progress. Each name of a file stands for its part of the contents. */
static uint64_t total_bytes(const struct build_contents *contents, struct tree_node *node)
{
	uint64_t sum = 0;

	if (S_ISREG(node->inode->mode))
		return build_contents_bytes(contents, node->inode) / (node->inode->links != 0 ? node->inode->links : 1);
	if (!S_ISDIR(node->inode->mode) || node->child_count == 0)
		return 0;
	struct tree_node **children = tree_sorted(node);
	for (uint32_t i = 0; children != NULL && i < node->child_count; i++)
		sum += total_bytes(contents, children[i]);
	return sum;
}

int build_tree_write(struct tree *tree, const struct build_contents *contents, struct image_writer *writer,
		     int64_t latest, struct progress *progress, struct err *err)
{
	struct writing w = {.contents = contents,
			    .writer = writer,
			    .latest = latest,
			    .progress = progress,
			    .err = err,
			    .buffer = malloc(PIECE)};

	if (w.buffer == NULL)
		return err_set(err, -ENOMEM, "cannot write the image");
	w.total = progress != NULL ? total_bytes(contents, tree_root(tree)) : 0;
	int code = write_node(&w, tree_root(tree));
	free(w.buffer);
	if (code == 0)
		progress_set(progress, 0, "image", "done", w.done, w.done);
	return code;
}
