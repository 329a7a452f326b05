/* The opcode table [SPC-4 6, SBC-3 5]. Rows are sorted by opcode and service action. */
#include "scsi/opcode.h"

#include "scsi/handlers.h"

/* Where fields stand, by CDB length. */
#define AT(position, bytes)                      \
	{                                        \
		.at = (position), .len = (bytes) \
	}

/* Flags that go together. */
#define OP_IDENTITY \
	(OP_ANY_LUN | OP_NO_UA | OP_STANDBY | OP_UNAVAILABLE | OP_TRANSITION | OP_BESIDE | OP_HEAD)
#define OP_PLAIN (OP_MEDIUM | OP_LIMITED | OP_FUA)

/* Usage bits of byte 1: PROTECT is looked at (and refused), DPO and FUA. */
#define USE_DPO_FUA    0xf8
#define USE_DPO        0xf0
#define REFUSE_PROTECT 0xe0

#define READ_ROW(opcode, title, length_, lba_, blocks_, refuse_, ...)                             \
	{                                                                                         \
		.op = (opcode), .service_action = SA_NONE, .name = (title), .cdb_len = (length_), \
		.usage = { __VA_ARGS__ }, .refuse = (refuse_), .data = DATA_IN,                   \
		.length_of = LENGTH_BLOCKS, .lba = lba_, .blocks = blocks_,                       \
		.reservation = RESERVATION_READ, .timeout_s = 30, .flags = OP_PLAIN,              \
		.run = read_run                                                                   \
	}
#define WRITE_ROW(opcode, title, length_, lba_, blocks_, refuse_, ...)                            \
	{                                                                                         \
		.op = (opcode), .service_action = SA_NONE, .name = (title), .cdb_len = (length_), \
		.usage = { __VA_ARGS__ }, .refuse = (refuse_), .data = DATA_OUT,                  \
		.length_of = LENGTH_BLOCKS, .lba = lba_, .blocks = blocks_,                       \
		.reservation = RESERVATION_WRITE, .timeout_s = 30, .flags = OP_PLAIN | OP_WRITES, \
		.run = write_run                                                                  \
	}
#define VERIFY_ROW(opcode, title, length_, lba_, blocks_, refuse_, ...)                           \
	{                                                                                         \
		.op = (opcode), .service_action = SA_NONE, .name = (title), .cdb_len = (length_), \
		.usage = { __VA_ARGS__ }, .refuse = (refuse_), .data = DATA_OUT,                  \
		.length_of = LENGTH_BYTCHK, .lba = lba_, .blocks = blocks_,                       \
		.reservation = RESERVATION_READ, .timeout_s = 60, .flags = OP_MEDIUM | OP_EXACT,  \
		.check = verify_check, .run = verify_run                                          \
	}
#define WRITE_VERIFY_ROW(opcode, title, length_, lba_, blocks_, refuse_, ...)                     \
	{                                                                                         \
		.op = (opcode), .service_action = SA_NONE, .name = (title), .cdb_len = (length_), \
		.usage = { __VA_ARGS__ }, .refuse = (refuse_), .data = DATA_OUT,                  \
		.length_of = LENGTH_BLOCKS, .lba = lba_, .blocks = blocks_,                       \
		.reservation = RESERVATION_WRITE, .timeout_s = 60,                                \
		.flags = OP_MEDIUM | OP_LIMITED | OP_WRITES, .check = write_verify_check,         \
		.run = write_verify_run                                                           \
	}

#define PERSISTENT_IN_ROW(action, title)                                                 \
	{                                                                                \
		.op = 0x5e, .service_action = (action), .name = (title), .cdb_len = 10,  \
		.usage = { 0x5e, 0x1f, [7] = 0xff, 0xff, 0x04 }, .data = DATA_IN,        \
		.length_of = LENGTH_ALLOCATION, .length = AT(7, 2), .flags = OP_RESERVE, \
		.run = persistent_in_run                                                 \
	}
#define PERSISTENT_OUT_ROW(action, title)                                               \
	{                                                                               \
		.op = 0x5f, .service_action = (action), .name = (title), .cdb_len = 10, \
		.usage = { 0x5f, 0x1f, 0xff, [5] = 0xff, 0xff, 0xff, 0xff, 0x04 },      \
		.data = DATA_OUT, .length_of = LENGTH_LIST, .length = AT(5, 4),         \
		.reservation = RESERVATION_OWN, .flags = OP_RESERVE,                    \
		.check = persistent_out_check, .run = persistent_out_run                \
	}

