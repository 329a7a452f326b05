/* A light iSCSI initiator for benchmarks and tests: a blocking login, then any number of requests
 * in flight, batched in both directions. It checks every PDU that it gets and shares no code with
 * the target, so that it is an independent witness of the protocol. A session has one connection;
 * many initiators may be driven from one thread. Not thread safe. */
#pragma once

#include "base/error.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INITIATOR_DEPTH_MAX 4096
#define INITIATOR_R2T_MAX   16
#define INITIATOR_SENSE_MAX 96

struct initiator;

struct initiator_config {
	char host[256], port[8];
	char target_name[224], initiator_name[224];
	uint16_t lun;
	uint8_t isid[6];
	/* Empty user_name: no CHAP. Empty mutual_user_name: the target need not prove itself. */
	char user_name[256], secret[256];
	char mutual_user_name[256], mutual_secret[256];
	char chap_algorithms[32]; /* offered, as in CHAP_A: "5" is MD5, "7" SHA-256 */
	bool header_digest, data_digest;
	/* What the login offers [RFC 7143 13]. */
	bool initial_r2t, immediate_data;
	uint32_t max_recv_data_segment_length, first_burst_length, max_burst_length;
	uint32_t max_outstanding_r2t; /* below INITIATOR_R2T_MAX */
	unsigned depth;               /* requests in flight at most, up to INITIATOR_DEPTH_MAX */
	unsigned timeout_ms;          /* no sign of life for that long: -ETIMEDOUT */
};
void initiator_config_default(struct initiator_config *ret_config);
/* iscsi://[USER%SECRET@]HOST[:PORT]/TARGET/LUN over what config holds; HOST may be [IPv6].
 * -EINVAL. */
int initiator_config_parse(struct initiator_config *config, const char *url,
                           struct error *err) MUST_CHECK;

/* Connects and logs in; blocks. -ECONNREFUSED, -ETIMEDOUT, -EACCES (refused by the target),
 * -EPROTO (the target broke the protocol), ... */
int initiator_connect(const struct initiator_config *config, struct initiator **ret_initiator,
                      struct error *err) MUST_CHECK;
/* Drops the connection, without a logout. Requests in flight are forgotten. NULL is fine. */
void initiator_free(struct initiator *initiator);
DEFINE_AUTO(initiator);
/* Logs out and waits for the answer; only with nothing in flight. */
int initiator_logout(struct initiator *initiator, struct error *err) MUST_CHECK;

/* One SCSI command. The caller's until submitted and from done() on. */
struct initiator_request {
	uint8_t cdb[16];
	bool writes;
	const uint8_t *lun; /* 8 bytes; NULL: the configuration's */
	uint32_t len_bytes; /* Expected Data Transfer Length */
	/* Writes: what to send. Reads: where to put it; NULL = checked, but not kept. */
	uint8_t *data;
	/* Called inside initiator_turn(); may submit again. */
	void (*done)(struct initiator_request *request);

	/* The result, valid in done(). */
	uint8_t response, status; /* as in the SCSI Response; 0, 0 = GOOD */
	bool aborted;             /* by initiator_abort(); then nothing else is valid */
	uint8_t sense_len, sense[INITIATOR_SENSE_MAX];
	bool underflow, overflow;
	uint32_t residual;
	uint32_t received; /* bytes of Data-In */

	/* The initiator's own. */
	struct list link;
	bool completed, aborting;
	uint32_t tag, cmd_sn;
	uint32_t data_sn, r2t_sn, burst_bytes, solicited;
	unsigned open_bursts, burst_count;
	uint64_t sent_at; /* place in the stream where its last data byte leaves */
	struct initiator_burst {
		struct list link;
		struct initiator_request *request;
		uint32_t transfer_tag, offset, end, data_sn;
	} bursts[INITIATOR_R2T_MAX];
};

/* A LUN as requests name it, by peripheral or flat addressing. */
void initiator_lun(uint16_t lun, uint8_t ret_bytes[8]);

/* READ(16) or WRITE(16). */
void initiator_request_transfer(struct initiator_request *request, bool writes, uint64_t lba,
                                uint32_t blocks, uint32_t block_size);
/* One line for people: "GOOD", "CHECK CONDITION 03/11/00". */
void initiator_request_describe(const struct initiator_request *request, char *ret_text,
                                size_t room);

/* Queues a request; initiator_turn() sends it when the command window and the depth allow. */
void initiator_submit(struct initiator *initiator, struct initiator_request *request);
/* Sends ABORT TASK. The request ends aborted, or by an answer that came before. Nothing is done if
 * it was not sent as a whole yet, or is being aborted. */
void initiator_abort(struct initiator *initiator, struct initiator_request *request);
/* One turn, with wait: sends all that waits in as few calls as the socket takes, sleeps until
 * something comes, and calls done() of what it completed. Without: takes what has come first, then
 * sends, and never sleeps. After an error the connection is of no use any more; the reason is in
 * initiator_error(). */
int initiator_turn(struct initiator *initiator, bool wait) MUST_CHECK;
/* Submits one request and takes turns until it is done. */
int initiator_execute(struct initiator *initiator, struct initiator_request *request) MUST_CHECK;
const struct error *initiator_error(const struct initiator *initiator);

/* For an event loop of the caller's: wait for EPOLLIN, and EPOLLOUT while output waits. */
int initiator_fd(const struct initiator *initiator);
bool initiator_wants_write(const struct initiator *initiator);
/* Submitted and not done. */
unsigned initiator_in_flight(const struct initiator *initiator);
/* The target asked for a logout: what is in flight may still be answered. */
bool initiator_must_leave(const struct initiator *initiator);
uint16_t initiator_portal_group_tag(const struct initiator *initiator);

/* READ CAPACITY(16), after the unit attentions of a new nexus were taken. */
int initiator_read_capacity(struct initiator *initiator, uint64_t *ret_blocks,
                            uint32_t *ret_block_size, struct error *err) MUST_CHECK;
