/* What became of commands, by way of the store: the origin tells which of its channels have
 * commands without an answer and no connection; the owner closes what it has of those connections,
 * so that nothing more can come of them, and tells up to which CmdSN it has received, and the
 * answers that it keeps. What it has not received was not executed and never will be; what still
 * runs is told when the origin asks again. Nothing of this ends or changes a channel: if its
 * connection comes back first, or a message is lost, all goes on as after any break. */
#include "interconnect/fate.h"

#include "base/json.h"
#include "base/log.h"
#include "base/round.h"
#include "interconnect/channel.h"
#include "interconnect/inbound.h"

#include <errno.h>
#include <string.h>

#define CHANNEL_TEXT 128 /* bytes: what is told of a channel, without answers */

/* ---- inquiries: at each hub ---- */

struct inquiry {
	struct round round;
	struct interconnect *interconnect;
	const struct peer *peer;
	void (*visit)(struct inquiry *inquiry, struct hub *hub);
	json_t *given, *found;
	size_t bytes; /* what was found, as text; the limit is for all hubs */
	interconnect_fates_done *done;
	void *argument;
};

static void visit(struct round *round, unsigned number)
{
	struct inquiry *inquiry = container_of(round, struct inquiry, round);
	inquiry->visit(inquiry, &inquiry->interconnect->hubs[number]);
}

static void ended(struct round *round)
{
	struct inquiry *inquiry = container_of(round, struct inquiry, round);
	inquiry->interconnect->inquiries--;
	if (inquiry->done)
		inquiry->done(inquiry->argument, inquiry->found);
	interconnect_check_stopped(inquiry->interconnect);
	json_decref(inquiry->given);
	json_decref(inquiry->found);
	free(inquiry);
}

static int start_inquiry(struct interconnect *interconnect, uint32_t id, struct inquiry template)
{
	const struct peer *peer = peer_by_id(interconnect, id);
	if (!peer || peer->info.state == PEER_FORGOTTEN || interconnect->stopping)
		return -ENOTCONN;
	struct inquiry *inquiry = malloc(sizeof(*inquiry));
	if (!inquiry)
		return -ENOMEM;
	*inquiry = template;
	inquiry->round = (struct round){ .home = interconnect->manager,
		                         .reactors = interconnect->reactors,
		                         .count = interconnect->hub_count,
		                         .visit = visit,
		                         .ended = ended };
	inquiry->interconnect = interconnect;
	inquiry->peer = peer;
	inquiry->given = template.given ? json_deep_copy(template.given) : NULL;
	inquiry->found = json_array();
	interconnect->inquiries++;
	round_start(&inquiry->round);
	return 0;
}

/* ---- the origin asks ---- */

static bool is_unanswered(const struct relayed *relayed)
{
	return relayed_is_answered(relayed) && !relayed_is_orphan(relayed);
}

static bool has_unanswered(const struct channel *channel)
{
	const struct relayed *relayed;
	list_for_each (relayed, &channel->sent, link) {
		if (is_unanswered(relayed))
			return true;
	}
	return false;
}

static void visit_unanswered(struct inquiry *inquiry, struct hub *hub)
{
	const struct channel *channel = inquiry->peer->parts[hub->number].channel;
	if (!channel || channel->state == CHANNEL_UP || !has_unanswered(channel))
		return;
	(void)json_array_append_new(inquiry->found,
	                            json_pack("{s:I, s:I, s:I}", "reactor", (json_int_t)hub->number,
	                                      "life", (json_int_t)channel->lives, "exp_stat_sn",
	                                      (json_int_t)channel->exp_stat_sn));
}

int interconnect_find_unanswered(struct interconnect *interconnect, uint32_t id,
                                 interconnect_fates_done *done, void *argument)
{
	return start_inquiry(
	        interconnect, id,
	        (struct inquiry){ .visit = visit_unanswered, .done = done, .argument = argument });
}

/* ---- the owner tells ---- */

