/* Fuzzes the text of Text Requests in full feature phase, and the readers of values. The input is
 * the text; its first byte says who asks. */
#include "fuzz.h"

#include "iscsi/discovery.h"

#include <string.h>

static char *addresses[] = { (char *)"10.77.0.11:3260", (char *)"[::]:3260" };
static struct iscsi_portal_group groups[] = { { 1, true, addresses, 2 } };
static struct iscsi_acl acls[] = { { .initiator_name = (char *)"iqn.client" } };
static struct iscsi_target targets[] = {
	{ .name = (char *)"iqn.t",
	  .acl_enabled = true,
	  .acls = acls,
	  .acl_count = 1,
	  .groups = groups,
	  .group_count = 1 },
};

/* Every reader of values must take anything; what it copies must fit. */
static void read_values(const struct text_block *block)
{
	struct text_pair pair;
	size_t offset = 0;
	while (text_block_next(block, &offset, &pair) > 0) {
		struct text_slice rest = pair.value, element;
		uint8_t bytes[32];
		char copy[16];
		uint64_t number;
		size_t len = 0;
		if (text_slice_binary(pair.value, bytes, sizeof(bytes), &len) == 0)
			check(len <= sizeof(bytes));
		if (text_slice_copy(pair.value, copy, sizeof(copy)) == 0)
			check(strlen(copy) == pair.value.len);
		while (text_slice_next_element(&rest, &element))
			if (text_slice_number(element, 5, 700, &number) == 0)
				check(number >= 5 && number <= 700);
	}
	check(offset <= block->len);
}

static void check_answers(const struct string *answers)
{
	const struct text_block block = { answers->text, answers->len };
	size_t offset = 0, total = 0;
	bool last = false;
	check(text_block_check(&block) == 0);
	while (!last) {
		const char *piece;
		total += text_answer_piece(answers, &offset, 512, &piece, &last);
	}
	check(total == answers->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct iscsi_config config = { .loaded = true,
		                             .discovery_by_acl = data[0] & 1,
		                             .targets = targets,
		                             .target_count = 1 };
	const struct text_asker asker = { &config, data[0] & 2 ? "iqn.client" : "iqn.stranger",
		                          data[0] & 4 ? targets : NULL,
		                          data[0] & 8 ? "10.77.0.11:3260" : "[fd00::1]:3260" };
	const struct text_block block = { (const char *)data + 1, size - 1 };
	AUTO_STRING struct string answers = { 0 };
	struct text_changes changes;
	read_values(&block);
	if (text_request_answer(&asker, &block, &answers, &changes) == 0) {
		check(changes.initiator_segment == 0 || changes.initiator_segment >= 512);
		check_answers(&answers);
	}
	return 0;
}
