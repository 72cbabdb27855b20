/* SPDX-License-Identifier: Apache-2.0 */
/* The reader: superblock, inodes, data and extended attributes. Directories and paths: erofs_name.c. */
#include "base/erofs.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

#define INCOMPAT_KNOWN EROFS_INCOMPAT_CHUNKED
#define SYMLINK_MAX 4095u

int erofs_verify(const struct erofs *fs, uint64_t offset, uint64_t bytes)
{
	if (offset > fs->bytes || bytes > fs->bytes - offset)
		return -EUCLEAN;
	return fs->check && bytes > 0 && fs->check(fs->context, offset, bytes) != 0 ? -EIO : 0;
}

/* Copies a structure of the file, so that it cannot change while it is looked at. */
static int copy(const struct erofs *fs, uint64_t offset, void *to, uint64_t bytes)
{
	int r = erofs_verify(fs, offset, bytes);

	if (r == 0)
		memcpy(to, fs->base + offset, bytes);
	return r;
}

/* The superblock's checksum is left to Linux: check() has a better one, and without it nothing is trusted anyway. */
int erofs_open(struct erofs *fs, const void *base, uint64_t bytes, int (*check)(void *, uint64_t, uint64_t),
	       void *context)
{
	struct erofs_disk_super super;
	int r;

	memset(fs, 0, sizeof(*fs));
	fs->base = base;
	fs->bytes = bytes;
	fs->check = check;
	fs->context = context;
	r = copy(fs, EROFS_SUPER_OFFSET, &super, sizeof(super));
	if (r < 0)
		return r;
	if (super.magic != EROFS_MAGIC || super.block_bits != 12 || super.dir_block_bits != 0 ||
	    (super.feature_incompat & ~INCOMPAT_KNOWN) != 0 || super.extra_devices != 0)
		return -EUCLEAN;
	if (super.blocks == 0 || super.blocks > bytes / EROFS_BLOCK)
		return -EUCLEAN;
	fs->bytes = (uint64_t)super.blocks * EROFS_BLOCK;
	fs->meta_offset = (uint64_t)super.meta_block * EROFS_BLOCK;
	fs->xattr_offset = (uint64_t)super.xattr_block * EROFS_BLOCK;
	fs->root_nid = super.root_nid;
	fs->inode_count = super.inode_count;
	fs->build_time = (int64_t)super.build_time;
	fs->build_time_ns = super.build_time_ns;
	if (fs->build_time_ns > 999999999)
		return -EUCLEAN;
	return 0;
}

static void inode_compact(const struct erofs *fs, const struct erofs_disk_inode_compact *disk,
			  struct erofs_inode *inode)
{
	inode->header_bytes = sizeof(*disk);
	inode->mode = disk->mode;
	inode->nlink = disk->nlink;
	inode->size = disk->size;
	inode->u = disk->u;
	inode->ino = disk->ino;
	inode->uid = disk->uid;
	inode->gid = disk->gid;
	inode->mtime = fs->build_time;
	inode->mtime_ns = fs->build_time_ns;
}

static void inode_extended(const struct erofs_disk_inode_extended *disk, struct erofs_inode *inode)
{
	inode->header_bytes = sizeof(*disk);
	inode->mode = disk->mode;
	inode->nlink = disk->nlink;
	inode->size = disk->size;
	inode->u = disk->u;
	inode->ino = disk->ino;
	inode->uid = disk->uid;
	inode->gid = disk->gid;
	inode->mtime = (int64_t)disk->mtime;
	inode->mtime_ns = disk->mtime_ns;
}

static bool has_data(const struct erofs_inode *inode)
{
	uint32_t type = inode->mode & EROFS_MODE_TYPE;

	return type == EROFS_MODE_FILE || type == EROFS_MODE_DIR || type == EROFS_MODE_LINK;
}

/* What follows the inode: inline data, or the chunks' list. */
static uint64_t behind(const struct erofs_inode *inode)
{
	return inode->offset + inode->header_bytes + inode->xattr_bytes;
}

static uint64_t chunk_bytes(const struct erofs_inode *inode)
{
	return (uint64_t)EROFS_BLOCK << (inode->u & EROFS_CHUNK_BITS_MASK);
}

static unsigned chunk_unit(const struct erofs_inode *inode) { return inode->u & EROFS_CHUNK_INDEXES ? 8 : 4; }

/* How much of a file with inline layout lies in blocks: all but the last piece, however long that is. */
static uint64_t bytes_before_tail(const struct erofs_inode *inode)
{
	return inode->size == 0 ? 0 : align_down(inode->size - 1, EROFS_BLOCK);
}

