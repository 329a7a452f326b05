/* Task management requests. The response follows everything that affected tasks still sent, because
 * it is queued behind them, and comes only when none of them can change the medium any more.
 * [RFC 7143 4.2.3, 11.5, 11.6] */
#include "iscsi/barrier.h"
#include "iscsi/command.h"
#include "iscsi/control.h"
#include "iscsi/held.h"
#include "iscsi/session.h"
#include "iscsi/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MANAGEMENT_MAX 8 /* at once in a session; more are rejected */

struct management {
	struct task_management request;
	struct session *session;
	struct waiter waiter; /* behind the barrier */
	uint32_t itt;
};

static int respond(struct session *session, uint32_t itt, enum task_function_response response)
{
	struct control *control = control_new(session, PDU_TASK_MANAGEMENT_RESPONSE, itt, 0);
	if (!control)
		return -ENOMEM;
	control->bhs[BHS_RESPONSE] = (uint8_t)response;
	control_send(control);
	return 0;
}

static void management_done(struct task_management *request)
{
	struct management *management = container_of(request, struct management, request);
	struct session *session = management->session;

	session->management_count--;
	if (session->connection && respond(session, management->itt, request->response) < 0)
		connection_drop(session->connection, "no memory for an answer");
	free(management);
	session_check_end(session);
}

static void pass(struct waiter *waiter)
{
	struct management *management = container_of(waiter, struct management, waiter);

	nexus_manage(management->session->nexus, &management->request);
}

static void drop(struct waiter *waiter)
{
	struct management *management = container_of(waiter, struct management, waiter);

	management->session->management_count--;
	free(management);
}

/* Does it end what other initiators do, and their reservations? Then it must not come late. */
static bool reaches_others(enum task_function function)
{
	return function == TMF_CLEAR_TASK_SET || function == TMF_LUN_RESET ||
	       function == TMF_TARGET_WARM_RESET;
}

static int start(struct session *session, const uint8_t *bhs, struct scsi_task *task)
{
	if (session->management_count >= MANAGEMENT_MAX)
		return reject_send(session, bhs, REJECT_TOO_MANY_IMMEDIATE);
	struct management *management = calloc(1, sizeof(*management));
	if (!management)
		return -ENOMEM;
	management->session = session;
	management->itt = pdu_itt(bhs);
	management->request.function = bhs[BHS_FLAGS] & FLAG_FUNCTION_MASK;
	memcpy(management->request.lun, bhs + BHS_LUN, 8);
	management->request.task = task;
	management->request.done = management_done;
	management->waiter = (struct waiter){ .pass = pass, .drop = drop };
	list_init(&management->waiter.link);
	session->management_count++;
	if (reaches_others(management->request.function) && !barrier_open(session))
		barrier_wait(session, &management->waiter);
	else
		nexus_manage(session->nexus, &management->request);
	return 0;
}

/* The task is not here: answered long ago, or not come yet. What comes behind the request is none
 * of its business: of a task that was immediate it names its own CmdSN, and the next command has
 * that. [RFC 7143 11.5.1, 11.5.5] */
static int abort_unknown(struct session *session, const uint8_t *bhs)
{
	uint32_t ref_cmd_sn = get_be32(bhs + BHS_REF_CMD_SN);

	if (serial_lt(ref_cmd_sn, session->window.exp_cmd_sn) ||
	    serial_lt(session->window.max_cmd_sn, ref_cmd_sn) ||
	    !serial_lt(ref_cmd_sn, get_be32(bhs + BHS_CMD_SN)))
		return respond(session, pdu_itt(bhs), TMF_NO_TASK);
	int r = held_void(session, ref_cmd_sn);
	return r < 0 ? r : respond(session, pdu_itt(bhs), TMF_COMPLETE);
}

/* Its answer is known, and has waited for unsolicited data: of what is taken off none comes. */
static void answer_now(struct command *command)
{
	if (command->state != COMMAND_ANSWERING || !command->unsolicited)
		return;
	command->unsolicited = false;
	command->refused = true; /* data that come all the same are dropped */
	command_progress(command);
}

static void answer_all_now(struct session *session, const uint8_t *bhs)
{
	bool every_lun = (bhs[BHS_FLAGS] & FLAG_FUNCTION_MASK) == TMF_TARGET_WARM_RESET;
	struct command *command, *following;

	list_for_each_safe (command, following, &session->commands, link) {
		if (every_lun || memcmp(command->task.lun, bhs + BHS_LUN, 8) == 0)
			answer_now(command);
	}
}

static int abort_task(struct session *session, const uint8_t *bhs)
{
	struct command *command = command_find(session, get_be32(bhs + BHS_REFERENCED_TAG));

	if (!command)
		return abort_unknown(session, bhs);
	if (!command->immediate && command->cmd_sn != get_be32(bhs + BHS_REF_CMD_SN))
		return respond(session, pdu_itt(bhs), TMF_REJECTED);
	if (memcmp(command->task.lun, bhs + BHS_LUN, 8) == 0)
		answer_now(command);
	/* Its answer is queued and will leave before this one. */
	if (command->state == COMMAND_ANSWERING || !command->begun ||
	    memcmp(command->task.lun, bhs + BHS_LUN, 8) != 0)
		return respond(session, pdu_itt(bhs), TMF_NO_TASK);
	return start(session, bhs, &command->task);
}

int management_end(struct session *session, uint8_t *bhs)
{
	switch (bhs[BHS_FLAGS] & FLAG_FUNCTION_MASK) {
	case TMF_ABORT_TASK:
		return abort_task(session, bhs);
	case TMF_ABORT_TASK_SET:
	case TMF_CLEAR_ACA:
	case TMF_CLEAR_TASK_SET:
	case TMF_LUN_RESET:
	case TMF_TARGET_WARM_RESET:
		answer_all_now(session, bhs);
		return start(session, bhs, NULL);
	case TMF_TASK_REASSIGN:
		return respond(session, pdu_itt(bhs), TMF_NO_REASSIGN);
	default: /* a cold reset would drop other initiators' connections */
		return respond(session, pdu_itt(bhs), TMF_NOT_SUPPORTED);
	}
}
