/* Rows outsider/POOL/IMAGE = {HOST: ADDRESS, ...}: of each host that is no gateway of ours the
 * client that was fenced last because it had the lock of that LUN. An earlier client of the same
 * host needs no entry any more: a gateway that came back with a new one has closed it. Blocks. */
#pragma once

#include "base/error.h"

struct store;

/* Notes the address in the place of the one that the row has of its host. */
int outsider_write(struct store *store, const char *lun, const char *address,
                   struct error *err) MUST_CHECK;
/* visit gets each address; it ends at the first that visit returns a failure for. */
int outsider_list(struct store *store, int (*visit)(void *argument, const char *address),
                  void *argument, struct error *err) MUST_CHECK;
