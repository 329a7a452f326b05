/* A device server on a fake backend, stepped by the test: reactors turn only when told to. */
#pragma once

#include "backend/backend.h"
#include "base/bytes.h"
#include "fake_relay.h"
#include "scsi/lun.h"
#include "scsi/nexus.h"
#include "scsi/task.h"
#include "test.h"

/* A disk in memory whose requests can be held, failed and completed in any order. */
#define FAKE_HELD_MAX 64
struct fake {
	struct backend backend;
	struct backend_info info;
	uint8_t *memory;
	bool hold;
	int fail[IO_OP_COUNT];       /* negative errno for every request of this kind */
	unsigned count[IO_OP_COUNT]; /* requests that came */
	unsigned flags;              /* of the last one */
	struct io *held[FAKE_HELD_MAX];
	unsigned held_count;
};

/* Carries out and completes a held request; later ones move up. */
void fake_complete(struct fake *fake, unsigned i);

#define RIG_NEXUSES 2
struct rig {
	struct reactor *reactors[RIG_NEXUSES];
	struct nexus *nexuses[RIG_NEXUSES];
	struct scsi_port port;
	struct fake *fake;
	struct fake_relay relay;
	struct lun *lun;
	uint32_t block_size;
	bool ended; /* a nexus that was stopped, a LUN that was quiesced */
};

/* LUN 0 of `blocks` blocks, served, and two nexuses with initiators of their own, each on its own
 * reactor; no unit attention is pending. */
struct rig *rig_new(uint32_t block_size, uint64_t blocks);
/* The same with a keeper of reservations. */
struct reservation_keeper;
struct rig *rig_new_kept(uint32_t block_size, uint64_t blocks, struct reservation_keeper *keeper);
void rig_free(struct rig *rig);
DEFINE_AUTO(rig);
/* Turns all reactors until nothing moves. */
void rig_turn(struct rig *rig);
/* All clocks of the rigs of this test go forward, and the reactors turn. */
void rig_advance(struct rig *rig, unsigned ms);
/* Leaves READY, with nothing in the backend; and back, as the owner in that epoch. */
void rig_leave(struct rig *rig, enum lun_state state);
void rig_serve(struct rig *rig, uint64_t epoch);
void rig_forward(struct rig *rig, uint32_t peer, uint64_t epoch);
/* A proxy for a nexus of another gateway, in the place of the second nexus. */
void rig_make_proxy(struct rig *rig, uint16_t tag);
/* A further nexus of the given initiator; the caller stops it. */
struct nexus *rig_nexus(struct rig *rig, unsigned reactor, const char *initiator, uint8_t isid);
/* The initiator of the first nexus, whose ISID is 1. */
#define RIG_INITIATOR "iqn.1994-05.com.redhat:rh7-client"
void rig_stop(struct rig *rig, struct nexus *nexus);

/* A command with what becomes of it. */
struct command {
	struct scsi_task task;
	unsigned done; /* how often */
	enum scsi_begin begun;
	uint8_t in[65536]; /* a copy of the data-in */
};

/* Fills a command for LUN 0 of a nexus; the bytes are the CDB. expected_len < 0: data-out of that
 * many bytes. */
void command_fill(struct command *command, struct nexus *nexus, const uint8_t *cdb, size_t cdb_len,
                  int64_t expected_len);
/* Begins it and brings `out` (NULL: zeroes), as a transport would. Does not turn. */
void command_start(struct command *command, const void *out);
/* Fill, start, turn; the result is in the command until the next run with it. */
void command_run(struct rig *rig, struct command *command, unsigned nexus, const uint8_t *cdb,
                 size_t cdb_len, int64_t expected_len, const void *out);

/* Task management with what becomes of it. */
struct command_management {
	struct task_management tmf;
	unsigned done;
};
void manage(struct command_management *request, struct nexus *nexus, enum task_function function,
            struct scsi_task *task);
void management_done(struct task_management *tmf); /* counts */
/* For callbacks whose argument is a bool. */
void set_flag(void *argument);

#define CDB(...)                              (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
#define RUN(rig, command, cdb, expected, out) command_run(rig, command, 0, cdb, expected, out)

void assert_good(const struct command *command);
void assert_status(const struct command *command, enum scsi_status status);
/* Key, ASC and ASCQ as one number: 0xKKAAQQ. */
void assert_sense(const struct command *command, uint32_t code);
void assert_residual(const struct command *command, enum scsi_residual kind, uint32_t residual);

/* READ(10) and WRITE(10) of whole blocks by a nexus. */
void read_start(struct command *command, struct nexus *nexus, uint32_t lba, uint16_t blocks,
                uint32_t block_size);
void write_start(struct command *command, struct nexus *nexus, uint32_t lba, uint16_t blocks,
                 uint32_t block_size, const void *out);
