/*
 * The JSON that the console's page shows.
 */
#ifndef SIDECAR_CONSOLE_STATUS_H
#define SIDECAR_CONSOLE_STATUS_H

#include <stdbool.h>

#include "console/console_data.h"
#include "io/listener.h"

/* all: with the rows of webhooks, too. */
struct reply console_status(struct app *app, const struct console_data *data, bool all);

#endif
