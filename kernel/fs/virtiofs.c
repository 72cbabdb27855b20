/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes: host directories as they are. Changes go to the host at once (write-through), so that other
 * programs there see them and nothing is lost if the VM is killed. What the host changes is seen after at
 * most a second. Only data written through a shared mapping waits for msync, munmap or close.
 */
#include <asm/statfs.h>
#include <linux/fs.h>

#include "kernel/fs/virtiofs.h"
#include "kernel/proc/process.h"
#include "kernel/virtio/virtio.h"

#define VALID_NS NS_PER_SECOND
#define V9_MAGIC 0x65735546u /* FUSE_SUPER_MAGIC */

static const struct inode_ops virtiofs_ops;

/* ---- attributes ---- */

/* New attributes from the host. Cached pages go if somebody else changed the data. */
static void take_attributes(struct virtiofs_inode *v, const struct fuse_attr *attr)
{
	struct inode *inode = &v->inode;
	uint64_t old_size = inode->cache.size;
	int64_t old_mtime = inode->mtime_ns;
	uint64_t ino = inode->ino;

	fuse_to_inode(inode, attr);
	inode->cache.size = old_size;
	(void)ino;
	v->checked_ns = clock_monotonic();
	if (!inode_is_regular(inode)) {
		inode->cache.size = attr->size;
		return;
	}
	if (attr->size != old_size || (inode->mtime_ns != old_mtime && !v->wrote)) {
		if (attr->size < old_size || inode->mtime_ns != old_mtime)
			cache_truncate(&inode->cache, attr->size != old_size || !v->wrote ? 0 : old_size);
		inode->cache.size = attr->size;
	}
	v->wrote = false;
}

int virtiofs_refresh(struct inode *inode)
{
	struct virtiofs_inode *v = virtiofs_of(inode);
	struct fuse_attr attr;
	int result;

	if (v->checked_ns != 0 && clock_monotonic() - v->checked_ns < VALID_NS)
		return 0;
	result = fuse_getattr(v->node.device, v->node.id, &attr);
	if (result == 0)
		take_attributes(v, &attr);
	return result;
}

static int virtiofs_setattr(struct inode *inode, const struct attributes *a)
{
	struct virtiofs_inode *v = virtiofs_of(inode);
	struct {
		struct fuse_setattr_in in;
		struct fuse_attr_out out;
	} *work = kzalloc(sizeof(*work));
	struct fuse_segment in, out;
	int64_t got;

	if (work == NULL)
		return -ENOMEM;
	if (a->valid & ATTR_MODE) {
		work->in.valid |= FATTR_MODE;
		work->in.mode = (inode->mode & S_IFMT) | (a->mode & 07777);
	}
	if (a->valid & ATTR_UID) {
		work->in.valid |= FATTR_UID;
		work->in.uid = a->uid;
	}
	if (a->valid & ATTR_GID) {
		work->in.valid |= FATTR_GID;
		work->in.gid = a->gid;
	}
	if (a->valid & ATTR_SIZE) {
		work->in.valid |= FATTR_SIZE;
		work->in.size = a->size;
	}
	if (a->valid & ATTR_ATIME) {
		work->in.valid |= FATTR_ATIME;
		work->in.atime = (uint64_t)(a->atime_ns / (int64_t)NS_PER_SECOND);
		work->in.atimensec = (uint32_t)(a->atime_ns % (int64_t)NS_PER_SECOND);
	}
	if (a->valid & ATTR_MTIME) {
		work->in.valid |= FATTR_MTIME;
		work->in.mtime = (uint64_t)(a->mtime_ns / (int64_t)NS_PER_SECOND);
		work->in.mtimensec = (uint32_t)(a->mtime_ns % (int64_t)NS_PER_SECOND);
	}
	in = (struct fuse_segment){&work->in, sizeof(work->in)};
	out = (struct fuse_segment){&work->out, sizeof(work->out)};
	got = fuse_request(v->node.device, FUSE_SETATTR, v->node.id, &in, 1, &out, 1);
	if (got >= 0 && (uint64_t)got < sizeof(work->out))
		got = -EIO;
	if (got >= 0) {
		if (a->valid & ATTR_SIZE)
			cache_truncate(&inode->cache, a->size);
		v->wrote = true;
		take_attributes(v, &work->out.attr);
	}
	kfree(work);
	return got < 0 ? (int)got : 0;
}

/* ---- inodes and names ---- */

