/*
 * See lws.h.
 */
#include "io/lws.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

static void
log_line(int level, const char *line)
{
	char text[256];

	(void) level;
	snprintf(text, sizeof(text), "%.*s", (int) strcspn(line, "\n"), line);
	log_event(LOG_DEBUG, "libwebsockets", "text", "%s", text, NULL);
}

bool
lws_on_loop(struct app *app, struct lws_context_creation_info *info, struct lws_context **context)
{
	void *loops[1] = {app->loop};

	lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
	info->options |= LWS_SERVER_OPTION_LIBUV;
	info->foreign_loops = loops;
	info->user = app;
	info->pcontext = context;
	*context = lws_create_context(info);
	info->foreign_loops = NULL;
	if (*context == NULL)
		fputs(
			"chat-sidecar: libwebsockets has no libuv support here; install libwebsockets-evlib-uv\n",
			stderr);
	return *context != NULL;
}

void
lws_off_loop(struct lws_context **context)
{
	/* Versions differ in who frees a context whose handles are gone; the pointer is NULL if the library did. */
	if (*context != NULL)
		lws_context_destroy(*context);
}
