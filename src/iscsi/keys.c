/* The key table and the negotiation that walks over it. Every key that the initiator offers is
 * answered, exactly once; nothing is offered that it did not offer: open-iscsi fails on keys it
 * does not expect, iPXE never answers them. [RFC 7143 6.2, 13] */
#include "iscsi/keys.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SEGMENT_MIN 512
#define SEGMENT_MAX 16777215

/* Longer answers are no honest initiator's doing; one more key stays within the room. */
#define ANSWERS_MAX (KEYS_ANSWERS_ROOM - KEY_NAME_MAX - sizeof("=NotUnderstood"))

static uint32_t own_first_burst(const struct iscsi_controls *controls)
{
	return controls->first_burst_length;
}
static uint32_t own_max_burst(const struct iscsi_controls *controls)
{
	return controls->max_burst_length;
}
static uint32_t own_segment(const struct iscsi_controls *controls)
{
	return controls->max_recv_data_segment_length;
}
static uint32_t own_max_outstanding_r2t(const struct iscsi_controls *controls)
{
	return controls->max_outstanding_r2t;
}
static uint32_t own_immediate_data(const struct iscsi_controls *controls)
{
	return controls->immediate_data;
}
static uint32_t own_initial_r2t(const struct iscsi_controls *controls)
{
	return controls->initial_r2t;
}

#define VALUE(field) .has_value = true, .value_offset = offsetof(struct login_values, field)
#define DECLARED(key, when)                                                                \
	{                                                                                  \
		.name = key, .scope = KEY_OF_SESSION, .stages = when, .type = KEY_DECLARED \
	}
#define SECURITY(key)                                                               \
	{                                                                           \
		.name = key, .scope = KEY_OF_CONNECTION, .stages = KEY_IN_SECURITY, \
		.type = KEY_SECURITY                                                \
	}
#define OPERATIONAL(of, how) .scope = of, .stages = KEY_IN_OPERATIONAL, .type = how
#define FIXED(key, text)                                                               \
	{                                                                              \
		.name = key, OPERATIONAL(KEY_OF_CONNECTION, KEY_FIXED), .answer = text \
	}
#define TARGET_ONLY(key)                                                      \
	{                                                                     \
		.name = key, .scope = KEY_OF_SESSION, .stages = KEY_IN_LOGIN, \
		.type = KEY_TARGET_ONLY                                       \
	}

