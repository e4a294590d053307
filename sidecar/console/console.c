/*
 * See console.h.
 */
#include "console/console.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/log_pace.h"
#include "base/memory.h"
#include "config.h"
#include "console/console_access.h"
#include "console/console_data.h"
#include "console/console_files.h"
#include "console/console_status.h"
#include "io/server.h"
#include "io/waiting.h"
#include "watch/pages.h"

#define PREFIX "/console/"
#define PATIENCE_MS 1000 /* then the page gets what there is */
#define KEPT_MS 250      /* an answer that was made is given to others */
#define ID_DIGITS 18     /* fit into 64 bits */

/* An answer that was made; body NULL: none. */
struct kept
{
	struct reply reply;
	uint64_t at; /* loop time */
};

struct console
{
	struct app *app;
	struct console_data *data;
	struct waiting_list lookers, senders;
	uv_timer_t patience;
	struct kept kept[2]; /* without and with the rows of webhooks */
	struct log_pace refused;
};

static struct reply
say(int status, const char *json)
{
	return reply_text(status, "application/json", json);
}

/* Looking ----------------------------------------------------------------------------------------- */

static struct reply
copy_of(struct reply reply)
{
	char *body = xmalloc(reply.body_len);

	memcpy(body, reply.body, reply.body_len);
	reply.body = body;
	return reply;
}

static struct reply
status_for(struct console *console, const struct exchange *exchange)
{
	bool all = console_access(console->app->config, &exchange->head) == CONSOLE_ALL;
	struct kept *kept = &console->kept[all];
	uint64_t now = uv_now(console->app->loop);

	if (kept->reply.body == NULL || now - kept->at > KEPT_MS)
	{
		/* What the endpoint counts is there at the next look. */
		(void) page_refresh(console->app, "/metrics");
		free(kept->reply.body);
		*kept = (struct kept){console_status(console->app, console->data, all), now};
	}
	return copy_of(kept->reply);
}

static void
forget_kept(struct console *console)
{
	for (int all = 0; all < 2; all++)
	{
		free(console->kept[all].reply.body);
		console->kept[all].reply.body = NULL;
	}
}

static void
on_answered(void *arg, uint64_t number)
{
	struct console *console = arg;
	struct exchange *exchange;

	forget_kept(console);
	while ((exchange = waiting_take(&console->lookers, number)) != NULL)
		exchange_answer(exchange, status_for(console, exchange));
}

static void
on_patience_over(uv_timer_t *timer)
{
	on_answered(timer->data, UINT64_MAX);
}

static struct reply
look(struct console *console, struct exchange *exchange)
{
	uint64_t number = console_data_ask(console->data);

	if (number == 0)
		return status_for(console, exchange);
	waiting_add(&console->lookers, exchange, number);
	if (!uv_is_active((uv_handle_t *) &console->patience))
		uv_timer_start(&console->patience, on_patience_over, PATIENCE_MS, 0);
	return (struct reply){.status = 0};
}

/* Sending again ----------------------------------------------------------------------------------- */

static struct reply
tell_sent(enum console_again what)
{
	if (what == AGAIN_QUEUED)
		return say(202, "{\"queued\":true}");
	if (what == AGAIN_NOTHING)
		return say(404,
				   "{\"error\":\"it cannot be sent again: its webhook is off or gone, its event is "
				   "no longer in the log, or it waits behind another delivery of its "
				   "conversation\"}");
	return say(503, "{\"error\":\"the database did not answer, or refused; the log says why\"}");
}

static void
on_sent(void *arg, uint64_t number, enum console_again what)
{
	struct console *console = arg;
	struct exchange *exchange = waiting_take(&console->senders, number);

	log_event(what == AGAIN_FAILED ? LOG_WARN : LOG_INFO, "the console asked to send again",
			  "result", "%s",
			  what == AGAIN_QUEUED    ? "queued"
			  : what == AGAIN_NOTHING ? "nothing to send"
									  : "failed",
			  NULL);
	if (exchange != NULL)
		exchange_answer(exchange, tell_sent(what));
}

