#include "base/list.h"

#include "test.h"

struct item {
	int value;
	struct list link;
};

TEST(items_come_out_in_the_order_they_went_in)
{
	struct list head = LIST_INIT(head);
	struct item items[4];
	for (int i = 0; i < 4; i++) {
		items[i].value = i;
		list_append(&head, &items[i].link);
	}
	list_remove(&items[2].link);
	list_prepend(&head, &items[2].link);
	static const int expected[] = { 2, 0, 1, 3 };
	int at = 0;
	struct item *item, *following;
	list_for_each (item, &head, link)
		ASSERT_EQ(item->value, expected[at++]);
	list_for_each_safe (item, following, &head, link)
		list_remove(&item->link);
	ASSERT_TRUE(list_empty(&head));
	ASSERT_NULL(list_take_first(&head));
}

TEST(splice_moves_everything)
{
	struct list a = LIST_INIT(a), b = LIST_INIT(b);
	struct item one = { .value = 1 }, two = { .value = 2 };
	list_append(&a, &one.link);
	list_append(&b, &two.link);
	list_splice(&a, &b);
	ASSERT_TRUE(list_empty(&b));
	ASSERT_TRUE(list_take_first(&a) == &one.link);
	ASSERT_TRUE(list_take_first(&a) == &two.link);
	list_splice(&a, &b);
	ASSERT_TRUE(list_empty(&a));
}
