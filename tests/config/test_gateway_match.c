/* Which gateway of a list a name means. */
#include "config/gateway_match.h"
#include "test.h"

TEST(a_gateway_is_meant_by_its_name_or_by_a_first_label_that_only_one_has)
{
	static const struct {
		const char *wanted, *found;
	} rows[] = {
		{ "gw1.example.com", "gw1.example.com" },
		{ "gw1", "gw1.example.com" },
		{ "gw2", NULL }, /* two have it */
		{ "gw2.example.org", "gw2.example.org" },
		{ "gw3", "gw3" }, /* a whole name, whatever else begins so */
		{ "gw", NULL },
		{ "gw1.example", NULL },
		{ "", NULL },
	};
	AUTO_JSON json_t *list = json_pack("[s, s, s, s, s]", "gw1.example.com", "gw2.example.com",
	                                   "gw2.example.org", "gw3.example.com", "gw3");
	AUTO_JSON json_t *object =
	        json_pack("{s:{}, s:{}, s:{}, s:{}, s:{}}", "gw3", "gw3.example.com",
	                  "gw2.example.org", "gw2.example.com", "gw1.example.com");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const json_t *names[] = { list, object };
		TEST_ROW("%s", rows[i].wanted);
		for (size_t j = 0; j < ARRAY_LEN(names); j++) {
			const char *found = gateway_match(names[j], rows[i].wanted);
			if (rows[i].found)
				ASSERT_STR_EQ(found, rows[i].found);
			else
				ASSERT_NULL(found);
		}
	}
	ASSERT_NULL(gateway_match(NULL, "gw1"));
}
