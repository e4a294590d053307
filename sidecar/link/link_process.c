/*
 * See link_process.h.
 */
#define _GNU_SOURCE
#include "link/link_process.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "config.h"
#include "endpoint/embedded.h"
#include "link/link_environment.h"
#include "link/link_keys.h"
#include "link/link_pipe.h"

#define TICK_MS 1000
#define SILENT_TICKS 10 /* after which it is ended */
#define CALM_TICKS 60   /* after which it counts as one that works */
#define GRACE_MS 2000
#define RESTART_MAX_MS 30000
#define DEATHS 5 /* within CALM_TICKS: it does not work */

struct link_process
{
	struct app *app;
	struct link_process_handlers handlers;
	void *arg;
	int port;
	struct link_keys *keys;
	struct link_pipe *pipe; /* NULL: it does not run, or was told to end */
	uv_process_t child;
	bool running;
	bool up;
	bool database; /* it can ask it */
	bool follows;  /* the core reads the log, and goes on where it was from then on */
	bool destroyed;
	uint64_t pings;
	int silent; /* ticks since it said something. Counted, not timed: this process may have been stopped, too */
	int ticks;           /* of this process */
	int died_at[DEATHS]; /* ticks of the last deaths, the oldest at ndeaths % DEATHS */
	unsigned ndeaths;
	unsigned restarts; /* without one that worked for long */
	uv_timer_t tick;
	uv_timer_t restart; /* or, at the end, the time that it is given */
	int handles;
	struct metrics *metrics; /* the endpoint's */
	size_t values;           /* of them */
	struct metric *is_up, *starts, *hung;
};

static void start(struct link_process *process);

static void
release(uv_handle_t *handle)
{
	struct link_process *process = handle->data;

	if (--process->handles == 0)
		free(process);
}

/* Its end --------------------------------------------------------------------------------------- */

static void
on_restart(uv_timer_t *timer)
{
	start(timer->data);
}

/* At once, and then after 1, 2, 4 … 30 s. Never in this turn of the loop: the handle of the former one is still to be closed. */
static void
plan_restart(struct link_process *process)
{
	uint64_t delay = 1;

	if (process->restarts > 0)
		delay = process->restarts < 6 ? 500ULL << process->restarts : RESTART_MAX_MS;
	process->restarts++;
	uv_timer_start(&process->restart, on_restart, delay, 0);
}

static void
close_pipe(struct link_process *process)
{
	if (process->pipe == NULL)
		return;
	link_pipe_destroy(process->pipe);
	process->pipe = NULL;
}

static void
note_death(struct link_process *process)
{
	process->died_at[process->ndeaths++ % DEATHS] = process->ticks;
	metrics_settle(process->metrics);
	metric_set(process->is_up, 0);
}

/* All of it is gone: its descriptors are closed by the kernel before this is told. */
static void
on_child_exit(uv_process_t *child, int64_t status, int number)
{
	struct link_process *process = child->data;
	process->running = process->up = process->database = false;
	close_pipe(process);
	uv_close((uv_handle_t *) child, release);
	note_death(process);
	if (process->destroyed)
	{
		uv_close((uv_handle_t *) &process->restart, release);
		return;
	}
	log_event(LOG_ERROR, "the endpoint ended: it is started again", "pid", "%d", child->pid,
			  "status", "%d", (int) status, "signal", "%d", number, NULL);
	plan_restart(process);
	process->handlers.down(process->arg);
	process->handlers.refreshed(process->arg, process->pings);
}

static void
end_it(struct link_process *process)
{
	if (process->running)
		uv_process_kill(&process->child, SIGKILL);
}

/* What it says ---------------------------------------------------------------------------------- */

static bool
take_metrics(struct link_process *process, const struct link_frame *frame)
{
	double values[LINK_MOST_TO_CORE / sizeof(double)];

	if (frame->len != process->values * sizeof(double))
		return false;
	memcpy(values, frame->body, frame->len);
	for (size_t i = 0; i < process->values; i++)
	{
		if (!isfinite(values[i]))
			return false;
	}
	metrics_take(process->metrics, values);
	return true;
}

static void
get_up(struct link_process *process)
{
	process->up = true;
	metric_set(process->is_up, 1);
	log_event(LOG_INFO, "the endpoint serves", "pid", "%d", process->child.pid, NULL);
	if (process->follows)
		link_process_follows(process);
	process->handlers.up(process->arg);
}

