/*
 * See server.h.
 */
#include "io/server.h"

#include <stdlib.h>

#include "base/memory.h"
#include "config.h"
#include "io/waiting.h"

#define MOST 64 /* connections */
#define PATIENCE_MS 1000

/* Of every answer: a browser takes it for what it is, keeps it to itself, and lets it do nothing beyond this port. */
#define HEADERS                                                                                    \
	"content-security-policy: default-src 'self'; base-uri 'none'; form-action 'none'; "           \
	"frame-ancestors 'none'\r\n"                                                                   \
	"cross-origin-resource-policy: same-origin\r\n"                                                \
	"x-content-type-options: nosniff\r\n"                                                          \
	"referrer-policy: no-referrer\r\n"                                                             \
	"cache-control: no-store\r\n"

struct server
{
	struct app *app;
	server_page page;
	server_refresh refresh;
	struct listener *listener;
	server_part part; /* NULL: there is none */
	void *part_arg;
	struct waiting_list waiting;
	uv_timer_t patience;
};

static struct reply
make_page(struct server *server, const struct exchange *exchange)
{
	struct reply reply = {0};
	char *path = slice_text(exchange->head.path);

	reply.status = server->page(server->app, path, &reply.body, &reply.body_len, &reply.type);
	free(path);
	return reply;
}

void
server_refreshed(struct server *server, uint64_t number)
{
	struct exchange *exchange;

	while ((exchange = waiting_take(&server->waiting, number)) != NULL)
		exchange_answer(exchange, make_page(server, exchange));
}

static void
on_patience_over(uv_timer_t *timer)
{
	server_refreshed(timer->data, UINT64_MAX);
}

static void
wait_for_refresh(struct server *server, struct exchange *exchange, uint64_t number)
{
	waiting_add(&server->waiting, exchange, number);
	if (!uv_is_active((uv_handle_t *) &server->patience))
		uv_timer_start(&server->patience, on_patience_over, PATIENCE_MS, 0);
}

static struct reply
begin(void *arg, struct exchange *exchange)
{
	struct server *server = arg;
	enum request_method method = exchange->head.method;
	uint64_t number = 0;
	struct reply reply;
	char *path;

	if (server->part != NULL && server->part(server->part_arg, exchange, &reply))
		return reply;
	if (method != METHOD_GET && method != METHOD_HEAD)
		return reply_text(405, "text/plain; charset=utf-8", "GET or HEAD\n");
	path = slice_text(exchange->head.path);
	if (exchange->head.body_len == 0)
		number = server->refresh(server->app, path);
	free(path);
	if (number == 0)
		return make_page(server, exchange);
	wait_for_refresh(server, exchange, number);
	return (struct reply){.status = 0};
}

/* It has no body, and waits. */
static struct reply
complete(void *arg, struct exchange *exchange)
{
	(void) arg;
	(void) exchange;
	return (struct reply){.status = 0};
}

static void
end(void *arg, struct exchange *exchange)
{
	(void) arg;
	waiting_forget(exchange);
}

static const struct listener_rules health = {
	.name = "health", .headers = HEADERS, .begin = begin, .complete = complete, .end = end};

struct server *
server_create(struct app *app, server_page page, server_refresh refresh)
{
	int fd = listener_bind("HTTP_LISTEN", app->config->http_listen);
	struct server *server;

	if (fd < 0)
		return NULL; /* the process ends: nothing is taken apart */
	server = xcalloc(1, sizeof(*server));
	server->app = app;
	server->page = page;
	server->refresh = refresh;
	server->listener = listener_open(app, fd, MOST, &health, server);
	uv_timer_init(app->loop, &server->patience);
	server->patience.data = server;
	return server;
}

void
server_add(struct server *server, server_part part, void *arg)
{
	server->part = part;
	server->part_arg = arg;
}

void
server_destroy(struct server *server)
{
	listener_close(server->listener);
	uv_close((uv_handle_t *) &server->patience, NULL);
}

void
server_free(struct server *server)
{
	free(server);
}