/* Contents in one run of blocks, with or without a tail behind the inode. */
static int check_flat(const struct erofs *fs, const struct erofs_inode *inode)
{
	uint64_t in_blocks = inode->layout == EROFS_LAYOUT_INLINE ? bytes_before_tail(inode) : inode->size;
	uint64_t tail = inode->size - in_blocks, tail_at = behind(inode), start = (uint64_t)inode->u * EROFS_BLOCK;

	/* Never across a block's end, so that Linux can use it in its page. */
	if (tail > 0 && (tail > fs->bytes - tail_at || tail_at % EROFS_BLOCK + tail > EROFS_BLOCK))
		return -EUCLEAN;
	if (in_blocks > 0 && (start > fs->bytes || in_blocks > fs->bytes - start))
		return -EUCLEAN;
	return 0;
}

static int check_chunked(const struct erofs *fs, const struct erofs_inode *inode)
{
	uint64_t chunks = inode->size / chunk_bytes(inode) + (inode->size % chunk_bytes(inode) != 0);
	uint64_t list = align_up(behind(inode), chunk_unit(inode));

	if ((inode->u & ~(EROFS_CHUNK_BITS_MASK | EROFS_CHUNK_INDEXES)) != 0)
		return -EUCLEAN;
	if (list > fs->bytes || chunks > (fs->bytes - list) / chunk_unit(inode))
		return -EUCLEAN;
	return 0;
}

static int check_inode(const struct erofs *fs, const struct erofs_inode *inode)
{
	uint32_t type = inode->mode & EROFS_MODE_TYPE;

	if (inode->mtime_ns > 999999999)
		return -EUCLEAN;
	if (type == EROFS_MODE_CHAR || type == EROFS_MODE_BLOCK || type == EROFS_MODE_FIFO || type == EROFS_MODE_SOCKET)
		return 0;
	if (!has_data(inode) || inode->size > INT64_MAX)
		return -EUCLEAN;
	if (type == EROFS_MODE_LINK && (inode->size == 0 || inode->size > SYMLINK_MAX))
		return -EUCLEAN;
	switch (inode->layout) {
	case EROFS_LAYOUT_PLAIN:
	case EROFS_LAYOUT_INLINE:
		return check_flat(fs, inode);
	case EROFS_LAYOUT_CHUNKED:
		return check_chunked(fs, inode);
	default:
		return -EUCLEAN;
	}
}

int erofs_inode(const struct erofs *fs, uint64_t nid, struct erofs_inode *inode)
{
	union {
		struct erofs_disk_inode_compact compact;
		struct erofs_disk_inode_extended extended;
	} disk;
	int r;

	memset(inode, 0, sizeof(*inode));
	if (fs->meta_offset > fs->bytes || nid >= (fs->bytes - fs->meta_offset) / EROFS_NID_BYTES)
		return -EUCLEAN;
	inode->nid = nid;
	inode->offset = fs->meta_offset + nid * EROFS_NID_BYTES;
	r = copy(fs, inode->offset, &disk.compact, sizeof(disk.compact));
	if (r < 0)
		return r;
	/* Both kinds begin with format and number of attributes. */
	uint16_t format = disk.compact.format, xattr_count = disk.compact.xattr_count;
	if (format >> 4 != 0)
		return -EUCLEAN;
	if (format & 1) {
		r = copy(fs, inode->offset, &disk.extended, sizeof(disk.extended));
		if (r < 0)
			return r;
		inode_extended(&disk.extended, inode);
	} else {
		inode_compact(fs, &disk.compact, inode);
	}
	inode->layout = format >> 1 & 7;
	if (xattr_count > 0)
		inode->xattr_bytes = (uint32_t)sizeof(struct erofs_disk_xattr_header) + (xattr_count - 1u) * 4;
	if (behind(inode) > fs->bytes)
		return -EUCLEAN;
	return check_inode(fs, inode);
}

void erofs_rdev(const struct erofs_inode *inode, uint32_t *major, uint32_t *minor)
{
	*major = (inode->u & 0xfff00) >> 8;
	*minor = (inode->u & 0xff) | (inode->u >> 12 & 0xfff00);
}

static int chunk_extent(const struct erofs *fs, const struct erofs_inode *inode, uint64_t at,
			struct erofs_extent *extent)
{
	uint64_t chunk = at / chunk_bytes(inode), within = at % chunk_bytes(inode);
	uint64_t entry = align_up(behind(inode), chunk_unit(inode)) + chunk * chunk_unit(inode);
	uint32_t index[2] = {0, 0}, block;
	int r;

	r = copy(fs, entry, index, chunk_unit(inode));
	if (r < 0)
		return r;
	block = index[0];
	if (inode->u & EROFS_CHUNK_INDEXES) {
		/* The first word has a device, and bits of block numbers beyond 32. */
		block = index[1];
		if (index[0] != 0 && block != EROFS_CHUNK_HOLE)
			return -EUCLEAN;
	}
	extent->bytes = min_u64(chunk_bytes(inode) - within, inode->size - at);
	extent->hole = block == EROFS_CHUNK_HOLE;
	extent->offset = 0;
	if (extent->hole)
		return 0;
	extent->offset = (uint64_t)block * EROFS_BLOCK + within;
	if (extent->offset > fs->bytes || extent->bytes > fs->bytes - extent->offset)
		return -EUCLEAN;
	return 0;
}