/* Their values come without names: both must have registered the same. */
static bool
series_fit(const struct link_process *process, uint64_t print)
{
	if (print == metrics_print(process->metrics))
		return true;
	log_event(LOG_ERROR,
			  "the endpoint has other metrics than its core, or in another order: an error of the "
			  "program",
			  "pid", "%d", process->child.pid, NULL);
	return false;
}

static bool
on_frame(void *arg, const struct link_frame *frame)
{
	struct link_process *process = arg;

	process->silent = 0;
	switch (frame->kind)
	{
		case LINK_READY:
			if (process->up || !series_fit(process, frame->number))
				return false;
			get_up(process);
			return true;
		case LINK_DATABASE:
			process->database = frame->number != 0;
			return true;
		case LINK_ACK:
			return process->up && process->handlers.acknowledged(process->arg, frame->number);
		case LINK_PONG:
			process->handlers.refreshed(process->arg, frame->number);
			return true;
		case LINK_METRICS:
			return take_metrics(process, frame);
		default:
			return false;
	}
}

/* It closed its end, or is no endpoint any more. Where it is gone already, the signal finds nobody. */
static void
on_pipe_ended(void *arg, const char *why)
{
	struct link_process *process = arg;

	log_event(LOG_WARN, "the endpoint is not heard any more", "pid", "%d", process->child.pid,
			  "reason", "%s", why, NULL);
	end_it(process);
}

/* Its beginning --------------------------------------------------------------------------------- */

static void
send_settings(struct link_process *process)
{
	const struct config *config = process->app->config;
	struct link_settings settings = {
		.database_url = config->endpoint_database_url != NULL ? config->endpoint_database_url
															  : config->database_url,
		.jwt_secrets = config->embedded_jwt_secret,
		.jwks = link_keys_jwks(process->keys),
		.api_keys = link_keys_api_keys(process->keys),
	};
	struct buffer body = {0};

	link_settings_write(&body, &settings);
	link_pipe_send(process->pipe, LINK_SETTINGS, 0, body.data, body.len);
	explicit_bzero(body.data, body.len);
	buffer_free(&body);
}

