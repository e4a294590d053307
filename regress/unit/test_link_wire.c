/*
 * What core and endpoint send each other: frames whole and in part, those that make no sense, the settings; the
 * environment that the endpoint gets; and metrics that another process counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/base/buffer.h"
#include "../../sidecar/base/memory.h"
#include "../../sidecar/base/metrics.h"
#include "../../sidecar/link/link_environment.h"
#include "../../sidecar/link/link_wire.h"
#include "require.h"

static void
put_frame(struct buffer *out, enum link_kind kind, uint64_t number, const char *body, size_t len)
{
	link_header_write(buffer_reserve(out, LINK_HEADER_SIZE), kind, number, len);
	out->len += LINK_HEADER_SIZE;
	buffer_bytes(out, body, len);
}

static void
check_frames(void)
{
	struct buffer out = {0};
	struct link_frame frame;
	size_t taken = 0, first;
	bool incomplete = true;

	put_frame(&out, LINK_BATCH, 7, "hello", 5);
	first = out.len;
	put_frame(&out, LINK_ACK, UINT64_MAX, NULL, 0);
	for (size_t len = 0; len < first; len++)
		incomplete =
			incomplete && link_frame_read(out.data, len, 100, &frame, &taken) == LINK_INCOMPLETE;
	require("a frame in part is waited for", incomplete);
	require("a whole one is read",
			link_frame_read(out.data, out.len, 100, &frame, &taken) == LINK_COMPLETE &&
				taken == first && frame.kind == LINK_BATCH && frame.number == 7 && frame.len == 5 &&
				memcmp(frame.body, "hello", 5) == 0);
	require("and what is behind it",
			link_frame_read(out.data + first, out.len - first, 100, &frame, &taken) ==
					LINK_COMPLETE &&
				frame.kind == LINK_ACK && frame.number == UINT64_MAX && frame.len == 0);
	require("one that would be too long is refused before it is there",
			link_frame_read(out.data, 16, 20, &frame, &taken) == LINK_BROKEN);
	require("at its limit it is not",
			link_frame_read(out.data, out.len, 21, &frame, &taken) == LINK_COMPLETE);
	out.data[4] = 99;
	require("one of no kind is refused",
			link_frame_read(out.data, out.len, 100, &frame, &taken) == LINK_BROKEN);
	memset(out.data, 0xff, 16);
	require("so are bytes at random", link_frame_read(out.data, out.len, LINK_MOST_TO_ENDPOINT,
													  &frame, &taken) == LINK_BROKEN);
	buffer_free(&out);
}

static bool
reads_settings(enum link_kind kind, const char *body, size_t len)
{
	/* As long as it is, so that reading on is found out. */
	char *exact = xmalloc(len);
	struct link_frame frame = {kind, 0, exact, len};
	struct link_settings settings;
	bool good;

	memcpy(exact, body, len);
	good = link_settings_read(&frame, &settings) && strcmp(settings.database_url, "u") == 0 &&
		   strcmp(settings.jwt_secrets, "s") == 0 && strcmp(settings.jwks, "") == 0 &&
		   strcmp(settings.api_keys, "k") == 0;
	free(exact);
	return good;
}

static void
check_settings(void)
{
	static const struct link_settings settings = {"u", "s", "", "k"};
	struct buffer written = {0};

	link_settings_write(&written, &settings);
	require("settings are four texts",
			written.len == 7 && reads_settings(LINK_SETTINGS, written.data, written.len));
	buffer_free(&written);
	require("three are not enough", !reads_settings(LINK_SETTINGS, "u\0s\0", 5));
	require("nor is one without its end", !reads_settings(LINK_SETTINGS, "u\0s\0\0k", 6));
	require("five are too many", !reads_settings(LINK_SETTINGS, "u\0s\0\0k\0", 8));
	require("nothing is none", !reads_settings(LINK_SETTINGS, "", 0));
	require("another frame has none", !reads_settings(LINK_BATCH, "u\0s\0\0k", 7));
}

static bool
has(char *const *environment, const char *variable)
{
	for (; *environment != NULL; environment++)
	{
		if (strcmp(*environment, variable) == 0)
			return true;
	}
	return false;
}

