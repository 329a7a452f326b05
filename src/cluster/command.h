/* Questions to the monitors. They block; any thread but a reactor's. */
#pragma once

#include "cluster/client.h"

/* Do the pool's placement rules ask for devices of class ssd or nvme? */
int cluster_pool_solid_state(struct cluster_client *client, const char *pool, bool *ret_solid_state,
                             struct error *err) MUST_CHECK;
