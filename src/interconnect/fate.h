/* What became of a channel's commands, asked and told without its connection: by way of the store,
 * if the two gateways live and cannot reach each other (docs/availability.md, "Forwarding"). */
#pragma once

#include "interconnect/hub.h"

struct executed;
struct tx_slot;

/* The answer that is kept, as one PDU; execute.c. */
void executed_put_fate(const struct executed *executed, struct tx_slot *slot);
/* Such a PDU, on a channel that is not up, is taken like one of its connection; answer.c. */
int answer_take_fate(struct channel *channel, const uint8_t *bhs, const uint8_t *data) MUST_CHECK;
