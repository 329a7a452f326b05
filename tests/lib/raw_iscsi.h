/* An initiator that does exactly what a test tells it, right or wrong: builds PDUs, sends them,
 * receives with a deadline. A time-out or a broken frame fails the test. */
#pragma once

#include "iscsi/pdu.h"

#include <stdbool.h>
#include <stdint.h>

#define RAW_TIMEOUT_MS 30000
#define RAW_DATA_MAX   (1u << 20)

/* A PDU that was received. */
struct raw_pdu {
	uint8_t bhs[BHS_BYTES];
	uint32_t len;
	uint8_t data[RAW_DATA_MAX];
};

struct raw {
	int fd;
	bool header_digest, data_digest;
	uint32_t itt, cmd_sn;            /* of the next request */
	uint32_t exp_cmd_sn, max_cmd_sn; /* as told last */
	uint32_t exp_stat_sn;            /* all before it has come */
	uint16_t tsih;
	struct raw_pdu pdu; /* received last */
};

/* Numeric IPv4 address and port. */
void raw_connect(struct raw *raw, const char *address);
/* The same, but raw->fd is -1 if nobody listens. */
void raw_connect_try(struct raw *raw, const char *address);
void raw_close(struct raw *raw);

/* Sends bytes as they are. False: the target has closed. */
bool raw_send_bytes(struct raw *raw, const void *bytes, size_t len);
/* Frames and sends: data length, padding and digests are put. */
bool raw_send(struct raw *raw, uint8_t *bhs, const void *data, uint32_t len);
/* Receives a PDU into raw->pdu. False: the connection was closed. */
bool raw_receive(struct raw *raw);
/* The next PDU must have this opcode. */
void raw_expect(struct raw *raw, enum pdu_opcode opcode);
/* Nothing but the end of the connection comes; PDUs before it are skipped. */
void raw_expect_close(struct raw *raw);
/* True: nothing can be read now. */
bool raw_silent(struct raw *raw);

/* One login request that goes from the operational stage to full feature phase. keys has '\n' for
 * NUL. Returns the status; on success digests are switched on as answered. */
enum login_status raw_login(struct raw *raw, uint8_t isid, const char *keys);
/* As a normal session of `initiator` with `target`, and more keys. */
enum login_status raw_login_to(struct raw *raw, uint8_t isid, const char *initiator,
                               const char *target, const char *keys);
void raw_send_login(struct raw *raw, uint8_t isid, const char *keys);
enum login_status raw_login_result(struct raw *raw);

/* Starts a request: clears bhs, puts opcode, flags, next tag; counts CmdSN unless immediate. */
uint32_t raw_start(struct raw *raw, uint8_t *bhs, uint8_t opcode, uint8_t flags);
/* A SCSI command to LUN `lun`; returns its tag. */
uint32_t raw_command(struct raw *raw, uint8_t lun, uint8_t flags, const uint8_t *cdb,
                     size_t cdb_len, uint32_t expected_len, const void *data, uint32_t len);
uint32_t raw_read(struct raw *raw, uint32_t lba, uint16_t blocks, uint32_t block_size);
/* flags: FLAG_FINAL or 0. */
uint32_t raw_write(struct raw *raw, uint32_t lba, uint16_t blocks, uint32_t block_size,
                   uint8_t flags, const void *data, uint32_t len);
bool raw_data_out(struct raw *raw, uint32_t itt, uint32_t ttt, uint32_t data_sn, uint32_t offset,
                  bool final, const void *data, uint32_t len);
/* Answers the R2T in raw->pdu from the whole data of the command, in segments of at most max. */
void raw_answer_r2t(struct raw *raw, const uint8_t *data, uint32_t max);
/* Sends a task management request, immediate. */
uint32_t raw_manage(struct raw *raw, uint8_t function, uint8_t lun, uint32_t referenced_tag,
                    uint32_t ref_cmd_sn);
uint32_t raw_nop(struct raw *raw, const void *data, uint32_t len);
/* Answers a ping of the target: the one with this tag. */
void raw_answer_ping(struct raw *raw, uint32_t ttt);
uint32_t raw_logout(struct raw *raw);

/* The response of a command: GOOD, for this tag. */
void raw_expect_good(struct raw *raw, uint32_t itt);
/* CHECK CONDITION with 0xKKAAQQ. */
void raw_expect_sense(struct raw *raw, uint32_t itt, uint32_t code);
/* Collects the Data-In of a read that must end GOOD. */
void raw_expect_data(struct raw *raw, uint32_t itt, uint8_t *ret_data, uint32_t len);
