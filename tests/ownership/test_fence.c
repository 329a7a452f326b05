#include "ownership/fence.h"

#include "open_store.h"
#include "ownership/debt.h"
#include "ownership/registration.h"
#include "store/store.h"
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

TEST(without_a_cluster_there_is_nothing_to_fence)
{
	AUTO(store) struct store *store = open_store();
	struct fence_config config = { .store = store };
	struct error err = { 0 };
	AUTO(fence) struct fence *fence = NULL;
	ASSERT_EQ(fence_new(&config, &fence), 0);
	ASSERT_EQ(fence_addresses(fence, NULL, 0, "gw-1", "i1", &err), 0);
	ASSERT_EQ(fence_renew(fence, &err), 0);
	ASSERT_FALSE(fence_is_fenced(fence, "10.0.0.1:0/1"));
}

static bool has_debt(struct store *store, const char *key)
{
	AUTO_FREE char *text = NULL;
	struct error err = { 0 };
	int r = store_get_row(store, key, &text, &err);
	ASSERT_TRUE(r == 0 || r == -ENOENT);
	return r == 0;
}

TEST(the_debt_of_an_instance_is_settled_whole_and_nobody_elses)
{
	AUTO(store) struct store *store = open_store();
	struct fence_config config = { .store = store };
	struct error err = { 0 };
	AUTO(fence) struct fence *fence = NULL;
	ASSERT_EQ(fence_new(&config, &fence), 0);
	ASSERT_EQ(debt_write(store, "10.0.0.1:0/1", "gw-1", "i1", NULL, 100, &err), 0);
	ASSERT_EQ(debt_write(store, "10.0.0.1:0/1", "gw-1", "i1", NULL, 50, &err), 0);
	ASSERT_EQ(debt_write(store, "10.0.0.1:0/2", "gw-1", "i1", NULL, 100, &err), 0);
	ASSERT_EQ(debt_write(store, "10.0.0.1:0/3", "gw-1", "i2", NULL, 100, &err), 0);
	AUTO_FREE char *text = NULL;
	ASSERT_EQ(store_get_row(store, "debt/10.0.0.1:0/1", &text, &err), 0);
	ASSERT_NOT_NULL(strstr(text, "\"until\":100"));
	ASSERT_EQ(fence_settle(fence, "i1", &err), 0);
	ASSERT_FALSE(has_debt(store, "debt/10.0.0.1:0/1"));
	ASSERT_FALSE(has_debt(store, "debt/10.0.0.1:0/2"));
	ASSERT_TRUE(has_debt(store, "debt/10.0.0.1:0/3"));
	ASSERT_EQ(fence_settle(fence, "i2", &err), 0);
}

/* A registration of gw-2, and a debt as one that fenced it would write. */
static void fence_living(struct store *store, char ret_instance[INSTANCE_MAX])
{
	struct error err = { 0 };
	AUTO(registration) struct registration *registration = NULL;
	ASSERT_EQ(registration_new(store, "gw-2", &registration, &err), 0);
	(void)strcpy(ret_instance, registration_instance(registration));
	AUTO_JSON json_t *life = debt_life_of(store, "gw-2", ret_instance);
	json_t *process = json_object_get(life, "process");
	ASSERT_NOT_NULL(process);
	ASSERT_EQ(debt_write(store, "10.0.0.2:0/1", "gw-2", ret_instance, process, 100, &err), 0);
}

static void register_again(struct store *store)
{
	struct error err = { 0 };
	AUTO(registration) struct registration *registration = NULL;
	ASSERT_EQ(registration_new(store, "gw-2", &registration, &err), 0);
}

TEST(a_successor_settles_the_debt_of_a_process_that_is_gone_only)
{
	AUTO(store) struct store *store = open_store();
	char instance[INSTANCE_MAX];
	struct error err = { 0 };
	fence_living(store, instance);
	register_again(store);
	ASSERT_TRUE(has_debt(store, "debt/10.0.0.2:0/1")); /* it is this process, and lives */

	/* The same process, executed anew. */
	ASSERT_EQ(setenv("RBDGATE_FORMER_INSTANCE", instance, 1), 0);
	register_again(store);
	ASSERT_EQ(unsetenv("RBDGATE_FORMER_INSTANCE"), 0);
	ASSERT_FALSE(has_debt(store, "debt/10.0.0.2:0/1"));

	/* One whose pid is another process's by now. */
	fence_living(store, instance);
	AUTO_FREE char *text = NULL, *older = NULL;
	ASSERT_EQ(store_get_row(store, "debt/10.0.0.2:0/1", &text, &err), 0);
	AUTO_JSON json_t *debt = json_loads(text, 0, NULL);
	ASSERT_EQ(json_object_set_new(json_object_get(debt, "process"), "start", json_integer(1)),
	          0);
	older = json_format(debt, &json_style_compact);
	ASSERT_EQ(store_put_row(store, "debt/10.0.0.2:0/1", text, older, &err), 0);
	register_again(store);
	ASSERT_FALSE(has_debt(store, "debt/10.0.0.2:0/1"));
}

