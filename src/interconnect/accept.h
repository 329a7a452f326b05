/* The listener, and connections of who has not proved yet to be of the cluster. On the manager. */
#pragma once

#include "interconnect/hub.h"

struct acceptor;

int acceptor_new(struct interconnect *interconnect, const char *address, uint16_t port,
                 struct acceptor **ret_acceptor, struct error *err) MUST_CHECK;
const char *acceptor_address(const struct acceptor *acceptor);
/* Closes all; what was handed over to hubs lives on. */
void acceptor_close(struct acceptor *acceptor);
/* NULL is fine. */
void acceptor_free(struct acceptor *acceptor);
