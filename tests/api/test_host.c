#include "api/host.h"
#include "test.h"

#include <string.h>

TEST(an_address_is_in_what_names_it)
{
	static const struct {
		const char *address, *text;
		bool in;
	} rows[] = {
		{ "10.0.0.1", "10.0.0.1", true },        { "10.0.0.1", "10.0.0.2", false },
		{ "::ffff:10.0.0.1", "10.0.0.1", true }, { "fd00::1", "FD00:0:0::1", true },
		{ "fd00::1", "[fd00::1]", true },        { "10.0.3.7", "10.0.0.0/22", true },
		{ "10.0.4.7", "10.0.0.0/22", false },    { "10.0.4.7", "0.0.0.0/0", true },
		{ "fd00::1", "0.0.0.0/0", false },       { "fd00::1", "fd00::/8", true },
		{ "10.0.0.1", "10.0.0.0/33", false },    { "10.0.0.1", "10.0.0.0/", false },
		{ "10.0.0.1", "example.com", false },    { "10.0.0.1", "''", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip ip;
		TEST_ROW("%s in %s", rows[i].address, rows[i].text);
		ASSERT_TRUE(ip_parse(rows[i].address, &ip));
		ASSERT_EQ(ip_in(&ip, rows[i].text), rows[i].in);
	}
}

TEST(this_host_has_the_loopback_addresses_and_does_not_list_them)
{
	struct ip ip;
	ASSERT_TRUE(ip_parse("127.0.0.1", &ip));
	ASSERT_TRUE(host_has(&ip));
	ASSERT_TRUE(ip_parse("192.0.2.1", &ip));
	ASSERT_FALSE(host_has(&ip));
	AUTO_JSON json_t *list = host_addresses();
	size_t i;
	json_t *item;
	json_array_foreach (list, i, item)
		ASSERT_TRUE(strcmp(json_string_value(item), "127.0.0.1") != 0);
}
