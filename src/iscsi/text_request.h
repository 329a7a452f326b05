/* Text requests in full feature phase: collecting the request over its PDUs, and giving out the
 * answer in pieces. One exchange at a time. [RFC 7143 11.10, 11.11] */
#pragma once

struct session;

/* Forgets the exchange. */
void text_exchange_done(struct session *session);
