/*
 * The canary: a client of the sidecar's own, at Realtime or at its endpoint, that hears an event of its own every ten seconds,
 * written into the log like any other. It measures how long events take to clients, and misses those that do not arrive.
 *
 * Whoever delivers to clients has one: the leader of the consumer realtime, or each process with an endpoint of its own. A
 * standby has none, since what it would measure is the leader's, and each one costs Realtime a connection and its events.
 */
#ifndef SIDECAR_CANARY_H
#define SIDECAR_CANARY_H

#include "app.h"

struct canary;

/* Where the settings want none it has metrics alone. NULL: it cannot work, and stderr says why. */
struct canary *canary_create(struct app *app);
/* While the loop runs on: its handles close. */
void canary_destroy(struct canary *canary);
/* When the loop has ended. */
void canary_free(struct canary *canary);

/* Settings were read again. */
void canary_reload(struct canary *canary);
/* Why clients do not hear what they should, for /readyz; NULL: they do, or nothing is known. */
const char *canary_trouble(const struct canary *canary);

#endif
