/* PDUs whose CmdSN came too early: kept until the gap before them is filled, within the window, a
 * bound of bytes, and a time. [RFC 7143 4.2.2.1] */
#pragma once

#include <stdint.h>

struct session;

/* The PDU whose header is in bhs comes too early: its data goes into a copy. -errno: too much. */
int held_begin(struct session *session, const uint8_t *bhs);
/* It is whole. */
void held_end(struct session *session);
/* It came damaged: as if it had not come. */
void held_cancel(struct session *session);
/* Takes what may be taken now. */
int held_replay(struct session *session);
/* An ABORT TASK for a command that has not come: it counts as come, and will be dropped. */
int held_void(struct session *session, uint32_t cmd_sn);
void held_drop_all(struct session *session);
