/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/fs/node.h"

static struct node *node_table[256];

static struct node **bucket(uint32_t device, uint64_t id)
{
	return &node_table[(id * 0x9e3779b97f4a7c15ull + device) >> 56];
}

struct inode *node_find(struct super *super, uint64_t id)
{
	for (struct node *n = *bucket(super->device, id); n != NULL; n = n->hash_next)
		if (n->id == id && n->device == super->device && n->inode->super == super) {
			n->lookups++;
			return inode_get(n->inode);
		}
	return NULL;
}

void node_insert(struct node *node, struct inode *inode, uint32_t device, uint64_t id)
{
	struct node **at = bucket(device, id);

	node->id = id;
	node->device = device;
	node->lookups = 1;
	node->inode = inode;
	node->hash_next = *at;
	*at = node;
}

void node_remove(struct node *node)
{
	for (struct node **at = bucket(node->device, node->id); *at != NULL; at = &(*at)->hash_next)
		if (*at == node) {
			*at = node->hash_next;
			break;
		}
}

int fs_sync_all(void)
{
	int result = 0;

	for (unsigned i = 0; i < countof(node_table); i++)
		for (struct node *n = node_table[i]; n != NULL;) {
			struct inode *inode = n->inode;
			int one;

			if (!inode_is_regular(inode) || inode->cache.ops == NULL ||
			    inode->cache.ops->write_back == NULL) {
				n = n->hash_next;
				continue;
			}
			inode_get(inode);
			one = cache_write_back(&inode->cache); /* sleeps; the reference keeps the node in its chain */

			result = result == 0 ? one : result;
			n = n->hash_next;
			inode_put(inode);
		}
	return result;
}
