/*
 * The pages for those who watch the process.
 */
#ifndef SIDECAR_PAGES_H
#define SIDECAR_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "app.h"

/* What keeps events from clients; NULL: nothing that is known. */
const char *page_realtime_trouble(const struct app *app);

/*
 * /healthz: the loop turns. /readyz: 200 when events flow or would, else 503; its JSON says why. /metrics:
 * Prometheus. A server_page.
 */
int page_answer(struct app *app, const char *path, char **body, size_t *len, const char **type);

/* The endpoint's part of /metrics. A server_refresh. */
uint64_t page_refresh(struct app *app, const char *path);

#endif