static const struct key_row rows[] = {
	DECLARED("InitiatorName", KEY_FIRST),
	DECLARED("TargetName", KEY_FIRST),
	DECLARED("SessionType", KEY_FIRST),
	DECLARED("InitiatorAlias", KEY_IN_LOGIN | KEY_IN_FULL_FEATURE),
	DECLARED("SendTargets", KEY_IN_FULL_FEATURE),
	TARGET_ONLY("TargetAlias"),
	TARGET_ONLY("TargetAddress"),
	TARGET_ONLY("TargetPortalGroupTag"),

	SECURITY("AuthMethod"),
	SECURITY("CHAP_A"),
	SECURITY("CHAP_I"),
	SECURITY("CHAP_C"),
	SECURITY("CHAP_N"),
	SECURITY("CHAP_R"),

	{ .name = "HeaderDigest",
	  OPERATIONAL(KEY_OF_CONNECTION, KEY_DIGEST),
	  VALUE(header_digest) },
	{ .name = "DataDigest", OPERATIONAL(KEY_OF_CONNECTION, KEY_DIGEST), VALUE(data_digest) },
	{ .name = "MaxRecvDataSegmentLength",
	  .scope = KEY_OF_CONNECTION,
	  .stages = KEY_IN_OPERATIONAL | KEY_IN_FULL_FEATURE,
	  .type = KEY_SEGMENT,
	  .min = SEGMENT_MIN,
	  .max = SEGMENT_MAX,
	  .fallback = LOGIN_DEFAULT_SEGMENT,
	  .own_of = own_segment,
	  VALUE(initiator_segment) },
	{ .name = "MaxConnections",
	  OPERATIONAL(KEY_OF_SESSION, KEY_NUMBER),
	  .result = RESULT_MIN,
	  .min = 1,
	  .max = 65535,
	  .fallback = 1,
	  .own = 1,
	  VALUE(max_connections) },
	{ .name = "InitialR2T",
	  OPERATIONAL(KEY_OF_SESSION, KEY_BOOLEAN),
	  .result = RESULT_OR,
	  .fallback = 1,
	  .own_of = own_initial_r2t,
	  VALUE(initial_r2t) },
	{ .name = "ImmediateData",
	  OPERATIONAL(KEY_OF_SESSION, KEY_BOOLEAN),
	  .result = RESULT_AND,
	  .fallback = 1,
	  .own_of = own_immediate_data,
	  VALUE(immediate_data) },
	{ .name = "MaxBurstLength",
	  OPERATIONAL(KEY_OF_SESSION, KEY_NUMBER),
	  .result = RESULT_MIN,
	  .min = SEGMENT_MIN,
	  .max = SEGMENT_MAX,
	  .fallback = 262144,
	  .own_of = own_max_burst,
	  VALUE(max_burst) },
	{ .name = "FirstBurstLength",
	  OPERATIONAL(KEY_OF_SESSION, KEY_NUMBER),
	  .result = RESULT_MIN,
	  .min = SEGMENT_MIN,
	  .max = SEGMENT_MAX,
	  .fallback = 65536,
	  .own_of = own_first_burst,
	  VALUE(first_burst) },
	{ .name = "DefaultTime2Wait",
	  OPERATIONAL(KEY_OF_SESSION, KEY_NUMBER),
	  .result = RESULT_MAX,
	  .max = 3600,
	  .fallback = 2,
	  .own = 2,
	  VALUE(time2wait) },
	{ .name = "DefaultTime2Retain",
	  OPERATIONAL(KEY_OF_SESSION, KEY_NUMBER),
	  .result = RESULT_MIN,
	  .max = 3600,
	  .fallback = 20,
	  .own = 20,
	  VALUE(time2retain) },
	{ .name = "MaxOutstandingR2T",
	  OPERATIONAL(KEY_OF_SESSION, KEY_NUMBER),
	  .result = RESULT_MIN,
	  .min = 1,
	  .max = 65535,
	  .fallback = 1,
	  .own_of = own_max_outstanding_r2t,
	  VALUE(max_outstanding_r2t) },
	{ .name = "DataPDUInOrder",
	  OPERATIONAL(KEY_OF_SESSION, KEY_BOOLEAN),
	  .result = RESULT_OR,
	  .fallback = 1,
	  .own = 1,
	  VALUE(data_pdu_in_order) },
	{ .name = "DataSequenceInOrder",
	  OPERATIONAL(KEY_OF_SESSION, KEY_BOOLEAN),
	  .result = RESULT_OR,
	  .fallback = 1,
	  .own = 1,
	  VALUE(data_sequence_in_order) },
	{ .name = "ErrorRecoveryLevel",
	  OPERATIONAL(KEY_OF_SESSION, KEY_NUMBER),
	  .result = RESULT_MIN,
	  .max = 2,
	  .own = 0,
	  VALUE(error_recovery_level) },
	{ .name = "iSCSIProtocolLevel",
	  OPERATIONAL(KEY_OF_SESSION, KEY_NUMBER),
	  .result = RESULT_MIN,
	  .max = 31,
	  .fallback = 1,
	  .own = 1,
	  VALUE(protocol_level) },
	{ .name = "TaskReporting", OPERATIONAL(KEY_OF_SESSION, KEY_LIST), .answer = "RFC3720" },

	/* Obsolete, yet open-iscsi and libiscsi send the first two in every login [13.25]. */
	FIXED("IFMarker", "No"),
	FIXED("OFMarker", "No"),
	FIXED("IFMarkInt", "Reject"),
	FIXED("OFMarkInt", "Reject"),

	/* iSER's keys have no meaning on TCP [RFC 7145 6]. */
	FIXED("RDMAExtensions", "No"),
	FIXED("TargetRecvDataSegmentLength", "Irrelevant"),
	FIXED("InitiatorRecvDataSegmentLength", "Irrelevant"),
	FIXED("MaxOutstandingUnexpectedPDUs", "Irrelevant"),
	FIXED("MaxAHSLength", "Irrelevant"),
	FIXED("TaggedBufferForSolicitedDataOnly", "Irrelevant"),
	FIXED("iSERHelloRequired", "Irrelevant"),
};

_Static_assert(ARRAY_LEN(rows) <= 64, "one bit a row in keys_negotiation.seen");

