/* SPDX-License-Identifier: Apache-2.0 */
/* Names: the cache of dentries. */
#include "kernel/fs/vfs.h"

#include "kernel/proc/process.h"

/* Unreferenced ones that are kept: one for so many bytes of RAM. Each may hold an inode, and a node of the host's. */
#define RAM_PER_DENTRY 16384u
#define KEPT_MIN 64u
#define KEPT_MAX 32768u

/* A power of two; grows with the number of names. The first table is one page of bss at most. */
static struct dentry *first_table[256];
static struct dentry **table = first_table;
static unsigned table_size = countof(first_table), table_order;
static unsigned hashed_count, lru_count, lru_max; /* lru_max 0: not set yet */
static struct list lru = LIST_INIT(lru);

static uint32_t name_hash(const struct dentry *parent, const char *name, unsigned length)
{
	uint32_t hash = (uint32_t)((uint64_t)parent >> 4) * 0x9e3779b1u;

	for (unsigned i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)name[i]) * 0x01000193u;
	return hash ^ hash >> 15;
}

static void table_grow(void)
{
	unsigned order = table_order + 1, size = (unsigned)(PAGE_SIZE << order) / sizeof(*table);
	struct dentry **bigger = pages_alloc(order);

	if (bigger == NULL)
		return;
	for (unsigned i = 0; i < table_size; i++) {
		struct dentry *d = table[i];

		while (d != NULL) {
			struct dentry *next = d->hash_next;

			d->hash_next = bigger[d->hash & (size - 1)];
			bigger[d->hash & (size - 1)] = d;
			d = next;
		}
	}
	if (table != first_table)
		pages_free(table, table_order);
	table = bigger;
	table_size = size;
	table_order = order;
}

static void hash_insert(struct dentry *dentry)
{
	if (hashed_count >= table_size * 2)
		table_grow();
	dentry->hash = name_hash(dentry->parent, dentry->name, dentry->name_length);
	dentry->hash_next = table[dentry->hash & (table_size - 1)];
	table[dentry->hash & (table_size - 1)] = dentry;
	dentry->flags |= DENTRY_HASHED;
	hashed_count++;
}

static void hash_remove(struct dentry *dentry)
{
	struct dentry **at;

	if (!(dentry->flags & DENTRY_HASHED))
		return;
	for (at = &table[dentry->hash & (table_size - 1)]; *at != dentry; at = &(*at)->hash_next)
		;
	*at = dentry->hash_next;
	dentry->hash_next = NULL;
	dentry->flags &= (uint16_t)~DENTRY_HASHED;
	hashed_count--;
}

struct dentry *dentry_get(struct dentry *dentry)
{
	if (dentry->references++ == 0 && !list_empty(&dentry->lru)) {
		list_remove(&dentry->lru);
		lru_count--;
	}
	return dentry;
}

/* Without references and out of the hash: frees it and lets go of its parent. */
static struct dentry *dentry_free(struct dentry *dentry)
{
	struct dentry *parent = dentry->parent;

	hash_remove(dentry);
	if (!list_empty(&dentry->lru)) {
		list_remove(&dentry->lru);
		lru_count--;
	}
	list_remove(&dentry->sibling);
	if (dentry->flags & DENTRY_FILE)
		file_put(dentry->file);
	inode_put(dentry->inode);
	if (dentry->name != dentry->inline_name)
		kfree(dentry->name);
	if (parent == dentry)
		parent = NULL;
	kfree(dentry);
	return parent;
}

void dentry_put(struct dentry *dentry)
{
	while (dentry != NULL) {
		kassert(dentry->references > 0);
		if (--dentry->references > 0)
			return;
		if ((dentry->flags & DENTRY_HASHED) && !(dentry->flags & DENTRY_NO_CACHE)) {
			list_add_tail(&lru, &dentry->lru);
			lru_count++;
			if (lru_max == 0)
				lru_max = (unsigned)min_u64(max_u64(boot_info->ram_bytes / RAM_PER_DENTRY, KEPT_MIN),
							    KEPT_MAX);
			if (lru_count > lru_max) /* few at a time: nothing here may take long or sleep */
				dentry_shrink(lru_count - 2);
			return;
		}
		dentry = dentry_free(dentry);
	}
}

void dentry_relieve(void)
{
	lru_max = (unsigned)max_u64(lru_count / 2, KEPT_MIN);
	dentry_shrink(lru_max);
}

