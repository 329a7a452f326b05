/* What routes run that are not changes of the object. Each answers its request. */
#pragma once

#include "api/request.h"

/* run_object.c: parts of the object */
void run_config(struct request *request);
void run_targets(struct request *request);
void run_gateways(struct request *request);
void run_gateway(struct request *request);
void run_disks(struct request *request);
void run_stored_disk(struct request *request);
void run_clients(struct request *request);
void run_client(struct request *request);
void run_client_luns(struct request *request);
void run_groups(struct request *request);
void run_group(struct request *request);

/* run_live.c: what runs, asked of rbd-target-io here and of the other gateways */
void run_ping(struct request *request);
void run_disk(struct request *request);
/* The status of the local daemon; NULL if it does not serve. */
json_t *local_status(const struct request *request);
/* {"state", "lock_owner", "gateways"}: a disk as it stands in that status of this gateway. lun: who
 * owns it (owners.h), or NULL. Only {"state": "Unknown"} if nobody here serves it. */
json_t *disk_status(const json_t *status, const char *gateway, const char *id, const json_t *lun);
void run_targetinfo(struct request *request);
void run_local_targetinfo(struct request *request);
void run_gatewayinfo(struct request *request);
void run_clientinfo(struct request *request);
void run_local_clientinfo(struct request *request);

/* run_host.c: this host and its settings */
void run_sysinfo(struct request *request);
void run_settings(struct request *request);

/* run_overview.c: all disks at once */
void run_overview(struct request *request);

/* run_owners.c: owners of LUNs, gateways in maintenance */
void run_owners(struct request *request);
void run_history(struct request *request);
void run_owner_put(struct request *request);
void run_balance_put(struct request *request);
void run_maintenance_put(struct request *request);
void run_maintenance_delete(struct request *request);

/* disk_use.c: is the disk in use here */
void run_local_disk_use(struct request *request);

/* run_rollback.c: a part of run_snapshot_put() */
void run_rollback(struct request *request, const json_t *object);

/* run_snapshot.c */
void run_snapshot_put(struct request *request);
void run_snapshot_delete(struct request *request);
