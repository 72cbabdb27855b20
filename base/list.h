/* SPDX-License-Identifier: Apache-2.0 */
/* Doubly linked circular lists, the links inside the objects. An empty head points at itself. */
#ifndef LAMPO_BASE_LIST_H
#define LAMPO_BASE_LIST_H

#include "base/util.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name)                                                                                                \
	{                                                                                                              \
		&(name), &(name)                                                                                       \
	}

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline void list_insert(struct list *node, struct list *prev, struct list *next)
{
	node->prev = prev;
	node->next = next;
	prev->next = node;
	next->prev = node;
}
static inline void list_add(struct list *head, struct list *node) { list_insert(node, head, head->next); }
static inline void list_add_tail(struct list *head, struct list *node) { list_insert(node, head->prev, head); }
/* The node is left as an empty list, so removing twice does no harm. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_for_each(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
/* Safe against removal of pos. */
#define list_for_each_safe(pos, head)                                                                                  \
	for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head);                                  \
	     pos = pos##_next, pos##_next = pos->next)

#endif
