/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file tree: inodes, names (dentries), mounted file systems, path walk.
 *
 * A dentry is one name in one directory; inode == NULL says that the name is known not to exist. There
 * is at most one hashed dentry per name. A dentry without references stays cached and may be dropped
 * (dentry_shrink) unless it is pinned, which is a reference held by the file system itself.
 * Each directory's mutex is held over every change of its names and over lookups that ask the file
 * system; dentry_find() needs no lock.
 */
#ifndef NUCLEO_FS_VFS_H
#define NUCLEO_FS_VFS_H

#include <linux/stat.h>

#include "kernel/fs/file.h"

#define PATH_BYTES 4096u /* PATH_MAX */
#define NAME_BYTES 255u
#define SYMLINKS_MAX 40u

struct inode;
struct dentry;
struct super;
struct lower_ops;
struct text;

/* ---- inodes ---- */
struct attributes {     /* of setattr */
	uint32_t valid; /* ATTR_* */
	uint32_t mode, uid, gid;
	uint64_t size;
	int64_t atime_ns, mtime_ns;
};
#define ATTR_MODE 1u
#define ATTR_UID 2u
#define ATTR_GID 4u
#define ATTR_SIZE 8u
#define ATTR_ATIME 16u
#define ATTR_MTIME 32u

/* Directory listing being built: entries in one growing buffer. */
struct dir_list {
	uint8_t *data;
	uint64_t bytes, room;
	unsigned count;
};
struct dir_list_entry {
	uint64_t ino;
	unsigned type, length; /* DT_*, of name */
	const char *name;      /* not terminated */
	uint64_t next;
};

struct inode_ops {
	/* Names. `dir` is locked. dentry is negative; lookup (before it is hashed) gives it its inode, or
	 * leaves it negative (0 in both cases). rest: what follows in the path, for reading ahead; may be "". */
	int (*lookup)(struct inode *dir, struct dentry *dentry, const char *rest);
	int (*mknod)(struct inode *dir, struct dentry *dentry, uint32_t mode,
		     uint64_t rdev); /* all but directory, link */
	int (*mkdir)(struct inode *dir, struct dentry *dentry, uint32_t mode);
	int (*symlink)(struct inode *dir, struct dentry *dentry, const char *target);
	int (*link)(struct inode *inode, struct inode *dir, struct dentry *dentry);
	int (*unlink)(struct inode *dir, struct dentry *dentry);
	int (*rmdir)(struct inode *dir, struct dentry *dentry);
	/* Both directories are locked. flags: RENAME_NOREPLACE (already checked), RENAME_EXCHANGE. */
	int (*rename)(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to,
		      unsigned flags);
	int (*tmpfile)(struct inode *dir, uint32_t mode, struct inode **inode);
	/* Before the first lookup or list in a directory with INODE_LAZY: puts its fixed names there. */
	void (*populate)(struct dentry *directory);
	/* All entries but "." and "..". */
	int (*list)(struct dentry *directory, struct dir_list *list);

	int (*readlink)(struct inode *inode, char *to, size_t size); /* length, not terminated */
	/* A link whose target is an object (/proc/self/fd/1). Instead of readlink on the walk. */
	int (*follow)(struct inode *inode, struct dentry **dentry);
	int (*setattr)(struct inode *inode, const struct attributes *attributes); /* NULL: EPERM */
	int (*refresh)(struct inode *inode);                 /* before attributes are looked at; may be NULL */
	int (*open)(struct inode *inode, struct file *file); /* after file->ops = inode->file_ops */

	/* Extended attributes; NULL: EOPNOTSUPP. value = NULL in set: remove. Lengths are returned. */
	int64_t (*get_xattr)(struct inode *inode, const char *name, void *value, uint64_t size);
	int (*set_xattr)(struct inode *inode, const char *name, const void *value, uint64_t size, int flags);
	int64_t (*list_xattr)(struct inode *inode, char *to, uint64_t size);
	int (*fallocate)(struct inode *inode, int mode, uint64_t offset, uint64_t bytes);
	void (*written)(struct inode *inode); /* data was written to the cache; may be NULL */
	bool (*holes)(struct inode *inode);   /* pages that are not in the cache are holes */
	void (*free)(struct inode *inode);    /* the last reference is gone; frees the memory */
};

