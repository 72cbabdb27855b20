/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS, the read-only file system of images: its layout on disk, and a reader over a mapped file that nucleo and the
 * host programs share. Layout: the kernel's Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h;
 * docs/spec/image.md says which part of it Lampo writes. The reader takes that part: 4 KiB blocks, compact and extended
 * inodes, plain, inline and chunk-based data, no compression, no further devices.
 *
 * The file is hostile: every offset is checked against the size, every loop is bounded. Before bytes of the file are
 * looked at, `check` is asked for them (it verifies their blocks); the reader copies what it decides on. Nothing here
 * allocates. Results: 0 or -errno; -EUCLEAN: the file system contradicts itself; -EIO: check refused.
 */
#ifndef LAMPO_BASE_EROFS_H
#define LAMPO_BASE_EROFS_H

#include <stdbool.h>
#include <stdint.h>

#define EROFS_BLOCK 4096u
#define EROFS_NAME_MAX 255u
#define EROFS_SUPER_OFFSET 1024u
#define EROFS_MAGIC 0xe0f5e1e2u

/* On disk, little-endian. */
struct erofs_disk_super {
	uint32_t magic, checksum, feature_compat;
	uint8_t block_bits, ext_slots;
	uint16_t root_nid;
	uint64_t inode_count;
	uint64_t build_time;
	uint32_t build_time_ns, blocks, meta_block, xattr_block;
	uint8_t uuid[16], volume_name[16];
	uint32_t feature_incompat;
	uint16_t compression, extra_devices, device_slot_offset;
	uint8_t dir_block_bits, xattr_prefix_count;
	uint32_t xattr_prefix_start;
	uint64_t packed_nid;
	uint8_t xattr_filter_reserved, reserved[23];
};
_Static_assert(sizeof(struct erofs_disk_super) == 128, "as on disk");

#define EROFS_COMPAT_CHECKSUM 1u
#define EROFS_COMPAT_MTIME 2u
#define EROFS_INCOMPAT_CHUNKED 4u

/* Of `mode`, as in <sys/stat.h>, which nucleo does not have. */
#define EROFS_MODE_TYPE 0170000u
#define EROFS_MODE_FIFO 0010000u
#define EROFS_MODE_CHAR 0020000u
#define EROFS_MODE_DIR 0040000u
#define EROFS_MODE_BLOCK 0060000u
#define EROFS_MODE_FILE 0100000u
#define EROFS_MODE_LINK 0120000u
#define EROFS_MODE_SOCKET 0140000u

#define EROFS_NID_BYTES 32u
#define EROFS_LAYOUT_PLAIN 0u
#define EROFS_LAYOUT_INLINE 2u
#define EROFS_LAYOUT_CHUNKED 4u
#define EROFS_CHUNK_BITS_MASK 31u /* chunk size = EROFS_BLOCK << bits */
#define EROFS_CHUNK_INDEXES 32u   /* 8-byte indexes instead of 4-byte block numbers */
#define EROFS_CHUNK_HOLE 0xffffffffu

struct erofs_disk_inode_compact {
	uint16_t format; /* bit 0: extended; bits 1-3: layout */
	uint16_t xattr_count, mode, nlink;
	uint32_t size, reserved, u;
	uint32_t ino;
	uint16_t uid, gid;
	uint32_t reserved2;
};
struct erofs_disk_inode_extended {
	uint16_t format, xattr_count, mode, reserved;
	uint64_t size;
	uint32_t u; /* first block; device number; chunk format */
	uint32_t ino, uid, gid;
	uint64_t mtime;
	uint32_t mtime_ns, nlink;
	uint8_t reserved2[16];
};
_Static_assert(sizeof(struct erofs_disk_inode_compact) == 32 && sizeof(struct erofs_disk_inode_extended) == 64,
	       "as on disk");

struct erofs_disk_xattr_header {
	uint32_t name_filter;
	uint8_t shared_count, reserved[7];
};
struct erofs_disk_xattr {
	uint8_t name_length, name_index;
	uint16_t value_bytes; /* then name and value, padded to 4 */
};
struct erofs_disk_dirent {
	uint64_t nid;
	uint16_t name_offset;
	uint8_t type, reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_disk_dirent) == 12, "as on disk");

/* ---- the reader ---- */

struct erofs {
	const uint8_t *base;
	uint64_t bytes; /* of the file system: blocks * EROFS_BLOCK, at most what was mapped */
	/* 0, or -EIO if [offset, offset + bytes), which lies in the file, is not what it should be. NULL: nothing to
	 * check. */
	int (*check)(void *context, uint64_t offset, uint64_t bytes);
	void *context;
	uint64_t meta_offset, xattr_offset, root_nid, inode_count;
	int64_t build_time;
	uint32_t build_time_ns;
};

/* Reads the superblock. base stays mapped as long as the reader is used. */
int erofs_open(struct erofs *fs, const void *base, uint64_t bytes, int (*check)(void *, uint64_t, uint64_t),
	       void *context);

struct erofs_inode {
	uint64_t nid, size, offset; /* offset: of the inode in the file */
	int64_t mtime;
	uint32_t mtime_ns, mode, uid, gid, nlink, ino, u;
	uint32_t header_bytes, xattr_bytes; /* of the inode proper, and of the extended attributes behind it */
	uint8_t layout;
};

int erofs_inode(const struct erofs *fs, uint64_t nid, struct erofs_inode *inode);
/* Linux's device number of a device inode: major << 8 as the kernel's new_decode_dev() has it. */
void erofs_rdev(const struct erofs_inode *inode, uint32_t *major, uint32_t *minor);

/* -ENOENT; type as of struct dirent, may be NULL. */
int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name, unsigned length,
		 uint64_t *nid, uint8_t *type);

struct erofs_entry {
	uint64_t nid;
	const char *name; /* in the file, not terminated; may change: copy it */
	unsigned length;
	uint8_t type; /* DT_* */
};
/* *position starts at 0. 1: there was one; 0: the end. "." and ".." come as well. */
int erofs_list(const struct erofs *fs, const struct erofs_inode *dir, uint64_t *position, struct erofs_entry *entry);

/* Where byte `at` (< size) of the data lies: file offset and how many bytes follow in one piece; hole: zeros. Checked
 * by the caller (erofs_verify) before it looks. In block-aligned pieces but for inline tails. */
struct erofs_extent {
	uint64_t offset, bytes;
	bool hole;
};
int erofs_extent(const struct erofs *fs, const struct erofs_inode *inode, uint64_t at, struct erofs_extent *extent);
int erofs_verify(const struct erofs *fs, uint64_t offset, uint64_t bytes);
/* Copies; the count, short at the end, or -errno. */
int64_t erofs_read(const struct erofs *fs, const struct erofs_inode *inode, uint64_t at, void *to, uint64_t bytes);

struct erofs_xattr {
	char name[EROFS_NAME_MAX + 32]; /* with its prefix, terminated */
	const uint8_t *value;           /* in the file */
	uint16_t value_bytes;
};
/* *position starts at 0. 1: there was one; 0: the end. */
int erofs_xattr(const struct erofs *fs, const struct erofs_inode *inode, uint32_t *position, struct erofs_xattr *xattr);

/* Resolves an absolute path, following symbolic links (40 at most) within the file system. */
int erofs_walk(const struct erofs *fs, const char *path, bool follow_last, struct erofs_inode *inode);

#endif
