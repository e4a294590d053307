/*
 * The realtime consumer: delivers events to Realtime as batches of broadcasts.
 */
#ifndef SIDECAR_REALTIME_H
#define SIDECAR_REALTIME_H

#include "app.h"

struct consumer *realtime_create(struct app *app);

/* Destroys the consumer and all that belongs to it; while the loop still runs, its handles close. */
void realtime_destroy(struct app *app);

/* Takes over settings that were read again, and tries at once what waits for somebody to mend them. */
void realtime_reload(struct app *app);

/* What keeps Realtime from accepting events; NULL: nothing that is known. */
const char *realtime_trouble(const struct app *app);

/* What is not as good as it could be, and keeps nothing from being delivered; NULL: nothing. */
const char *realtime_note(const struct app *app);

#endif
