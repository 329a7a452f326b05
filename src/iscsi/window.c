/* Command numbering. [RFC 7143 4.2.2.1] */
#include "iscsi/window.h"

#include "iscsi/pdu.h"

#include <assert.h>

void window_init(struct command_window *window, uint32_t first_cmd_sn, uint32_t depth)
{
	window->exp_cmd_sn = first_cmd_sn;
	window->max_cmd_sn = first_cmd_sn + depth - 1;
	window->in_flight = 0;
}

enum window_verdict window_check(const struct command_window *window, uint32_t cmd_sn)
{
	if (serial_lt(cmd_sn, window->exp_cmd_sn) || serial_lt(window->max_cmd_sn, cmd_sn))
		return WINDOW_IGNORE;
	return cmd_sn == window->exp_cmd_sn ? WINDOW_TAKE : WINDOW_HOLD;
}

void window_take(struct command_window *window)
{
	window->exp_cmd_sn++;
	window->in_flight++;
}

void window_give_back(struct command_window *window)
{
	assert(window->in_flight > 0);
	window->in_flight--;
}

void window_advance(struct command_window *window, uint32_t depth)
{
	uint32_t room = depth > window->in_flight ? depth - window->in_flight : 0;
	uint32_t max_cmd_sn = window->exp_cmd_sn - 1 + room;
	if (serial_lt(window->max_cmd_sn, max_cmd_sn))
		window->max_cmd_sn = max_cmd_sn;
}