int erofs_extent(const struct erofs *fs, const struct erofs_inode *inode, uint64_t at, struct erofs_extent *extent)
{
	uint64_t in_blocks = inode->size;

	if (!has_data(inode) || at >= inode->size)
		return -EINVAL;
	if (inode->layout == EROFS_LAYOUT_CHUNKED)
		return chunk_extent(fs, inode, at, extent);
	if (inode->layout == EROFS_LAYOUT_INLINE)
		in_blocks = bytes_before_tail(inode);
	extent->hole = false;
	if (at < in_blocks) {
		extent->offset = (uint64_t)inode->u * EROFS_BLOCK + at;
		extent->bytes = in_blocks - at;
	} else {
		extent->offset = behind(inode) + (at - in_blocks);
		extent->bytes = inode->size - at;
	}
	return 0;
}

int64_t erofs_read(const struct erofs *fs, const struct erofs_inode *inode, uint64_t at, void *to, uint64_t bytes)
{
	uint64_t done = 0;

	if (!has_data(inode))
		return -EINVAL;
	bytes = at >= inode->size ? 0 : min_u64(bytes, inode->size - at);
	while (done < bytes) {
		struct erofs_extent extent;
		int r = erofs_extent(fs, inode, at + done, &extent);
		if (r < 0)
			return r;
		uint64_t n = min_u64(extent.bytes, bytes - done);
		if (extent.hole)
			memset((uint8_t *)to + done, 0, n);
		else
			r = copy(fs, extent.offset, (uint8_t *)to + done, n);
		if (r < 0)
			return r;
		done += n;
	}
	return (int64_t)done;
}

/* ---- extended attributes ---- */

/* fs/erofs/xattr.h; 0x80 would be a prefix of the file system's own, which is a feature that erofs_open() refuses. */
static const char *xattr_prefix(uint8_t index)
{
	switch (index) {
	case 1:
		return "user.";
	case 2:
		return "system.posix_acl_access";
	case 3:
		return "system.posix_acl_default";
	case 4:
		return "trusted.";
	case 6:
		return "security.";
	default:
		return NULL;
	}
}

/* The entry at offset `at` of the file, which ends before `end`; *next: behind it. */
static int xattr_entry(const struct erofs *fs, uint64_t at, uint64_t end, struct erofs_xattr *xattr, uint64_t *next)
{
	struct erofs_disk_xattr disk;
	uint64_t bytes;
	int r;

	if (at > end || end - at < sizeof(disk))
		return -EUCLEAN;
	r = copy(fs, at, &disk, sizeof(disk));
	if (r < 0)
		return r;
	bytes = sizeof(disk) + disk.name_length + disk.value_bytes;
	const char *prefix = xattr_prefix(disk.name_index);
	if (!prefix || bytes > end - at)
		return -EUCLEAN;
	size_t length = strlen(prefix);
	_Static_assert(sizeof(xattr->name) > 255 + sizeof("system.posix_acl_default"), "any name fits");
	memcpy(xattr->name, prefix, length);
	r = copy(fs, at + sizeof(disk), xattr->name + length, disk.name_length);
	if (r < 0)
		return r;
	xattr->name[length + disk.name_length] = '\0';
	if (strlen(xattr->name) != length + disk.name_length)
		return -EUCLEAN;
	xattr->value = fs->base + at + sizeof(disk) + disk.name_length;
	xattr->value_bytes = disk.value_bytes;
	*next = at + align_up(bytes, 4);
	return erofs_verify(fs, at, bytes);
}

/* *position counts bytes from the header on: first the numbers of shared entries, then entries. */
int erofs_xattr(const struct erofs *fs, const struct erofs_inode *inode, uint32_t *position, struct erofs_xattr *xattr)
{
	struct erofs_disk_xattr_header header;
	uint64_t start = inode->offset + inode->header_bytes, end = start + inode->xattr_bytes, next;
	uint32_t shared_end, at = *position;
	int r;

	if (inode->xattr_bytes == 0)
		return 0;
	r = copy(fs, start, &header, sizeof(header));
	if (r < 0)
		return r;
	shared_end = (uint32_t)sizeof(header) + header.shared_count * 4u;
	if (shared_end > inode->xattr_bytes)
		return -EUCLEAN;
	if (at == 0)
		at = sizeof(header);
	if (at < shared_end) {
		uint32_t number;
		r = copy(fs, start + at, &number, sizeof(number));
		if (r == 0)
			r = xattr_entry(fs, fs->xattr_offset + (uint64_t)number * 4, fs->bytes, xattr, &next);
		*position = at + 4;
		return r < 0 ? r : 1;
	}
	/* An entry takes at least four bytes, so this ends. */
	if (at >= inode->xattr_bytes)
		return 0;
	r = xattr_entry(fs, start + at, end, xattr, &next);
	if (r < 0)
		return r;
	*position = (uint32_t)(next - start);
	return 1;
}
