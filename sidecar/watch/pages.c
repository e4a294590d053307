/*
 * See pages.h. Reasons name settings and what to do, never a secret.
 */
#include "watch/pages.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/metrics.h"
#include "canary/canary.h"
#include "consumer/consumer.h"
#include "sink.h"
#include "sinks.h"
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

	if (consumer_connected(consumer))
		return;
	hint = consumer_hint(consumer);
	json_object_set_new(reasons, "database",
						json_sprintf("not connected, or the extension does not answer; %s",
									 hint[0] != '\0' ? hint : "the log says what to change"));
}

static void
add_consumer(json_t *reasons, json_t *notes, const struct consumer *consumer)
{
	const char *trouble = consumer_trouble(consumer), *note = consumer_note(consumer);

	add_database(reasons, consumer);
	if (trouble != NULL)
		add_reason(reasons, consumer_sink(consumer)->part, trouble);
	if (note != NULL)
		json_array_append_new(notes, json_string(note));
}

/* What each way out is for this process, by its consumer's name. */
static void
add_roles(json_t *answer, const struct app *app)
{
	for (const struct sink *const *sink = sinks_all(); *sink != NULL; sink++)
		json_object_set_new(answer, (*sink)->name,
							json_string(role(sinks_consumer(app, (*sink)->name))));
}

json_t *
page_ready(struct app *app)
{
	json_t *answer = json_object(), *reasons = json_object(), *notes = json_array();
	const char *deaf = canary_trouble(app->canary);

	for (int i = 0; i < app->nconsumers; i++)
		add_consumer(reasons, notes, app->consumers[i]);
	if (deaf != NULL)
		add_reason(reasons, "canary", deaf);
	if (app->draining)
		add_reason(reasons, "process", "ending");
	json_object_set_new(answer, "ready", json_boolean(json_object_size(reasons) == 0));
	add_roles(answer, app);
	json_object_set_new(answer, "reasons", reasons);
	json_object_set_new(answer, "hints", hints_list(app->hints));
	json_object_set_new(answer, "notes", notes);
	return answer;
}

static int
answer_ready(struct app *app, char **body, size_t *len, const char **type)
{
	json_t *answer = page_ready(app);
	bool ready = json_is_true(json_object_get(answer, "ready"));

	return answer_json(ready ? 200 : 503, answer, body, len, type);
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
	uint64_t number = 0;

	if (strcmp(path, "/metrics") != 0)
		return 0;
	for (int i = 0; i < app->nconsumers && number == 0; i++)
		number = consumer_refresh_metrics(app->consumers[i]);
	return number;
}
