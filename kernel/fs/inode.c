/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/fs/vfs.h"
#include "kernel/fs/inotify.h"

#include "kernel/proc/process.h"

struct super anonymous_super = {
    .type = "anon_inodefs",
    .source = "none",
    .dev = 0x0e,
    .magic = 0x09041934, /* ANON_INODE_FS_MAGIC */
    .next_ino = 1,
};

void inode_init(struct inode *inode, struct super *super, const struct inode_ops *ops, uint32_t mode)
{
	memset(inode, 0, sizeof(*inode));
	inode->references = 1;
	inode->mode = mode;
	inode->nlink = 1;
	inode->super = super;
	inode->ops = ops;
	inode->ino = super->next_ino++;
	mutex_init(&inode->mutex);
	if ((mode & S_IFMT) == S_IFREG || (mode & S_IFMT) == S_IFLNK)
		cache_init(&inode->cache, NULL, inode);
}

struct inode *inode_get(struct inode *inode)
{
	inode->references++;
	return inode;
}

void inode_put(struct inode *inode)
{
	if (inode == NULL || --inode->references > 0)
		return;
	locks_free(inode);
	if ((inode->mode & S_IFMT) == S_IFIFO && inode->data != NULL && fifo_free != NULL)
		fifo_free(inode);
	if (inode->ops != NULL && inode->ops->free != NULL) {
		inode->ops->free(inode);
		return;
	}
	if (inode_is_regular(inode) || inode_is_link(inode) || (inode->flags & INODE_CACHED))
		cache_fini(&inode->cache);
	kfree(inode);
}

struct inode *inode_new_anonymous(uint32_t mode)
{
	struct inode *inode = kmalloc(sizeof(*inode));

	if (inode == NULL)
		return NULL;
	inode_init(inode, &anonymous_super, NULL, mode);
	inode->uid = current->process->credentials.fsuid;
	inode->gid = current->process->credentials.fsgid;
	inode_touch(inode, INODE_TOUCH_ATIME | INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
	inode->btime_ns = inode->ctime_ns;
	return inode;
}

static bool in_group(const struct credentials *c, uint32_t primary, uint32_t gid)
{
	if (primary == gid)
		return true;
	for (unsigned i = 0; i < c->group_count; i++)
		if (c->groups[i] == gid)
			return true;
	return false;
}

#define CAPABLE(c, cap) (((c)->cap_effective >> (cap)) & 1)

static int check_permission(const struct inode *inode, const struct credentials *c, uint32_t uid, uint32_t gid,
			    bool override, unsigned mask)
{
	uint32_t bits = inode->mode;

	if (uid == inode->uid)
		bits >>= 6;
	else if (in_group(c, gid, inode->gid))
		bits >>= 3;
	if ((bits & mask & 7) == mask)
		return 0;
	if (override) {
		/* capabilities(7), CAP_DAC_OVERRIDE: everything but executing what nobody may execute. */
		if (!(mask & MAY_EXEC) || inode_is_dir(inode) || (inode->mode & 0111))
			return 0;
	}
	return -EACCES;
}

int inode_permission(struct inode *inode, unsigned mask)
{
	const struct credentials *c;

	if ((mask & MAY_WRITE) && inode->super->flags & SUPER_READ_ONLY &&
	    (inode_is_regular(inode) || inode_is_dir(inode) || inode_is_link(inode)))
		return -EROFS;
	c = &current->process->credentials;
	return check_permission(inode, c, c->fsuid, c->fsgid, CAPABLE(c, CAP_DAC_OVERRIDE), mask);
}

int inode_permission_real(struct inode *inode, unsigned mask)
{
	const struct credentials *c = &current->process->credentials;

	if ((mask & MAY_WRITE) && inode->super->flags & SUPER_READ_ONLY &&
	    (inode_is_regular(inode) || inode_is_dir(inode) || inode_is_link(inode)))
		return -EROFS;
	/* access(2): with real user 0 the permitted set counts, otherwise none. */
	return check_permission(inode, c, c->uid, c->gid, c->uid == 0 && ((c->cap_permitted >> CAP_DAC_OVERRIDE) & 1),
				mask);
}

bool inode_owner_or_capable(const struct inode *inode)
{
	const struct credentials *c = &current->process->credentials;

	return c->fsuid == inode->uid || CAPABLE(c, CAP_FOWNER);
}

void inode_touch(struct inode *inode, uint32_t what)
{
	int64_t now = (int64_t)clock_realtime();

	if (what & INODE_TOUCH_MTIME)
		inode->mtime_ns = now;
	if (what & INODE_TOUCH_CTIME)
		inode->ctime_ns = now;
	if (what & INODE_TOUCH_ATIME)
		inode->atime_ns = now;
}

int inode_setattr(struct inode *inode, const struct attributes *attributes)
{
	if (inode->super->flags & SUPER_READ_ONLY)
		return -EROFS;
	if (inode->ops == NULL || inode->ops->setattr == NULL)
		return -EPERM;
	int result = inode->ops->setattr(inode, attributes);
	if (result == 0)
		fs_notify(inode, (attributes->valid & ATTR_SIZE) != 0 ? IN_MODIFY : IN_ATTRIB, 0, NULL);
	return result;
}

static void put_time(struct statx_timestamp *to, int64_t ns)
{
	int64_t seconds = ns / (int64_t)NS_PER_SECOND, rest = ns % (int64_t)NS_PER_SECOND;

	if (rest < 0) {
		rest += (int64_t)NS_PER_SECOND;
		seconds--;
	}
	to->tv_sec = seconds;
	to->tv_nsec = (uint32_t)rest;
}

void inode_get_stat(struct inode *inode, struct statx *stat)
{
	memset(stat, 0, sizeof(*stat));
	stat->stx_mask = STATX_BASIC_STATS | (inode->btime_ns != 0 ? STATX_BTIME : 0);
	stat->stx_blksize = PAGE_SIZE;
	stat->stx_nlink = inode->nlink;
	stat->stx_uid = inode->uid;
	stat->stx_gid = inode->gid;
	stat->stx_mode = (uint16_t)inode->mode;
	stat->stx_ino = inode->ino;
	stat->stx_size = inode->cache.size;
	stat->stx_blocks = (inode_is_regular(inode) || inode_is_dir(inode)) ? (inode->cache.size + 511) / 512 : 0;
	if (inode_is_regular(inode))
		stat->stx_blocks = align_up(inode->cache.size, PAGE_SIZE) / 512;
	put_time(&stat->stx_atime, inode->atime_ns);
	put_time(&stat->stx_mtime, inode->mtime_ns);
	put_time(&stat->stx_ctime, inode->ctime_ns);
	put_time(&stat->stx_btime, inode->btime_ns);
	stat->stx_rdev_major = RDEV_MAJOR(inode->rdev);
	stat->stx_rdev_minor = RDEV_MINOR(inode->rdev);
	stat->stx_dev_major = RDEV_MAJOR(inode->super->dev);
	stat->stx_dev_minor = RDEV_MINOR(inode->super->dev);
}

struct cache *inode_cache(struct inode *inode) { return &inode->cache; }
