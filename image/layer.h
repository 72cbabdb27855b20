/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies one layer, a tar archive (plain, gzip or zstd), to a tree: OCI image specification 1.1, layer.md, with
 * whiteouts and opaque directories. The archive is hostile: names are taken apart and walked in the tree, never on the
 * host; nothing leaves the tree. A layer that says something impossible ("..", a hard link to nothing, a name below a
 * file) is refused as a whole.
 */
#ifndef LAMPO_IMAGE_LAYER_H
#define LAMPO_IMAGE_LAYER_H

#include "image/writer.h"

struct layer_limits {
	uint64_t bytes; /* uncompressed, all of it */
	uint64_t entries;
	unsigned ratio; /* uncompressed to compressed, looked at beyond 64 MiB; 0: any */
};
#define LAYER_LIMITS_DEFAULT ((struct layer_limits){.bytes = 64ull << 30, .entries = 4000000, .ratio = 1200})

struct layer_source {
	/* Bytes read, 0 at the end, or -errno with *err set. */
	int64_t (*read)(void *context, void *to, size_t bytes, struct err *err);
	void *context;
	const char *name;   /* for errors */
	const char *digest; /* of the stream as read, "sha256:..."; NULL: not checked. Checked before anything counts as
			       done. */
	const char *diff_id; /* of the uncompressed archive; NULL: not checked */
};

/* layer: 1, 2, ... in the order of application. On failure the tree is not to be used. */
int layer_apply(struct tree *tree, struct image_writer *writer, unsigned layer, const struct layer_source *source,
		const struct layer_limits *limits, struct err *err);
/* A directory of the host (or a file), `path` beneath dir_fd, becomes part of the tree at `target`: modes, times,
 * links, xattrs, devices, sparse files; sockets are left out. Never follows symbolic links of the host; those of the
 * tree on the way to target, inside it. A directory that is there keeps what is in it. uid, gid: -1 keeps the owners.
 */
int layer_add_host(struct tree *tree, struct image_writer *writer, int dir_fd, const char *path, const char *target,
		   int64_t uid, int64_t gid, struct err *err);

#endif
