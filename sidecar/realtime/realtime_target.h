/*
 * Where broadcasts go, and with which key: Realtime as it is configured.
 */
#ifndef SIDECAR_REALTIME_TARGET_H
#define SIDECAR_REALTIME_TARGET_H

#include <stdbool.h>

#include "app.h"

struct realtime_target;

struct realtime_target *realtime_target_create(struct app *app);
void realtime_target_destroy(struct realtime_target *target);

const char *realtime_target_url(const struct realtime_target *target);
/* The same for people: without user and password. */
const char *realtime_target_shown(const struct realtime_target *target);

/* "Name: value", NULL terminated; good until the next call. Makes a new token where the old one is aging. */
const char *const *realtime_target_headers(struct realtime_target *target);

/* The key was refused, or the settings were read again; true: there is another one. */
bool realtime_target_renew(struct realtime_target *target);

#endif
