/*
 * One private message alone, to a topic that nobody can join: unlike a batch, it is answered by what became of it.
 */
#ifndef SIDECAR_REALTIME_SINGLE_H
#define SIDECAR_REALTIME_SINGLE_H

#include "io/http.h"
#include "realtime/realtime_target.h"

/* what: its event, for whoever reads Realtime's log. The callback comes later from the loop, exactly once. */
void realtime_single_send(struct http_pool *pool, struct realtime_target *target, const char *what,
						  http_callback callback, void *arg);

#endif
