/* Fencing of instances, and the fence debt: every address of ours that was ever fenced stays
 * in a row `debt/ADDRESS` and its blocklist entry (ten years) is renewed until that process is
 * proven gone (H13). Entries are never removed (H12). All calls block. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cluster_client;
struct fence;
struct store;

struct fence_config {
	struct store *store;
	struct cluster_client *control; /* NULL with a store without cluster: dead is dead there */
	unsigned expire_s;              /* 0: ten years; tests make it short */
	unsigned outsider_s;            /* 0: an hour, as upstream's entries; likewise */
};
int fence_new(const struct fence_config *config, struct fence **ret_fence) MUST_CHECK;
void fence_free(struct fence *fence);
DEFINE_AUTO(fence);

/* Fences all these addresses (in parallel), each written into the debt first, and waits until that
 * map is in force on the control client. 0 only if all of it has happened. */
int fence_addresses(struct fence *fence, char *const *addresses, size_t count, const char *gateway,
                    const char *instance, struct error *err) MUST_CHECK;
/* The same with a client that is no gateway's of ours and perhaps lives, because it has the lock of
 * a LUN that is on demand. With such gateways a lock can move for ever, and each time leaves an
 * entry; so this one lasts an hour. At its end it is made anew for ten years, unless that host has
 * had the lock with another client since. It is not remembered: who has the lock is fenced anew. */
int fence_outsider(struct fence *fence, const char *lun, const char *address,
                   struct error *err) MUST_CHECK;
/* Any thread, never blocks: this process fenced it, or found it in the debt. */
bool fence_is_fenced(struct fence *fence, const char *address);
/* The same. A map that was the newest later than then has the fence (clock_monotonic_ms()); 0: not
 * fenced. */
uint64_t fence_since_ms(struct fence *fence, const char *address);
/* Reads the debt and the rows of outsiders, and renews the entries of all that are not proven gone.
 * At start and when fence_due_ms() says so. */
int fence_renew(struct fence *fence, struct error *err) MUST_CHECK;
/* Any thread, never blocks: when to renew next (clock_monotonic_ms()). An entry that somebody else
 * made for a short time cannot be prolonged, only made anew when it ends. 0: now, also after a
 * renewal that failed. */
uint64_t fence_due_ms(struct fence *fence);
/* The process of that instance is proven gone: its successor on the same host saw it end. Leaves
 * the blocklist as it is. */
int fence_settle(struct fence *fence, const char *instance, struct error *err) MUST_CHECK;
