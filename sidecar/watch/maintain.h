/*
 * Calls chat.maintain() now and then: partitions ahead, retention, clearing up. Every process does; the database
 * lets one at a time.
 */
#ifndef SIDECAR_MAINTAIN_H
#define SIDECAR_MAINTAIN_H

#include "app.h"

struct maintain;

/* The realtime consumer, whose connection is used, must exist, and outlive it. */
struct maintain *maintain_create(struct app *app);
/* Frees itself when its timer is closed. */
void maintain_destroy(struct maintain *maintain);

#endif
