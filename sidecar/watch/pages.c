/*
 * See pages.h. Reasons name settings and what to do, never a secret.
 */
#include "watch/pages.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/metrics.h"
#include "consumer/consumer.h"
#include "link/link.h"
#include "realtime/realtime.h"
#include "watch/hints.h"

static const char *const application_json = "application/json";

static int
answer_json(int status, json_t *object, char **body, size_t *len, const char **type)
{
	*body = json_dumps(object, JSON_COMPACT);
	*len = strlen(*body);
	*type = application_json;
	json_decref(object);
	return status;
}

static void
add_reason(json_t *reasons, const char *what, const char *why)
{
	json_object_set_new(reasons, what, json_string(why));
}

static const char *
role(const struct consumer *consumer)
{
	if (consumer == NULL)
		return "off";
	if (!consumer_connected(consumer))
		return "disconnected";
	if (consumer_follows(consumer))
		return "reader";
	return consumer_leads(consumer) ? "leader" : "standby";
}

static void
add_database(json_t *reasons, const struct consumer *consumer)
{
	const char *hint;

	if (consumer == NULL || consumer_connected(consumer))
		return;
	hint = consumer_hint(consumer);
	json_object_set_new(reasons, "database",
						json_sprintf("not connected, or the extension does not answer; %s",
									 hint[0] != '\0' ? hint : "the log says what to change"));
}

const char *
page_realtime_trouble(const struct app *app)
{
	if (app->link != NULL)
		return link_trouble(app);
	/* A standby does not deliver, so it has nothing to say about Realtime. */
	return consumer_leads(app->realtime) ? realtime_trouble(app) : NULL;
}

static int
answer_ready(struct app *app, char **body, size_t *len, const char **type)
{
	json_t *reasons = json_object(), *notes = json_array();
	const char *trouble = page_realtime_trouble(app);
	const char *note = app->link == NULL ? realtime_note(app) : NULL;
	bool ready;

	add_database(reasons, app->realtime);
	add_database(reasons, app->webhooks);
	if (trouble != NULL)
		add_reason(reasons, app->link != NULL ? "endpoint" : "realtime", trouble);
	if (app->draining)
		add_reason(reasons, "process", "ending");
	if (note != NULL)
		json_array_append_new(notes, json_string(note));
	ready = json_object_size(reasons) == 0;
	return answer_json(ready ? 200 : 503,
					   json_pack("{s:b,s:s,s:s,s:o,s:o,s:o}", "ready", ready, "realtime",
								 role(app->realtime), "webhooks", role(app->webhooks), "reasons",
								 reasons, "hints", hints_list(app->hints), "notes", notes),
					   body, len, type);
}

int
page_answer(struct app *app, const char *path, char **body, size_t *len, const char **type)
{
	if (strcmp(path, "/metrics") == 0)
	{
		*body = metrics_render(app->metrics, len);
		*type = "text/plain; version=0.0.4; charset=utf-8";
		return 200;
	}
	if (strcmp(path, "/readyz") == 0)
		return answer_ready(app, body, len, type);
	if (strcmp(path, "/healthz") == 0)
		return answer_json(200, json_pack("{s:s}", "status", "ok"), body, len, type);
	return answer_json(404, json_pack("{s:s}", "error", "not found"), body, len, type);
}

uint64_t
page_refresh(struct app *app, const char *path)
{
	return app->link != NULL && strcmp(path, "/metrics") == 0 ? link_refresh(app) : 0;
}