static bool has_room(const struct inquiry *inquiry, size_t bytes)
{
	return inquiry->bytes + bytes <= INTERCONNECT_FATES_MAX;
}

static json_t *format_answer(const struct executed *executed)
{
	char hex[2 * (BHS_BYTES + 2 + SCSI_SENSE_MAX) + 1];
	struct tx_slot slot = { 0 };

	executed_put_fate(executed, &slot);
	pdu_put_data_len(slot.header, slot.data_len);
	text_put_hex(slot.header, BHS_BYTES, hex);
	text_put_hex(slot.data, slot.data_len, hex + 2 * BHS_BYTES);
	return json_string(hex);
}

/* As many as there is room for, in order: the next ones when it asks again. */
static json_t *format_answers(struct inquiry *inquiry, const struct inbound *inbound)
{
	json_t *answers = json_array();
	const struct executed *executed;
	list_for_each (executed, &inbound->answers, link) {
		AUTO_JSON json_t *answer = format_answer(executed);
		size_t bytes = json_string_length(answer) + strlen("\"\",");
		if (!has_room(inquiry, bytes))
			break;
		inquiry->bytes += bytes;
		(void)json_array_append(answers, answer);
	}
	return answers;
}

/* The question may have been on its way for longer than the connection was away. */
static bool is_alive(const struct inbound *inbound)
{
	const struct hub *hub = inbound->hub;
	return inbound->wire.open && reactor_now_ms(hub->reactor) - inbound->wire.heard_ms <
	                                     hub->interconnect->silence_ms;
}

static void tell_of(struct inquiry *inquiry, struct inbound *inbound, const json_t *question)
{
	if (inbound->dropped || is_alive(inbound) || !has_room(inquiry, CHANNEL_TEXT))
		return;
	inquiry->bytes += CHANNEL_TEXT;
	inbound_drop_wire(inbound, "the peer cannot reach this gateway, and asks what became of "
	                           "its commands");
	if (executed_confirm(inbound, (uint32_t)json_number(question, "exp_stat_sn", 0)) < 0)
		return;
	(void)json_array_append_new(inquiry->found,
	                            json_pack("{s:I, s:I, s:I, s:o}", "reactor",
	                                      (json_int_t)inbound->reactor, "life",
	                                      json_number(question, "life", 0), "exp_cmd_sn",
	                                      (json_int_t)inbound->exp_cmd_sn, "answers",
	                                      format_answers(inquiry, inbound)));
}

/* NULL: none is about it. */
static const json_t *find_of_reactor(const json_t *channels, uint32_t reactor)
{
	const json_t *channel;
	size_t index;
	json_array_foreach (channels, index, channel) {
		if (json_number(channel, "reactor", -1) == (json_int_t)reactor)
			return channel;
	}
	return NULL;
}

static void visit_inbounds(struct inquiry *inquiry, struct hub *hub)
{
	struct inbound *inbound, *following;
	list_for_each_safe (inbound, following, &hub->inbounds, link) {
		const json_t *question = find_of_reactor(inquiry->given, inbound->reactor);
		if (question && strcmp(inbound->gateway, inquiry->peer->gateway) == 0 &&
		    strcmp(inbound->instance, inquiry->peer->instance) == 0)
			tell_of(inquiry, inbound, question);
	}
}

int interconnect_find_fates(struct interconnect *interconnect, uint32_t id,
                            const json_t *unanswered, interconnect_fates_done *done, void *argument)
{
	return start_inquiry(interconnect, id,
	                     (struct inquiry){ .visit = visit_inbounds,
	                                       .given = (json_t *)unanswered,
	                                       .done = done,
	                                       .argument = argument });
}

/* ---- the origin takes it ---- */

