/*
 * What the database shows of the surroundings that settings do not fit: told once, as a warning.
 */
#ifndef SIDECAR_SURROUNDINGS_H
#define SIDECAR_SURROUNDINGS_H

#include "app.h"

struct surroundings;

/* The realtime consumer, whose connection is used, must exist, and outlive it. */
struct surroundings *surroundings_create(struct app *app);
/* Frees itself when its timer is closed. */
void surroundings_destroy(struct surroundings *surroundings);

/* What it says, and what mends it. */
extern const char surroundings_forgotten_url[], surroundings_mend[];

#endif
