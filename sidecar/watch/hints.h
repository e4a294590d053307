/*
 * What somebody should mend in the database, asked now and then for /readyz: it is no reason not to be ready.
 */
#ifndef SIDECAR_HINTS_H
#define SIDECAR_HINTS_H

#include <jansson.h>

#include "app.h"

struct hints;

/* The realtime consumer, whose connection is used, must exist, and outlive it. */
struct hints *hints_create(struct app *app);
/* Frees itself when its timer is closed. */
void hints_destroy(struct hints *hints);

/* An array of sentences, a new reference; empty while nothing is known. */
json_t *hints_list(const struct hints *hints);

#endif
