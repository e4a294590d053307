/*
 * chat-sidecar: puts the parts together, and takes them apart when it is told to end.
 *
 * SIGTERM and SIGINT drain: nothing new is read, what is under way is finished, positions are saved and leases
 * given back. A second one ends at once. The process ends when the loop has nothing left to wait for.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "canary/canary.h"
#include "config.h"
#include "console/console.h"
#include "consumer/consumer.h"
#include "endpoint/process.h"
#include "endpoint/token_command.h"
#include "io/files.h"
#include "io/http.h"
#include "io/server.h"
#include "link/link_wire.h"
#include "sinks.h"
#include "watch/doctor.h"
#include "watch/hints.h"
#include "watch/maintain.h"
#include "watch/pages.h"
#include "watch/stats.h"
#include "watch/status.h"
#include "watch/surroundings.h"
#include "watch/watchdog.h"

#define DRAIN_TICK_MS 20
#define DRAIN_MS 10000
#define DRAIN_TROUBLED_MS 1000 /* for a sink that accepts nothing */
#define RELEASE_MS 1000        /* on top, to give leases back */

struct process
{
	struct app app;
	struct config *config;
	uv_loop_t loop;
	struct stats *stats;
	struct maintain *maintain;
	struct surroundings *surroundings;
	struct console *console; /* NULL: there is none */
	uv_signal_t signals[3];
	uv_timer_t drain;
	uint64_t drain_started;
	bool closing;
};

static void
close_everything(struct process *process)
{
	struct app *app = &process->app;

	if (process->closing)
		return;
	process->closing = true;
	for (size_t i = 0; i < sizeof(process->signals) / sizeof(process->signals[0]); i++)
		uv_close((uv_handle_t *) &process->signals[i], NULL);
	uv_close((uv_handle_t *) &process->drain, NULL);
	canary_destroy(app->canary);
	stats_destroy(process->stats);
	hints_destroy(app->hints);
	app->hints = NULL;
	maintain_destroy(process->maintain);
	surroundings_destroy(process->surroundings);
	sinks_destroy(app);
	server_destroy(app->server);
	console_destroy(process->console);
}

static bool
is_drained(const struct app *app)
{
	for (int i = 0; i < app->nconsumers; i++)
	{
		if (!consumer_drained(app->consumers[i]))
			return false;
	}
	return true;
}

static void
drain_consumers(struct app *app, uint64_t elapsed)
{
	for (int i = 0; i < app->nconsumers; i++)
	{
		struct consumer *consumer = app->consumers[i];
		bool troubled = elapsed >= DRAIN_TROUBLED_MS && consumer_trouble(consumer) != NULL;

		consumer_drain(consumer, elapsed >= DRAIN_MS || troubled);
	}
}

static void
on_drain_timer(uv_timer_t *timer)
{
	struct process *process = timer->data;
	uint64_t elapsed = uv_now(&process->loop) - process->drain_started;

	drain_consumers(&process->app, elapsed);
	if (is_drained(&process->app) || elapsed >= DRAIN_MS + RELEASE_MS)
		close_everything(process);
}

/* Settings come from the environment, which stays as it is; files of secrets may change. */
static void
reload(struct process *process)
{
	char error[512];

	if (!config_reload(process->config, error, sizeof(error)))
		log_event(LOG_ERROR, "reloading failed", "error", "%s", error, NULL);
	else
		log_event(LOG_INFO, "reloaded", NULL);
	for (int i = 0; i < process->app.nconsumers; i++)
		consumer_reload(process->app.consumers[i]);
	canary_reload(process->app.canary);
}

static void
on_signal(uv_signal_t *handle, int number)
{
	struct process *process = handle->data;

	if (number == SIGHUP)
	{
		reload(process);
		return;
	}
	if (process->app.draining)
	{
		log_event(LOG_WARN, "ending at once", "signal", "%d", number, NULL);
		close_everything(process);
		return;
	}
	log_event(LOG_INFO, "ending", "signal", "%d", number, NULL);
	process->app.draining = true;
	process->drain_started = uv_now(&process->loop);
	uv_timer_start(&process->drain, on_drain_timer, 0, DRAIN_TICK_MS);
}