static int
spawn(struct link_process *process, int end)
{
	char name[] = "chat-sidecar", what[] = LINK_ARGUMENT, parent[24];
	char *args[] = {name, what, parent, NULL};
	uv_stdio_container_t files[] = {
		{.flags = UV_IGNORE},
		{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
		[LINK_FD] = {.flags = UV_INHERIT_FD, .data.fd = end},
		[LINK_PORT_FD] = {.flags = UV_INHERIT_FD, .data.fd = process->port},
	};
	char **environment = link_environment_create(process->app->config, environ);
	uv_process_options_t options = {
		/* The file that this process runs, also where another one has its name by now. */
		.file = "/proc/self/exe",
		.args = args,
		.env = environment,
		.stdio = files,
		.stdio_count = sizeof(files) / sizeof(files[0]),
		.exit_cb = on_child_exit,
	};
	int status;

	snprintf(parent, sizeof(parent), "%ld", (long) getpid());
	process->child.data = process;
	status = uv_spawn(process->app->loop, &process->child, &options);
	link_environment_free(environment);
	return status;
}

static void
report_spawn(struct link_process *process, const char *why)
{
	log_event(LOG_ERROR, "the endpoint cannot be started", "error", "%s", why, NULL);
	note_death(process);
	plan_restart(process);
	process->handlers.down(process->arg);
}

static void
start(struct link_process *process)
{
	static const struct link_pipe_handlers handlers = {on_frame, on_pipe_ended};
	int pair[2], status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
	{
		report_spawn(process, strerror(errno));
		return;
	}
	status = spawn(process, pair[1]);
	close(pair[1]);
	process->handles++; /* the child's handle, however it began */
	if (status != 0)
	{
		close(pair[0]);
		uv_close((uv_handle_t *) &process->child, release);
		report_spawn(process, uv_strerror(status));
		return;
	}
	process->running = true;
	process->silent = 0;
	metric_add(process->starts, 1);
	process->pipe =
		link_pipe_create(process->app->loop, pair[0], LINK_MOST_TO_CORE, &handlers, process);
	send_settings(process);
}

/* While it runs --------------------------------------------------------------------------------- */

static bool
works(const struct link_process *process)
{
	if (process->ndeaths < DEATHS)
		return true;
	return process->ticks - process->died_at[process->ndeaths % DEATHS] > CALM_TICKS;
}

uint64_t
link_process_refresh(struct link_process *process)
{
	if (process->pipe == NULL)
		return 0;
	link_pipe_send(process->pipe, LINK_PING, ++process->pings, NULL, 0);
	return process->pings;
}

static void
on_tick(uv_timer_t *timer)
{
	struct link_process *process = timer->data;

	process->ticks++;
	if (process->ndeaths > 0 && process->up &&
		process->ticks - process->died_at[(process->ndeaths - 1) % DEATHS] > CALM_TICKS)
		process->restarts = 0;
	if (!process->running || process->pipe == NULL)
		return;
	if (++process->silent > SILENT_TICKS)
	{
		log_event(LOG_ERROR, "the endpoint does not answer: it is ended", "pid", "%d",
				  process->child.pid, "seconds", "%d", SILENT_TICKS, NULL);
		metric_add(process->hung, 1);
		process->silent = 0;
		end_it(process);
		return;
	}
	(void) link_process_refresh(process);
}

bool
link_process_is_up(const struct link_process *process)
{
	return process->up;
}

const char *
link_process_trouble(const struct link_process *process)
{
	if (!works(process))
		return "the endpoint ended five times within a minute; the log says why";
	/* One that is started again keeps nobody from what is ready otherwise. */
	if (!process->up && process->ndeaths == 0)
		return "the endpoint is being started";
	if (process->up && !process->database)
		return "the endpoint is not connected to the database: nobody can join private channels";
	return NULL;
}

void
link_process_follows(struct link_process *process)
{
	process->follows = true;
	if (process->up && process->pipe != NULL)
		link_pipe_send(process->pipe, LINK_FOLLOWS, 0, NULL, 0);
}

void
link_process_send(struct link_process *process, uint64_t number, const char *body, size_t len)
{
	if (process->pipe != NULL)
		link_pipe_send(process->pipe, LINK_BATCH, number, body, len);
}

static void
on_keys_changed(void *arg)
{
	struct link_process *process = arg;

	if (process->pipe != NULL)
		send_settings(process);
}

void
link_process_reload(struct link_process *process)
{
	link_keys_reload(process->keys);
	on_keys_changed(process);
}

static void
register_metrics(struct link_process *process, struct metrics *m)
{
	process->is_up = metrics_gauge(m, "chat_realtime_endpoint_up", "",
								   "Whether the process of the embedded endpoint serves.");
	process->starts = metrics_counter(m, "chat_realtime_endpoint_starts_total", "",
									  "Starts of the process of the embedded endpoint.");
	process->hung = metrics_counter(m, "chat_realtime_endpoint_hung_total", "",
									"Times that it did not answer for 10 s, and was ended.");
	process->metrics = metrics_create();
	embedded_register_metrics(process->metrics);
	process->values = metrics_count(process->metrics);
	metrics_attach(m, process->metrics);
}

struct link_process *
link_process_create(struct app *app, int port, const struct link_process_handlers *handlers,
					void *arg)
{
	struct link_process *process = xcalloc(1, sizeof(*process));

	process->app = app;
	process->handlers = *handlers;
	process->arg = arg;
	process->port = port;
	process->keys = link_keys_create(app, on_keys_changed, process);
	register_metrics(process, app->metrics);
	uv_timer_init(app->loop, &process->tick);
	uv_timer_init(app->loop, &process->restart);
	process->tick.data = process->restart.data = process;
	process->handles = 2;
	uv_timer_start(&process->tick, on_tick, TICK_MS, TICK_MS);
	start(process);
	return process;
}

static void
on_grace_over(uv_timer_t *timer)
{
	end_it(timer->data);
}

void
link_process_destroy(struct link_process *process)
{
	process->destroyed = true;
	close(process->port);
	close_pipe(process);
	link_keys_destroy(process->keys);
	uv_close((uv_handle_t *) &process->tick, release);
	if (process->running)
		uv_timer_start(&process->restart, on_grace_over, GRACE_MS, 0);
	else
		uv_close((uv_handle_t *) &process->restart, release);
}
