/* A look at the fence debt that fails. What it reads and asks is the test's. */
#include "ownership/fence.h"

#include "base/json.h"
#include "base/reactor.h"
#include "cluster/client.h"
#include "cluster/command.h"
#include "ownership/debt.h"
#include "test.h"

#include <errno.h>

#define HOUR_S 3600

static int list_result, fences_result;
static json_int_t left_s; /* of the only entry */

json_t *debt_life_of(struct store *store, const char *gateway, const char *instance)
{
	return NULL;
}

int debt_write(struct store *store, const char *address, const char *gateway, const char *instance,
               json_t *process, uint64_t until_s, struct error *err)
{
	return 0;
}

int debt_settle(struct store *store, const char *instance, struct error *err)
{
	return 0;
}

int debt_list(struct store *store,
              int (*visit)(void *argument, const char *address, const json_t *debt), void *argument,
              struct error *err)
{
	return list_result < 0 ? list_result : visit(argument, "10.0.0.1:0/1", NULL);
}

int outsider_write(struct store *store, const char *lun, const char *address, struct error *err);
int outsider_write(struct store *store, const char *lun, const char *address, struct error *err)
{
	return 0;
}

int outsider_list(struct store *store, int (*visit)(void *argument, const char *address),
                  void *argument, struct error *err);
int outsider_list(struct store *store, int (*visit)(void *argument, const char *address),
                  void *argument, struct error *err)
{
	return 0;
}

int cluster_fence(struct cluster_client *client, const char *address, unsigned expire_s,
                  struct error *err)
{
	return 0;
}

bool cluster_knows_time(struct cluster_client *client)
{
	return true;
}

int cluster_list_fences(struct cluster_client *client, json_t **ret_entries, struct error *err)
{
	if (fences_result == 0)
		*ret_entries = json_pack("{s:I}", "10.0.0.1:0/1", left_s);
	return fences_result;
}

int cluster_wait_for_map(struct cluster_client *client, struct error *err)
{
	return 0;
}

static bool is_due(struct fence *fence)
{
	return fence_due_ms(fence) <= clock_monotonic_ms();
}

TEST(a_look_that_failed_is_due_at_once_again)
{
	static const struct {
		int list_result, fences_result;
	} rows[] = { { -ETIMEDOUT, 0 }, { 0, -ETIMEDOUT } };
	struct fence_config config = { .control = (struct cluster_client *)&config };
	left_s = HOUR_S;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(fence) struct fence *fence = NULL;
		struct error err = { 0 };
		TEST_ROW("row %zu", i);
		ASSERT_EQ(fence_new(&config, &fence), 0);
		list_result = fences_result = 0;
		ASSERT_EQ(fence_renew(fence, &err), 0);
		ASSERT_FALSE(is_due(fence));
		ASSERT_TRUE(fence_due_ms(fence) < clock_monotonic_ms() + HOUR_S * 1000);

		list_result = rows[i].list_result;
		fences_result = rows[i].fences_result;
		ASSERT_EQ(fence_renew(fence, &err), -ETIMEDOUT);
		ASSERT_TRUE(is_due(fence));

		list_result = fences_result = 0;
		ASSERT_EQ(fence_renew(fence, &err), 0);
		ASSERT_FALSE(is_due(fence));
	}
}