void dentry_shrink(unsigned keep)
{
	while (lru_count > keep && !list_empty(&lru)) {
		struct dentry *dentry = list_first(&lru, struct dentry, lru);

		dentry_put(dentry_free(dentry));
	}
}

struct dentry *dentry_find(struct dentry *parent, const char *name, unsigned length)
{
	uint32_t hash = name_hash(parent, name, length);

	for (struct dentry *d = table[hash & (table_size - 1)]; d != NULL; d = d->hash_next)
		if (d->hash == hash && d->parent == parent && d->name_length == length &&
		    memcmp(d->name, name, length) == 0)
			return dentry_get(d);
	return NULL;
}

static struct dentry *dentry_alloc(struct super *super, const char *name, unsigned length)
{
	struct dentry *dentry = kmalloc(sizeof(*dentry) + length + 1);

	if (dentry == NULL)
		return NULL;
	memset(dentry, 0, sizeof(*dentry));
	dentry->references = 1;
	dentry->super = super;
	dentry->name = dentry->inline_name;
	memcpy(dentry->name, name, length);
	dentry->name[length] = '\0';
	dentry->name_length = (uint16_t)length;
	list_init(&dentry->children);
	list_init(&dentry->sibling);
	list_init(&dentry->lru);
	return dentry;
}

/* A child that is not in the hash yet. */
static struct dentry *child_new(struct dentry *parent, const char *name, unsigned length, struct inode *inode)
{
	struct dentry *dentry = dentry_alloc(parent->super, name, length);

	if (dentry == NULL) {
		inode_put(inode);
		return NULL;
	}
	dentry->parent = dentry_get(parent);
	dentry->inode = inode;
	if (parent->super->flags & SUPER_NO_CACHE)
		dentry->flags |= DENTRY_NO_CACHE;
	list_add_tail(&parent->children, &dentry->sibling);
	return dentry;
}

struct dentry *dentry_add(struct dentry *parent, const char *name, unsigned length, struct inode *inode)
{
	struct dentry *dentry = child_new(parent, name, length, inode);

	if (dentry != NULL)
		hash_insert(dentry);
	return dentry;
}

struct dentry *dentry_new_root(struct super *super, struct inode *inode)
{
	struct dentry *dentry = dentry_alloc(super, "/", 1);

	if (dentry == NULL) {
		inode_put(inode);
		return NULL;
	}
	dentry->parent = dentry;
	dentry->inode = inode;
	return dentry;
}

struct dentry *dentry_new_file(struct file *file)
{
	char name[64];
	struct dentry *dentry;
	struct inode *inode = file->inode;

	if (inode == NULL) {
		inode = inode_new_anonymous(0600);
		if (inode == NULL)
			return NULL;
	} else {
		inode_get(inode);
	}
	file_path(file, name, sizeof(name));
	dentry = dentry_alloc(&anonymous_super, name, (unsigned)strlen(name));
	if (dentry == NULL) {
		inode_put(inode);
		return NULL;
	}
	dentry->parent = dentry;
	dentry->inode = inode;
	dentry->flags = DENTRY_FILE;
	dentry->file = file_get(file);
	return dentry;
}

void dentry_instantiate(struct dentry *dentry, struct inode *inode)
{
	kassert(dentry->inode == NULL);
	dentry->inode = inode;
}

void dentry_drop(struct dentry *dentry)
{
	hash_remove(dentry);
	if (dentry->references == 0)
		dentry_put(dentry_free(dentry));
}

void dentry_pin(struct dentry *dentry)
{
	if (dentry->flags & DENTRY_PINNED)
		return;
	dentry->flags |= DENTRY_PINNED;
	dentry_get(dentry);
}

void dentry_unpin(struct dentry *dentry)
{
	if (!(dentry->flags & DENTRY_PINNED))
		return;
	dentry->flags &= (uint16_t)~DENTRY_PINNED;
	dentry_put(dentry);
}

static int set_name(struct dentry *dentry, const char *name, unsigned length)
{
	char *copy = kmalloc(length + 1);

	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, name, length);
	copy[length] = '\0';
	if (dentry->name != dentry->inline_name)
		kfree(dentry->name);
	dentry->name = copy;
	dentry->name_length = (uint16_t)length;
	return 0;
}