static void virtiofs_free(struct inode *inode)
{
	struct virtiofs_inode *v = virtiofs_of(inode);

	if (inode_is_regular(inode)) {
		(void)cache_write_back(&inode->cache);
		cache_fini(&inode->cache);
	} else if (inode_is_link(inode)) {
		cache_fini(&inode->cache);
	}
	fuse_node_fini(&v->node);
	kfree(v);
}

static struct inode *virtiofs_inode(struct super *super, uint64_t id, const struct fuse_attr *attr)
{
	struct inode *inode = node_find(super, id);
	struct virtiofs_inode *v;

	if (inode != NULL) {
		take_attributes(virtiofs_of(inode), attr);
		return inode;
	}
	v = kzalloc(sizeof(*v));
	if (v == NULL)
		return NULL;
	inode_init(&v->inode, super, &virtiofs_ops, attr->mode);
	if (inode_is_regular(&v->inode)) {
		cache_init(&v->inode.cache, &virtiofs_cache_ops, &v->inode);
		v->inode.file_ops = &virtiofs_file_ops;
	} else if (inode_is_dir(&v->inode)) {
		v->inode.file_ops = &directory_file_ops;
	}
	fuse_to_inode(&v->inode, attr);
	v->checked_ns = clock_monotonic();
	node_insert(&v->node, &v->inode, super->device, id);
	return &v->inode;
}

static void keep_ahead(struct dentry *dentry, const struct fuse_walk *walk)
{
	const char *name = walk->names;
	struct dentry *at = dentry_get(dentry);

	for (unsigned i = 1; i < walk->components; i++) {
		struct dentry *child;
		struct inode *inode = NULL;

		name += strlen(name) + 1;
		if (i > walk->count || at->inode == NULL || !inode_is_dir(at->inode) ||
		    (i == walk->count && walk->error != -ENOENT))
			break;
		if (i < walk->count) {
			inode = virtiofs_inode(dentry->super, walk->entries[i].nodeid, &walk->entries[i].attr);
			if (inode == NULL)
				break;
		}
		child = dentry_find(at, name, (unsigned)strlen(name));
		if (child != NULL && child->inode != inode) { /* the host changed it */
			dentry_drop(child);
			dentry_put(child);
			child = NULL;
		}
		if (child != NULL)
			inode_put(inode);
		else
			child = dentry_add(at, name, (unsigned)strlen(name), inode);
		if (child == NULL)
			break;
		child->checked_ns = clock_monotonic();
		dentry_put(at);
		at = child;
	}
	dentry_put(at);
}

static int virtiofs_lookup(struct inode *dir, struct dentry *dentry, const char *rest)
{
	struct virtiofs_inode *v = virtiofs_of(dir);
	struct fuse_walk walk;
	int result = fuse_walk(v->node.device, v->node.id, dentry->name, rest, &walk);

	if (result < 0)
		return result;
	dentry->checked_ns = clock_monotonic();
	if (walk.count > 0) {
		struct inode *inode = virtiofs_inode(dentry->super, walk.entries[0].nodeid, &walk.entries[0].attr);

		if (inode == NULL) {
			result = -ENOMEM;
		} else {
			dentry_instantiate(dentry, inode);
			keep_ahead(dentry, &walk);
		}
	} else if (walk.error != -ENOENT) {
		result = walk.error;
	}
	fuse_walk_done(&walk);
	return result;
}

static int virtiofs_revalidate(struct dentry *dentry, const char *rest)
{
	struct virtiofs_inode *v;
	struct fuse_walk walk;
	int result;
	bool same;

	if (dentry->checked_ns != 0 && clock_monotonic() - dentry->checked_ns < VALID_NS)
		return 0;
	if (dentry->flags & DENTRY_MOUNTED)
		return 0;
	v = virtiofs_of(dentry->parent->inode);
	result = fuse_walk(v->node.device, v->node.id, dentry->name, rest, &walk);
	if (result < 0)
		return result;
	if (walk.count == 0) {
		same = walk.error == -ENOENT && dentry->inode == NULL;
		if (walk.error != -ENOENT)
			result = walk.error;
	} else {
		struct inode *inode = virtiofs_inode(dentry->super, walk.entries[0].nodeid, &walk.entries[0].attr);

		same = inode != NULL && inode == dentry->inode;
		inode_put(inode);
	}
	if (same) {
		dentry->checked_ns = clock_monotonic();
		keep_ahead(dentry, &walk);
	}
	fuse_walk_done(&walk);
	return result < 0 ? result : same ? 0 : -ESTALE;
}

/* After a change of names in `dir`: its times and link count are to be asked for again. */
static void changed(struct inode *dir) { virtiofs_of(dir)->checked_ns = 0; }

