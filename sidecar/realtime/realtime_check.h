/*
 * Whether a secret key of a gateway, which says nothing of itself, may send: one private message to a topic that nobody
 * joins is answered truly, while a batch is accepted with any key. Nothing else is sent before.
 */
#ifndef SIDECAR_REALTIME_CHECK_H
#define SIDECAR_REALTIME_CHECK_H

#include <stdbool.h>

#include "app.h"
#include "io/http.h"
#include "realtime/realtime_target.h"

struct realtime_check;

/* passed: called when the key has turned out to be good. Any other key is taken as it is: the settings were checked. */
struct realtime_check *
realtime_check_create(struct app *app, struct http_pool *pool, struct realtime_target *target,
					  void (*passed)(void *arg), void *arg);
/* Before the pool is destroyed; frees itself when its timer is closed. */
void realtime_check_destroy(struct realtime_check *check);

bool realtime_check_passed(const struct realtime_check *check);

/* There may be another key, or somebody may have mended something. */
void realtime_check_again(struct realtime_check *check, bool other_key);

/* Why nothing is sent yet; NULL: nothing is wrong. */
const char *realtime_check_trouble(const struct realtime_check *check);

#endif