static void set_parent(struct dentry *dentry, struct dentry *parent)
{
	struct dentry *old = dentry->parent;

	dentry->parent = dentry_get(parent);
	list_remove(&dentry->sibling);
	list_add_tail(&parent->children, &dentry->sibling);
	dentry_put(old);
}

int dentry_move(struct dentry *dentry, struct dentry *target)
{
	char *name = kmalloc(target->name_length + 1u);

	if (name == NULL)
		return -ENOMEM;
	memcpy(name, target->name, target->name_length + 1u);
	hash_remove(dentry);
	if (dentry->name != dentry->inline_name)
		kfree(dentry->name);
	dentry->name = name;
	dentry->name_length = target->name_length;
	set_parent(dentry, target->parent);
	dentry_drop(target);
	hash_insert(dentry);
	return 0;
}

void dentry_exchange(struct dentry *a, struct dentry *b)
{
	char name[NAME_BYTES + 1];
	unsigned length = a->name_length;
	struct dentry *a_parent = dentry_get(a->parent);

	memcpy(name, a->name, length + 1u);
	hash_remove(a);
	hash_remove(b);
	/* Out of memory here leaves a with its old name in the other place: both stay reachable. */
	(void)set_name(a, b->name, b->name_length);
	(void)set_name(b, name, length);
	set_parent(a, b->parent);
	set_parent(b, a_parent);
	hash_insert(a);
	hash_insert(b);
	dentry_put(a_parent);
}

bool dentry_is_below(struct dentry *dentry, struct dentry *ancestor)
{
	for (;;) {
		if (dentry == ancestor)
			return true;
		if (dentry->parent != dentry)
			dentry = dentry->parent;
		else if (dentry->super->root == dentry && dentry->super->point != NULL)
			dentry = dentry->super->point;
		else
			return false;
	}
}

int dentry_lookup(struct dentry *parent, const char *name, unsigned length, const char *rest, struct dentry **dentry)
{
	struct inode *dir = parent->inode;
	int result = 0;

	if (length > NAME_BYTES)
		return -ENAMETOOLONG;
	*dentry = dentry_find(parent, name, length);
	if (*dentry != NULL && parent->super->revalidate != NULL) {
		result = parent->super->revalidate(*dentry, rest);
		if (result == -ESTALE) {
			dentry_drop(*dentry);
			dentry_put(*dentry);
			*dentry = NULL;
		} else if (result != 0) {
			dentry_put(*dentry);
			return result;
		}
	}
	if (*dentry != NULL)
		return 0;
	if (dir == NULL || dir->ops == NULL || dir->ops->lookup == NULL)
		return -ENOTDIR;
	mutex_lock(&dir->mutex);
	if (dir->flags & INODE_LAZY) {
		dir->flags &= ~INODE_LAZY;
		dir->ops->populate(parent);
	}
	*dentry = dentry_find(parent, name, length); /* another thread may have been faster */
	if (*dentry == NULL) {
		/* Hashed when the answer is there: nobody may take it for a missing name before. */
		*dentry = child_new(parent, name, length, NULL);
		result = *dentry == NULL ? -ENOMEM : dir->ops->lookup(dir, *dentry, rest);
		if (result == 0) {
			hash_insert(*dentry);
		} else if (*dentry != NULL) {
			dentry_put(*dentry);
			*dentry = NULL;
		}
	}
	mutex_unlock(&dir->mutex);
	return result;
}

const char *dentry_path(struct dentry *dentry, char *buf, size_t size)
{
	static const char deleted[] = " (deleted)";
	char *at = buf + size;
	struct dentry *root = current->process->fs->root;

	*--at = '\0';
	if (dentry->flags & DENTRY_FILE)
		return dentry->name;
	if (!(dentry->flags & DENTRY_HASHED) && dentry->parent != dentry) {
		at -= sizeof(deleted) - 1;
		memcpy(at, deleted, sizeof(deleted) - 1);
	}
	for (;;) {
		while (dentry->super->root == dentry && dentry != root && dentry->super->point != NULL)
			dentry = dentry->super->point;
		if (dentry == root || dentry->parent == dentry)
			break;
		if ((size_t)(at - buf) < dentry->name_length + 1u)
			break;
		at -= dentry->name_length;
		memcpy(at, dentry->name, dentry->name_length);
		*--at = '/';
		dentry = dentry->parent;
	}
	if (*at == '\0' || *at == ' ')
		*--at = '/';
	return at;
}