/* The reply of MKNOD, MKDIR, SYMLINK and LINK is the new entry. */
static int make_entry(struct inode *dir, struct dentry *dentry, uint32_t opcode, uint64_t node,
		      const struct fuse_segment *in, unsigned in_count)
{
	struct fuse_entry_out *entry = kzalloc(sizeof(*entry));
	struct fuse_segment out = {entry, sizeof(*entry)};
	struct inode *inode;
	int64_t got;

	if (entry == NULL)
		return -ENOMEM;
	got = fuse_request(dir->super->device, opcode, node, in, in_count, &out, 1);
	if (got >= 0 && ((uint64_t)got < sizeof(*entry) || entry->nodeid == 0))
		got = -EIO;
	if (got >= 0) {
		inode = virtiofs_inode(dir->super, entry->nodeid, &entry->attr);
		got = inode == NULL ? -ENOMEM : 0;
		if (inode != NULL)
			dentry_instantiate(dentry, inode);
		dentry->checked_ns = clock_monotonic();
		changed(dir);
	} else if (got == -EEXIST) { /* somebody on the host was faster: it does exist now */
		dentry_drop(dentry);
	}
	kfree(entry);
	return (int)got;
}

static struct fuse_segment name_segment(struct dentry *dentry)
{
	return (struct fuse_segment){dentry->name, dentry->name_length + 1u};
}

static int virtiofs_mknod(struct inode *dir, struct dentry *dentry, uint32_t mode, uint64_t rdev)
{
	struct fuse_mknod_in *request = kzalloc(sizeof(*request));
	struct fuse_segment in[2] = {{request, sizeof(*request)}, name_segment(dentry)};
	int result;

	if (request == NULL)
		return -ENOMEM;
	request->mode = mode;
	request->rdev = (uint32_t)rdev;
	request->umask = current->process->fs->umask;
	result = make_entry(dir, dentry, FUSE_MKNOD, virtiofs_of(dir)->node.id, in, 2);
	kfree(request);
	return result;
}

static int virtiofs_mkdir(struct inode *dir, struct dentry *dentry, uint32_t mode)
{
	struct fuse_mkdir_in *request = kzalloc(sizeof(*request));
	struct fuse_segment in[2] = {{request, sizeof(*request)}, name_segment(dentry)};
	int result;

	if (request == NULL)
		return -ENOMEM;
	request->mode = mode;
	request->umask = current->process->fs->umask;
	result = make_entry(dir, dentry, FUSE_MKDIR, virtiofs_of(dir)->node.id, in, 2);
	kfree(request);
	return result;
}

static int virtiofs_symlink(struct inode *dir, struct dentry *dentry, const char *target)
{
	struct fuse_segment in[2] = {name_segment(dentry), {(void *)(uintptr_t)target, (uint32_t)strlen(target) + 1}};

	return make_entry(dir, dentry, FUSE_SYMLINK, virtiofs_of(dir)->node.id, in, 2);
}

static int virtiofs_link(struct inode *inode, struct inode *dir, struct dentry *dentry)
{
	struct fuse_link_in *request = kzalloc(sizeof(*request));
	struct fuse_segment in[2] = {{request, sizeof(*request)}, name_segment(dentry)};
	int result;

	if (request == NULL)
		return -ENOMEM;
	request->oldnodeid = virtiofs_of(inode)->node.id;
	result = make_entry(dir, dentry, FUSE_LINK, virtiofs_of(dir)->node.id, in, 2);
	kfree(request);
	return result;
}

static int remove_name(struct inode *dir, struct dentry *dentry, uint32_t opcode)
{
	struct fuse_segment in = name_segment(dentry);
	int64_t got = fuse_request(dir->super->device, opcode, virtiofs_of(dir)->node.id, &in, 1, NULL, 0);

	if (got < 0) {
		if (got == -ENOENT)
			dentry_drop(dentry);
		return (int)got;
	}
	if (dentry->inode->nlink > 0)
		dentry->inode->nlink -= opcode == FUSE_RMDIR ? dentry->inode->nlink : 1;
	if (opcode == FUSE_RMDIR)
		dentry->inode->flags |= INODE_DEAD;
	virtiofs_of(dentry->inode)->checked_ns = dentry->inode->nlink > 0 ? 0 : clock_monotonic();
	changed(dir);
	dentry_drop(dentry);
	return 0;
}

static int virtiofs_unlink(struct inode *dir, struct dentry *dentry) { return remove_name(dir, dentry, FUSE_UNLINK); }

static int virtiofs_rmdir(struct inode *dir, struct dentry *dentry) { return remove_name(dir, dentry, FUSE_RMDIR); }

