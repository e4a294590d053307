/*
 * What the database counted of the API (chat.api_stats), as series of /metrics: answers by code, requests by caller and outcome, and the time that
 * calls of each function took.
 */
#ifndef SIDECAR_API_METRICS_H
#define SIDECAR_API_METRICS_H

#include <libpq-fe.h>

#include "app.h"
#include "io/db.h"

struct api_metrics;

extern const struct db_statement api_metrics_statement;

struct api_metrics *api_metrics_create(struct metrics *metrics);
void api_metrics_destroy(struct api_metrics *api);

/* Takes over the statement's answer; series are made as names turn up. */
void api_metrics_take(struct api_metrics *api, const PGresult *result);

#endif
