/* A store in the cluster that the test stands beside, by a client of its own. */
#pragma once

#include "cluster/client.h"
#include "store/store.h"
#include "test.h"

struct place {
	struct cluster_client *cluster;
	struct store *store;
};

static inline struct place place_open(void)
{
	struct place place = { 0 };
	struct cluster_client_config client = { .client_name = "client.gw" };
	ASSERT_EQ(cluster_client_connect(&client, &place.cluster, NULL), 0);
	struct store_config config = {
		.kind = "rados", .cluster = place.cluster, .pool = "rbd", .object = "gateway.conf"
	};
	ASSERT_EQ(store_open(&config, &place.store, NULL), 0);
	return place;
}

static inline void place_close(struct place *place)
{
	store_free(place->store);
	cluster_client_free(place->cluster);
}
#define AUTO_PLACE __attribute__((cleanup(place_close)))
