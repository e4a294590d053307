/*
 * See status.h. Each look asks the database, then the health port for its two pages; the second look, a second after the
 * first, is the one that is printed, with rates.
 */
#define _GNU_SOURCE
#include "watch/status.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "config.h"
#include "io/db.h"
#include "io/db_error.h"
#include "io/http.h"
#include "watch/page_url.h"
#include "watch/status_page.h"

#define BAD_USE 2
#define LOOK_MS 50
#define FIRST_MS 1000
#define WATCH_MS 2000
#define TIMEOUT_MS 2000
#define RESPONSE_MAX (1024 * 1024)

struct status
{
	struct app app;
	uv_loop_t loop;
	struct config *config;
	struct db *db;
	struct http_pool *pool;
	uv_timer_t timer;
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
	db_close(status->db);
	http_pool_destroy(status->pool);
	uv_close((uv_handle_t *) &status->timer, NULL);
}

static void
fail(struct status *status, const char *text, const char *hint)
{
	fprintf(stderr, "chat-sidecar: status: %s%s%s\n", text, *hint != '\0' ? "; " : "", hint);
	status->result = 1;
	end(status);
}

static void
on_again(uv_timer_t *timer)
{
	look(timer->data);
}

/* A look that has one before it is printed. */
static void
finish_look(struct status *status)
{
	status->page.at = (double) uv_now(&status->loop) / 1000;
	if (status->looks++ > 0 || status->json)
	{
		if (status->watch && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		if (status->json)
			status_page_print_json(&status->page, stdout);
		else
			status_page_print(&status->page, &status->former, status->config->http_listen, stdout);
		fflush(stdout);
		if (!status->watch || ferror(stdout))
		{
			end(status);
			return;
		}
	}
	uv_timer_start(&status->timer, on_again, status->looks == 1 ? FIRST_MS : WATCH_MS, 0);
}

static void
ask_page(struct status *status, const char *path, http_callback callback)
{
	char *url = page_url(status->config->http_listen, path);
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
	db_query(status->db, &statement, NULL, on_answer, status);
}

static void
on_look(uv_timer_t *timer)
{
	struct status *status = timer->data;

	if (*db_trouble(status->db) == '\0')
		return;
	uv_timer_stop(timer);
	fail(status, db_trouble(status->db), db_hint(status->db));
}

static void
ready(void *arg)
{
	struct status *status = arg;

	uv_timer_stop(&status->timer);
	look(status);
}

static void
lost(void *arg, const char *why)
{
	(void) arg;
	(void) why; /* the statement that waits is answered with NULL */
}

static void
run(struct status *status)
{
	static const struct db_handlers handlers = {.ready = ready, .lost = lost};
	static const struct http_pool_options options = {
		.max_connections = 1, .max_per_host = 1, .allow_http = true};
	struct app *app = &status->app;

	if (uv_loop_init(&status->loop) != 0)
		memory_gone("the event loop");
	app->loop = &status->loop;
	app->config = status->config;
	app->metrics = metrics_create();
	app->http = http_create(app);
	status->pool = http_pool_create(app->http, &options);
	status->db = db_open(app, "status", NULL, &handlers, status);
	uv_timer_init(&status->loop, &status->timer);
	status->timer.data = status;
	uv_timer_start(&status->timer, on_look, LOOK_MS, LOOK_MS);
	uv_run(&status->loop, UV_RUN_DEFAULT);
	(void) uv_loop_close(&status->loop);
	http_destroy(app->http);
	metrics_destroy(app->metrics);
	status_page_clear(&status->page);
	status_page_clear(&status->former);
}

/* False: it has said what is wrong. */
static bool
read_options(int argc, char **argv, struct status *status)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
											{"watch", no_argument, NULL, 'w'},
											{"help", no_argument, NULL, 'h'},
											{NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) == 'j' || option == 'w')
	{
		status->json = status->json || option == 'j';
		status->watch = status->watch || option == 'w';
	}
	if (option == 'h')
	{
		fputs(usage, stdout);
		exit(0);
	}
	if (option == -1 && optind == argc)
		return true;
	fputs(
		"chat-sidecar: status: there is an argument that it does not know; see chat-sidecar status --help\n",
		stderr);
	return false;
}

int
status_command(int argc, char **argv)
{
	struct status status = {.looks = 0};

	if (!read_options(argc - 1, argv + 1, &status))
		return BAD_USE;
	optind = 0; /* getopt begins anew */
	status.config = config_load(1, argv);
	log_setup(false, LOG_OFF);
	run(&status);
	config_free(status.config);
	return status.result;
}
