/*
 * All ways out: which there are, and the consumers of those that this process has.
 */
#ifndef SIDECAR_SINKS_H
#define SIDECAR_SINKS_H

#include <stdbool.h>

#include "app.h"

struct db;
struct sink;

/* Makes a consumer for each sink that the settings ask for, in app->consumers. False: one of them cannot work, and has said why. */
bool sinks_create(struct app *app);
/* Destroys them with their sinks; while the loop still runs, their handles close. */
void sinks_destroy(struct app *app);

/* All of them, wanted or not, NULL terminated. */
const struct sink *const *sinks_all(void);
/* The consumer of a name, or NULL: this process has none. */
struct consumer *sinks_consumer(const struct app *app, const char *name);
/* A connection for statements that are no consumer's own: that of the first one that has one, or NULL. */
struct db *sinks_db(const struct app *app);

#endif
