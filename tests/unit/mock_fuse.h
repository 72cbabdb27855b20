/* SPDX-License-Identifier: Apache-2.0 */
/* A FUSE client over the mock guest, and a directory of the host for it to see. */
#ifndef LAMPO_TESTS_UNIT_MOCK_FUSE_H
#define LAMPO_TESTS_UNIT_MOCK_FUSE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/fuse_walk.h"
#include "dev/fs.h"
#include "tests/unit/mock_guest.h"

#define FUSE_RAM (16u << 20)
#define FUSE_QUEUE 1u
#define FUSE_ROOM (1u << 20) /* of request and reply each */

struct mock_fuse {
	struct mock_guest g;
	uint64_t request, reply;
	uint32_t reply_room;  /* writable bytes offered; FUSE_ROOM unless changed */
	uint32_t reply_bytes; /* payload of the last reply */
	uint64_t unique;
	char directory[64]; /* on the host */
};

static inline void mock_fuse_directory(struct mock_fuse *f)
{
	strcpy(f->directory, "/tmp/lampo-test-XXXXXX");
	if (mkdtemp(f->directory) == NULL)
		abort();
	chmod(f->directory, 0755);
}

/* Path on the host; in a static buffer of four. */
static inline const char *mock_path(const struct mock_fuse *f, const char *name)
{
	static char paths[4][4600];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", f->directory, name);
	return path;
}

static inline void mock_mkdir(const struct mock_fuse *f, const char *name, mode_t mode)
{
	if (mkdir(mock_path(f, name), 0700) < 0 || chmod(mock_path(f, name), mode) < 0)
		abort();
}

static inline void mock_file(const struct mock_fuse *f, const char *name, const char *text, mode_t mode)
{
	int fd = open(mock_path(f, name), O_CREAT | O_TRUNC | O_WRONLY, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0)
		abort();
	close(fd);
}

static inline void mock_symlink(const struct mock_fuse *f, const char *name, const char *target)
{
	if (symlink(target, mock_path(f, name)) < 0)
		abort();
}

