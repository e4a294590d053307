/*
 * What the database knows about the consumers, asked now and then for /metrics: how far behind each one is,
 * and the age of the oldest event that is not delivered.
 */
#ifndef SIDECAR_STATS_H
#define SIDECAR_STATS_H

#include "app.h"

struct stats;

/* The realtime consumer, whose connection is used, must exist, and outlive it. */
struct stats *stats_create(struct app *app);
/* Frees itself when its timer is closed. */
void stats_destroy(struct stats *stats);

#endif
