/*
 * The endpoint's end of the link: batches of the core are broadcast and acknowledged, and the core is told the metrics.
 */
#ifndef SIDECAR_FEED_H
#define SIDECAR_FEED_H

#include <stdbool.h>

#include "app.h"
#include "link/link_wire.h"

struct feed;

/* app->embedded and all metrics must exist. settings: takes over what they are verified with now. ended: the core is gone, or wants this process to end. */
struct feed *feed_create(struct app *app, int fd,
						 void (*settings)(void *arg, const struct link_settings *settings),
						 void (*ended)(void *arg), void *arg);
void feed_destroy(struct feed *feed);

/* Tells the core whether the database can be asked. */
void feed_tell_database(struct feed *feed, bool connected);

#endif
