/* The listening sockets: what a snapshot asks for is opened, what it does not is closed, what
 * cannot be opened yet is tried again each second. On the first worker's reactor. */
#pragma once

#include "base/auto.h"

struct apply;
struct iscsi_config;
struct iscsi_server;
struct portal_set;

int portals_new(struct iscsi_server *server, struct portal_set **ret_portals) MUST_CHECK;
/* Tells apply of the first address that cannot be bound. */
void portals_follow(struct portal_set *portals, const struct iscsi_config *config,
                    struct apply *apply);
void portals_close(struct portal_set *portals);
void portals_free(struct portal_set *portals);
