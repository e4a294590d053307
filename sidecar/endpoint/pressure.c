/*
 * ENDPOINT_MEMORY_LIMIT. Each part has bounds of its own; this one is of all together, as the allocator counts. At it
 * nobody new is taken in (sockets and requests are 503, joins are refused), and the readers furthest behind are closed;
 * what is there goes on, and nothing ends.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "config.h"
#include "endpoint/internal.h"

#define EVERY_MS 20         /* while the loop turns */
#define LEAST_BEHIND 262144 /* bytes, of a reader that is worth closing */
#define MIB (1024UL * 1024)

static size_t
limit_of(const struct embedded *embedded)
{
	return (size_t) embedded->app->config->endpoint_memory_limit * MIB;
}

static void
find_furthest(void *arg, struct entry *entry)
{
	const struct socket *socket = (struct socket *) entry;
	size_t *furthest = arg;

	if (socket->out.bytes > *furthest)
		*furthest = socket->out.bytes;
}

struct cut
{
	size_t behind;
	int closed;
};

/* Those that are far behind are so for the same messages: to close one alone frees nothing. */
static void
close_behind(void *arg, struct entry *entry)
{
	struct socket *socket = (struct socket *) entry;
	struct cut *cut = arg;

	if (socket->out.bytes < cut->behind || socket->close_code != 0)
		return;
	socket_give_up(socket);
	cut->closed++;
}

static int
close_furthest(struct embedded *embedded)
{
	struct cut cut = {0};
	size_t furthest = 0;

	table_each(&embedded->sockets, find_furthest, &furthest);
	cut.behind = furthest / 2;
	if (furthest >= LEAST_BEHIND)
		table_each(&embedded->sockets, close_behind, &cut);
	return cut.closed;
}

static void
relieve(struct embedded *embedded, size_t used)
{
	int closed = close_furthest(embedded);
	int times = log_pace_due(&embedded->pressed, uv_now(embedded->app->loop));

	if (times > 0)
		log_event(LOG_WARN, "the endpoint is at its memory limit: nobody new is taken in", "bytes",
				  "%zu", used, "limit", "%zu", limit_of(embedded), "closed", "%d", closed, "times",
				  "%d", times, NULL);
}

/* Once at its limit, it is so until an eighth is free again. */
void
pressure_look(struct embedded *embedded)
{
	size_t limit = limit_of(embedded), used = memory_in_use();

	embedded->looked_at = uv_now(embedded->app->loop);
	embedded->pressure = used > (embedded->pressure ? limit - limit / 8 : limit);
	metric_set(embedded->metrics.memory, (double) used);
	if (used > limit)
		relieve(embedded, used);
}

static void
on_turn(uv_check_t *turn)
{
	struct embedded *embedded = turn->data;

	if (uv_now(embedded->app->loop) - embedded->looked_at >= EVERY_MS)
		pressure_look(embedded);
}

void
pressure_start(struct embedded *embedded)
{
	embedded->turn = xcalloc(1, sizeof(*embedded->turn));
	uv_check_init(embedded->app->loop, embedded->turn);
	embedded->turn->data = embedded;
	uv_check_start(embedded->turn, on_turn);
	uv_unref((uv_handle_t *) embedded->turn);
}

size_t
pressure_share(const struct embedded *embedded, size_t most)
{
	size_t share = limit_of(embedded) / 4;

	return share < most ? share : most;
}