static const struct scsi_opcode rows[] = {
	{ .op = 0x00,
	  .service_action = SA_NONE,
	  .name = "TEST UNIT READY",
	  .cdb_len = 6,
	  .usage = { 0x00, [5] = 0x04 },
	  .flags = OP_LOOK,
	  .run = test_unit_ready_run },
	{ .op = 0x03,
	  .service_action = SA_NONE,
	  .name = "REQUEST SENSE",
	  .cdb_len = 6,
	  .usage = { 0x03, 0x01, [4] = 0xff, 0x04 },
	  .data = DATA_IN,
	  .length_of = LENGTH_ALLOCATION,
	  .length = AT(4, 1),
	  .flags = OP_IDENTITY,
	  .run = request_sense_run },
	{ .op = 0x08,
	  .service_action = SA_NONE,
	  .name = "READ(6)",
	  .cdb_len = 6,
	  .usage = { 0x08, 0x1f, 0xff, 0xff, 0xff, 0x04 },
	  .data = DATA_IN,
	  .length_of = LENGTH_BLOCKS,
	  .lba = AT(1, 3),
	  .blocks = AT(4, 1),
	  .reservation = RESERVATION_READ,
	  .timeout_s = 30,
	  .flags = OP_MEDIUM | OP_LIMITED | OP_SIX,
	  .run = read_run },
	{ .op = 0x0a,
	  .service_action = SA_NONE,
	  .name = "WRITE(6)",
	  .cdb_len = 6,
	  .usage = { 0x0a, 0x1f, 0xff, 0xff, 0xff, 0x04 },
	  .data = DATA_OUT,
	  .length_of = LENGTH_BLOCKS,
	  .lba = AT(1, 3),
	  .blocks = AT(4, 1),
	  .reservation = RESERVATION_WRITE,
	  .timeout_s = 30,
	  .flags = OP_MEDIUM | OP_LIMITED | OP_SIX | OP_WRITES,
	  .run = write_run },
	{ .op = 0x12,
	  .service_action = SA_NONE,
	  .name = "INQUIRY",
	  .cdb_len = 6,
	  .usage = { 0x12, 0x03, 0xff, 0xff, 0xff, 0x04 },
	  .refuse = 0x02,
	  .data = DATA_IN,
	  .length_of = LENGTH_ALLOCATION,
	  .length = AT(3, 2),
	  .flags = OP_IDENTITY,
	  .run = inquiry_run },
	{ .op = 0x15,
	  .service_action = SA_NONE,
	  .name = "MODE SELECT(6)",
	  .cdb_len = 6,
	  .usage = { 0x15, 0x11, [4] = 0xff, 0x04 },
	  .data = DATA_OUT,
	  .length_of = LENGTH_LIST,
	  .length = AT(4, 1),
	  .reservation = RESERVATION_WRITE,
	  .flags = OP_STANDBY,
	  .run = mode_select_run },
	{ .op = 0x16,
	  .service_action = SA_NONE,
	  .name = "RESERVE(6)",
	  .cdb_len = 6,
	  .usage = { 0x16, 0x11, [5] = 0x04 },
	  .refuse = 0x11,
	  .reservation = RESERVATION_OWN,
	  .flags = OP_BESIDE,
	  .run = reserve_run },
	{ .op = 0x17,
	  .service_action = SA_NONE,
	  .name = "RELEASE(6)",
	  .cdb_len = 6,
	  .usage = { 0x17, 0x11, [5] = 0x04 },
	  .refuse = 0x11,
	  .reservation = RESERVATION_OWN,
	  .flags = OP_BESIDE,
	  .run = release_run },
	{ .op = 0x1a,
	  .service_action = SA_NONE,
	  .name = "MODE SENSE(6)",
	  .cdb_len = 6,
	  .usage = { 0x1a, 0x08, 0xff, 0xff, 0xff, 0x04 },
	  .data = DATA_IN,
	  .length_of = LENGTH_ALLOCATION,
	  .length = AT(4, 1),
	  .reservation = RESERVATION_READ,
	  .flags = OP_STANDBY,
	  .run = mode_sense_run },
	{ .op = 0x1b,
	  .service_action = SA_NONE,
	  .name = "START STOP UNIT",
	  .cdb_len = 6,
	  .usage = { 0x1b, 0x01, [4] = 0xf3, 0x04 },
	  .reservation = RESERVATION_START_STOP,
	  .flags = OP_LOOK,
	  .run = start_stop_run },
	{ .op = 0x1d,
	  .service_action = SA_NONE,
	  .name = "SEND DIAGNOSTIC",
	  .cdb_len = 6,
	  .usage = { 0x1d, 0x04, [3] = 0xff, 0xff, 0x04 },
	  .data = DATA_OUT,
	  .length_of = LENGTH_LIST,
	  .length = AT(3, 2),
	  .reservation = RESERVATION_WRITE,
	  .flags = OP_STANDBY,
	  .run = send_diagnostic_run },
	{ .op = 0x1e,
	  .service_action = SA_NONE,
	  .name = "PREVENT ALLOW MEDIUM REMOVAL",
	  .cdb_len = 6,
	  .usage = { 0x1e, [4] = 0x03, 0x04 },
	  .reservation = RESERVATION_PREVENT,
	  .run = prevent_allow_run },
	{ .op = 0x25,
	  .service_action = SA_NONE,
	  .name = "READ CAPACITY(10)",
	  .cdb_len = 10,
	  .usage = { 0x25, 0x01, [8] = 0x01, 0x04 },
	  .refuse = 0x01,
	  .data = DATA_IN,
	  .flags = OP_STANDBY,
	  .run = read_capacity10_run },
	READ_ROW(0x28, "READ(10)", 10, AT(2, 4), AT(7, 2), REFUSE_PROTECT | 0x01, 0x28, USE_DPO_FUA,
	         0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0x04),
	WRITE_ROW(0x2a, "WRITE(10)", 10, AT(2, 4), AT(7, 2), REFUSE_PROTECT | 0x01, 0x2a,
	          USE_DPO_FUA, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0x04),
	WRITE_VERIFY_ROW(0x2e, "WRITE AND VERIFY(10)", 10, AT(2, 4), AT(7, 2),
	                 REFUSE_PROTECT | 0x01, 0x2e, USE_DPO | 0x06, 0xff, 0xff, 0xff, 0xff, 0x00,
	                 0xff, 0xff, 0x04),
	VERIFY_ROW(0x2f, "VERIFY(10)", 10, AT(2, 4), AT(7, 2), REFUSE_PROTECT | 0x01, 0x2f,
	           USE_DPO | 0x06, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0x04),
	{ .op = 0x34,
	  .service_action = SA_NONE,
	  .name = "PRE-FETCH(10)",
	  .cdb_len = 10,
	  .usage = { 0x34, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0x04 },
	  .lba = AT(2, 4),
	  .blocks = AT(7, 2),
	  .reservation = RESERVATION_READ,
	  .run = prefetch_run },
	{ .op = 0x35,
	  .service_action = SA_NONE,
	  .name = "SYNCHRONIZE CACHE(10)",
	  .cdb_len = 10,
	  .usage = { 0x35, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0x04 },
	  .lba = AT(2, 4),
	  .blocks = AT(7, 2),
	  .reservation = RESERVATION_READ,
	  .timeout_s = 60,
	  .flags = OP_MEDIUM,
	  .run = synchronize_cache_run },
	{ .op = 0x41,
	  .service_action = SA_NONE,
	  .name = "WRITE SAME(10)",
	  .cdb_len = 10,
	  .usage = { 0x41, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0x04 },
	  .refuse = REFUSE_PROTECT | 0x17,
	  .data = DATA_OUT,
	  .length_of = LENGTH_ONE_BLOCK,
	  .lba = AT(2, 4),
	  .blocks = AT(7, 2),
	  .reservation = RESERVATION_WRITE,
	  .timeout_s = 120,
	  .flags = OP_MEDIUM | OP_WRITES | OP_EXACT,
	  .check = write_same_check,
	  .run = write_same_run },
	{ .op = 0x42,
	  .service_action = SA_NONE,
	  .name = "UNMAP",
	  .cdb_len = 10,
	  .usage = { 0x42, 0x01, [7] = 0xff, 0xff, 0x04 },
	  .refuse = 0x01,
	  .data = DATA_OUT,
	  .length_of = LENGTH_LIST,
	  .length = AT(7, 2),
	  .reservation = RESERVATION_WRITE,
	  .timeout_s = 120,
	  .flags = OP_MEDIUM | OP_WRITES | OP_THIN,
	  .prepare = unmap_prepare,
	  .run = unmap_run },
	{ .op = 0x55,
	  .service_action = SA_NONE,
	  .name = "MODE SELECT(10)",
	  .cdb_len = 10,
	  .usage = { 0x55, 0x11, [7] = 0xff, 0xff, 0x04 },
	  .data = DATA_OUT,
	  .length_of = LENGTH_LIST,
	  .length = AT(7, 2),
	  .reservation = RESERVATION_WRITE,
	  .flags = OP_STANDBY,
	  .run = mode_select_run },
	{ .op = 0x56,
	  .service_action = SA_NONE,
	  .name = "RESERVE(10)",
	  .cdb_len = 10,
	  .usage = { 0x56, 0x13, [9] = 0x04 },
	  .refuse = 0x13,
	  .reservation = RESERVATION_OWN,
	  .flags = OP_BESIDE,
	  .run = reserve_run },
	{ .op = 0x57,
	  .service_action = SA_NONE,
	  .name = "RELEASE(10)",
	  .cdb_len = 10,
	  .usage = { 0x57, 0x13, [9] = 0x04 },
	  .refuse = 0x13,
	  .reservation = RESERVATION_OWN,
	  .flags = OP_BESIDE,
	  .run = release_run },
	{ .op = 0x5a,
	  .service_action = SA_NONE,
	  .name = "MODE SENSE(10)",
	  .cdb_len = 10,
	  .usage = { 0x5a, 0x18, 0xff, 0xff, [7] = 0xff, 0xff, 0x04 },
	  .data = DATA_IN,
	  .length_of = LENGTH_ALLOCATION,
	  .length = AT(7, 2),
	  .reservation = RESERVATION_READ,
	  .flags = OP_STANDBY,
	  .run = mode_sense_run },
	PERSISTENT_IN_ROW(0x00, "PERSISTENT RESERVE IN, READ KEYS"),
	PERSISTENT_IN_ROW(0x01, "PERSISTENT RESERVE IN, READ RESERVATION"),
	PERSISTENT_IN_ROW(0x02, "PERSISTENT RESERVE IN, REPORT CAPABILITIES"),
	PERSISTENT_IN_ROW(0x03, "PERSISTENT RESERVE IN, READ FULL STATUS"),
	PERSISTENT_OUT_ROW(0x00, "PERSISTENT RESERVE OUT, REGISTER"),
	PERSISTENT_OUT_ROW(0x01, "PERSISTENT RESERVE OUT, RESERVE"),
	PERSISTENT_OUT_ROW(0x02, "PERSISTENT RESERVE OUT, RELEASE"),
	PERSISTENT_OUT_ROW(0x03, "PERSISTENT RESERVE OUT, CLEAR"),
	PERSISTENT_OUT_ROW(0x04, "PERSISTENT RESERVE OUT, PREEMPT"),
	PERSISTENT_OUT_ROW(0x05, "PERSISTENT RESERVE OUT, PREEMPT AND ABORT"),
	PERSISTENT_OUT_ROW(0x06, "PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY"),
	PERSISTENT_OUT_ROW(0x07, "PERSISTENT RESERVE OUT, REGISTER AND MOVE"),
	READ_ROW(0x88, "READ(16)", 16, AT(2, 8), AT(10, 4), REFUSE_PROTECT, 0x88, USE_DPO_FUA, 0xff,
	         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x04),
	{ .op = 0x89,
	  .service_action = SA_NONE,
	  .name = "COMPARE AND WRITE",
	  .cdb_len = 16,
	  .usage = { 0x89, USE_DPO_FUA, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [13] = 0xff,
	             0x00, 0x04 },
	  .refuse = REFUSE_PROTECT,
	  .data = DATA_OUT,
	  .length_of = LENGTH_TWICE,
	  .lba = AT(2, 8),
	  .blocks = AT(13, 1),
	  .reservation = RESERVATION_WRITE,
	  .timeout_s = 30,
	  .flags = OP_MEDIUM | OP_WRITES | OP_EXCLUSIVE | OP_EXACT | OP_FUA,
	  .check = compare_write_check,
	  .run = compare_write_run },
	WRITE_ROW(0x8a, "WRITE(16)", 16, AT(2, 8), AT(10, 4), REFUSE_PROTECT, 0x8a, USE_DPO_FUA,
	          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
	          0x04),
	{ .op = 0x8b,
	  .service_action = SA_NONE,
	  .name = "ORWRITE(16)",
	  .cdb_len = 16,
	  .usage = { 0x8b, USE_DPO_FUA, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	             0xff, 0xff, 0x00, 0x04 },
	  .refuse = REFUSE_PROTECT,
	  .data = DATA_OUT,
	  .length_of = LENGTH_BLOCKS,
	  .lba = AT(2, 8),
	  .blocks = AT(10, 4),
	  .reservation = RESERVATION_WRITE,
	  .timeout_s = 30,
	  .flags = OP_PLAIN | OP_WRITES | OP_EXCLUSIVE | OP_EXACT,
	  .run = orwrite_run },
	WRITE_VERIFY_ROW(0x8e, "WRITE AND VERIFY(16)", 16, AT(2, 8), AT(10, 4), REFUSE_PROTECT,
	                 0x8e, USE_DPO | 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	                 0xff, 0xff, 0xff, 0x00, 0x04),
	VERIFY_ROW(0x8f, "VERIFY(16)", 16, AT(2, 8), AT(10, 4), REFUSE_PROTECT, 0x8f,
	           USE_DPO | 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	           0xff, 0x00, 0x04),
	{ .op = 0x90,
	  .service_action = SA_NONE,
	  .name = "PRE-FETCH(16)",
	  .cdb_len = 16,
	  .usage = { 0x90, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	             0xff, 0x00, 0x04 },
	  .lba = AT(2, 8),
	  .blocks = AT(10, 4),
	  .reservation = RESERVATION_READ,
	  .run = prefetch_run },
	{ .op = 0x91,
	  .service_action = SA_NONE,
	  .name = "SYNCHRONIZE CACHE(16)",
	  .cdb_len = 16,
	  .usage = { 0x91, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	             0xff, 0x00, 0x04 },
	  .lba = AT(2, 8),
	  .blocks = AT(10, 4),
	  .reservation = RESERVATION_READ,
	  .timeout_s = 60,
	  .flags = OP_MEDIUM,
	  .run = synchronize_cache_run },
	{ .op = 0x93,
	  .service_action = SA_NONE,
	  .name = "WRITE SAME(16)",
	  .cdb_len = 16,
	  .usage = { 0x93, 0xf9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	             0xff, 0x00, 0x04 },
	  .refuse = REFUSE_PROTECT | 0x16,
	  .data = DATA_OUT,
	  .length_of = LENGTH_ONE_BLOCK,
	  .lba = AT(2, 8),
	  .blocks = AT(10, 4),
	  .reservation = RESERVATION_WRITE,
	  .timeout_s = 120,
	  .flags = OP_MEDIUM | OP_WRITES | OP_EXACT,
	  .check = write_same_check,
	  .run = write_same_run },
	{ .op = 0x9e,
	  .service_action = 0x10,
	  .name = "READ CAPACITY(16)",
	  .cdb_len = 16,
	  .usage = { 0x9e, 0x1f, [10] = 0xff, 0xff, 0xff, 0xff, 0x00, 0x04 },
	  .data = DATA_IN,
	  .length_of = LENGTH_ALLOCATION,
	  .length = AT(10, 4),
	  .flags = OP_STANDBY,
	  .run = read_capacity16_run },
	{ .op = 0x9e,
	  .service_action = 0x12,
	  .name = "GET LBA STATUS",
	  .cdb_len = 16,
	  .usage = { 0x9e, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	             0xff, 0xff, 0x04 },
	  .data = DATA_IN,
	  .length_of = LENGTH_ALLOCATION,
	  .length = AT(10, 4),
	  .lba = AT(2, 8),
	  .reservation = RESERVATION_READ,
	  .run = get_lba_status_run },
	{ .op = 0xa0,
	  .service_action = SA_NONE,
	  .name = "REPORT LUNS",
	  .cdb_len = 12,
	  .usage = { 0xa0, 0x00, 0xff, [6] = 0xff, 0xff, 0xff, 0xff, 0x00, 0x04 },
	  .data = DATA_IN,
	  .length_of = LENGTH_ALLOCATION,
	  .length = AT(6, 4),
	  .flags = OP_IDENTITY,
	  .run = report_luns_run },
	{ .op = 0xa3,
	  .service_action = 0x0a,
	  .name = "REPORT TARGET PORT GROUPS",
	  .cdb_len = 12,
	  .usage = { 0xa3, 0xff, [6] = 0xff, 0xff, 0xff, 0xff, 0x00, 0x04 },
	  .data = DATA_IN,
	  .length_of = LENGTH_ALLOCATION,
	  .length = AT(6, 4),
	  .flags = OP_STANDBY | OP_UNAVAILABLE | OP_TRANSITION,
	  .run = report_port_groups_run },
	{ .op = 0xa3,
	  .service_action = 0x0c,
	  .name = "REPORT SUPPORTED OPERATION CODES",
	  .cdb_len = 12,
	  .usage = { 0xa3, 0x1f, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x04 },
	  .data = DATA_IN,
	  .length_of = LENGTH_ALLOCATION,
	  .length = AT(6, 4),
	  .reservation = RESERVATION_READ,
	  .flags = OP_LOOK,
	  .run = report_opcodes_run },
	{ .op = 0xa3,
	  .service_action = 0x0d,
	  .name = "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS",
	  .cdb_len = 12,
	  .usage = { 0xa3, 0x1f, 0x80, [6] = 0xff, 0xff, 0xff, 0xff, 0x00, 0x04 },
	  .data = DATA_IN,
	  .length_of = LENGTH_ALLOCATION,
	  .length = AT(6, 4),
	  .reservation = RESERVATION_READ,
	  .flags = OP_LOOK,
	  .run = report_tmfs_run },
	READ_ROW(0xa8, "READ(12)", 12, AT(2, 4), AT(6, 4), REFUSE_PROTECT | 0x01, 0xa8, USE_DPO_FUA,
	         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x04),
	WRITE_ROW(0xaa, "WRITE(12)", 12, AT(2, 4), AT(6, 4), REFUSE_PROTECT | 0x01, 0xaa,
	          USE_DPO_FUA, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x04),
	WRITE_VERIFY_ROW(0xae, "WRITE AND VERIFY(12)", 12, AT(2, 4), AT(6, 4),
	                 REFUSE_PROTECT | 0x01, 0xae, USE_DPO | 0x06, 0xff, 0xff, 0xff, 0xff, 0xff,
	                 0xff, 0xff, 0xff, 0x00, 0x04),
	VERIFY_ROW(0xaf, "VERIFY(12)", 12, AT(2, 4), AT(6, 4), REFUSE_PROTECT | 0x01, 0xaf,
	           USE_DPO | 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x04),
};