struct inode {
	uint32_t references;
	uint32_t mode;
	uint32_t uid, gid, nlink;
	uint32_t flags; /* INODE_* */
	uint64_t ino, rdev;
	int64_t atime_ns, mtime_ns, ctime_ns, btime_ns; /* since 1970 */
	struct super *super;
	const struct inode_ops *ops;
	const struct file_ops *file_ops;
	struct cache cache; /* cache.size is the inode's size, for links and directories too */
	struct mutex mutex;
	struct inode_locks *locks; /* kernel/fs/locks.c; NULL: none */
	void *data;                /* the file system's or the object's (a FIFO's pipe) */
	void *watches;             /* inotify's */
	uint32_t seals;            /* F_SEAL_* of a memfd */
	uint32_t lock_count;
};
#define INODE_DEAD 1u   /* a removed directory: nothing can be made in it */
#define INODE_MEMFD 2u  /* takes seals */
#define INODE_CACHED 8u /* not a regular file, but has pages all the same */
#define INODE_LAZY 4u   /* populate() is still to be called */

void inode_init(struct inode *inode, struct super *super, const struct inode_ops *ops, uint32_t mode);
struct inode *inode_get(struct inode *inode);
void inode_put(struct inode *inode);
/* For objects without a name (pipes, sockets, event descriptors): its own st_ino, mode as given. */
struct inode *inode_new_anonymous(uint32_t mode);
int inode_permission(struct inode *inode, unsigned mask);      /* MAY_*: 0 or -EACCES, by fsuid */
int inode_permission_real(struct inode *inode, unsigned mask); /* by the real ids, for access(2) */
bool inode_owner_or_capable(const struct inode *inode);
#define MAY_EXEC 1u
#define MAY_WRITE 2u
#define MAY_READ 4u
int inode_setattr(struct inode *inode, const struct attributes *attributes); /* after rights were checked */
void inode_touch(struct inode *inode, uint32_t what);                        /* INODE_TOUCH_*: now */
#define INODE_TOUCH_MTIME 1u
#define INODE_TOUCH_CTIME 2u
#define INODE_TOUCH_ATIME 4u
static inline bool inode_is_dir(const struct inode *inode) { return (inode->mode & S_IFMT) == S_IFDIR; }
static inline bool inode_is_link(const struct inode *inode) { return (inode->mode & S_IFMT) == S_IFLNK; }
static inline bool inode_is_regular(const struct inode *inode) { return (inode->mode & S_IFMT) == S_IFREG; }

/* ---- names ---- */
struct dentry {
	uint32_t references;
	uint16_t flags; /* DENTRY_* */
	uint16_t name_length;
	uint32_t hash;
	uint32_t name_room;
	struct dentry *parent; /* itself for a root */
	struct inode *inode;
	union {
		struct dentry *hash_next;
		struct file *file; /* DENTRY_FILE */
	};
	struct list children, sibling;
	struct list lru;     /* in the list of unreferenced ones */
	uint64_t checked_ns; /* of virtiofs: when it was last known to be right */
	struct super *super;
	char *name; /* terminated; inline or allocated after a rename */
	char inline_name[];
};
#define DENTRY_HASHED 1u
#define DENTRY_PINNED 2u
#define DENTRY_MOUNTED 4u /* a file system is mounted on it */
#define DENTRY_LOWER 8u   /* overlay: the lower directory has this name */
#define DENTRY_FILE 16u   /* stands for an open file without a name: opening gives that file */
#define DENTRY_NO_CACHE 32u

