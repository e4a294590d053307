/*
 * libwebsockets, a guest on the event loop: it adds its handles, and takes them off again some turns after
 * lws_context_destroy, so the loop must run on until then.
 */
#ifndef SIDECAR_LWS_H
#define SIDECAR_LWS_H

#include <libwebsockets.h>

#include "app.h"

/* Makes a context on the app's loop, which context is set to; its log is ours. info has what is asked for beside that. False: libwebsockets does not work here, and stderr says what is missing. */
bool
lws_on_loop(struct app *app, struct lws_context_creation_info *info, struct lws_context **context);

/* When the loop has ended, after lws_context_destroy. */
void lws_off_loop(struct lws_context **context);

#endif