/* Content of a host file, or "(none)". */
static inline const char *mock_content(const struct mock_fuse *f, const char *name)
{
	static char text[4096];
	int fd = open(mock_path(f, name), O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return "(none)";
	text[n] = '\0';
	return text;
}

static inline int mock_fuse_new(struct mock_fuse *f, const struct fs_config *config)
{
	mock_guest_init(&f->g, FUSE_RAM);
	int r = fs_new(&f->g.device, config, &f->g.memory, &f->g.host);
	if (r < 0)
		return r;
	f->request = mock_alloc(&f->g, FUSE_ROOM);
	f->reply = mock_alloc(&f->g, FUSE_ROOM);
	f->reply_room = FUSE_ROOM;
	return mock_preset(&f->g, VIRTIO_F_VERSION_1, 16);
}

/* One export of the test's directory. */
static inline int mock_fuse_start(struct mock_fuse *f, struct fs_export export)
{
	struct fs_config config = {.tag = "test", .export_count = 1, .preset = true, .nodes_max = 256};
	config.exports[0] = export;
	config.exports[0].root_fd = open(f->directory, O_PATH | O_CLOEXEC);
	return mock_fuse_new(f, &config);
}

static inline int mock_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline void mock_fuse_fini(struct mock_fuse *f)
{
	mock_guest_fini(&f->g);
	if (f->directory[0] != '\0')
		nftw(f->directory, mock_remove, 32, FTW_DEPTH | FTW_PHYS);
}

static inline void *mock_payload(struct mock_fuse *f)
{
	return (char *)mock_at(&f->g, f->reply) + sizeof(struct fuse_out_header);
}

/* Sends a request whose header is given whole; the error of the reply, or 1 if there was none. */
static inline int mock_fuse_raw(struct mock_fuse *f, const struct fuse_in_header *header, const void *args,
				uint32_t bytes)
{
	struct mock_segment segments[2] = {
	    {f->request, (uint32_t)sizeof(*header) + bytes, false},
	    {f->reply, f->reply_room, true},
	};
	memcpy(mock_at(&f->g, f->request), header, sizeof(*header));
	if (bytes > 0)
		memcpy((char *)mock_at(&f->g, f->request) + sizeof(*header), args, bytes);
	memset(mock_at(&f->g, f->reply), 0xcd, 256);
	mock_submit(&f->g, FUSE_QUEUE, segments, f->reply_room > 0 ? 2 : 1);
	virtio_device_notify(f->g.device, FUSE_QUEUE);
	uint32_t head, used;
	if (!mock_take(&f->g, FUSE_QUEUE, &head, &used))
		abort();
	if (used == 0)
		return 1;
	struct fuse_out_header out;
	memcpy(&out, mock_at(&f->g, f->reply), sizeof(out));
	if (out.len != used || out.unique != header->unique || used < sizeof(out) || out.error > 0 ||
	    out.error < -4095 || (out.error != 0 && used != sizeof(out)))
		abort();
	f->reply_bytes = used - (uint32_t)sizeof(out);
	return out.error;
}

static inline int mock_fuse_call(struct mock_fuse *f, uint32_t opcode, uint64_t node, const void *args, uint32_t bytes)
{
	struct fuse_in_header header = {
	    .len = (uint32_t)sizeof(header) + bytes,
	    .opcode = opcode,
	    .unique = ++f->unique,
	    .nodeid = node,
	};
	return mock_fuse_raw(f, &header, args, bytes);
}

/* Arguments, then up to two names. */
static inline int mock_fuse_names(struct mock_fuse *f, uint32_t opcode, uint64_t node, const void *args, uint32_t bytes,
				  const char *first, const char *second)
{
	static char buffer[16384];
	uint32_t at = bytes;
	if (bytes > 0)
		memcpy(buffer, args, bytes);
	strcpy(buffer + at, first);
	at += (uint32_t)strlen(first) + 1;
	if (second != NULL) {
		strcpy(buffer + at, second);
		at += (uint32_t)strlen(second) + 1;
	}
	return mock_fuse_call(f, opcode, node, buffer, at);
}

static inline int mock_lookup(struct mock_fuse *f, uint64_t parent, const char *name, struct fuse_entry_out *entry)
{
	int r = mock_fuse_names(f, FUSE_LOOKUP, parent, NULL, 0, name, NULL);
	if (r == 0 && entry != NULL)
		memcpy(entry, mock_payload(f), sizeof(*entry));
	return r;
}

/* Node id of a path, by lookups; 0: not found. */
static inline uint64_t mock_node(struct mock_fuse *f, const char *path)
{
	char copy[4096];
	uint64_t node = 1;
	snprintf(copy, sizeof(copy), "%s", path);
	for (char *name = strtok(copy, "/"); name != NULL; name = strtok(NULL, "/")) {
		struct fuse_entry_out entry;
		if (mock_lookup(f, node, name, &entry) != 0)
			return 0;
		node = entry.nodeid;
	}
	return node;
}

static inline void mock_forget(struct mock_fuse *f, uint64_t node, uint64_t lookups)
{
	struct fuse_forget_in in = {.nlookup = lookups};
	mock_fuse_call(f, FUSE_FORGET, node, &in, sizeof(in));
}

/* Opens a file or directory: 0 and *handle, or the error. */
static inline int mock_open(struct mock_fuse *f, uint64_t node, uint32_t flags, uint64_t *handle)
{
	struct fuse_open_in in = {.flags = flags};
	int r = mock_fuse_call(f, (flags & O_DIRECTORY) ? FUSE_OPENDIR : FUSE_OPEN, node, &in, sizeof(in));
	if (r == 0)
		*handle = ((struct fuse_open_out *)mock_payload(f))->fh;
	return r;
}

static inline int mock_release(struct mock_fuse *f, uint64_t handle, bool directory)
{
	struct fuse_release_in in = {.fh = handle};
	return mock_fuse_call(f, directory ? FUSE_RELEASEDIR : FUSE_RELEASE, 1, &in, sizeof(in));
}

static inline int mock_read(struct mock_fuse *f, uint64_t handle, uint64_t offset, uint32_t bytes)
{
	struct fuse_read_in in = {.fh = handle, .offset = offset, .size = bytes};
	return mock_fuse_call(f, FUSE_READ, 1, &in, sizeof(in));
}

static inline int mock_write(struct mock_fuse *f, uint64_t handle, uint64_t offset, const char *text, uint32_t flags)
{
	static char buffer[8192];
	struct fuse_write_in in = {.fh = handle, .offset = offset, .size = (uint32_t)strlen(text), .flags = flags};
	memcpy(buffer, &in, sizeof(in));
	strcpy(buffer + sizeof(in), text);
	return mock_fuse_call(f, FUSE_WRITE, 1, buffer, (uint32_t)sizeof(in) + in.size);
}

/* Content through the guest's eyes, or "(errno)". */
static inline const char *mock_guest_content(struct mock_fuse *f, const char *path)
{
	static char text[4096];
	uint64_t handle, node = mock_node(f, path);
	int r = node == 0 ? -ENOENT : mock_open(f, node, O_RDONLY, &handle);
	if (r == 0) {
		r = mock_read(f, handle, 0, sizeof(text) - 1);
		memcpy(text, mock_payload(f), f->reply_bytes);
		text[f->reply_bytes] = '\0';
		mock_release(f, handle, false);
	}
	if (r != 0)
		snprintf(text, sizeof(text), "(%d)", -r);
	return text;
}

/* Names in a directory, sorted, each followed by a space; without "." and "..". `size` bytes a request. */
static inline int mock_name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}
static inline const char *mock_list(struct mock_fuse *f, uint64_t node, uint32_t size, bool plus)
{
	static char text[65536];
	static char *names[4096];
	unsigned count = 0;
	struct fuse_read_in in = {.size = size};
	if (mock_open(f, node, O_RDONLY | O_DIRECTORY, &in.fh) != 0)
		return "(open)";
	for (;;) {
		if (mock_fuse_call(f, plus ? FUSE_READDIRPLUS : FUSE_READDIR, node, &in, sizeof(in)) != 0)
			return "(readdir)";
		if (f->reply_bytes == 0)
			break;
		for (uint32_t at = 0; at < f->reply_bytes;) {
			char *entry = (char *)mock_payload(f) + at;
			const struct fuse_dirent *d = (void *)(entry + (plus ? sizeof(struct fuse_entry_out) : 0));
			in.offset = d->off;
			if ((d->namelen != 1 || d->name[0] != '.') &&
			    (d->namelen != 2 || memcmp(d->name, "..", 2) != 0))
				names[count++] = strndup(d->name, d->namelen);
			at += (uint32_t)(FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d->namelen +
							   (plus ? sizeof(struct fuse_entry_out) : 0)));
		}
	}
	mock_release(f, in.fh, true);
	qsort(names, count, sizeof(names[0]), mock_name_compare);
	text[0] = '\0';
	size_t used = 0;
	for (unsigned i = 0; i < count; i++) {
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ", names[i]);
		free(names[i]);
	}
	return text;
}

#endif
