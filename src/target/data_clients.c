/* A fixed number of places for data clients; a place whose client was fenced gets a new one while
 * the old one waits in a list until its last image is closed. */
#include "target/data_clients.h"

#include "base/list.h"
#include "base/log.h"
#include "cluster/client.h"
#include "ownership/registration.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

struct place {
	struct cluster_client *client;
	unsigned images;
	bool lost, own;   /* own: for one image */
	struct list link; /* in live, in lost, or in own */
};

struct data_clients {
	struct data_clients_config config;
	pthread_mutex_t lock;    /* of the lists; never held while the cluster is asked */
	pthread_mutex_t connect; /* one connects at a time; taken before lock */
	struct list live, lost, own;
	unsigned live_count;
};

int data_clients_new(const struct data_clients_config *config, struct data_clients **ret_clients)
{
	struct data_clients *clients = calloc(1, sizeof *clients);
	if (!clients)
		return -ENOMEM;
	clients->config = *config;
	(void)pthread_mutex_init(&clients->lock, NULL);
	(void)pthread_mutex_init(&clients->connect, NULL);
	list_init(&clients->live);
	list_init(&clients->lost);
	list_init(&clients->own);
	*ret_clients = clients;
	return 0;
}

static void end_client(struct data_clients *clients, struct cluster_client *client, bool lost)
{
	struct error err = { 0 };
	/* A fenced client stays in the row: its address must stay fenced as long as it may live. */
	if (!lost && registration_remove(clients->config.registration,
	                                 cluster_client_address(client), &err) < 0)
		log_warning("%s", err.text);
	cluster_client_free(client);
}

void data_clients_free(struct data_clients *clients)
{
	if (!clients)
		return;
	assert(list_empty(&clients->lost) && list_empty(&clients->own));
	for (struct list *link; (link = list_take_first(&clients->live));) {
		struct place *place = list_entry(link, struct place, link);
		assert(place->images == 0);
		end_client(clients, place->client, false);
		free(place);
	}
	(void)pthread_mutex_destroy(&clients->connect);
	(void)pthread_mutex_destroy(&clients->lock);
	free(clients);
}

static int connect_client(struct data_clients *clients, struct cluster_client **ret_client,
                          struct error *err)
{
	struct cluster_client_config config = {
		.conf_path = clients->config.conf_path,
		.client_name = clients->config.client_name,
		.data = true,
	};
	AUTO(cluster_client) struct cluster_client *client = NULL;
	int r = cluster_client_connect(&config, &client, err);
	if (r < 0)
		return r;
	r = registration_add(clients->config.registration, cluster_client_address(client), err);
	if (r < 0)
		return r;
	*ret_client = steal(&client);
	return 0;
}

/* The least used place, or NULL when a further client should be made first. Under lock. */
static struct place *pick(struct data_clients *clients)
{
	struct place *best = NULL, *place;
	list_for_each (place, &clients->live, link) {
		if (!best || place->images < best->images)
			best = place;
	}
	if (best && best->images > 0 && clients->live_count < clients->config.count)
		return NULL;
	return best;
}

static struct cluster_client *take_picked(struct data_clients *clients)
{
	(void)pthread_mutex_lock(&clients->lock);
	struct place *place = pick(clients);
	if (place)
		place->images++;
	(void)pthread_mutex_unlock(&clients->lock);
	return place ? place->client : NULL;
}

/* A new place with one image on it. */
static int add_place(struct data_clients *clients, bool own, struct cluster_client **ret_client,
                     struct error *err)
{
	struct place *place = calloc(1, sizeof *place);
	int r = place ? connect_client(clients, &place->client, err)
	              : error_set(err, -ENOMEM, "cluster client: out of memory");
	if (!place || r < 0) {
		free(place);
		return r;
	}
	place->own = own;
	place->images = 1;
	*ret_client = place->client;
	(void)pthread_mutex_lock(&clients->lock);
	list_append(own ? &clients->own : &clients->live, &place->link);
	clients->live_count += !own;
	(void)pthread_mutex_unlock(&clients->lock);
	return 0;
}

int data_clients_take(struct data_clients *clients, struct cluster_client **ret_client,
                      struct error *err)
{
	*ret_client = take_picked(clients);
	if (*ret_client)
		return 0;

	(void)pthread_mutex_lock(&clients->connect);
	int r = 0;
	*ret_client = take_picked(clients); /* another thread may have connected meanwhile */
	if (!*ret_client)
		r = add_place(clients, false, ret_client, err);
	(void)pthread_mutex_unlock(&clients->connect);
	return r;
}

int data_clients_take_own(struct data_clients *clients, struct cluster_client **ret_client,
                          struct error *err)
{
	return add_place(clients, true, ret_client, err);
}

static struct place *find(struct data_clients *clients, const struct cluster_client *client)
{
	struct list *const lists[] = { &clients->live, &clients->lost, &clients->own };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct place *place;
		list_for_each (place, lists[i], link) {
			if (place->client == client)
				return place;
		}
	}
	return NULL;
}

void data_clients_put(struct data_clients *clients, struct cluster_client *client)
{
	(void)pthread_mutex_lock(&clients->lock);
	struct place *place = find(clients, client);
	assert(place && place->images > 0);
	place->images--;
	bool over = (place->lost || place->own) && place->images == 0;
	if (over)
		list_remove(&place->link);
	(void)pthread_mutex_unlock(&clients->lock);
	if (over) {
		end_client(clients, place->client, place->lost);
		free(place);
	}
}

void data_clients_lost(struct data_clients *clients, struct cluster_client *client)
{
	(void)pthread_mutex_lock(&clients->lock);
	struct place *place = find(clients, client);
	/* One for one image is put next, and gone then. */
	if (place && !place->lost && !place->own) {
		place->lost = true;
		list_remove(&place->link);
		list_append(&clients->lost, &place->link);
		clients->live_count--;
		log_warning("cluster client %s was fenced: its images are opened anew",
		            cluster_client_address(client));
	}
	(void)pthread_mutex_unlock(&clients->lock);
}
