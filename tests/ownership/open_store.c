/* See open_store.h. */
#include "open_store.h"

#include "store/store.h"
#include "test.h"

struct store *open_store(void)
{
	struct store_config config = { .kind = "dir", .path = test_folder(), .object = "o" };
	struct store *store = NULL;
	struct error err = { 0 };
	ASSERT_EQ(store_open(&config, &store, &err), 0);
	return store;
}
