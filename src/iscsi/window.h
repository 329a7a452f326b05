/* The command window of a session: which CmdSN comes next and how far the initiator may go.
 * Pure arithmetic. [RFC 7143 4.2.2.1] */
#pragma once

#include <stdint.h>

struct command_window {
	uint32_t exp_cmd_sn, max_cmd_sn;
	uint32_t in_flight; /* numbered commands taken and not answered */
};

enum window_verdict {
	WINDOW_TAKE,   /* the next one */
	WINDOW_HOLD,   /* inside the window, but something before it is missing */
	WINDOW_IGNORE, /* a duplicate, or beyond the window: dropped without an answer */
};

/* first_cmd_sn: what the login carried; the first numbered command has the same. */
void window_init(struct command_window *window, uint32_t first_cmd_sn, uint32_t depth);
enum window_verdict window_check(const struct command_window *window, uint32_t cmd_sn);
void window_take(struct command_window *window);
/* A command that was taken is answered or gone. */
void window_give_back(struct command_window *window);
/* Opens the window for depth commands less those in flight. It never closes again what it gave:
 * a smaller depth takes effect as commands are used up. */
void window_advance(struct command_window *window, uint32_t depth);
