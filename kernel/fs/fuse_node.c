/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/fs/fuse_node.h"

#include "kernel/virtio/fuse.h"
#include "kernel/virtio/virtio.h"

#define READ_SEGMENTS 24u /* runs of contiguous pages in one request: with its heads it must fit the ring (32) */
#define READ_BYTES_MAX (1u << 20)
#define LIST_ORDER 3u /* 32 KiB of directory entries at a time */

void fuse_node_fini(struct node *node)
{
	if (node->id == 0)
		return;
	node_remove(node);
	fuse_forget(node->device, node->id, node->lookups);
	node->id = 0;
}

/* ---- walking ---- */

/* Puts the components into `names`; returns the length of the request's path with its NUL. */
static unsigned collect(struct fuse_walk *walk, const char *name, const char *rest)
{
	unsigned used = (unsigned)strlen(name);

	memcpy(walk->names, name, used + 1);
	walk->components = 1;
	used++;
	while (walk->components < LAMPO_WALK_COMPONENTS) {
		unsigned length = 0;

		while (*rest == '/')
			rest++;
		while (rest[length] != '\0' && rest[length] != '/')
			length++;
		if (length == 0 || length > NAME_BYTES || used + length + 1 > PATH_BYTES)
			break;
		if (rest[0] == '.' && (length == 1 || (length == 2 && rest[1] == '.')))
			break;
		memcpy(walk->names + used, rest, length);
		used += length;
		walk->names[used++] = '\0';
		walk->components++;
		rest += length;
	}
	return used;
}

/* The host's limit of open files is reached: each node holds one. True: some were given back, try again. */
static bool relieve(unsigned attempt)
{
	if (attempt >= 3)
		return false;
	dentry_relieve();
	fuse_forget_flush();
	return true;
}

static bool walk_unknown; /* the server has no LAMPO_FUSE_WALK */

static int lookup_only(uint32_t device, uint64_t id, struct fuse_walk *walk)
{
	struct fuse_segment in = {walk->names, (uint32_t)strlen(walk->names) + 1};
	struct fuse_segment out = {walk->buffer, sizeof(struct fuse_entry_out)};
	int64_t got = fuse_request(device, FUSE_LOOKUP, id, &in, 1, &out, 1);

	walk->entries = (const struct fuse_entry_out *)walk->buffer;
	walk->components = 1;
	if (got < 0) {
		walk->error = (int)got;
	} else if ((uint64_t)got < sizeof(struct fuse_entry_out)) {
		return -EIO;
	} else if (walk->entries->nodeid == 0) {
		walk->error = -ENOENT;
	} else {
		walk->count = 1;
	}
	return 0;
}

static int walk_once(uint32_t device, uint64_t id, const char *name, const char *rest, struct fuse_walk *walk)
{
	struct fuse_segment in, out;
	const struct lampo_walk_out *head;
	uint64_t entries_end;
	int64_t got;
	unsigned length;
	char *p;

	memset(walk, 0, sizeof(*walk));
	walk->buffer = path_buffer_get();
	walk->names = path_buffer_get();
	if (walk->buffer == NULL || walk->names == NULL) {
		fuse_walk_done(walk);
		return -ENOMEM;
	}
	length = collect(walk, name, rest);
	if (walk_unknown)
		return lookup_only(device, id, walk);
	/* On the wire the components are separated by '/'. */
	p = walk->names;
	for (unsigned i = 1; i < walk->components; i++) {
		p += strlen(p);
		*p = '/';
	}
	in = (struct fuse_segment){walk->names, length};
	out = (struct fuse_segment){walk->buffer, PATH_BYTES};
	got = fuse_request(device, LAMPO_FUSE_WALK, id, &in, 1, &out, 1);
	for (p = walk->names; (p = strchr(p, '/')) != NULL;)
		*p++ = '\0';
	if (got == -ENOSYS) {
		walk_unknown = true;
		return lookup_only(device, id, walk);
	}
	head = (const struct lampo_walk_out *)walk->buffer;
	if (got >= 0 && (uint64_t)got < sizeof(*head))
		got = -EIO;
	if (got >= 0) {
		entries_end = sizeof(*head) + (uint64_t)head->count * sizeof(struct fuse_entry_out);
		if (head->count > walk->components || (uint64_t)got < entries_end ||
		    (head->count < walk->components && head->error == 0))
			got = -EIO;
	}
	if (got < 0) {
		fuse_walk_done(walk);
		return (int)got;
	}
	walk->count = head->count;
	walk->error = head->error;
	walk->entries = (const struct fuse_entry_out *)(head + 1);
	if ((uint64_t)got > entries_end && walk->count > 0 &&
	    (walk->entries[walk->count - 1].attr.mode & S_IFMT) == S_IFLNK) {
		walk->link = walk->buffer + entries_end;
		walk->link_length = (unsigned)((uint64_t)got - entries_end);
	}
	return 0;
}

