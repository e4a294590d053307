/*
 * The pages for those who watch the process.
 */
#ifndef SIDECAR_PAGES_H
#define SIDECAR_PAGES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "app.h"

/*
 * /healthz: the loop turns. /readyz: 200 when events flow or would, else 503; its JSON says why. /metrics:
 * Prometheus. A server_page.
 */
int page_answer(struct app *app, const char *path, char **body, size_t *len, const char **type);

/* What /readyz says, a new reference: ready, and what there is beside it. */
json_t *page_ready(struct app *app);

/* What of /metrics other processes have. A server_refresh. */
uint64_t page_refresh(struct app *app, const char *path);

#endif
