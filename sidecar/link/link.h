/*
 * The realtime consumer where there is no REALTIME_URL: events go to the endpoint, which is a process of its own, as
 * batches of broadcasts over a pair of sockets. A batch is done when the endpoint has queued it for every subscriber.
 */
#ifndef SIDECAR_LINK_H
#define SIDECAR_LINK_H

#include "app.h"

struct link;

/* Binds EMBEDDED_LISTEN and starts the endpoint; sets app->link and app->realtime. False: the port cannot be had, and stderr says why. */
bool link_create(struct app *app);
/* Destroys the consumer and ends the endpoint; while the loop still runs, its handles close. */
void link_destroy(struct app *app);
/* The endpoint is told what was read again. */
void link_reload(struct app *app);
/* What keeps events from clients; NULL: nothing that is known. */
const char *link_trouble(const struct app *app);

/* Asks for the endpoint's metrics: the server is told the number once they are there. 0: nobody would answer. */
uint64_t link_refresh(struct app *app);

#endif