static void
check_environment(void)
{
	char *own[] = {xstrdup("DATABASE_URL=secret"),
				   xstrdup("REALTIME_KEY=secret"),
				   xstrdup("EMBEDDED_JWT_SECRET=secret"),
				   xstrdup("PATH=/bin"),
				   xstrdup("PATHS=other"),
				   xstrdup("PGPASSWORD=secret"),
				   xstrdup("PGHOST=db"),
				   xstrdup("AWS_SECRET=secret"),
				   NULL};
	struct config config = {.log_format = xstrdup("json"),
							.log_level = xstrdup("warn"),
							.embedded_listen = xstrdup("127.0.0.1:4000"),
							.realtime_private = true};
	char **environment = link_environment_create(&config, own);

	require("the endpoint gets settings",
			has(environment, "LOG_LEVEL=warn") && has(environment, "REALTIME_PRIVATE=on"));
	require("and what libraries need",
			has(environment, "PATH=/bin") && !has(environment, "PATHS=other"));
	require("libpq's variables, where it has the core's URL",
			has(environment, "PGPASSWORD=secret") && has(environment, "PGHOST=db"));
	require("and nothing else", !has(environment, "DATABASE_URL=secret") &&
									!has(environment, "REALTIME_KEY=secret") &&
									!has(environment, "EMBEDDED_JWT_SECRET=secret") &&
									!has(environment, "AWS_SECRET=secret"));
	link_environment_free(environment);
	config.endpoint_database_url = xstrdup("postgresql://endpoint@db/chat");
	environment = link_environment_create(&config, own);
	require("those are the core's, where it has one of its own",
			!has(environment, "PGPASSWORD=secret") && !has(environment, "PGHOST=db"));
	link_environment_free(environment);
	for (char **variable = own; *variable != NULL; variable++)
		free(*variable);
	free(config.log_format);
	free(config.log_level);
	free(config.embedded_listen);
	free(config.endpoint_database_url);
}

static bool
shows(const struct metrics *metrics, const char *wanted)
{
	size_t len;
	char *page = metrics_render(metrics, &len);
	bool good = strcmp(page, wanted) == 0;

	if (!good)
		fputs(page, stderr);
	free(page);
	return good;
}

/* Whether other has the print of a process that registers these. */
static bool
has_print(const struct metrics *other, const char *labels, bool frames_first)
{
	struct metrics *m = metrics_create();
	bool same;

	if (frames_first)
		metrics_counter(m, "frames", "", "Frames.");
	metrics_gauge(m, "ports", labels, "Ports.");
	if (!frames_first)
		metrics_counter(m, "frames", "", "Frames.");
	same = metrics_print(m) == metrics_print(other);
	metrics_destroy(m);
	return same;
}

static void
check_print(const struct metrics *other)
{
	require("a process that registers the same has the same print",
			has_print(other, "port=\"b\"", false));
	require("not so with other labels, or in another order",
			!has_print(other, "port=\"a\"", false) && !has_print(other, "port=\"b\"", true));
}

static void
check_metrics(void)
{
	struct metrics *m = metrics_create(), *other = metrics_create();
	double values[3];

	metric_set(metrics_gauge(m, "ports", "port=\"a\"", "Ports."), 1);
	metrics_gauge(other, "ports", "port=\"b\"", "Ports.");
	metrics_counter(other, "frames", "", "Frames.");
	metrics_attach(m, other);
	metrics_take(other, (double[]){2, 30});
	require(
		"series of both processes stand together by their name",
		shows(m,
			  "# HELP ports Ports.\n# TYPE ports gauge\nports{port=\"a\"} 1\nports{port=\"b\"} 2\n"
			  "# HELP frames Frames.\n# TYPE frames counter\nframes 30\n"));
	check_print(other);
	metrics_settle(other);
	metrics_take(other, (double[]){1, 5});
	metrics_values(other, values);
	require("counters go on where another process begins, gauges are its own",
			metrics_count(other) == 2 && values[0] == 1 && values[1] == 35);
	metrics_settle(other);
	metrics_values(other, values);
	require("and end with it", values[0] == 0 && values[1] == 35);
	metrics_destroy(m);
}

int
main(void)
{
	check_frames();
	check_settings();
	check_environment();
	check_metrics();
	return 0;
}
