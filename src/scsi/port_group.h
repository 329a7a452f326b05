/* The access states of a LUN's target port groups, as each initiator is told of them. */
#pragma once

#include "scsi/lun_private.h"

/* As REPORT TARGET PORT GROUPS tells that nexus; how many there are. */
size_t port_groups_told(struct lun *lun, const struct reservation_port *port,
                        struct port_group groups[LUN_MAX_PORT_GROUPS]);