int fuse_walk(uint32_t device, uint64_t id, const char *name, const char *rest, struct fuse_walk *walk)
{
	for (unsigned attempt = 0;; attempt++) {
		int result = walk_once(device, id, name, rest, walk);

		if (result != -ENFILE && (result < 0 || walk->count > 0 || walk->error != -ENFILE))
			return result;
		if (!relieve(attempt))
			return result;
		if (result == 0)
			fuse_walk_done(walk);
	}
}

void fuse_walk_done(struct fuse_walk *walk)
{
	path_buffer_put(walk->buffer);
	path_buffer_put(walk->names);
	walk->buffer = walk->names = NULL;
}

/* ---- attributes ---- */

static int64_t to_ns(uint64_t seconds, uint32_t ns) { return (int64_t)(seconds * NS_PER_SECOND + ns); }

void fuse_to_inode(struct inode *inode, const struct fuse_attr *attr)
{
	inode->ino = attr->ino;
	inode->mode = attr->mode;
	inode->uid = attr->uid;
	inode->gid = attr->gid;
	inode->nlink = attr->nlink;
	inode->rdev = attr->rdev;
	inode->atime_ns = to_ns(attr->atime, attr->atimensec);
	inode->mtime_ns = to_ns(attr->mtime, attr->mtimensec);
	inode->ctime_ns = to_ns(attr->ctime, attr->ctimensec);
	inode->cache.size = attr->size;
}

int fuse_getattr(uint32_t device, uint64_t id, struct fuse_attr *attr)
{
	/* Not on the stack: the device reads and writes it by physical address. */
	struct {
		struct fuse_getattr_in in;
		struct fuse_attr_out out;
	} *work = kzalloc(sizeof(*work));
	struct fuse_segment in, out;
	int64_t got;

	if (work == NULL)
		return -ENOMEM;
	in = (struct fuse_segment){&work->in, sizeof(work->in)};
	out = (struct fuse_segment){&work->out, sizeof(work->out)};
	got = fuse_request(device, FUSE_GETATTR, id, &in, 1, &out, 1);
	if (got >= 0 && (uint64_t)got < sizeof(work->out))
		got = -EIO;
	*attr = work->out.attr;
	kfree(work);
	return got < 0 ? (int)got : 0;
}

/* ---- directories and links ---- */

static int64_t take_entries(const uint8_t *data, int64_t bytes, struct dir_list *list, uint64_t *offset)
{
	int64_t at = 0;

	while (bytes - at >= (int64_t)FUSE_NAME_OFFSET) {
		const struct fuse_dirent *d = (const struct fuse_dirent *)(data + at);
		int64_t size = (int64_t)FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + (uint64_t)d->namelen);
		int result;

		if (d->namelen == 0 || d->namelen > NAME_BYTES || (int64_t)FUSE_NAME_OFFSET + d->namelen > bytes - at)
			return -EIO;
		*offset = d->off;
		if (!(d->name[0] == '.' && (d->namelen == 1 || (d->namelen == 2 && d->name[1] == '.')))) {
			result = dir_list_add(list, d->name, d->namelen, d->ino, d->type);
			if (result < 0)
				return result;
		}
		at += size;
	}
	return at;
}

int fuse_list(uint32_t device, uint64_t id, struct dir_list *list)
{
	struct fuse_read_in *request = kzalloc(sizeof(*request));
	uint8_t *data = pages_alloc(LIST_ORDER);
	unsigned attempt = 0;
	int64_t got = 0;

	if (request == NULL || data == NULL)
		got = -ENOMEM;
	while (got == 0) {
		struct fuse_segment in = {request, sizeof(*request)};
		struct fuse_segment out = {data, (uint32_t)(PAGE_SIZE << LIST_ORDER)};

		request->fh = LAMPO_FH_NODE;
		request->size = out.bytes;
		got = fuse_request(device, FUSE_READDIR, id, &in, 1, &out, 1);
		if (got == -ENFILE && relieve(attempt++)) {
			got = 0;
			continue;
		}
		if (got == 0)
			break;
		if (got > 0)
			got = take_entries(data, got, list, &request->offset);
		/* Room for any further entry was left: there is none (include/abi/fuse_walk.h). */
		if (got > 0 && (uint64_t)got + LAMPO_LIST_ROOM <= out.bytes)
			break;
		got = got > 0 ? 0 : got == 0 ? -EIO : got;
	}
	if (data != NULL)
		pages_free(data, LIST_ORDER);
	kfree(request);
	return got < 0 ? (int)got : 0;
}