struct dentry *dentry_get(struct dentry *dentry);
void dentry_put(struct dentry *dentry);
struct dentry *dentry_find(struct dentry *parent, const char *name, unsigned length); /* reference, or NULL */
/* New hashed dentry (the name must not be there), inode reference consumed; NULL: no memory. */
struct dentry *dentry_add(struct dentry *parent, const char *name, unsigned length, struct inode *inode);
struct dentry *dentry_new_root(struct super *super, struct inode *inode);
struct dentry *dentry_new_file(struct file *file);                   /* DENTRY_FILE */
void dentry_instantiate(struct dentry *dentry, struct inode *inode); /* inode consumed */
void dentry_drop(struct dentry *dentry);                             /* out of the hash: the name is unknown again */
void dentry_pin(struct dentry *dentry);
void dentry_unpin(struct dentry *dentry);
/* `dentry` takes the place of `target`, which is dropped. */
int dentry_move(struct dentry *dentry, struct dentry *target);
void dentry_exchange(struct dentry *a, struct dentry *b);
bool dentry_is_below(struct dentry *dentry, struct dentry *ancestor); /* or equal; across mounts */
/* Found or looked up through the file system: positive or negative, with a reference. May sleep. */
int dentry_lookup(struct dentry *parent, const char *name, unsigned length, const char *rest, struct dentry **dentry);
/* Absolute path as seen from the root of the tree: pointer into buf (filled from its end), " (deleted)" if so. */
const char *dentry_path(struct dentry *dentry, char *buf, size_t size);
void dentry_relieve(void);         /* the host has no room for more nodes: keeps half of them from now on */
void dentry_shrink(unsigned keep); /* drops unreferenced ones until `keep` are left */

/* ---- mounted file systems ---- */
struct super {
	struct list node;
	const char *type;   /* "tmpfs" */
	const char *source; /* first column of /proc/mounts */
	uint64_t dev;
	uint32_t magic;              /* of statfs */
	uint32_t flags;              /* SUPER_* */
	struct dentry *root, *point; /* point: NULL for the root of the tree */
	uint64_t next_ino;
	uint32_t device;               /* virtio device */
	uint64_t root_node;            /* FUSE node id */
	const struct lower_ops *lower; /* of an overlay */
	/* 0: the dentry is still right (or was made so); -ESTALE: look it up again. May sleep. */
	int (*revalidate)(struct dentry *dentry, const char *rest);
	int (*statfs)(struct super *super, void *to); /* struct statfs, filled with defaults before */
};
#define SUPER_READ_ONLY 1u
#define SUPER_NO_CACHE 2u  /* dentries go with their last reference (procfs) */
extern struct list supers; /* in order of mounting; the first is the root */
extern struct super anonymous_super;

struct super *super_new(const char *type, const char *source, uint32_t magic, uint32_t flags);
int super_mount(struct super *super, struct dentry *point);
/* If something is mounted on *dentry, replaces the reference by that root's. */
void mount_enter(struct dentry **dentry);

/* ---- paths ---- */
#define WALK_FOLLOW 1u      /* the last component too, if it is a link */
#define WALK_DIRECTORY 2u   /* -ENOTDIR otherwise */
#define WALK_EMPTY 4u       /* AT_EMPTY_PATH */
#define WALK_NO_SYMLINKS 8u /* RESOLVE_* of openat2 */
#define WALK_NO_MAGICLINKS 16u
#define WALK_BENEATH 32u
#define WALK_IN_ROOT 64u
#define WALK_NO_XDEV 128u
#define WALK_CREATE                                                                                                    \
	256u /* the last component may be missing: *dentry is then negative; a trailing '/' is kept in mind */

struct walk {
	struct dentry *parent; /* of the last component; NULL if the path ends in "..", "." or "/" */
	struct dentry *dentry; /* positive, or negative with WALK_CREATE */
	bool slash;            /* the path ended in '/' */
	bool special;          /* last component is ".", ".." or the root */
	const char *name;      /* the last component, in the path buffer; not terminated */
	unsigned name_length;
};
/* With the parent locked: whether the name still means walk->dentry. Another thread may have moved it or put
 * another in its place since the walk; then, without the lock, walk_again() looks the name up anew. */
bool walk_is_current(const struct walk *walk);
int walk_again(struct walk *walk);
/* Buffers of PATH_BYTES. */
char *path_buffer_get(void);
void path_buffer_put(char *buffer);
/* The program's string in a path buffer. -EFAULT, -ENAMETOOLONG, -ENOMEM. */
int path_from_user(uint64_t address, char **path);
/* Walks. `path` is a path buffer whose content is used up. Fills *walk; references must be put with
 * walk_done(). */
int walk_path(int dirfd, char *path, unsigned flags, struct walk *walk);
void walk_done(struct walk *walk);
/* Short forms: the dentry with a reference. */
int path_lookup(int dirfd, uint64_t user_path, unsigned flags, struct dentry **dentry);
int path_lookup_kernel(const char *path, unsigned flags, struct dentry **dentry);