static int virtiofs_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to,
			   unsigned flags)
{
	struct fuse_rename2_in *request = kzalloc(sizeof(*request));
	struct fuse_segment in[3] = {{request, sizeof(*request)}, name_segment(from), name_segment(to)};
	int64_t got;

	if (request == NULL)
		return -ENOMEM;
	request->newdir = virtiofs_of(to_dir)->node.id;
	request->flags = flags;
	got = fuse_request(from_dir->super->device, FUSE_RENAME2, virtiofs_of(from_dir)->node.id, in, 3, NULL, 0);
	kfree(request);
	if (got < 0)
		return (int)got;
	changed(from_dir);
	changed(to_dir);
	virtiofs_of(from->inode)->checked_ns = 0;
	if (flags & RENAME_EXCHANGE) {
		dentry_exchange(from, to);
		return 0;
	}
	if (to->inode != NULL) {
		to->inode->nlink = to->inode->nlink > 0 && !inode_is_dir(to->inode) ? to->inode->nlink - 1 : 0;
		if (inode_is_dir(to->inode))
			to->inode->flags |= INODE_DEAD;
	}
	got = dentry_move(from, to);
	if (got < 0) { /* no memory for the new name: both are unknown again */
		dentry_drop(from);
		dentry_drop(to);
	}
	from->checked_ns = clock_monotonic();
	return 0;
}

static int virtiofs_list(struct dentry *directory, struct dir_list *list)
{
	struct virtiofs_inode *v = virtiofs_of(directory->inode);

	return fuse_list(v->node.device, v->node.id, list);
}

static int virtiofs_readlink(struct inode *inode, char *to, size_t size)
{
	struct virtiofs_inode *v = virtiofs_of(inode);
	char *text = path_buffer_get(); /* `to` may not be memory that the device can reach */
	int result;

	if (text == NULL)
		return -ENOMEM;
	result = fuse_readlink(v->node.device, v->node.id, text, PATH_BYTES);
	if (result > 0) {
		result = (int)min_u64((uint64_t)result, size);
		memcpy(to, text, (size_t)result);
	}
	path_buffer_put(text);
	return result;
}

static int virtiofs_statfs(struct super *super, void *to)
{
	struct statfs *st = to;
	struct fuse_statfs_out *reply = kzalloc(sizeof(*reply));
	struct fuse_segment out = {reply, sizeof(*reply)};
	int64_t got;

	if (reply == NULL)
		return -ENOMEM;
	got = fuse_request(super->device, FUSE_STATFS, super->root_node, NULL, 0, &out, 1);
	if (got >= (int64_t)sizeof(*reply)) {
		st->f_blocks = (long)reply->st.blocks;
		st->f_bfree = (long)reply->st.bfree;
		st->f_bavail = (long)reply->st.bavail;
		st->f_files = (long)reply->st.files;
		st->f_ffree = (long)reply->st.ffree;
		st->f_bsize = reply->st.bsize;
		st->f_frsize = reply->st.frsize;
		st->f_namelen = reply->st.namelen;
	}
	kfree(reply);
	return got < 0 ? (int)got : 0;
}

static const struct inode_ops virtiofs_ops = {
    .lookup = virtiofs_lookup,
    .mknod = virtiofs_mknod,
    .mkdir = virtiofs_mkdir,
    .symlink = virtiofs_symlink,
    .link = virtiofs_link,
    .unlink = virtiofs_unlink,
    .rmdir = virtiofs_rmdir,
    .rename = virtiofs_rename,
    .list = virtiofs_list,
    .readlink = virtiofs_readlink,
    .setattr = virtiofs_setattr,
    .refresh = virtiofs_refresh,
    .fallocate = virtiofs_fallocate,
    .free = virtiofs_free,
};

int virtiofs_new(unsigned device, uint64_t node, bool read_only, const char *source, struct super **super)
{
	struct super *s = super_new("virtiofs", source, V9_MAGIC, read_only ? SUPER_READ_ONLY : 0);
	struct fuse_attr attr;
	struct inode *root;
	int result;

	if (s == NULL)
		return -ENOMEM;
	s->device = device;
	s->root_node = node;
	s->revalidate = virtiofs_revalidate;
	s->statfs = virtiofs_statfs;
	/* A volume may also be a single file: its kind has to be asked for. */
	result = fuse_getattr(device, node, &attr);
	if (result == 0) {
		root = virtiofs_inode(s, node, &attr);
		if (root != NULL)
			s->root = dentry_new_root(s, root);
		if (s->root == NULL)
			result = -ENOMEM;
	}
	if (result < 0) {
		kfree(s);
		return result;
	}
	*super = s;
	return 0;
}
