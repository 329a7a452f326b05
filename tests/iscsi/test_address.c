/* Portal addresses and the portal group of a connection. */
#include "iscsi/address.h"

#include "test.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *text, *shown; /* NULL: refused */
} addresses[] = {
	{ "10.77.0.1:3260", "10.77.0.1:3260" },
	{ "10.77.0.1", "10.77.0.1:3260" },
	{ "10.77.0.1:13260", "10.77.0.1:13260" },
	{ "[fd00::1]:3260", "[fd00::1]:3260" },
	{ "[FD00:0:0::1]", "[fd00::1]:3260" },
	{ "fd00::1", "[fd00::1]:3260" },
	{ "[::ffff:10.77.0.1]:3260", "10.77.0.1:3260" },
	{ "[::]:3260", "[::]:3260" },
	{ "0.0.0.0:3260", "0.0.0.0:3260" },
	{ "10.77.0.1:0", NULL },
	{ "10.77.0.1:65536", NULL },
	{ "10.77.0.1:", NULL },
	{ "10.77.0:3260", NULL },
	{ "gateway:3260", NULL },
	{ "[fd00::1", NULL },
	{ "[fd00::1]3260", NULL },
	{ "", NULL },
	{ "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", NULL },
};

TEST(an_address_has_one_spelling_in_the_end)
{
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		struct portal_address address;
		char shown[PORTAL_TEXT_MAX];
		TEST_ROW("%s", addresses[i].text);
		int r = portal_address_parse(addresses[i].text, &address);
		ASSERT_EQ(r, addresses[i].shown ? 0 : -EINVAL);
		if (r < 0)
			continue;
		portal_address_format(&address, shown, sizeof(shown));
		ASSERT_STR_EQ(shown, addresses[i].shown);
	}
}

TEST(a_connection_belongs_to_its_own_address_before_a_wildcard)
{
	static const struct {
		const char *local;
		int tag; /* 0: none */
	} rows[] = {
		{ "10.77.0.1:3260", 2 },  { "10.77.0.9:3260", 1 },   { "10.77.0.1:3261", 0 },
		{ "[fd00::1]:3260", 0 },  { "[fd00::1]:3262", 3 },   { "10.77.0.1:3262", 3 },
		{ "10.77.0.12:3263", 0 }, { "[fd00:0::5]:3264", 5 },
	};
	static char *any[] = { (char *)"0.0.0.0:3260" }, *one[] = { (char *)"10.77.0.1:3260" },
	            *any6[] = { (char *)"[::]:3262" }, *remote[] = { (char *)"10.77.0.12:3263" },
	            *one6[] = { (char *)"[FD00::0:5]:3264" };
	struct iscsi_portal_group groups[] = {
		{ 1, true, any, 1 },     { 2, true, one, 1 },  { 3, true, any6, 1 },
		{ 4, false, remote, 1 }, { 5, true, one6, 1 },
	};
	const struct iscsi_target target = { .groups = groups, .group_count = ARRAY_LEN(groups) };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct portal_address local;
		TEST_ROW("%s", rows[i].local);
		ASSERT_EQ(portal_address_parse(rows[i].local, &local), 0);
		const struct iscsi_portal_group *group = portal_group_of(&target, &local);
		ASSERT_EQ(group ? group->tag : 0, rows[i].tag);
	}
}
