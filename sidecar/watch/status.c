/*
 * See status.h. Each look asks the database, then the health port for its two pages; the second look, a second after the
 * first, is the one that is printed, with rates.
 */
#define _GNU_SOURCE
#include "watch/status.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/db.h"
#include "io/db_error.h"
#include "io/http.h"
#include "watch/command.h"
#include "watch/page_url.h"
#include "watch/status_page.h"

#define FIRST_MS 1000
#define WATCH_MS 2000
#define TIMEOUT_MS 2000
#define RESPONSE_MAX (1024 * 1024)

struct status
{
	struct command command;
	struct http_pool *pool;
	bool json, watch;
	int looks;
	struct status_page page, former;
	int result;
};

static const char usage[] =
	"chat-sidecar status shows consumers, lag, connections and what should be looked at.\n"
	"It asks the database of DATABASE_URL, and the sidecar at HTTP_LISTEN if one runs there.\n\n"
	"  --json   print all of it as JSON\n"
	"  --watch  print it again every 2 s\n"
	"  --help   print this\n\n"
	"Exit status: 0, 1 the database cannot be asked, 2 bad option or setting.\n";

static const struct db_statement statement = {"status", "SELECT chat.status() AS status", 0,
											  "status", DB_ONE_ROW};

static void look(struct status *status);

static void
end(struct status *status)
{
	command_disconnect(&status->command);
	http_pool_destroy(status->pool);
	command_end(&status->command);
}

static void
fail(void *arg, const char *text, const char *hint)
{
	struct status *status = arg;

	fprintf(stderr, "chat-sidecar: status: %s%s%s\n", text, *hint != '\0' ? "; " : "", hint);
	status->result = 1;
	end(status);
}

static void
on_again(uv_timer_t *timer)
{
	struct command *command = timer->data;

	look(command->arg);
}

/* A look that has one before it is printed. */
static void
finish_look(struct status *status)
{
	status->page.at = (double) uv_now(&status->command.loop) / 1000;
	if (status->looks++ > 0 || status->json)
	{
		if (status->watch && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		if (status->json)
			status_page_print_json(&status->page, stdout);
		else
			status_page_print(&status->page, &status->former, status->command.config->http_listen,
							  stdout);
		fflush(stdout);
		if (!status->watch || ferror(stdout))
		{
			end(status);
			return;
		}
	}
	uv_timer_start(&status->command.timer, on_again, status->looks == 1 ? FIRST_MS : WATCH_MS, 0);
}

static void
ask_page(struct status *status, const char *path, http_callback callback)
{
	char *url = page_url(status->command.config->http_listen, path);
	const struct http_request request = {
		.method = "GET", .url = url, .timeout_ms = TIMEOUT_MS, .max_response = RESPONSE_MAX};

	http_send(status->pool, &request, callback, status);
	free(url);
}

static void
on_metrics(void *arg, const struct http_response *response)
{
	struct status *status = arg;

	if (response->status == 200)
		status->page.metrics = xstrndup(response->body, response->body_len);
	finish_look(status);
}

static void
on_ready_page(void *arg, const struct http_response *response)
{
	struct status *status = arg;
	json_t *page = response->status != 0 ? json_loads(response->body, 0, NULL) : NULL;

	if (json_is_boolean(json_object_get(page, "ready")))
	{
		status->page.ready = page;
		ask_page(status, "/metrics", on_metrics);
		return;
	}
	json_decref(page);
	finish_look(status);
}

static void
on_answer(void *arg, PGresult *result)
{
	struct status *status = arg;
	struct db_error error;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		db_error_of_result(result, &error);
		fail(status, error.text, error.hint);
		return;
	}
	status->page.database = json_loads(PQgetvalue(result, 0, 0), 0, NULL);
	ask_page(status, "/readyz", on_ready_page);
}

static void
look(struct status *status)
{
	status_page_clear(&status->former);
	status->former = status->page;
	memset(&status->page, 0, sizeof(status->page));
	db_query(status->command.db, &statement, NULL, on_answer, status);
}

static void
ready(void *arg)
{
	look(arg);
}

static void
run(struct status *status)
{
	static const struct http_pool_options options = {
		.max_connections = 1, .max_per_host = 1, .allow_http = true};

	status->pool = http_pool_create(status->command.app.http, &options);
	command_connect(&status->command, "status", ready, fail);
	command_run(&status->command);
	status_page_clear(&status->page);
	status_page_clear(&status->former);
}

int
status_command(int argc, char **argv)
{
	struct status status = {.looks = 0};
	const struct command_switch switches[] = {{"json", &status.json}, {"watch", &status.watch}};

	if (!command_options(argc, argv, usage, switches, 2))
		return COMMAND_BAD_USE;
	command_begin(&status.command, argv, &status);
	run(&status);
	config_free(status.command.config);
	return status.result;
}