/* ---- opening ---- */
int dentry_open(struct dentry *dentry, uint32_t flags, struct file **file); /* rights are checked by the caller */
int open_at(int dirfd, char *path, uint32_t flags, uint32_t mode, unsigned walk_flags, struct file **file);
extern const struct file_ops regular_file_ops; /* through the inode's cache */
int64_t regular_seek(struct file *file, int64_t offset, int whence);
int regular_mmap(struct file *file, struct cache **cache, uint64_t offset, uint64_t bytes, int prot, int flags);
extern const struct file_ops directory_file_ops;
extern const struct file_ops path_file_ops; /* O_PATH */

/* More on descriptors. `file` is consumed on success; what was open at fd is closed. */
int fd_replace(struct file *file, int fd, uint32_t flags);
int fd_flags(int fd); /* FD_CLOEXEC or 0; -EBADF */
int fd_set_flags(int fd, int flags);

struct fs_context {
	uint32_t references;
	uint32_t umask;
	struct dentry *root, *cwd;
};

/* ---- directories ---- */
int dir_list_add(struct dir_list *list, const char *name, unsigned length, uint64_t ino, unsigned type);
bool dir_list_next(const struct dir_list *list, uint64_t *offset, struct dir_list_entry *entry);
bool dir_list_find(const struct dir_list *list, const char *name, unsigned length, struct dir_list_entry *entry);
void dir_list_fini(struct dir_list *list);

/* ---- texts of /proc and /sys ---- */
struct text {
	char *data;
	uint64_t bytes, room;
	bool failed;
};
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_put(struct text *text, const void *data, uint64_t bytes);

/* ---- kinds of file system ---- */
int memfs_new(const char *type, const char *source, struct super **super); /* tmpfs */
int overlay_host_new(unsigned device, uint64_t node, struct super **super);
int overlay_image_new(struct super **super);
int virtiofs_new(unsigned device, uint64_t node, bool read_only, const char *source, struct super **super);
int devfs_new(struct super **super);
int procfs_new(struct super **super);
int sysfs_new(struct super **super);
int memfd_new(const char *name, uint32_t flags, bool seals, struct file **file);

/* Character devices: open is called with the new file (ops NULL) and sets ops and data. */
struct char_device {
	uint32_t major, minor;
	const char *name; /* in /dev; NULL: none */
	uint32_t mode;
	int (*open)(struct inode *inode, struct file *file);
};
#define CHAR_DEVICES_MAX 24u
int char_device_register(const struct char_device *device); /* before the first program */
int char_device_open(struct inode *inode, struct file *file);
#define MAKE_RDEV(major, minor)                                                                                        \
	(((uint64_t)((major)&0xfffu) << 8) | ((minor)&0xffu) | ((uint64_t)((minor) & ~0xffu) << 12))
#define RDEV_MAJOR(rdev) ((uint32_t)((rdev) >> 8) & 0xfffu)
#define RDEV_MINOR(rdev) ((uint32_t)((rdev)&0xffu) | ((uint32_t)((rdev) >> 12) & ~0xffu))

/* By the io part (weak here: what is missing gives ENXIO). fs_init() opens descriptors 0, 1, 2 through
 * console_open(stream), which gives a file for the host's stdin, stdout, stderr; tty_init() registers
 * /dev/tty, /dev/console, ... with char_device_register(). fifo_open is called when a FIFO is opened by
 * name: sets file->ops and data, keeps its pipe in inode->data. */
int console_open(unsigned stream, struct file **file) __attribute__((weak));
void tty_init(void) __attribute__((weak));
int fifo_open(struct inode *inode, struct file *file) __attribute__((weak));
void fifo_free(struct inode *inode) __attribute__((weak)); /* the inode goes: frees inode->data */

/* Volumes: data written through shared mappings goes to the host. At the end of the VM, and for sync(2). */
int fs_sync_all(void); /* 0 or the first error */

/* ---- locks (kernel/fs/locks.c) ---- */
int locks_flock(struct file *file, int operation);
int locks_fcntl(struct file *file, int command, uint64_t argument);
void locks_close(struct file *file,
		 struct file_table *table); /* a descriptor was closed: POSIX locks of the process go */
void locks_release(struct file *file);      /* the last reference: flock and OFD locks go */
void locks_free(struct inode *inode);

#endif
