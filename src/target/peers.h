/* The interconnect of this gateway, from the moment at which its address is known. LUNs may be made
 * before: they are given a relay that stays. On the manager, but for the relay. */
#pragma once

#include "base/error.h"
#include "interconnect/interconnect.h"

struct job_queue;
struct lun_registry;
struct peers;
struct registration;
struct store;

struct peers_config {
	struct reactor *manager;
	struct reactor *const *reactors; /* borrowed for life */
	unsigned reactor_count;
	struct lun_registry *luns;
	/* On the manager. */
	void (*changed)(void *argument);
	void (*told)(void *argument, const char *text);
	void *argument;
};
int peers_new(const struct peers_config *config, struct peers **ret_peers) MUST_CHECK;
/* After peers_stop(). NULL is fine. */
void peers_free(struct peers *peers);
/* For the lives of all LUNs. */
struct relay *peers_relay(struct peers *peers);

/* Listens at that address as soon as that is possible, and writes it into the registration. Called
 * again with another address it moves there; nothing else of it can change. What is pointed to is
 * borrowed until peers_stop(), but for the address. */
struct peers_place {
	const char *gateway, *address;
	uint16_t port;
	struct store *store;
	struct registration *registration;
	struct job_queue *jobs;
};
void peers_start(struct peers *peers, const struct peers_place *place);
/* NULL: not yet. */
struct interconnect *peers_interconnect(struct peers *peers);

/* interconnect_set_stalled(), also of the interconnect that is made later. */
void peers_set_stalled(struct peers *peers, uint32_t stalled_ms);
/* interconnect_end_relaying() */
void peers_end_relaying(struct peers *peers);
void peers_stop(struct peers *peers, void (*stopped)(void *argument), void *argument);