const struct key_row *keys_table(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(rows);
	return rows;
}

const struct key_row *keys_find(const struct text_pair *pair)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (text_slice_is(pair->key, rows[i].name))
			return &rows[i];
	return NULL;
}

const struct iscsi_controls *keys_discovery_controls(void)
{
	static const struct iscsi_controls controls = {
		.first_burst_length = 65536,
		.max_burst_length = 262144,
		.max_recv_data_segment_length = 262144,
		.max_xmit_data_segment_length = 262144,
		.max_outstanding_r2t = 1,
		.command_window = 1,
		.immediate_data = true,
		.initial_r2t = true,
	};
	return &controls;
}

static uint32_t *value_of(struct login_values *values, const struct key_row *row)
{
	assert(row->has_value);
	return (uint32_t *)(void *)((char *)values + row->value_offset);
}

/* A control that was never set, or is out of the key's range, gives the nearest legal value. */
static uint32_t own_value(const struct key_row *row, const struct iscsi_controls *controls)
{
	uint32_t own = row->own_of ? row->own_of(controls) : row->own;
	if (row->type == KEY_BOOLEAN)
		return own != 0;
	return own < row->min ? row->min : own > row->max ? row->max : own;
}

static const struct iscsi_controls *controls_of(const struct keys_negotiation *negotiation)
{
	return negotiation->controls ? negotiation->controls : keys_discovery_controls();
}

void keys_start(struct keys_negotiation *negotiation)
{
	*negotiation = (struct keys_negotiation){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].has_value)
			*value_of(&negotiation->values, &rows[i]) = rows[i].fallback;
	negotiation->values.target_segment = LOGIN_DEFAULT_SEGMENT;
}

int keys_check(struct keys_negotiation *negotiation, const struct text_pair *pair, unsigned stage)
{
	const struct key_row *row = keys_find(pair);
	if (!row)
		return 0;
	uint64_t bit = UINT64_C(1) << (row - rows);
	if (negotiation->seen & bit)
		return -EEXIST;
	if (!(row->stages & stage) || row->type == KEY_TARGET_ONLY)
		return -EPROTO;
	negotiation->seen |= bit;
	return 0;
}

void keys_add_answer(struct string *answers, const struct text_pair *pair, const char *value)
{
	string_add_bytes(answers, pair->key.text, pair->key.len);
	string_add_char(answers, '=');
	string_add(answers, value);
	string_add_char(answers, '\0');
}

void keys_add(struct string *answers, const char *key, const char *value)
{
	const struct text_pair pair = { .key = { key, strlen(key) } };
	keys_add_answer(answers, &pair, value);
}

void keys_add_number(struct string *answers, const char *key, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, value);
	keys_add(answers, key, text);
}

static uint32_t combine(enum key_result result, uint32_t offer, uint32_t own)
{
	switch (result) {
	case RESULT_MIN:
		return offer < own ? offer : own;
	case RESULT_MAX:
		return offer > own ? offer : own;
	case RESULT_AND:
		return offer && own;
	case RESULT_OR:
		return offer || own;
	case RESULT_NONE:
		break;
	}
	return offer;
}

/* "None" and "CRC32C" are both fine with us: the initiator's first one wins. */
static int parse_digest(struct text_slice offer, uint32_t *ret_value)
{
	struct text_slice element;
	while (text_slice_next_element(&offer, &element)) {
		if (text_slice_is(element, "None") || text_slice_is(element, "CRC32C")) {
			*ret_value = text_slice_is(element, "CRC32C");
			return 0;
		}
	}
	return -EPROTO;
}

static int parse_boolean(struct text_slice offer, uint32_t *ret_value)
{
	if (!text_slice_is(offer, "Yes") && !text_slice_is(offer, "No"))
		return -EPROTO;
	*ret_value = text_slice_is(offer, "Yes");
	return 0;
}

static int parse_number(const struct key_row *row, struct text_slice offer, uint32_t *ret_value)
{
	uint64_t number;
	if (text_slice_number(offer, row->min, row->max, &number) < 0)
		return -EPROTO;
	*ret_value = (uint32_t)number;
	return 0;
}

