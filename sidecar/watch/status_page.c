/*
 * See status_page.h.
 */
#define _GNU_SOURCE /* memrchr */
#include "watch/status_page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define TEXT_SIZE 81

/* Reading ----------------------------------------------------------------------------------------- */

static const json_t *
member(const json_t *object, const char *name)
{
	return json_object_get(object, name);
}

/* A text made fit for a terminal and for a column; "-" where there is none. */
static const char *
text_of(const json_t *value, char *out, size_t size)
{
	const char *text = json_string_value(value);

	if (text == NULL)
		text = json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-";
	text_clean(out, size, text, strlen(text), TEXT_LINE);
	return out;
}

static double
number_of(const json_t *value)
{
	return json_is_number(value) ? json_number_value(value) : 0;
}

/* Where the line after this one begins. */
static const char *
next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end != NULL ? end + 1 : line + strlen(line);
}

/* Whether a line is a series of this name, whose labels hold a text; *value is what is behind it. */
static bool
read_series(const char *line, const char *name, const char *labels, double *value)
{
	size_t len = strlen(name);
	const char *end = strchr(line, '\n'), *found, *blank;

	if (strncmp(line, name, len) != 0 || (line[len] != '{' && line[len] != ' ') || end == NULL)
		return false;
	found = strstr(line, labels);
	blank = memrchr(line, ' ', (size_t) (end - line));
	if (found == NULL || found > end || blank == NULL)
		return false;
	*value = strtod(blank, NULL);
	return true;
}

double
status_metric(const char *metrics, const char *name, const char *labels)
{
	double sum = -1, value;

	for (const char *line = metrics != NULL ? metrics : ""; *line != '\0'; line = next_line(line))
	{
		if (read_series(line, name, labels, &value))
			sum = (sum < 0 ? 0 : sum) + value;
	}
	return sum;
}

void
status_page_clear(struct status_page *page)
{
	json_decref(page->database);
	json_decref(page->ready);
	free(page->metrics);
	memset(page, 0, sizeof(*page));
}

/* Printing ---------------------------------------------------------------------------------------- */

/* A number of seconds as people say it. */
static const char *
age(double seconds, char *out, size_t size)
{
	if (seconds < 10)
		snprintf(out, size, "%.1f s", seconds);
	else if (seconds < 600)
		snprintf(out, size, "%.0f s", seconds);
	else if (seconds < 36000)
		snprintf(out, size, "%.0f min", seconds / 60);
	else
		snprintf(out, size, "%.1f h", seconds / 3600);
	return out;
}

static void
print_head(const struct status_page *page, const char *where, FILE *out)
{
	char version[24], server[32];
	const json_t *subject_reasons = member(page->ready, "reasons");
	const char *subject;
	json_t *reason;
	char text[TEXT_SIZE];

	fprintf(out, "chat_realtime %s on PostgreSQL %s\n",
			text_of(member(page->database, "version"), version, sizeof(version)),
			text_of(member(page->database, "server"), server, sizeof(server)));
	if (page->ready == NULL)
	{
		fprintf(out, "sidecar        none answers at %s\n", where);
		return;
	}
	fprintf(out, "sidecar        at %s, %s\n", where,
			json_is_true(member(page->ready, "ready")) ? "ready" : "not ready:");
	json_object_foreach((json_t *) subject_reasons, subject, reason)
		fprintf(out, "               %s: %s\n", subject, text_of(reason, text, sizeof(text)));
}

static double
rate(const struct status_page *page, const struct status_page *former, const char *name,
	 const char *labels)
{
	double now = status_metric(page->metrics, name, labels);
	double then = former != NULL ? status_metric(former->metrics, name, labels) : -1;

	/* A sidecar that was started again counts from the beginning. */
	return now < 0 || then < 0 || now < then || page->at <= former->at
			   ? -1
			   : (now - then) / (page->at - former->at);
}

static void
print_consumers(const struct status_page *page, const struct status_page *former, FILE *out)
{
	size_t i;
	json_t *consumer;
	char name[20], labels[64], oldest[24], rate_text[24];

	fprintf(out, "\nconsumer       state      events/s       behind   oldest waits\n");
	json_array_foreach(member(page->database, "consumers"), i, consumer)
	{
		bool enabled = json_is_true(member(consumer, "enabled"));
		bool led = json_is_true(member(consumer, "led"));
		double per_second;

		text_of(member(consumer, "name"), name, sizeof(name));
		snprintf(labels, sizeof(labels), "consumer=\"%s\"", name);
		per_second = rate(page, former, "chat_realtime_events_read_total", labels);
		if (per_second < 0)
			strcpy(rate_text, "-");
		else
			snprintf(rate_text, sizeof(rate_text), "%.1f", per_second);
		fprintf(
			out, "%-14s %-9s %9s %12.0f %14s\n", name,
			!enabled                                  ? "off"
			: json_is_true(member(consumer, "rests")) ? "rests"
			: led                                     ? "delivers"
													  : "NO LEADER",
			rate_text, number_of(member(consumer, "lag")),
			age(number_of(member(consumer, "oldestUndeliveredSeconds")), oldest, sizeof(oldest)));
	}
}