/* The first row of each opcode, plus 1; 0: there is none. */
static uint8_t first_row[256];

_Static_assert(ARRAY_LEN(rows) < 255, "first_row holds row numbers in a byte");

__attribute__((constructor)) static void index_rows(void)
{
	for (size_t i = ARRAY_LEN(rows); i-- > 0;)
		first_row[rows[i].op] = (uint8_t)(i + 1);
}

size_t opcode_count(void)
{
	return ARRAY_LEN(rows);
}

const struct scsi_opcode *opcode_at(size_t i)
{
	return &rows[i];
}

const struct scsi_opcode *opcode_find(uint8_t op, uint8_t service_action, bool *ret_known)
{
	size_t i = first_row[op];
	*ret_known = i != 0;
	if (i == 0)
		return NULL;
	for (i--; i < ARRAY_LEN(rows) && rows[i].op == op; i++) {
		if (rows[i].service_action == SA_NONE || rows[i].service_action == service_action)
			return &rows[i];
	}
	return NULL;
}

uint64_t cdb_get(const uint8_t *cdb, struct cdb_field field)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < field.len; i++)
		value = value << 8 | cdb[field.at + i];
	return value;
}

bool opcode_changes(const struct scsi_opcode *row)
{
	/* What a reservation against writes stops, and reservations themselves. */
	return (row->flags & OP_WRITES) ||
	       (row->reservation != RESERVATION_FREE && row->reservation != RESERVATION_READ);
}

bool scsi_command_uses_medium(const uint8_t *cdb)
{
	bool known;
	const struct scsi_opcode *row = opcode_find(cdb[0], cdb[1] & 0x1f, &known);

	return row && (row->flags & OP_MEDIUM);
}

bool scsi_command_changes(const uint8_t *cdb)
{
	bool known;
	const struct scsi_opcode *row = opcode_find(cdb[0], cdb[1] & 0x1f, &known);

	return row && opcode_changes(row);
}
