/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers: hostile bytes as archives, compressed or not, and archives put together from hostile choices. Whatever comes,
 * the tree stays sound, and if the layer is taken, an image can be made that is whole.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "image/layer.h"
#include "image/layer_names.h"

#define ARCHIVE_MAX (1u << 18)

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* ---- the input ---- */

struct input {
	const uint8_t *data;
	size_t bytes;
};

static uint8_t take(struct input *in)
{
	if (in->bytes == 0)
		return 0;
	in->bytes--;
	return *in->data++;
}

struct archive_bytes {
	uint8_t data[ARCHIVE_MAX];
	size_t used;
};

static void put(struct archive_bytes *to, const void *data, size_t bytes)
{
	if (bytes > sizeof(to->data) - to->used)
		bytes = sizeof(to->data) - to->used;
	memcpy(to->data + to->used, data, bytes);
	to->used += bytes;
}

static void pad(struct archive_bytes *to)
{
	static const uint8_t zeros[512];

	put(to, zeros, -to->used & 511);
}

/* Right sums, or nearly nothing would get past them. */
static void sums_fix(uint8_t *data, size_t bytes)
{
	for (size_t at = 0; at + 512 <= bytes; at += 512) {
		unsigned sum = 0;
		if (memcmp(data + at + 257, "ustar", 5) != 0)
			continue;
		memset(data + at + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += data[at + i];
		snprintf((char *)data + at + 148, 8, "%06o", sum);
	}
}

static size_t name_make(struct input *in, char *name, size_t room)
{
	static const char *const parts[] = {"a",     "b",        "c",         "d",    "..",     ".",
					    ".wh.a", ".wh.b",    ".wh.c",     ".wh.", ".wh...", ".wh..wh..opq",
					    "lib",   "\xff\xfe", ".wh..wh.x", ""};
	uint8_t shape = take(in);
	size_t used = 0;

	if ((shape & 0xc0) == 0xc0)
		name[used++] = '/';
	for (unsigned n = shape % 5; n > 0; n--) {
		uint8_t choice = take(in);
		used += (size_t)snprintf(name + used, room - used, "%s%s", parts[choice % countof(parts)],
					 n > 1 || choice & 0x80 ? "/" : "");
	}
	name[used] = '\0';
	return used;
}

static void pax_put(struct archive_bytes *to, struct input *in)
{
	static const char *const keys[] = {"path",
					   "linkpath",
					   "size",
					   "uid",
					   "mtime",
					   "SCHILY.xattr.user.a",
					   "GNU.sparse.map",
					   "GNU.sparse.size",
					   "GNU.sparse.major",
					   "GNU.sparse.minor",
					   "GNU.sparse.realsize",
					   "LIBARCHIVE.xattr.user.b",
					   "hdrcharset",
					   "GNU.sparse.numblocks",
					   "GNU.sparse.offset",
					   "GNU.sparse.numbytes"};
	char records[4096];
	size_t used = 0;

	for (unsigned n = take(in) % 4; n > 0; n--) {
		char record[300];
		const char *key = keys[take(in) % countof(keys)];
		uint8_t length = take(in) % 40;
		size_t body = (size_t)snprintf(record, sizeof(record), " %s=", key);
		for (unsigned i = 0; i < length; i++) {
			uint8_t c = take(in);
			record[body++] = (char)(c % 3 == 0 ? '0' + c % 10 : c % 3 == 1 ? ',' : (char)c);
		}
		record[body++] = '\n';
		size_t total = body + 2 + (body >= 98);
		used += (size_t)snprintf(records + used, sizeof(records) - used, "%zu", total);
		memcpy(records + used, record, body);
		used += body;
	}
	uint8_t header[512] = "pax";
	snprintf((char *)header + 124, 12, "%011zo", used);
	header[156] = 'x';
	memcpy(header + 257, "ustar\00000", 8);
	put(to, header, 512);
	put(to, records, used);
	pad(to);
}

static void entry_put(struct archive_bytes *to, struct input *in)
{
	static const char types[] = "00001112223456557gS";
	uint8_t header[512] = {0}, shape = take(in);
	char name[256];

	if (shape & 0x80)
		pax_put(to, in);
	memcpy(header, name, name_make(in, name, sizeof(name)));
	snprintf((char *)header + 100, 8, "%07o", take(in) * 17u & 07777);
	for (unsigned i = 108; i < 124; i++)
		header[i] = '0';
	unsigned bytes = shape & 0x20 ? take(in) : shape & 0x10 ? take(in) * 64u : 0;
	snprintf((char *)header + 124, 12, "%011o", bytes);
	if (shape & 0x40 && take(in) % 8 == 0)
		for (unsigned i = 124; i < 148; i++)
			header[i] = take(in);
	header[156] = (uint8_t)types[take(in) % (sizeof(types) - 1)];
	memcpy(header + 157, name, name_make(in, name, 100));
	memcpy(header + 257, "ustar\00000", 8);
	put(to, header, 512);
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t byte = (uint8_t)(i + shape);
		put(to, &byte, 1);
	}
	pad(to);
}

