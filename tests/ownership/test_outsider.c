#include "ownership/outsider.h"

#include "open_store.h"
#include "store/store.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROW "outsider/rbd/disk_1"

static char listed[8192];

static int note(void *argument, const char *address)
{
	size_t len = strlen(listed);
	(void)snprintf(listed + len, sizeof listed - len, "%s ", address);
	return 0;
}

static int refuse(void *argument, const char *address)
{
	++*(unsigned *)argument;
	return -ENOMEM;
}

static const char *list(struct store *store)
{
	struct error err = { 0 };
	*listed = '\0';
	ASSERT_EQ(outsider_list(store, note, NULL, &err), 0);
	return listed;
}

static unsigned count_listed(struct store *store)
{
	unsigned count = 0;
	for (const char *at = list(store); (at = strchr(at, ' ')); at++)
		count++;
	return count;
}

static void write_address(struct store *store, const char *lun, const char *address)
{
	struct error err = { 0 };
	ASSERT_EQ(outsider_write(store, lun, address, &err), 0);
}

static void forget(struct store *store, const char *row)
{
	struct error err = { 0 };
	AUTO_FREE char *text = NULL;
	ASSERT_EQ(store_get_row(store, row, &text, &err), 0);
	ASSERT_EQ(store_put_row(store, row, text, NULL, &err), 0);
}

TEST(each_lun_has_the_last_client_of_each_host)
{
	AUTO(store) struct store *store = open_store();
	ASSERT_STR_EQ(list(store), "");
	write_address(store, "rbd/disk_1", "10.0.0.3:0/1");
	write_address(store, "rbd/disk_1", "10.0.0.4:0/2");
	write_address(store, "rbd/disk_1", "10.0.0.3:0/3"); /* it came back */
	write_address(store, "rbd/disk_1", "[fd00::1]:0/4");
	write_address(store, "rbd/disk_1", "[fd00::1]:0/5");
	write_address(store, "rbd/disk_2", "10.0.0.3:0/6");
	static const char *const there[] = { "10.0.0.3:0/3 ", "10.0.0.4:0/2 ", "[fd00::1]:0/5 ",
		                             "10.0.0.3:0/6 " };
	size_t len = 0;
	for (size_t i = 0; i < ARRAY_LEN(there); i++) {
		TEST_ROW("%s", there[i]);
		ASSERT_NOT_NULL(strstr(list(store), there[i]));
		len += strlen(there[i]);
	}
	ASSERT_EQ(strlen(list(store)), len);
	struct error err = { 0 };
	unsigned visits = 0;
	ASSERT_EQ(outsider_list(store, refuse, &visits, &err), -ENOMEM);
	ASSERT_EQ(visits, 1);
	forget(store, ROW);
	forget(store, "outsider/rbd/disk_2");
}

TEST(a_row_stays_small_and_one_that_is_damaged_begins_anew)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	ASSERT_EQ(store_put_row(store, ROW, NULL, "[1", &err), 0);
	ASSERT_STR_EQ(list(store), "");
	for (unsigned i = 0; i < 200; i++) {
		char address[32];
		(void)snprintf(address, sizeof address, "10.0.1.%u:0/7", i);
		write_address(store, "rbd/disk_1", address);
		ASSERT_NOT_NULL(strstr(list(store), address));
	}
	ASSERT_EQ(count_listed(store), 64);
	write_address(store, "rbd/disk_1", "10.0.1.136:0/8"); /* it is there, so nobody goes */
	write_address(store, "rbd/disk_1", "10.0.1.200:0/7"); /* the one of the longest ago goes */
	ASSERT_EQ(count_listed(store), 64);
	ASSERT_NULL(strstr(list(store), "10.0.1.137:"));
	ASSERT_NOT_NULL(strstr(list(store), "10.0.1.136:0/8 "));
	ASSERT_NOT_NULL(strstr(list(store), "10.0.1.138:0/7 "));
	forget(store, ROW);
}
