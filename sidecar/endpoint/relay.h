/*
 * Several endpoints behind one address: what clients of one broadcast, and what programs send it over HTTP, the others'
 * clients hear, too. It goes through a table of the database, at most every 50 ms, and a NOTIFY rings that carries nothing.
 *
 * Broadcasts promise nothing, and the relay less: 1 MiB every 50 ms of one endpoint, 16 MiB that wait, and a connection that
 * was lost has missed what came meanwhile. Events come from the log. Who is there (presence_share.h) goes through another table,
 * which has the state, not the steps.
 */
#ifndef SIDECAR_ENDPOINT_RELAY_H
#define SIDECAR_ENDPOINT_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"

struct broadcast;
struct embedded;
struct metrics;
struct relay;
struct shared_presence;

struct relay *relay_create(struct embedded *embedded);
/* While the loop runs on it tells the others that it leaves, and its handles close. */
void relay_destroy(struct relay *relay);
void relay_register_metrics(struct metrics *metrics);
/* Gives a broadcast to the others, if there are any. */
void relay_send(struct relay *relay, bool is_private, const struct broadcast *broadcast);

/* Tells the others what one of this endpoint's presences has become; NULL: it left. The relay may be NULL: at the end. */
void relay_presence(struct relay *relay, uint64_t number, const struct shared_presence *presence);

#endif