/* ---- applying ---- */

static int64_t input_read(void *context, void *to, size_t bytes, struct err *err)
{
	struct input *in = context;
	size_t n = min_u64(bytes, in->bytes);
	(void)err;

	if (n > 0)
		memcpy(to, in->data, n);
	in->data += n;
	in->bytes -= n;
	return (int64_t)n;
}

static uint32_t check(const struct tree_node *node, unsigned layer, unsigned depth)
{
	uint32_t count = 1;

	require(depth <= TREE_DEPTH_MAX && node->layer <= layer && node->inode->links > 0);
	require(node->inode->mtime_ns < 1000000000);
	if (S_ISLNK(node->inode->mode))
		require(node->inode->target != NULL && node->inode->target[0] != '\0');
	if (!S_ISDIR(node->inode->mode))
		require(node->child_count == 0);
	for (uint32_t i = 0; i < node->child_count; i++) {
		const struct tree_node *child = node->children[i];
		require(child->parent == node && child->name_length > 0 &&
			memchr(child->name, '/', child->name_length) == NULL);
		require(tree_find(node, child->name, child->name_length) == child);
		/* A whiteout never becomes a file. */
		require(child->name_length < 4 || memcmp(child->name, ".wh.", 4) != 0);
		count += check(child, layer, depth + 1);
	}
	return count;
}

static int layer_put(struct tree *tree, struct image_writer *writer, unsigned layer, const void *data, size_t bytes)
{
	const struct layer_limits limits = {.bytes = 8u << 20, .entries = 2000, .ratio = 1200};
	struct input in = {data, bytes};
	struct layer_source source = {.read = input_read, .context = &in, .name = "it"};
	struct err err = {0};

	int r = layer_apply(tree, writer, layer, &source, &limits, &err);
	require(r <= 0 && (r == 0 || (err.code < 0 && err.text[0] != '\0')));
	if (r == 0)
		require(check(tree_root(tree), layer, 0) == tree_node_count(tree));
	return r;
}

static void finish(struct image_writer *writer, struct tree *tree, int fd)
{
	struct image_digest digest;
	struct image_file image;
	struct err err;

	if (image_writer_finish(writer, tree, "{}", &digest, &err) < 0)
		return;
	require(image_file_open(&image, dup(fd), &digest, &err) == 0);
	require(image_file_verify(&image, NULL, NULL, &err) == 0);
	image_file_close(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct archive_bytes archive;
	const struct image_limits limits = {.image_bytes = 16u << 20, .file_bytes = 1u << 30};
	struct input in = {data, size};
	struct image_writer *writer;
	struct err err;
	uint8_t mode = take(&in);

	struct tree *tree = tree_new();
	int fd = memfd_create("image", MFD_CLOEXEC);
	if (tree == NULL || fd < 0 || image_writer_open(&writer, fd, &limits, &err) < 0)
		abort();
	int r = 0;
	if (mode % 4 == 0) { /* as it is: compressed streams, too */
		r = layer_put(tree, writer, 1, in.data, in.bytes);
	} else if (mode % 4 == 1) {
		archive.used = 0;
		put(&archive, in.data, in.bytes);
		sums_fix(archive.data, archive.used);
		r = layer_put(tree, writer, 1, archive.data, archive.used);
	} else {
		for (unsigned layer = 1; r == 0 && layer <= 3 && in.bytes > 0; layer++) {
			archive.used = 0;
			for (unsigned n = take(&in) % 12; n > 0; n--)
				entry_put(&archive, &in);
			sums_fix(archive.data, archive.used);
			r = layer_put(tree, writer, layer, archive.data, archive.used);
		}
	}
	if (r == 0)
		finish(writer, tree, fd);
	image_writer_close(writer);
	tree_free(tree);
	close(fd);
	return 0;
}
