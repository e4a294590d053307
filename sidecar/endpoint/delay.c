/*
 * See delay.h.
 */
#include "endpoint/delay.h"

#include <stdlib.h>

#include "base/memory.h"
#include "config.h"
#include "endpoint/internal.h"

struct delayed
{
	struct delayed *next;
	uint64_t socket_id;
	uint64_t due; /* loop time */
	struct message *message;
};

void
delays_init(struct delays *delays, struct app *app)
{
	delays->first = NULL;
	delays->end = &delays->first;
	delays->count = 0;
	delays->timer = xcalloc(1, sizeof(*delays->timer));
	uv_timer_init(app->loop, delays->timer);
	delays->timer->data = app;
	uv_unref((uv_handle_t *) delays->timer);
}

/* Takes out the first one; answers its message. */
static struct message *
take_first(struct delays *delays)
{
	struct delayed *first = delays->first;
	struct message *message = first->message;

	delays->first = first->next;
	if (delays->first == NULL)
		delays->end = &delays->first;
	delays->count--;
	free(first);
	return message;
}

static void
closed(uv_handle_t *timer)
{
	free(timer);
}

void
delays_stop(struct delays *delays)
{
	while (delays->first != NULL)
		message_release(take_first(delays));
	uv_close((uv_handle_t *) delays->timer, closed);
}

static void
send_due(uv_timer_t *timer)
{
	struct embedded *embedded = ((struct app *) timer->data)->embedded;
	struct delays *delays = &embedded->delays;
	uint64_t now = uv_now(embedded->app->loop);

	while (delays->first != NULL && delays->first->due <= now)
	{
		struct socket *socket = socket_find(embedded, delays->first->socket_id);
		struct message *message = take_first(delays);

		if (socket == NULL)
		{
			message_release(message);
			continue;
		}
		socket->delayed--;
		socket_send(socket, message);
	}
	if (delays->first != NULL)
		uv_timer_start(timer, send_due, delays->first->due - now, 0);
}

void
delay_send(struct socket *socket, struct message *message)
{
	struct embedded *embedded = socket->embedded;
	struct delays *delays = &embedded->delays;
	uint64_t ms = (uint64_t) embedded->app->config->embedded_refusal_delay_ms;
	struct delayed *delayed;

	if (ms == 0 || delays->count >= DELAY_MOST || socket->delayed >= DELAY_MOST_OF_ONE ||
		message_length(message) > DELAY_MOST_BYTES)
	{
		socket_send(socket, message);
		return;
	}
	delayed = xcalloc(1, sizeof(*delayed));
	delayed->socket_id = socket->id;
	delayed->due = uv_now(embedded->app->loop) + ms;
	delayed->message = message;
	if (delays->first == NULL)
		uv_timer_start(delays->timer, send_due, ms, 0);
	*delays->end = delayed;
	delays->end = &delayed->next;
	delays->count++;
	socket->delayed++;
}
