/*
 * Several endpoints behind one address: what clients of one broadcast, and what programs send it over HTTP, the others'
 * clients hear, too. It goes through a table of the database, at most every 50 ms, and a NOTIFY rings that carries nothing.
 *
 * Broadcasts promise nothing, and the relay less: 1 MiB every 50 ms of one endpoint, 16 MiB that wait, and a connection that
 * was lost has missed what came meanwhile. Events come from the log. Presence stays where it is.
 */
#ifndef SIDECAR_ENDPOINT_RELAY_H
#define SIDECAR_ENDPOINT_RELAY_H

#include <stdbool.h>

#include "app.h"

struct broadcast;
struct embedded;
struct metrics;
struct relay;

struct relay *relay_create(struct embedded *embedded);
/* While the loop runs on, its handles close. */
void relay_destroy(struct relay *relay);
void relay_register_metrics(struct metrics *metrics);
/* Gives a broadcast to the others, if there are any. */
void relay_send(struct relay *relay, bool is_private, const struct broadcast *broadcast);

#endif
