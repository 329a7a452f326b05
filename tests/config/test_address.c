#include "config/address.h"
#include "test.h"

TEST(addresses_compare_in_binary)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
		{ "10.0.0.1", "10.0.0.1", true },
		{ "10.0.0.1", "10.0.0.2", false },
		{ "fd00::1", "FD00:0:0::1", true },
		{ "[fd00::1]", "fd00::1", true },
		{ "::ffff:10.0.0.1", "10.0.0.1", false },
		{ "gw1", "gw1", true },
		{ "gw1", "gw2", false },
		{ "", "10.0.0.1", false },
		{ "[10.0.0.1]", "10.0.0.1", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s %s", rows[i].a, rows[i].b);
		ASSERT_EQ(address_equal(rows[i].a, rows[i].b), rows[i].equal);
	}
	ASSERT_TRUE(address_is_valid("[::1]"));
	ASSERT_FALSE(address_is_valid("gw1"));
	ASSERT_FALSE(address_is_valid("1.2.3.4:5"));
}
