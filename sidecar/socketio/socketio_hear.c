/*
 * What servers say on the adapter's channel.
 *
 * A server that loses its connection to the database keeps its clients, connects again after 1 to 3 s, and hears nothing of
 * what was sent meanwhile. So a batch counts as delivered when every server that is known has answered the question behind it,
 * and nothing else is sent before. One that answers a later question has missed the batch, which goes out again, to all.
 *
 * Anyone may send a NOTIFY. Who only says that it is a server is asked, and waited for once it has answered.
 */
#include "socketio/socketio_internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "socketio/socketio_wire.h"

#define DEAF_MS 5000  /* a server that does not answer for so long is not waited for */
#define SETTLE_MS 300 /* others answer so long after the first */

static uint64_t
now_of(const struct socketio *socketio)
{
	return uv_now(socketio->app->loop);
}

/* Nodes that have not answered a batch, and are still waited for. */
static uint64_t
missing_of(const struct socketio *socketio, const struct socketio_batch *batch)
{
	return batch->awaited & socketio->nodes.awaited & ~batch->answered;
}

void
socketio_ask(struct socketio *socketio, uint64_t ms)
{
	socketio->state = SOCKETIO_ASKING;
	socketio->question = (struct socketio_question){0};
	socketio->strangers = socketio->nodes.awaited == 0;
	socketio->ask_until = now_of(socketio) + ms;
}

static void
finish_batch(struct socketio *socketio)
{
	struct socketio_batch *batch = socketio->batch;

	socketio->batch = batch->next;
	for (int i = 0; i < batch->count; i++)
	{
		if (batch->events[i].row != NULL)
			socketio_finish(socketio, batch->events[i], SOCKETIO_OK);
	}
	/* They have asked for what is in the table. Once they answer again it has come. */
	if (batch->attached && socketio->state == SOCKETIO_SENDING && socketio->nodes.awaited != 0)
		socketio_ask(socketio, DEAF_MS);
	free(batch);
}

void
socketio_confirm(struct socketio *socketio)
{
	const struct socketio_batch *batch = socketio->batch;

	if (batch != NULL && batch->sent && missing_of(socketio, batch) == 0)
		finish_batch(socketio);
}

static void
send_again(struct socketio *socketio, struct socketio_batch *batch)
{
	batch->sent = false;
	metric_add(socketio->repeated, batch->count);
	log_event(LOG_INFO, "a Socket.IO server was away: events go to all of them again", "events",
			  "%d", batch->count, NULL);
}

/* The answer of a node to the question with this number. */
static void
take_answer(struct socketio *socketio, int node, uint64_t number)
{
	uint64_t place = (uint64_t) 1 << node;
	struct socketio_batch *batch = socketio->batch;

	nodes_answered(&socketio->nodes, node);
	if (socketio->question.from != 0 && number >= socketio->question.from)
		socketio->question.answered |= place;
	if (batch == NULL)
		return;
	/* It may come before the word that the batch was sent. */
	if (number == batch->number)
		batch->answered |= place;
	else if (number > batch->number && batch->sent && (missing_of(socketio, batch) & place) != 0)
		send_again(socketio, batch);
	socketio_confirm(socketio);
}

/* Whoever takes them was not there when these were sent. */
static void
free_places(struct socketio *socketio, uint64_t places)
{
	if (socketio->batch != NULL)
		socketio->batch->awaited &= ~places;
	socketio->question.answered &= ~places;
}

void
socketio_hear(struct socketio *socketio, const char *payload)
{
	struct wire_heard heard;
	int node;

	if (!wire_read(payload, socketio->token, &heard))
		return;
	if (heard.kind == WIRE_LEAVES)
	{
		free_places(socketio, nodes_leave(&socketio->nodes, heard.uid));
		socketio_confirm(socketio);
	}
	else
	{
		node = nodes_hear(&socketio->nodes, heard.uid, heard.kind == WIRE_ANSWER, now_of(socketio));
		if (node >= 0 && heard.kind == WIRE_ANSWER)
			take_answer(socketio, node, heard.number);
	}
	metric_set(socketio->servers, nodes_count(&socketio->nodes));
	socketio_pump(socketio);
}

static void
give_up(struct socketio *socketio, uint64_t places)
{
	if (places == 0)
		return;
	for (int i = 0; i < NODES_MOST; i++)
	{
		if ((places >> i & 1) != 0)
			log_event(LOG_WARN, "a Socket.IO server does not answer, and is not waited for",
					  "server", "%s", socketio->nodes.list[i].uid, NULL);
	}
	nodes_give_up(&socketio->nodes, places);
}

/* Whether every server that should has answered, or there is no more time for it. */
static bool
is_answered(struct socketio *socketio)
{
	uint64_t now = now_of(socketio);
	uint64_t missing = socketio->nodes.awaited & ~socketio->question.answered;

	if (now >= socketio->ask_until)
		give_up(socketio, missing);
	else if (socketio->question.from == 0 || missing != 0)
		return false;
	else if (socketio->strangers)
		return socketio->question.answered != 0 && now >= socketio->question.sent_at + SETTLE_MS;
	return true;
}

void
socketio_look(struct socketio *socketio)
{
	const struct socketio_batch *batch = socketio->batch;

	free_places(socketio, nodes_expire(&socketio->nodes, now_of(socketio)));
	if (batch != NULL && batch->sent && now_of(socketio) - batch->sent_at > DEAF_MS)
		give_up(socketio, missing_of(socketio, batch));
	socketio_confirm(socketio);
	if (socketio->state == SOCKETIO_ASKING && is_answered(socketio))
		socketio->state = SOCKETIO_SENDING;
	metric_set(socketio->servers, nodes_count(&socketio->nodes));
}
