/* The text keys of login: one table says of each key who may send it, in which stage, its type,
 * range, default and how the result comes about. Negotiation is a walk over the table.
 * Pure: no state but what is handed in. [RFC 7143 6.2, 13] */
#pragma once

#include "iscsi/text.h"

#include "base/text.h"
#include "iscsi/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_ANSWERS_ROOM     2048u /* that a whole answer needs at most */
#define LOGIN_DEFAULT_SEGMENT 8192u /* MaxRecvDataSegmentLength of a side that declares none */

/* What both sides agreed on; booleans are 0 or 1. In force from full feature phase on. */
struct login_values {
	uint32_t header_digest, data_digest; /* 1: CRC32C */
	uint32_t max_connections;
	uint32_t initial_r2t, immediate_data;
	uint32_t initiator_segment; /* MaxRecvDataSegmentLength that the initiator declared */
	uint32_t target_segment;    /* ... that we declared: the longest data segment we receive */
	uint32_t max_burst, first_burst;
	uint32_t time2wait, time2retain;
	uint32_t max_outstanding_r2t;
	uint32_t data_pdu_in_order, data_sequence_in_order;
	uint32_t error_recovery_level;
	uint32_t protocol_level;
};

/* Bits: the stages in which a key may come. */
enum key_stage {
	KEY_IN_SECURITY = 1,
	KEY_IN_OPERATIONAL = 2,
	KEY_IN_FULL_FEATURE = 4,
	KEY_FIRST = 8, /* only in the first request of a login */
};
#define KEY_IN_LOGIN (KEY_IN_SECURITY | KEY_IN_OPERATIONAL)

enum key_scope { KEY_OF_SESSION, KEY_OF_CONNECTION };

enum key_type {
	KEY_DECLARED,    /* text; the rest of the login reads it from the text block */
	KEY_SECURITY,    /* handled by the security stage */
	KEY_SEGMENT,     /* MaxRecvDataSegmentLength: each side declares its own */
	KEY_DIGEST,      /* list of None, CRC32C */
	KEY_LIST,        /* list of which we know one value */
	KEY_BOOLEAN,     /* Yes, No */
	KEY_NUMBER,      /* in a range */
	KEY_FIXED,       /* always the same answer */
	KEY_TARGET_ONLY, /* an initiator may not send it */
};

enum key_result { RESULT_NONE, RESULT_MIN, RESULT_MAX, RESULT_AND, RESULT_OR };

struct key_row {
	const char *name;
	enum key_scope scope;
	uint8_t stages; /* enum key_stage */
	enum key_type type;
	enum key_result result;
	uint32_t min, max;
	uint32_t fallback;     /* default: holds if the key was not offered */
	uint32_t own;          /* our own value, unless own_of() gives it */
	const char *answer;    /* KEY_FIXED; KEY_LIST: the value we know */
	uint16_t value_offset; /* in struct login_values, if has_value */
	bool has_value;
	uint32_t (*own_of)(const struct iscsi_controls *controls);
};

/* The row of a key, or NULL. Every row, for tests: keys_table(&count). */
const struct key_row *keys_find(const struct text_pair *pair);
const struct key_row *keys_table(size_t *ret_count);

/* Negotiation of one login. Zeroed memory plus keys_start(). */
struct keys_negotiation {
	struct login_values values;
	const struct iscsi_controls *controls; /* borrowed; NULL: those of a discovery session */
	uint64_t seen;                         /* bit = row of the table */
	bool segment_declared;                 /* ours was sent */
};
void keys_start(struct keys_negotiation *negotiation);

/* Marks the key of a pair as seen and checks that it may come in this stage (one bit of enum
 * key_stage, with KEY_FIRST in the first request). -EEXIST: for the second time; -EPROTO: not in
 * this stage, or not from an initiator. Unknown keys always pass. */
int keys_check(struct keys_negotiation *negotiation, const struct text_pair *pair,
               unsigned stage) MUST_CHECK;

/* Negotiates the operational keys of a whole text block and adds the answers, in the initiator's
 * order, NUL terminated, to ret_answers; other known keys get no answer, unknown ones
 * NotUnderstood. keys_check() was called for each pair. -EPROTO: an illegal value; ret_answers is
 * then `key=Reject` alone. */
int keys_negotiate(struct keys_negotiation *negotiation, const struct text_block *block,
                   struct string *ret_answers) MUST_CHECK;

/* Adds our MaxRecvDataSegmentLength if it was not sent yet. */
void keys_declare_segment(struct keys_negotiation *negotiation, struct string *ret_answers);

/* Adds `key=value` NUL; the second one with the key of an offer. */
void keys_add(struct string *answers, const char *key, const char *value);
void keys_add_answer(struct string *answers, const struct text_pair *pair, const char *value);
void keys_add_number(struct string *answers, const char *key, uint64_t value);

/* What holds when negotiation is over: bursts are brought in line with each other. */
struct login_values keys_finish(const struct keys_negotiation *negotiation);

/* The longest data segment to send: what the initiator takes, within the target's own bound. */
uint32_t keys_send_limit(const struct login_values *values, const struct iscsi_controls *controls);

/* The controls of discovery sessions, which belong to no target. */
const struct iscsi_controls *keys_discovery_controls(void);