static void
watch_signals(struct process *process)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
	{
		uv_signal_init(&process->loop, &process->signals[i]);
		process->signals[i].data = process;
		uv_signal_start(&process->signals[i], on_signal, numbers[i]);
	}
	uv_timer_init(&process->loop, &process->drain);
	process->drain.data = process;
}

static void
log_warning(void *arg, const char *text)
{
	(void) arg;
	log_event(LOG_WARN, text, NULL);
}

static void
print_warning(void *arg, const char *text)
{
	(void) arg;
	fprintf(stderr, "chat-sidecar: %s\n", text);
}

static void
set_up_log(const struct config *config)
{
	log_setup(config_log_json(config), config_log_level(config));
	log_event(LOG_INFO, "starting", "version", "%s", SIDECAR_VERSION, "realtime", "%s",
			  config_inserts(config)         ? "database"
			  : config->realtime_url != NULL ? "remote"
											 : "embedded",
			  "webhooks", "%s", config->webhooks ? "on" : "off", NULL);
	config_warn(config, log_warning, NULL);
}

static void
register_build(struct metrics *metrics)
{
	metric_set(metrics_gauge(metrics, "chat_realtime_build_info", "version=\"" SIDECAR_VERSION "\"",
							 "The version that runs."),
			   1);
}

/* Makes all parts; false: one of them cannot work, and has said why. */
static bool
create_parts(struct process *process)
{
	struct app *app = &process->app;

	app->loop = &process->loop;
	(void) files_raise_limit();
	app->metrics = metrics_create();
	register_build(app->metrics);
	app->http = http_create(app);
	app->server = server_create(app, page_answer, page_refresh);
	if (app->server == NULL)
		return false;
	if (!sinks_create(app))
		return false;
	app->canary = canary_create(app);
	if (app->canary == NULL)
		return false;
	process->stats = stats_create(app);
	app->hints = hints_create(app);
	process->maintain = maintain_create(app);
	process->surroundings = surroundings_create(app);
	process->console = console_create(app);
	watch_signals(process);
	return true;
}

/* Frees what the loop needed to the end. */
static int
free_parts(struct process *process)
{
	struct app *app = &process->app;
	int left = uv_loop_close(&process->loop);

	canary_free(app->canary);
	server_free(app->server);
	http_destroy(app->http);
	metrics_destroy(app->metrics);
	if (left != 0)
		log_event(LOG_ERROR, "the loop could not be closed", "error", "%s", uv_strerror(left),
				  NULL);
	log_event(LOG_INFO, "ended", NULL);
	return left == 0 ? 0 : 1;
}

/* Runs the loop to its end, closing included, and sees to it that it turns. */
static void
run_watched(uv_loop_t *loop)
{
	struct watchdog *watchdog = watchdog_start(loop, WATCHDOG_SECONDS * 1000);

	if (watchdog == NULL)
		log_event(LOG_WARN, "there can be no thread for the watchdog", NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	if (watchdog == NULL)
		return;
	watchdog_stop(watchdog);
	uv_run(loop, UV_RUN_DEFAULT);
}

/* What the binary does beside delivering. */
static const struct
{
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {{DOCTOR_COMMAND, doctor_command},
				{STATUS_COMMAND, status_command},
				{TOKEN_COMMAND, token_command}};

int
main(int argc, char **argv)
{
	struct process process = {.closing = false};
	struct config *config;
	int status;

	if (argc == 3 && strcmp(argv[1], LINK_ARGUMENT) == 0)
		return endpoint_process(argv, argv[2]);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
	{
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc, argv);
	}
	config = config_load(argc, argv);
	if (config->check_only)
	{
		config_warn(config, print_warning, NULL);
		puts("the settings are good");
		config_free(config);
		return 0;
	}
	set_up_log(config);
	process.config = config;
	process.app.config = config;
	if (uv_loop_init(&process.loop) != 0)
		memory_gone("the event loop");
	if (!create_parts(&process))
		return 1;
	run_watched(&process.loop);
	status = free_parts(&process);
	config_free(config);
	return status;
}