static int take_answer(struct channel *channel, const char *hex)
{
	uint8_t pdu[BHS_BYTES + sizeof(channel->small)];
	size_t len;
	int r = text_get_hex(hex, strlen(hex), pdu, sizeof(pdu), &len);
	if (r < 0)
		return r;
	if (len < BHS_BYTES || pdu_data_len(pdu) != len - BHS_BYTES)
		return -EPROTO;
	if (serial_lt(get_be32(pdu + BHS_STAT_SN), channel->exp_stat_sn))
		return 0; /* told before */
	struct relayed *relayed = channel_find(channel, pdu_itt(pdu));
	if (relayed)
		relayed->have = 0; /* of an answer that was torn */
	return answer_take_fate(channel, pdu, pdu + BHS_BYTES);
}

static int take_answers(struct channel *channel, const json_t *answers, unsigned *ret_taken)
{
	const json_t *answer;
	size_t index;
	json_array_foreach (answers, index, answer) {
		int r = json_is_string(answer) ? take_answer(channel, json_string_value(answer))
		                               : -EPROTO;
		if (r < 0)
			return r;
		++*ret_taken;
	}
	return 0;
}

/* Declarations, and requests to abort what the owner still has, go under new numbers. */
static bool goes_again(const struct channel *channel, const struct relayed *relayed)
{
	return relayed->kind != RELAYED_ABORT || channel_find(channel, relayed->referenced_itt);
}

/* Everything from this number on is not there, nor on its way. */
static int take_back_unreceived(struct channel *channel, uint32_t exp_cmd_sn, unsigned *ret_back)
{
	struct relayed *relayed, *following;

	if (serial_lt(exp_cmd_sn, channel->acknowledged))
		return -EPROTO;
	int r = channel_acknowledge(channel, exp_cmd_sn);
	if (r < 0)
		return r;
	channel->cmd_sn = exp_cmd_sn;
	list_for_each_safe (relayed, following, &channel->sent, link) {
		if (serial_lt(relayed->cmd_sn, exp_cmd_sn))
			continue;
		if (relayed_is_answered(relayed)) {
			*ret_back += is_unanswered(relayed);
			relayed_return(channel, relayed, RELAY_NOT_EXECUTED);
		} else if (goes_again(channel, relayed)) {
			relayed->cmd_sn = channel->cmd_sn++;
		} else {
			relayed_put(channel->hub, relayed);
		}
	}
	return 0;
}

static void take_fates(struct channel *channel, const json_t *fates)
{
	const struct peer *peer = channel->part->peer;
	uint32_t exp_stat_sn = channel->exp_stat_sn, cmd_sn = channel->cmd_sn;
	unsigned taken = 0, back = 0;

	int r = take_answers(channel, json_object_get(fates, "answers"), &taken);
	if (r == 0)
		r = take_back_unreceived(channel, (uint32_t)json_number(fates, "exp_cmd_sn", 0),
		                         &back);
	if (channel->exp_stat_sn != exp_stat_sn || channel->cmd_sn != cmd_sn)
		channel_restart_login(channel); /* what it has said is not true any more */
	if (r < 0)
		log_limited(LOG_LEVEL_WARNING, 10000,
		            "peer %s (%s): reactor %u: what it says of its commands is wrong",
		            peer->gateway, peer->instance, channel->hub->number);
	if (taken || back)
		log_info("peer %s (%s): reactor %u: it says through the store that it has "
		         "answered %u commands, and has not received %u",
		         peer->gateway, peer->instance, channel->hub->number, taken, back);
}

static void visit_channel(struct inquiry *inquiry, struct hub *hub)
{
	struct channel *channel = inquiry->peer->parts[hub->number].channel;
	const json_t *fates = find_of_reactor(inquiry->given, hub->number);

	/* If it has been up since, the owner may have received more. */
	if (fates && channel && channel->state != CHANNEL_UP &&
	    json_number(fates, "life", -1) == (json_int_t)channel->lives)
		take_fates(channel, fates);
}

int interconnect_take_fates(struct interconnect *interconnect, uint32_t id, const json_t *fates)
{
	return start_inquiry(interconnect, id,
	                     (struct inquiry){ .visit = visit_channel, .given = (json_t *)fates });
}
