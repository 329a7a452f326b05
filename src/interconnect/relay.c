/* What logical units ask of the interconnect: to carry a command or task management to the owner,
 * and to take a command off again. */
#include "interconnect/channel.h"

#include "scsi/lun.h"

#include <assert.h>

static struct interconnect *interconnect_of(struct relay *relay)
{
	return container_of(relay, struct interconnect, relay);
}

static struct channel *channel_to(struct hub *hub, uint32_t peer_id)
{
	struct peer *peer = peer_by_id(hub->interconnect, peer_id);
	return peer ? peer->parts[hub->number].channel : NULL;
}

static void enqueue(struct hub *hub, struct relayed *relayed, const struct lun_route *route)
{
	struct channel *channel = channel_to(hub, route->peer);

	relayed->epoch = route->epoch;
	if (channel)
		channel_enqueue(channel, relayed);
	else
		relayed_give(hub, relayed, RELAY_NOT_EXECUTED);
}

static uint8_t share_of(const struct scsi_task *task)
{
	struct relay_row row;
	relay_row_of_task(task, &row);
	return (uint8_t)(((uintptr_t)row.lun * 0x9e3779b97f4a7c15u) >> 56);
}

static void relay_begin(struct relay *relay, struct scsi_task *task, const struct lun_route *route)
{
	struct hub *hub = hub_of(interconnect_of(relay), nexus_reactor(task->nexus));
	struct relayed *relayed = relayed_get(hub, RELAYED_COMMAND);
	uint64_t bytes = task->data_out_len + (task->wants_read ? task->expected_len : 0);

	assert(relayed); /* without memory for this, no answer could be right */
	relayed->task = task;
	relayed->share = share_of(task);
	relayed->bytes = bytes < CHANNEL_WINDOW_BYTES ? (uint32_t)bytes : CHANNEL_WINDOW_BYTES;
	hub_count_up(&hub->relayed);
	atomic_fetch_add(&hub->relayed_now, 1);
	enqueue(hub, relayed, route);
}

static struct relayed *find_task(const struct list *list, const struct scsi_task *task)
{
	struct relayed *relayed;
	list_for_each (relayed, list, link) {
		if (relayed->task == task)
			return relayed;
	}
	return NULL;
}

static void abort_sent(struct channel *channel, const struct relayed *command)
{
	struct relayed *relayed = relayed_get(channel->hub, RELAYED_ABORT);
	if (!relayed)
		return; /* it ends as if the abort had come too late */
	relayed->row = command->row;
	relayed->itt = TAG_NONE;
	relayed->epoch = command->epoch;
	relayed->referenced_itt = command->itt;
	relayed->referenced_cmd_sn = command->cmd_sn;
	relayed_send(channel, relayed);
}

static void relay_cancel(struct relay *relay, struct scsi_task *task)
{
	struct hub *hub = hub_of(interconnect_of(relay), nexus_reactor(task->nexus));
	struct channel *channel;

	list_for_each (channel, &hub->channels, link) {
		struct relayed *relayed = find_task(&channel->queue, task);
		if (relayed) {
			relayed_return(channel, relayed, RELAY_ABORTED);
			return;
		}
		relayed = find_task(&channel->sent, task);
		if (relayed) {
			/* If it has to be sent (again), it comes too late to be executed: what
			 * follows it may have been repeated elsewhere (H35, H36). */
			relayed->stamp = 0;
			abort_sent(channel, relayed);
			return;
		}
	}
}

/* What has not gone yet and is in the reach of the function must not come behind it. */
static void give_back_affected(struct channel *channel, const struct relay_request *request)
{
	struct relayed *relayed, *following;

	list_for_each_safe (relayed, following, &channel->queue, link) {
		struct relay_row row;
		if (relayed->kind != RELAYED_COMMAND)
			continue;
		relay_row_of_task(relayed->task, &row);
		bool mine = relayed->task->nexus == request->nexus;
		if (row.lun == request->lun && (mine || request->function != TMF_ABORT_TASK_SET))
			relayed_return(channel, relayed, RELAY_NOT_EXECUTED);
	}
}

static void relay_manage(struct relay *relay, struct relay_request *request,
                         const struct lun_route *route)
{
	struct hub *hub = hub_of(interconnect_of(relay), nexus_reactor(request->nexus));
	struct channel *channel = channel_to(hub, route->peer);
	struct relayed *relayed = relayed_get(hub, RELAYED_MANAGE);

	assert(relayed);
	relayed->request = request;
	if (channel)
		give_back_affected(channel, request);
	enqueue(hub, relayed, route);
}

static void relay_nexus_ended(struct relay *relay, uint64_t nexus_serial)
{
	struct hub *hub = hub_of(interconnect_of(relay), reactor_current());
	struct channel *channel;

	list_for_each (channel, &hub->channels, link)
		rows_end_nexus(channel, nexus_serial);
}

static void relay_row_ended(struct relay *relay, uint64_t nexus_serial, uint16_t number,
                            const struct lun *lun)
{
	struct hub *hub = hub_of(interconnect_of(relay), reactor_current());
	struct channel *channel;

	list_for_each (channel, &hub->channels, link)
		rows_end_row(channel, nexus_serial, number, lun);
}

const struct relay_ops interconnect_relay_ops = {
	.begin = relay_begin,
	.cancel = relay_cancel,
	.manage = relay_manage,
	.nexus_ended = relay_nexus_ended,
	.row_ended = relay_row_ended,
};