/* Survivors may be slower than the service manager: what they write is settled all the same. */
TEST(the_debt_of_an_instance_that_was_fenced_after_its_successor_began_is_settled)
{
	AUTO(store) struct store *store = open_store();
	char first[INSTANCE_MAX];
	struct error err = { 0 };
	fence_living(store, first);
	AUTO(registration) struct registration *second = NULL;
	ASSERT_EQ(registration_new(store, "gw-2", &second, &err), 0);
	ASSERT_STR_EQ(registration_former(second), first);
	AUTO_JSON json_t *life = debt_life_of(store, "gw-2", first);
	json_t *process = json_object_get(life, "process");
	ASSERT_NOT_NULL(process);
	AUTO_JSON json_t *own = debt_life_of(store, "gw-2", registration_instance(second));
	ASSERT_NOT_NULL(json_object_get(own, "process"));
	AUTO_JSON json_t *strange = debt_life_of(store, "gw-2", "");
	ASSERT_NULL(strange);
	/* That process is gone. */
	ASSERT_EQ(json_object_set_new(process, "start", json_integer(1)), 0);
	ASSERT_EQ(debt_write(store, "10.0.0.2:0/7", "gw-2", first, process, 100, &err), 0);
	register_again(store);
	ASSERT_FALSE(has_debt(store, "debt/10.0.0.2:0/7"));
}

/* The first life is frozen, perhaps, wherever it is: its debt stays until that process is gone. */
TEST(a_life_that_ended_before_it_had_fenced_its_past_does_not_answer_for_that)
{
	AUTO(store) struct store *store = open_store();
	char first[INSTANCE_MAX];
	struct error err = { 0 };
	AUTO(registration) struct registration *frozen = NULL, *second = NULL, *third = NULL;
	ASSERT_EQ(registration_new(store, "gw-3", &frozen, &err), 0);
	ASSERT_EQ(registration_add(frozen, "10.0.0.3:0/1", &err), 0);
	(void)strcpy(first, registration_instance(frozen));

	/* The second one ends at once. */
	ASSERT_EQ(registration_new(store, "gw-3", &second, &err), 0);
	AUTO_FREE char *text = NULL, *gone = NULL;
	ASSERT_EQ(store_get_row(store, "gateway/gw-3", &text, &err), 0);
	AUTO_JSON json_t *row = json_loads(text, 0, NULL);
	ASSERT_EQ(json_object_set_new(json_object_get(row, "process"), "start", json_integer(1)),
	          0);
	gone = json_format(row, &json_style_compact);
	ASSERT_EQ(store_put_row(store, "gateway/gw-3", text, gone, &err), 0);
	AUTO_JSON json_t *survivors = debt_life_of(store, "gw-3", registration_instance(second));
	ASSERT_STR_EQ(json_text(survivors, "instance", ""), first);

	ASSERT_EQ(registration_new(store, "gw-3", &third, &err), 0);
	ASSERT_STR_EQ(registration_former(third), first);
	AUTO_JSON json_t *life = debt_life_of(store, "gw-3", registration_former(third));
	ASSERT_STR_EQ(json_text(life, "instance", ""), first);
	ASSERT_EQ(debt_write(store, "10.0.0.3:0/1", "gw-3", first, json_object_get(life, "process"),
	                     100, &err),
	          0);
	ASSERT_EQ(registration_drop_past(third, &err), 0);
	ASSERT_EQ(registration_add(third, "10.0.0.3:0/3", &err), 0);
	ASSERT_EQ(debt_settle_gone(store, "gw-3", &err), 0);
	ASSERT_TRUE(has_debt(store, "debt/10.0.0.3:0/1")); /* this very process */
	AUTO_JSON json_t *own = debt_life_of(store, "gw-3", registration_instance(third));
	ASSERT_STR_EQ(json_text(own, "instance", ""), registration_instance(third));
}
