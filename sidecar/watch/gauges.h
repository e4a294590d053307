/*
 * Gauges that the database has names, texts and values of (chat.sidecar_gauges), for /metrics.
 */
#ifndef SIDECAR_GAUGES_H
#define SIDECAR_GAUGES_H

#include "app.h"
#include "io/db.h"

struct gauges;

extern const struct db_statement gauges_statement;

struct gauges *gauges_create(struct metrics *metrics);
void gauges_destroy(struct gauges *gauges);
/* Takes the answer to gauges_statement over. */
void gauges_take(struct gauges *gauges, const PGresult *result);

#endif
