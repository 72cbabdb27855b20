/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

void image_digest_format(const struct image_digest *digest, char text[IMAGE_DIGEST_TEXT])
{
	memcpy(text, "sha256:", 7);
	for (unsigned i = 0; i < SHA256_BYTES; i++) {
		text[7 + 2 * i] = "0123456789abcdef"[digest->bytes[i] >> 4];
		text[8 + 2 * i] = "0123456789abcdef"[digest->bytes[i] & 15];
	}
	text[IMAGE_DIGEST_TEXT - 1] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int image_digest_parse(struct image_digest *digest, const char *text)
{
	if (strlen(text) != IMAGE_DIGEST_TEXT - 1 || memcmp(text, "sha256:", 7) != 0)
		return -EINVAL;
	for (unsigned i = 0; i < SHA256_BYTES; i++) {
		int high = hex_digit(text[7 + 2 * i]), low = hex_digit(text[8 + 2 * i]);
		if (high < 0 || low < 0)
			return -EINVAL;
		digest->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static uint64_t config_blocks(const struct image_footer *footer)
{
	return (footer->config_bytes + VERITY_BLOCK - 1) / VERITY_BLOCK;
}

int image_footer_check(const struct image_footer *footer, uint64_t file_bytes, struct image_digest *digest,
		       struct err *err)
{
	static const uint8_t zeros[sizeof(footer->reserved)];
	struct verity_layout layout;

	if (footer->magic != IMAGE_MAGIC)
		return err_set(err, -EUCLEAN, "this is no Lampo image!");
	if (footer->version != IMAGE_VERSION)
		return err_set(err, -EUCLEAN, "the image has format version %u, this program knows %u!",
			       footer->version, IMAGE_VERSION);
	if (file_bytes > IMAGE_FILE_MAX || file_bytes % VERITY_BLOCK != 0 || footer->footer_bytes != sizeof(*footer) ||
	    memcmp(footer->reserved, zeros, sizeof(zeros)) != 0)
		return err_set(err, -EUCLEAN, "the image's footer is damaged!");
	/* Each bounded by itself, so that sums and products cannot wrap. */
	if (footer->erofs_bytes == 0 || footer->erofs_bytes > file_bytes || footer->erofs_bytes % VERITY_BLOCK != 0 ||
	    footer->config_bytes == 0 || footer->config_bytes > IMAGE_CONFIG_MAX ||
	    footer->data_blocks != footer->erofs_bytes / VERITY_BLOCK + config_blocks(footer) ||
	    verity_layout(&layout, footer->data_blocks) != 0 || footer->tree_blocks != layout.tree_blocks)
		return err_set(err, -EUCLEAN, "the sizes in the image's footer do not fit each other!");
	if ((footer->data_blocks + footer->tree_blocks + 1) * VERITY_BLOCK != file_bytes)
		return err_set(err, -EUCLEAN, "the image file has %llu bytes instead of %llu!",
			       (unsigned long long)file_bytes,
			       (unsigned long long)(footer->data_blocks + footer->tree_blocks + 1) * VERITY_BLOCK);
	sha256(footer, sizeof(*footer), digest->bytes);
	return 0;
}

/* For erofs: [offset, offset + bytes) lies in the file system. */
static int check_blocks(void *context, uint64_t offset, uint64_t bytes)
{
	struct verity *verity = context;
	uint64_t block = offset / VERITY_BLOCK, end = (offset + bytes + VERITY_BLOCK - 1) / VERITY_BLOCK;

	for (unsigned count; block < end; block += count) {
		count = (unsigned)min_u64(end - block, 64);
		if (verity_check_some(verity, block, count) != ~0ull >> (64 - count))
			return -EIO;
	}
	return 0;
}

static int footer_read(struct image_file *image, const struct image_digest *expected, struct err *err)
{
	struct stat st;

	if (fstat(image->fd, &st) != 0)
		return err_set(err, -errno, "cannot look at the image file");
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)(3 * VERITY_BLOCK))
		return err_set(err, -EUCLEAN, "this is no Lampo image!");
	image->bytes = (uint64_t)st.st_size;
	ssize_t n = pread(image->fd, &image->footer, sizeof(image->footer), st.st_size - (off_t)sizeof(image->footer));
	if (n != (ssize_t)sizeof(image->footer))
		return err_set(err, n < 0 ? -errno : -EIO, "cannot read the image's footer");
	int r = image_footer_check(&image->footer, image->bytes, &image->digest, err);
	if (r < 0)
		return r;
	if (expected && memcmp(expected->bytes, image->digest.bytes, SHA256_BYTES) != 0) {
		char want[IMAGE_DIGEST_TEXT], have[IMAGE_DIGEST_TEXT];
		image_digest_format(expected, want);
		image_digest_format(&image->digest, have);
		return err_set(err, -EUCLEAN, "the image file's digest is %s instead of %s!", have, want);
	}
	return 0;
}

static int image_map(struct image_file *image, struct err *err)
{
	const struct image_footer *footer = &image->footer;

	void *map = mmap(NULL, image->bytes, PROT_READ, MAP_SHARED, image->fd, 0);
	if (map == MAP_FAILED)
		return err_set(err, -errno, "cannot map the image file");
	image->map = map;
	verity_layout(&image->verity.layout, footer->data_blocks);
	image->verity.data = image->map;
	image->verity.tree = image->map + footer->data_blocks * VERITY_BLOCK;
	memcpy(image->verity.root, footer->root, SHA256_BYTES);
	image->verity.checked = calloc(1, verity_checked_bytes(&image->verity.layout));
	if (!image->verity.checked)
		return err_set(err, -ENOMEM, "cannot open the image file");
	int r = erofs_open(&image->erofs, image->map, footer->erofs_bytes, check_blocks, &image->verity);
	if (r < 0)
		return err_set(err, r, "cannot read the image's file system");
	if (image->erofs.bytes != footer->erofs_bytes)
		return err_set(err, -EUCLEAN, "the image's file system is not as long as the footer says!");
	return 0;
}

int image_file_open(struct image_file *image, int fd, const struct image_digest *expected, struct err *err)
{
	memset(image, 0, sizeof(*image));
	image->fd = fd;
	int r = footer_read(image, expected, err);
	if (r == 0)
		r = image_map(image, err);
	if (r < 0)
		image_file_close(image);
	return r;
}

void image_file_close(struct image_file *image)
{
	if (image->map)
		munmap((void *)(uintptr_t)image->map, image->bytes);
	free(image->verity.checked);
	if (image->fd >= 0)
		close(image->fd);
	memset(image, 0, sizeof(*image));
	image->fd = -1;
}

int image_file_config(struct image_file *image, char **json, struct err *err)
{
	uint64_t bytes = image->footer.config_bytes;

	if (check_blocks(&image->verity, image->footer.erofs_bytes, bytes) != 0)
		return err_set(err, -EIO, "the image's configuration is damaged!");
	const uint8_t *text = image->map + image->footer.erofs_bytes;
	if (memchr(text, '\0', bytes))
		return err_set(err, -EUCLEAN, "the image's configuration is no text!");
	*json = malloc(bytes + 1);
	if (!*json)
		return err_set(err, -ENOMEM, "cannot read the image's configuration");
	memcpy(*json, text, bytes);
	(*json)[bytes] = '\0';
	return 0;
}

/* ---- verifying all of it ---- */

/* Reads instead of using the map, so that a failing disk is an error and no signal. Holds one hash block of each level:
 * data blocks come in order, so each is read once. */
struct scan {
	struct image_file *image;
	struct err *err;
	uint64_t held[VERITY_LEVELS_MAX]; /* number within the level, plus 1 */
	uint8_t hashes[VERITY_LEVELS_MAX][VERITY_BLOCK];
	uint8_t data[VERITY_HASHES][VERITY_BLOCK];
};

static int scan_read(struct scan *scan, void *to, uint64_t bytes, uint64_t offset)
{
	for (uint64_t done = 0; done < bytes;) {
		ssize_t n = pread(scan->image->fd, (uint8_t *)to + done, bytes - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(scan->err, n < 0 ? -errno : -EIO, "cannot read the image file at offset %llu",
				       (unsigned long long)(offset + done));
		done += (uint64_t)n;
	}
	return 0;
}

/* What stands for block `block` below `level`, whose hash block is held. */
static const uint8_t *scan_expected(const struct scan *scan, unsigned level, uint64_t block)
{
	if (level == scan->image->verity.layout.levels)
		return scan->image->footer.root;
	return scan->hashes[level] + block % VERITY_HASHES * SHA256_BYTES;
}

/* Holds the hash blocks for data block `block`, from the root down. */
static int scan_hold(struct scan *scan, uint64_t block)
{
	const struct verity_layout *layout = &scan->image->verity.layout;
	uint8_t hash[SHA256_BYTES];

	for (unsigned level = layout->levels; level-- > 0;) {
		uint64_t index = block >> 7 * (level + 1);
		if (scan->held[level] == index + 1)
			continue;
		uint64_t at = (layout->data_blocks + layout->first[level] + index) * VERITY_BLOCK;
		int r = scan_read(scan, scan->hashes[level], VERITY_BLOCK, at);
		if (r < 0)
			return r;
		sha256(scan->hashes[level], VERITY_BLOCK, hash);
		if (memcmp(hash, scan_expected(scan, level + 1, index), SHA256_BYTES) != 0)
			return err_set(scan->err, -EIO,
				       "the image is damaged: block %llu (of its hash tree) is not what it was!",
				       (unsigned long long)(at / VERITY_BLOCK));
		scan->held[level] = index + 1;
	}
	return 0;
}

static int scan_blocks(struct scan *scan, uint64_t first, uint64_t count)
{
	uint8_t hashes[VERITY_HASHES][SHA256_BYTES];
	int r = scan_hold(scan, first);
	if (r == 0)
		r = scan_read(scan, scan->data, count * VERITY_BLOCK, first * VERITY_BLOCK);
	if (r == 0)
		sha256_each(scan->data, VERITY_BLOCK, count, hashes);
	for (uint64_t i = 0; r == 0 && i < count; i++) {
		if (memcmp(hashes[i], scan_expected(scan, 0, first + i), SHA256_BYTES) != 0)
			r = err_set(scan->err, -EIO, "the image is damaged: block %llu is not what it was!",
				    (unsigned long long)(first + i));
	}
	return r;
}

int image_file_verify(struct image_file *image, void (*progress)(void *, uint64_t done, uint64_t total), void *context,
		      struct err *err)
{
	uint64_t total = image->footer.data_blocks;
	struct scan *scan = calloc(1, sizeof(*scan));
	int r = 0;

	if (!scan)
		return err_set(err, -ENOMEM, "cannot verify the image");
	scan->image = image;
	scan->err = err;
	for (uint64_t block = 0; r == 0 && block < total; block += VERITY_HASHES) {
		r = scan_blocks(scan, block, min_u64(VERITY_HASHES, total - block));
		if (progress && r == 0)
			progress(context, min_u64(block + VERITY_HASHES, total) * VERITY_BLOCK, total * VERITY_BLOCK);
	}
	free(scan);
	return r;
}