static bool
is_id(const char *text)
{
	size_t digits = text != NULL ? strspn(text, "0123456789") : 0;

	return digits > 0 && digits <= ID_DIGITS && text[digits] == '\0';
}

static struct reply
send_again(struct console *console, struct exchange *exchange)
{
	char *attempt = request_argument(&exchange->head, "attempt");
	uint64_t number = 0;
	bool good = is_id(attempt);

	if (good && exchange->head.body_len == 0)
		number = console_data_again(console->data, attempt);
	free(attempt);
	if (exchange->head.body_len > 0)
		return say(413, "{\"error\":\"there is no body\"}");
	if (!good)
		return say(400, "{\"error\":\"attempt is the number of one\"}");
	if (number == 0)
		return tell_sent(AGAIN_FAILED);
	waiting_add(&console->senders, exchange, number);
	return (struct reply){.status = 0};
}

/* Requests ---------------------------------------------------------------------------------------- */

static struct reply
refuse(struct console *console, const struct exchange *exchange)
{
	bool wrong = exchange->head.authorization.start != NULL;
	int times = wrong ? log_pace_due(&console->refused, uv_now(console->app->loop)) : 0;

	if (times > 0)
		log_event(LOG_WARN, "the console was asked with a wrong token", "times", "%d", times, NULL);
	if (wrong)
		return say(401, "{\"error\":\"this is not the token of CONSOLE_TOKEN_FILE\"}");
	return say(401, "{\"error\":\"the token of CONSOLE_TOKEN_FILE is needed, as Bearer\"}");
}

/* What is behind the token, or may be. */
static struct reply
answer(struct console *console, struct exchange *exchange)
{
	const struct request_head *head = &exchange->head;
	enum console_access access = console_access(console->app->config, head);
	bool reads = head->method == METHOD_GET || head->method == METHOD_HEAD;

	if (slice_is(head->path, PREFIX "status.json"))
	{
		if (!reads)
			return say(405, "{\"error\":\"GET or HEAD\"}");
		return access == CONSOLE_REFUSED ? refuse(console, exchange) : look(console, exchange);
	}
	if (slice_is(head->path, PREFIX "again"))
	{
		if (head->method != METHOD_POST)
			return say(405, "{\"error\":\"POST\"}");
		return access != CONSOLE_ALL ? refuse(console, exchange) : send_again(console, exchange);
	}
	return say(404, "{\"error\":\"not found\"}");
}

static bool
is_ours(struct slice path)
{
	size_t len = strlen(PREFIX);

	return slice_is(path, "/") || (path.len >= len && memcmp(path.start, PREFIX, len) == 0);
}

/* A server_part. */
static bool
begin(void *arg, struct exchange *exchange, struct reply *reply)
{
	struct console *console = arg;
	const struct request_head *head = &exchange->head;

	if (!is_ours(head->path))
		return false;
	if (!console_is_open(console->app->config, head))
		*reply = say(404, "{\"error\":\"beyond loopback the console needs CONSOLE_TOKEN_FILE\"}");
	else if (!console_is_addressed(console->app->config, head))
		*reply =
			say(403, "{\"error\":\"the console is not called by this name, or by another site; "
					 "CONSOLE_HOSTS lists its names\"}");
	else if ((head->method != METHOD_GET && head->method != METHOD_HEAD) ||
			 !console_file(head->path, reply))
		*reply = answer(console, exchange);
	return true;
}

struct console *
console_create(struct app *app)
{
	struct console *console;

	if (!app->config->console)
		return NULL;
	console = xcalloc(1, sizeof(*console));
	console->app = app;
	console->data = console_data_create(app, on_answered, on_sent, console);
	uv_timer_init(app->loop, &console->patience);
	console->patience.data = console;
	server_add(app->server, begin, console);
	return console;
}

static void
on_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void
console_destroy(struct console *console)
{
	if (console == NULL)
		return;
	console_data_destroy(console->data);
	forget_kept(console);
	uv_close((uv_handle_t *) &console->patience, on_closed);
}
