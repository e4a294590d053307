/*
 * See console_status.h. What the database says is JSON already, and goes out as it is.
 */
#include "console/console_status.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/metrics.h"
#include "config.h"
#include "consumer/consumer.h"
#include "io/db_error.h"
#include "sink.h"
#include "watch/pages.h"

#define TROUBLE_SIZE (2 * DB_ERROR_SIZE)

static void
add_name(struct buffer *out, const char *name)
{
	buffer_text(out, ",\"");
	buffer_text(out, name);
	buffer_text(out, "\":");
}

/* A value that is JSON; NULL: there is none. */
static void
add_value(struct buffer *out, const char *name, const char *json)
{
	add_name(out, name);
	buffer_text(out, json != NULL ? json : "null");
}

static void
add_json(struct buffer *out, const char *name, json_t *value)
{
	char *json = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	add_value(out, name, json);
	free(json);
	json_decref(value);
}

/* What this process has read and not done: of a consumer without a stored position nobody else knows. */
static json_t *
unfinished(const struct app *app)
{
	json_t *all = json_object();

	for (int i = 0; i < app->nconsumers; i++)
	{
		const struct consumer *consumer = app->consumers[i];
		double since, age = 0;
		json_int_t count = (json_int_t) consumer_unfinished(consumer, &since);

		if (since > 0)
			age = consumer_now(consumer) - since;
		json_object_set_new(all, consumer_sink(consumer)->name,
							json_pack("{s:I,s:f,s:b}", "events", count, "oldestSeconds",
									  age > 0 ? age : 0, "follows", consumer_follows(consumer)));
	}
	return all;
}

/* Values alone, and not those of the API, which are many and which the page does not show. */
static bool
is_shown(const char *line)
{
	return *line != '#' && strncmp(line, "chat_api_", 9) != 0;
}

/* Keeps the lines of a text that are shown, in place. */
static void
keep_shown(char *page)
{
	char *out = page;

	for (char *line = page; *line != '\0';)
	{
		size_t len = strcspn(line, "\n");

		len += line[len] == '\n';
		if (is_shown(line))
		{
			memmove(out, line, len);
			out += len;
		}
		line += len;
	}
	*out = '\0';
}

static void
add_metrics(struct buffer *out, const struct app *app)
{
	size_t len;
	char *page = metrics_render(app->metrics, &len);

	keep_shown(page);
	add_name(out, "metrics");
	buffer_json(out, page);
	free(page);
}

static void
add_database(struct buffer *out, const struct console_data *data, bool all)
{
	struct console_answers answers = console_data_answers(data);
	char trouble[TROUBLE_SIZE];

	add_json(out, "trouble",
			 console_data_trouble(data, trouble, sizeof(trouble)) ? json_string(trouble) : NULL);
	add_json(out, "ageSeconds", answers.status != NULL ? json_real(answers.age) : NULL);
	add_value(out, "database", answers.status);
	add_value(out, "failing", answers.failing);
	add_value(out, "webhooks", all ? answers.webhooks : NULL);
}

struct reply
console_status(struct app *app, const struct console_data *data, bool all)
{
	struct buffer out = {0};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	buffer_text(&out, "{\"version\":\"" SIDECAR_VERSION "\"");
	add_json(&out, "at", json_real((double) now.tv_sec + (double) now.tv_nsec / 1e9));
	add_json(&out, "hasToken", json_boolean(app->config->console_token != NULL));
	add_json(&out, "all", json_boolean(all));
	add_json(&out, "ready", page_ready(app));
	add_json(&out, "unfinished", unfinished(app));
	add_database(&out, data, all);
	add_metrics(&out, app);
	buffer_text(&out, "}");
	return (struct reply){200, "application/json", out.data, out.len};
}