/* A line of a metric, where the sidecar has it. */
static void
print_metric(const struct status_page *page, FILE *out, const char *label, const char *name,
			 const char *labels, const char *unit)
{
	double value = status_metric(page->metrics, name, labels);

	if (value >= 0)
		fprintf(out, "%-14s %.0f %s\n", label, value, unit);
}

static void
print_sidecar(const struct status_page *page, FILE *out)
{
	double good =
		status_metric(page->metrics, "chat_realtime_webhook_attempts_total", "result=\"ok\"");
	double all = status_metric(page->metrics, "chat_realtime_webhook_attempts_total", "");

	if (page->metrics == NULL)
		return;
	fputc('\n', out);
	print_metric(page, out, "connections", "chat_realtime_connections", "", "WebSockets");
	print_metric(page, out, "realtime", "chat_realtime_broadcast_failures_in_a_row", "",
				 "failures in a row");
	if (all >= 0)
		fprintf(out, "%-14s %.0f attempts since its start, %.0f of them without success\n",
				"webhooks", all, all - (good < 0 ? 0 : good));
	print_metric(page, out, "deliveries", "chat_realtime_webhook_pending", "",
				 "wait to be tried again");
}

static void
print_log(const struct status_page *page, FILE *out)
{
	const json_t *log = member(page->database, "log");
	const json_t *doorbell = member(page->database, "doorbell");
	const json_t *rollout = member(page->database, "rollout");
	double bytes = 0;
	size_t i;
	json_t *part;
	char notify[20];

	json_array_foreach(member(log, "partitions"), i, part) bytes +=
		number_of(member(part, "bytes"));
	fprintf(out, "\nlog            last id %.0f, %zu partitions, %.1f MiB, kept %.0f h\n",
			number_of(member(log, "lastId")), json_array_size(member(log, "partitions")),
			bytes / 1048576, number_of(member(page->database, "retentionSeconds")) / 3600);
	fprintf(out, "doorbell       %s, queue %.0f %% full, %.0f sidecars sleep\n",
			text_of(member(doorbell, "notify"), notify, sizeof(notify)),
			100 * number_of(member(doorbell, "queueUsage")), number_of(member(doorbell, "armed")));
	if (json_is_object(rollout))
		fprintf(out, "rollout        %.0f %% on Realtime%s%s\n",
				number_of(member(rollout, "percent")),
				json_is_true(member(rollout, "bothWays")) ? ", both ways" : "",
				json_is_true(member(rollout, "realtimeHealthy"))
					? ""
					: ", and all back on Socket.IO while it fails");
}

static void
print_hints(const struct status_page *page, FILE *out)
{
	const json_t *hints = member(page->database, "hints");
	size_t i, errors = 0, warnings = 0;
	json_t *hint;
	char text[TEXT_SIZE - 3], severity[12];

	json_array_foreach(hints, i, hint)
	{
		text_of(member(hint, "severity"), severity, sizeof(severity));
		errors += strcmp(severity, "error") == 0;
		warnings += strcmp(severity, "warning") == 0;
	}
	if (errors + warnings == 0)
	{
		fprintf(out, "hints          none\n");
		return;
	}
	fprintf(out,
			"hints          %zu errors, %zu warnings (chat-sidecar doctor says what mends them)\n",
			errors, warnings);
	json_array_foreach(hints, i, hint)
	{
		text_of(member(hint, "severity"), severity, sizeof(severity));
		if (strcmp(severity, "info") != 0)
			fprintf(out, "  %s\n", text_of(member(hint, "hint"), text, sizeof(text)));
	}
}

void
status_page_print(const struct status_page *page, const struct status_page *former,
				  const char *where, FILE *out)
{
	print_head(page, where, out);
	print_consumers(page, former, out);
	print_sidecar(page, out);
	print_log(page, out);
	print_hints(page, out);
}

static json_t *
metrics_as_json(const char *metrics)
{
	json_t *object = json_object();

	for (const char *line = metrics; *line != '\0'; line = next_line(line))
	{
		const char *end = strchr(line, '\n');
		const char *blank = end != NULL ? memrchr(line, ' ', (size_t) (end - line)) : NULL;
		char *name;

		if (*line == '#' || blank == NULL)
			continue;
		name = xstrndup(line, (size_t) (blank - line));
		json_object_set_new(object, name, json_real(strtod(blank, NULL)));
		free(name);
	}
	return object;
}

void
status_page_print_json(const struct status_page *page, FILE *out)
{
	json_t *all =
		json_pack("{s:O,s:O?,s:o?}", "database", page->database, "sidecar", page->ready, "metrics",
				  page->metrics != NULL ? metrics_as_json(page->metrics) : NULL);

	json_dumpf(all, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(all);
}