/* First walk: the result of one offer into the values. */
static int take_offer(struct keys_negotiation *negotiation, const struct key_row *row,
                      struct text_slice offer)
{
	uint32_t value = 0;
	int r = 0;
	switch (row->type) {
	case KEY_DIGEST:
		r = parse_digest(offer, &value);
		break;
	case KEY_BOOLEAN:
		r = parse_boolean(offer, &value);
		break;
	case KEY_NUMBER:
	case KEY_SEGMENT:
		r = parse_number(row, offer, &value);
		break;
	default:
		return 0;
	}
	if (r < 0)
		return r;
	if (row->result != RESULT_NONE)
		value = combine(row->result, value, own_value(row, controls_of(negotiation)));
	*value_of(&negotiation->values, row) = value;
	return 0;
}

static const char *answer_list(const struct key_row *row, struct text_slice offer)
{
	struct text_slice element;
	while (text_slice_next_element(&offer, &element))
		if (text_slice_is(element, row->answer))
			return row->answer;
	return "Reject"; /* the default stays, nobody relies on the others */
}

/* Second walk: the answer to one offer, from the values, which are in line with each other now. */
static void answer_offer(struct keys_negotiation *negotiation, const struct key_row *row,
                         struct text_slice offer, struct string *answers)
{
	uint32_t value = row->has_value ? *value_of(&negotiation->values, row) : 0;
	switch (row->type) {
	case KEY_DIGEST:
		keys_add(answers, row->name, value ? "CRC32C" : "None");
		break;
	case KEY_BOOLEAN:
		keys_add(answers, row->name, value ? "Yes" : "No");
		break;
	case KEY_NUMBER:
		keys_add_number(answers, row->name, value);
		break;
	case KEY_SEGMENT:
		keys_declare_segment(negotiation, answers);
		break;
	case KEY_LIST:
		keys_add(answers, row->name, answer_list(row, offer));
		break;
	case KEY_FIXED:
		keys_add(answers, row->name, row->answer);
		break;
	case KEY_DECLARED:
	case KEY_SECURITY:
	case KEY_TARGET_ONLY:
		break;
	}
}

static int take_offers(struct keys_negotiation *negotiation, const struct text_block *block,
                       struct string *answers)
{
	struct text_pair pair;
	size_t offset = 0;
	while (text_block_next(block, &offset, &pair) > 0) {
		const struct key_row *row = keys_find(&pair);
		if (row && take_offer(negotiation, row, pair.value) < 0) {
			string_clear(answers);
			keys_add_answer(answers, &pair, "Reject");
			return -EPROTO;
		}
	}
	return 0;
}

int keys_negotiate(struct keys_negotiation *negotiation, const struct text_block *block,
                   struct string *ret_answers)
{
	int r = take_offers(negotiation, block, ret_answers);
	if (r < 0)
		return r;
	/* open-iscsi's own tests offer FirstBurstLength above MaxBurstLength. */
	struct login_values *values = &negotiation->values;
	if (values->first_burst > values->max_burst)
		values->first_burst = values->max_burst;

	struct text_pair pair;
	size_t offset = 0;
	while (text_block_next(block, &offset, &pair) > 0) {
		const struct key_row *row = keys_find(&pair);
		if (row)
			answer_offer(negotiation, row, pair.value, ret_answers);
		else
			keys_add_answer(ret_answers, &pair, "NotUnderstood");
		if (ret_answers->len > ANSWERS_MAX)
			return -E2BIG;
	}
	return ret_answers->failed ? -ENOMEM : 0;
}

void keys_declare_segment(struct keys_negotiation *negotiation, struct string *ret_answers)
{
	if (negotiation->segment_declared)
		return;
	uint32_t segment = controls_of(negotiation)->max_recv_data_segment_length;
	segment = segment < SEGMENT_MIN   ? SEGMENT_MIN
	          : segment > SEGMENT_MAX ? SEGMENT_MAX
	                                  : segment;
	keys_add_number(ret_answers, "MaxRecvDataSegmentLength", segment);
	negotiation->values.target_segment = segment;
	negotiation->segment_declared = true;
}

struct login_values keys_finish(const struct keys_negotiation *negotiation)
{
	struct login_values values = negotiation->values;
	if (values.first_burst > values.max_burst)
		values.first_burst = values.max_burst;
	return values;
}

uint32_t keys_send_limit(const struct login_values *values, const struct iscsi_controls *controls)
{
	uint32_t own = controls->max_xmit_data_segment_length;
	return own >= SEGMENT_MIN && own < values->initiator_segment ? own
	                                                             : values->initiator_segment;
}
