/*
 * See command.h.
 */
#include "watch/command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "io/db.h"
#include "io/http.h"

#define LOOK_MS 50
#define MOST_SWITCHES 4

bool
command_options(int argc, char **argv, const char *usage, const struct command_switch *switches,
				int count)
{
	struct option options[MOST_SWITCHES + 2] = {{"help", no_argument, NULL, MOST_SWITCHES}};
	int option;

	for (int i = 0; i < count && i < MOST_SWITCHES; i++)
		options[i + 1] = (struct option){switches[i].name, no_argument, NULL, i};
	opterr = 0;
	while ((option = getopt_long(argc - 1, argv + 1, ":", options, NULL)) >= 0 && option < count)
		*switches[option].on = true;
	if (option == MOST_SWITCHES)
	{
		fputs(usage, stdout);
		exit(0);
	}
	if (option == -1 && optind == argc - 1)
		return true;
	fprintf(stderr,
			"chat-sidecar: %s: there is an argument that it does not know; see chat-sidecar %s "
			"--help\n",
			argv[1], argv[1]);
	return false;
}

void
command_begin(struct command *command, char **argv, void *arg)
{
	struct app *app = &command->app;

	command->arg = arg;
	command->config = config_load(1, argv);
	log_setup(false, LOG_OFF);
	if (uv_loop_init(&command->loop) != 0)
		memory_gone("the event loop");
	app->loop = &command->loop;
	app->config = command->config;
	app->metrics = metrics_create();
	app->http = http_create(app);
	uv_timer_init(&command->loop, &command->timer);
	command->timer.data = command;
}

void
command_run(struct command *command)
{
	uv_run(&command->loop, UV_RUN_DEFAULT);
	(void) uv_loop_close(&command->loop);
	http_destroy(command->app.http);
	metrics_destroy(command->app.metrics);
}

void
command_end(struct command *command)
{
	uv_close((uv_handle_t *) &command->timer, NULL);
}

static void
on_look(uv_timer_t *timer)
{
	struct command *command = timer->data;
	const char *trouble = db_trouble(command->db);

	if (*trouble == '\0')
		return;
	uv_timer_stop(timer);
	command->failed(command->arg, trouble, db_hint(command->db));
}

static void
on_ready(void *arg)
{
	struct command *command = arg;

	uv_timer_stop(&command->timer);
	command->ready(command->arg);
}

static void
on_lost(void *arg, const char *why)
{
	(void) arg;
	(void) why; /* the statement that waits is answered with NULL */
}

void
command_connect(struct command *command, const char *name, void (*ready)(void *arg),
				void (*failed)(void *arg, const char *trouble, const char *hint))
{
	static const struct db_handlers handlers = {.ready = on_ready, .lost = on_lost};

	command->ready = ready;
	command->failed = failed;
	command->db = db_open(&command->app, name, NULL, &handlers, command);
	uv_timer_start(&command->timer, on_look, LOOK_MS, LOOK_MS);
}

void
command_disconnect(struct command *command)
{
	db_close(command->db);
	command->db = NULL;
}
