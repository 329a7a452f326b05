/* A doubly linked list whose links sit in the objects. An unlinked link points at itself. */
#pragma once

#include "base/auto.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(name)          \
	{                        \
		&(name), &(name) \
	}

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_insert_before(struct list *at, struct list *link)
{
	link->prev = at->prev;
	link->next = at;
	at->prev->next = link;
	at->prev = link;
}
static inline void list_append(struct list *head, struct list *link)
{
	list_insert_before(head, link);
}
static inline void list_prepend(struct list *head, struct list *link)
{
	list_insert_before(head->next, link);
}
/* Also right for a link that is in no list. */
static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}
static inline struct list *list_take_first(struct list *head)
{
	if (list_empty(head))
		return NULL;
	struct list *link = head->next;
	list_remove(link);
	return link;
}
/* Moves all of from to the end of to. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(link, type, member) container_of(link, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_for_each(item, head, member)                                                         \
	for (item = list_entry((head)->next, __typeof__(*item), member); &item->member != (head); \
	     item = list_entry(item->member.next, __typeof__(*item), member))
/* item may be removed and freed inside the loop. */
#define list_for_each_safe(item, following, head, member)                         \
	for (item = list_entry((head)->next, __typeof__(*item), member),          \
	    following = list_entry(item->member.next, __typeof__(*item), member); \
	     &item->member != (head); item = following,                           \
	    following = list_entry(item->member.next, __typeof__(*item), member))
