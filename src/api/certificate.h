/* The certificate and key of the API: files, else the cluster's config-keys. */
#pragma once

#include "base/error.h"
#include "cluster/client.h"
#include "config/settings.h"

/* PEM texts, to be freed (the key after wipe()). Files of ceph_config_dir; if one is missing, both
 * from the cluster (may be NULL). -ENOENT: neither has them. */
int certificate_load(const struct settings *settings, struct cluster_client *cluster,
                     char **ret_certificate, char **ret_key, struct error *err) MUST_CHECK;
