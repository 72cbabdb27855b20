/* SPDX-License-Identifier: Apache-2.0 */
/* Mounted file systems and the tree at boot. Nothing here asks the host but for volumes' mount points. */
#include <linux/fcntl.h>

#include "kernel/fs/memfs.h"
#include "kernel/fs/vfs.h"
#include "kernel/proc/process.h"

struct list supers = LIST_INIT(supers);
static uint32_t next_dev = 20;

struct super *super_new(const char *type, const char *source, uint32_t magic, uint32_t flags)
{
	struct super *super = kzalloc(sizeof(*super));

	if (super == NULL)
		return NULL;
	list_init(&super->node);
	super->type = type;
	super->source = source;
	super->magic = magic;
	super->flags = flags;
	super->dev = MAKE_RDEV(0, next_dev);
	next_dev++;
	super->next_ino = 1;
	return super;
}

int super_mount(struct super *super, struct dentry *point)
{
	if (point != NULL) {
		super->point = dentry_get(point);
		point->flags |= DENTRY_MOUNTED;
	}
	list_add_tail(&supers, &super->node);
	return 0;
}

/* Mounts on a name of the root that is made in memory: no need to know whether the host has it. */
static int mount_fixed(struct dentry *root, const char *name, int (*new_super)(struct super **))
{
	struct super *super;
	struct dentry *point;
	int result = new_super(&super);

	if (result < 0)
		return result;
	point = memfs_add(root, name, S_IFDIR | 0755, 0, NULL);
	if (point == NULL)
		return -ENOMEM;
	return super_mount(super, point);
}

/* The directory `path` with all above it, made in memory where missing; a file for a mounted file. */
static int make_mount_point(const char *path, struct dentry **point)
{
	struct dentry *at = dentry_get(list_first(&supers, struct super, node)->root);
	int result = 0;

	while (*path == '/')
		path++;
	while (*path != '\0' && result == 0) {
		unsigned length = 0;
		struct dentry *next;

		while (path[length] != '\0' && path[length] != '/')
			length++;
		result = dentry_lookup(at, path, length, path + length, &next);
		if (result == 0) {
			mount_enter(&next);
			if (next->inode == NULL)
				result = at->inode->ops->mkdir != NULL ? at->inode->ops->mkdir(at->inode, next, 0755)
								       : -EROFS;
			dentry_put(at);
			at = next;
		}
		path += length;
		while (*path == '/')
			path++;
	}
	if (result < 0) {
		dentry_put(at);
		return result;
	}
	*point = at;
	return 0;
}

static int mount_volume(const struct lampo_boot_mount *mount, const char *target)
{
	struct super *super;
	struct dentry *point;
	bool read_only = mount->flags & LAMPO_MOUNT_READ_ONLY;
	int result;

	result = make_mount_point(target, &point);
	if (result < 0)
		return result;
	if (mount->flags & LAMPO_MOUNT_OVERLAY)
		result = overlay_host_new(mount->device, mount->node, &super);
	else
		result = virtiofs_new(mount->device, mount->node, read_only, "lampo-volume", &super);
	if (result == 0)
		result = super_mount(super, point);
	dentry_put(point);
	return result;
}

static const char *boot_string(uint64_t offset) { return (const char *)boot_info + offset; }

/* The root's entry; NULL: none was given. */
static const struct lampo_boot_mount *root_mount(void)
{
	for (unsigned i = 0; i < boot_info->mount_count && i < LAMPO_MOUNTS_MAX; i++)
		if (strcmp(boot_string(boot_info->mounts[i].target), "/") == 0)
			return &boot_info->mounts[i];
	return NULL;
}

static int mount_root(void)
{
	const struct lampo_boot_mount *mount = root_mount();
	struct super *super;
	int result;

	if (mount == NULL)
		result = memfs_new("tmpfs", "tmpfs", &super); /* an empty one in memory */
	else if (mount->flags & LAMPO_MOUNT_IMAGE)
		result = overlay_image_new(&super);
	else if (mount->flags & LAMPO_MOUNT_OVERLAY)
		result = overlay_host_new(mount->device, mount->node, &super);
	else
		result =
		    virtiofs_new(mount->device, mount->node, mount->flags & LAMPO_MOUNT_READ_ONLY, "lampo", &super);
	return result < 0 ? result : super_mount(super, NULL);
}

static int open_streams(void)
{
	for (unsigned stream = 0; stream < 3; stream++) {
		struct file *file;
		int result;

		if (console_open != NULL)
			result = console_open(stream, &file);
		else
			result = file_open("/dev/null", O_RDWR, 0, &file);
		if (result < 0)
			return result;
		result = fd_install(file, (int)stream, 0);
		if (result < 0)
			return result;
	}
	return 0;
}

int fs_init(void)
{
	struct dentry *root;
	int result = mount_root();

	if (result < 0)
		return result;
	root = list_first(&supers, struct super, node)->root;
	if (root->inode->ops == &memfs_ops) {
		result = mount_fixed(root, "proc", procfs_new);
		if (result == 0)
			result = mount_fixed(root, "sys", sysfs_new);
		if (result == 0)
			result = mount_fixed(root, "dev", devfs_new);
	}
	if (result < 0)
		return result;
	if (current->process->fs == NULL) {
		current->process->fs = fs_context_new();
		if (current->process->fs == NULL)
			return -ENOMEM;
	} else if (current->process->fs->root == NULL) {
		current->process->fs->root = dentry_get(root);
		current->process->fs->cwd = dentry_get(root);
	}
	if (current->process->files == NULL)
		current->process->files = file_table_new();
	for (unsigned i = 0; i < boot_info->mount_count && i < LAMPO_MOUNTS_MAX && result == 0; i++) {
		const char *target = boot_string(boot_info->mounts[i].target);

		if (strcmp(target, "/") != 0)
			result = mount_volume(&boot_info->mounts[i], target);
	}
	if (result < 0)
		return result;
	if (tty_init != NULL)
		tty_init();
	return open_streams();
}

static bool root_is_image(void)
{
	for (unsigned i = 0; i < boot_info->mount_count && i < LAMPO_MOUNTS_MAX; i++)
		if (boot_info->mounts[i].flags & LAMPO_MOUNT_IMAGE)
			return true;
	return false;
}

int fs_chdir_initial(const char *path)
{
	struct fs_context *fs = current->process->fs;
	struct dentry *dentry;
	int result = path_lookup_kernel(path, WALK_FOLLOW | WALK_DIRECTORY, &dentry);

	/* A container image may name a working directory that it does not have; container runtimes make it. */
	if (result == -ENOENT && root_is_image())
		result = make_mount_point(path, &dentry);
	if (result < 0)
		return result;
	dentry_put(fs->cwd);
	fs->cwd = dentry;
	return 0;
}