int fuse_readlink(uint32_t device, uint64_t id, char *to, size_t size)
{
	struct fuse_segment out = {to, (uint32_t)size};

	return (int)fuse_request(device, FUSE_READLINK, id, NULL, 0, &out, 1);
}

/* ---- data ---- */

/* As many of the pages as fit into one request: number of pages; segments are filled. */
static unsigned gather(struct page **pages, unsigned count, struct fuse_segment *segments, unsigned *segment_count)
{
	unsigned n = 0, done;

	for (done = 0; done < count && done < READ_BYTES_MAX / PAGE_SIZE; done++) {
		uint8_t *address = page_address(pages[done]);

		if (n > 0 && (uint8_t *)segments[n - 1].data + segments[n - 1].bytes == address) {
			segments[n - 1].bytes += PAGE_SIZE;
			continue;
		}
		if (n == READ_SEGMENTS)
			break;
		segments[n++] = (struct fuse_segment){address, PAGE_SIZE};
	}
	*segment_count = n;
	return done;
}

int fuse_fill(uint32_t device, uint64_t id, uint64_t index, struct page **pages, unsigned count, uint64_t limit)
{
	struct {
		struct fuse_read_in request;
		struct fuse_segment segments[READ_SEGMENTS];
	} * work;
	unsigned attempt = 0;
	int result = 0;

	if (index << PAGE_SHIFT >= limit)
		return 0;
	work = kmalloc(sizeof(*work));
	if (work == NULL)
		return -ENOMEM;
	while (count > 0 && index << PAGE_SHIFT < limit && result == 0) {
		struct fuse_segment in = {&work->request, sizeof(work->request)};
		unsigned segments, n = gather(pages, count, work->segments, &segments);
		uint64_t bytes = min_u64((uint64_t)n << PAGE_SHIFT, limit - (index << PAGE_SHIFT)), left = bytes;
		int64_t got;

		/* Not a byte beyond the limit: what lies there in the host's file is not the guest's. */
		for (unsigned i = 0; i < segments; i++) {
			if (work->segments[i].bytes > left) {
				work->segments[i].bytes = (uint32_t)left;
				segments = left > 0 ? i + 1 : i;
				break;
			}
			left -= work->segments[i].bytes;
		}
		memset(&work->request, 0, sizeof(work->request));
		work->request.fh = LAMPO_FH_NODE;
		work->request.offset = index << PAGE_SHIFT;
		work->request.size = (uint32_t)bytes;
		got = fuse_request(device, FUSE_READ, id, &in, 1, work->segments, segments);
		if (got == -ENFILE && relieve(attempt++))
			continue;
		if (got < 0)
			result = (int)got;
		else if ((uint64_t)got < bytes)
			break; /* the file is shorter now: zeros */
		pages += n;
		count -= n;
		index += n;
	}
	kfree(work);
	return result;
}

int64_t fuse_write(uint32_t device, uint64_t id, uint64_t offset, const void *data, uint32_t bytes)
{
	struct fuse_segment segment = {(void *)(uintptr_t)data, bytes};

	return fuse_write_segments(device, id, offset, &segment, 1);
}

int64_t fuse_write_segments(uint32_t device, uint64_t id, uint64_t offset, const struct fuse_segment *segments,
			    unsigned count)
{
	struct {
		struct fuse_write_in in;
		struct fuse_write_out out;
		struct fuse_segment segments[FUSE_WRITE_MAX / PAGE_SIZE + 1];
	} * work;
	struct fuse_segment out;
	int64_t got;

	if (count >= countof(work->segments))
		return -EINVAL;
	work = kzalloc(sizeof(*work));
	if (work == NULL)
		return -ENOMEM;
	work->in.fh = LAMPO_FH_NODE;
	work->in.offset = offset;
	work->segments[0] = (struct fuse_segment){&work->in, sizeof(work->in)};
	for (unsigned i = 0; i < count; i++) {
		work->segments[i + 1] = segments[i];
		work->in.size += segments[i].bytes;
	}
	out = (struct fuse_segment){&work->out, sizeof(work->out)};
	got = fuse_request(device, FUSE_WRITE, id, work->segments, count + 1, &out, 1);
	if (got >= 0)
		got = (uint64_t)got < sizeof(work->out) || work->out.size > work->in.size ? -EIO
											  : (int64_t)work->out.size;
	kfree(work);
	return got;
}
