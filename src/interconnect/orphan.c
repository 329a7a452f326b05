/* What a peer that lives but cannot be reached has not answered, of a LUN that is owned by another
 * gateway by now. The old owner gave the LUN back when nothing of it was in flight there, or was
 * fenced, and refuses what it finds of an earlier epoch: so it is certain that the command will not
 * be executed any more, and nobody can tell whether it was. Its initiator is not kept waiting; what
 * stays here as an orphan keeps the numbers in step, should the peer come back. */
#include "interconnect/channel.h"
#include "scsi/lun.h"

static struct lun *lun_of(const struct relayed *relayed)
{
	struct relay_row row;

	if (relayed->kind == RELAYED_MANAGE)
		return relayed->request->lun;
	relay_row_of_task(relayed->task, &row);
	return row.lun;
}

static bool is_over(const struct relayed *relayed)
{
	return relayed_is_answered(relayed) && !relayed_is_orphan(relayed) && !relayed->emitting &&
	       lun_is_past(lun_of(relayed), relayed->epoch);
}

bool relayed_is_orphan(const struct relayed *relayed)
{
	return (relayed->kind == RELAYED_COMMAND && !relayed->task) ||
	       (relayed->kind == RELAYED_MANAGE && !relayed->request);
}

static void leave_orphan(struct channel *channel, struct relayed *relayed)
{
	struct relayed *orphan = relayed_get(channel->hub, relayed->kind);

	if (!orphan)
		return; /* the next tick tries again */
	orphan->channel = channel;
	orphan->cmd_sn = relayed->cmd_sn;
	orphan->itt = relayed->itt;
	orphan->epoch = relayed->epoch;
	orphan->row = relayed->row;
	orphan->bytes = relayed->bytes;
	orphan->share = relayed->share;
	channel->slots[relayed->itt & 0xffff] = orphan;
	list_insert_before(&relayed->link, &orphan->link);
	list_remove(&relayed->link);
	relayed_give(channel->hub, relayed, RELAY_UNKNOWN);
}

void channel_leave_orphans(struct channel *channel)
{
	struct relayed *relayed, *following;

	if (channel->state == CHANNEL_UP)
		return; /* the owner will answer */
	list_for_each_safe (relayed, following, &channel->sent, link) {
		if (is_over(relayed))
			leave_orphan(channel, relayed);
	}
}

/* The owner has never received it: its number goes to an ABORT TASK for itself. */
void orphan_becomes_abort(struct channel *channel, struct relayed *orphan)
{
	orphan->referenced_itt = orphan->itt;
	orphan->referenced_cmd_sn = orphan->cmd_sn;
	relayed_free_slot(channel, orphan);
	orphan->kind = RELAYED_ABORT;
	orphan->itt = TAG_NONE;
}
