/*
 * What goes out to Socket.IO's servers, and when: one transaction at a time, none sooner than 20 ms after the last one, for
 * whoever sends a NOTIFY makes other commits wait; and later the fuller PostgreSQL's queue is.
 */
#include "socketio/socketio_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "config.h"
#include "io/db.h"
#include "io/db_error.h"

#define GAP_MS 20
#define SLOW_FROM 0.25 /* of the queue, from where on it takes longer */
#define SLOW_MS 1000   /* and so long where it is three quarters full */
#define FULL_MS 1000
#define ERROR_MS 2000
#define ASK_AGAIN_MS 500
#define LOOK_MS 100
#define IDLE_MS 5000
/* How long servers have to come back after the connection was lost: they try again every 1 to 3 s. */
#define KNOWN_MS 10000
#define STRANGERS_MS 3000
#define SERVER_YOUNG_MS 6000

static const struct db_statement listen_statement = {
	"socketio_listen", "SELECT uptime, missing FROM chat.socketio_listen($1, $2)", 2,
	"uptime missing?", DB_ONE_ROW};
static const struct db_statement send_statement = {
	"socketio_send", "SELECT sent, usage FROM chat.socketio_send($1, $2, $3, $4)", 4, "sent usage",
	DB_ONE_ROW};

static uint64_t
now_of(const struct socketio *socketio)
{
	return uv_now(socketio->app->loop);
}

static void
wait_for(struct socketio *socketio, uint64_t ms)
{
	socketio->next_at = now_of(socketio) + ms;
}

/* A statement's answer, which the sink still waits for. */
static bool
take_result(struct socketio *socketio)
{
	if (socketio->orphans > 0)
	{
		socketio->orphans--;
		return false;
	}
	socketio->busy = false;
	return true;
}

static void
report_error(struct socketio *socketio, const PGresult *result, struct db_error *error)
{
	char trouble[SOCKETIO_TROUBLE_SIZE];

	db_error_of_result(result, error);
	snprintf(trouble, sizeof(trouble), "%s%s%s",
			 error->text[0] != 0 ? error->text : "the database gives no reason",
			 *error->hint != '\0' ? "; " : "", error->hint);
	socketio_report(socketio, trouble);
}

/* --- listening ------------------------------------------------------------------------------------ */

static uint64_t
patience_of(const struct socketio *socketio, double uptime)
{
	double young = SERVER_YOUNG_MS - uptime * 1000;

	if (nodes_count(&socketio->nodes) > 0)
		return KNOWN_MS;
	return young > STRANGERS_MS ? (uint64_t) young : STRANGERS_MS;
}

static void
on_listening(void *arg, PGresult *result)
{
	struct socketio *socketio = arg;
	struct db_error error;

	if (!take_result(socketio) || result == NULL)
		return;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		report_error(socketio, result, &error);
	else if (!PQgetisnull(result, 0, 1))
		socketio_report(socketio, PQgetvalue(result, 0, 1));
	else
	{
		socketio_recovered(socketio);
		socketio_ask(socketio, patience_of(socketio, strtod(PQgetvalue(result, 0, 0), NULL)));
	}
	if (socketio->state == SOCKETIO_LISTENING)
		wait_for(socketio, ERROR_MS);
	socketio_pump(socketio);
}

void
socketio_listen(struct socketio *socketio)
{
	const struct config *config = socketio->app->config;

	socketio->busy = true;
	db_query(consumer_db(socketio->consumer), &listen_statement,
			 (const char *[]){config->socketio_channel, config->socketio_table}, on_listening,
			 socketio);
}

/* --- sending -------------------------------------------------------------------------------------- */

static void
take_sent(struct socketio *socketio, struct socketio_batch *batch)
{
	socketio_recovered(socketio);
	socketio->most = socketio->most * 2 < BATCH_MOST ? socketio->most * 2 : BATCH_MOST;
	if (batch == NULL)
		return;
	metric_add(socketio->attachments, socketio->load.attachments);
	batch->sent = true;
	batch->sent_at = now_of(socketio);
	socketio_confirm(socketio);
}

/* The queue has no room for so many. */
static void
take_refusal(struct socketio *socketio, struct socketio_batch *batch)
{
	if (batch != NULL && batch->count > 1)
	{
		socketio->most = batch->count / 2;
		batch_split(batch);
	}
	wait_for(socketio, FULL_MS);
}

static void
take_failure(struct socketio *socketio, struct socketio_batch *batch, const PGresult *result)
{
	struct db_error error;

	report_error(socketio, result, &error);
	if (strcmp(error.sqlstate, "54000") == 0)
	{
		take_refusal(socketio, batch);
		return;
	}
	socketio->state = SOCKETIO_LISTENING; /* which tells what is missing */
	wait_for(socketio, ERROR_MS);
}

static uint64_t
gap_of(double usage)
{
	return usage > SLOW_FROM ? GAP_MS + (uint64_t) ((usage - SLOW_FROM) * 2 * SLOW_MS) : GAP_MS;
}

static void
on_sent(void *arg, PGresult *result)
{
	struct socketio *socketio = arg;
	struct socketio_batch *batch;
	bool sent;

	if (!take_result(socketio) || result == NULL)
		return;
	batch = socketio->carries_batch ? socketio->batch : NULL;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		take_failure(socketio, batch, result);
	else
	{
		sent = PQgetvalue(result, 0, 0)[0] == 't';
		wait_for(socketio, sent ? gap_of(strtod(PQgetvalue(result, 0, 1), NULL)) : FULL_MS);
		if (sent)
			take_sent(socketio, batch);
		else
			socketio_report(socketio,
							"the queue of NOTIFY is filling: nothing is added to it, for it is "
							"everybody's; chat.hints() says who keeps it from being emptied");
	}
	socketio_pump(socketio);
}

/* Sends what is loaded, behind it a question. */
static void
send_load(struct socketio *socketio, struct socketio_batch *batch)
{
	const struct config *config = socketio->app->config;
	struct socketio_load *load = &socketio->load;

	load_question(load, socketio->namespace, socketio->token, ++socketio->number);
	socketio->nodes.unasked = false;
	if (batch != NULL)
	{
		batch->number = socketio->number;
		batch->awaited = socketio->nodes.awaited;
		batch->answered = 0;
	}
	socketio->busy = true;
	socketio->carries_batch = batch != NULL;
	db_query(consumer_db(socketio->consumer), &send_statement,
			 (const char *[]){config->socketio_channel, config->socketio_table,
							  pgarray_end(&load->messages), pgarray_end(&load->bodies)},
			 on_sent, socketio);
}

static void
send_question(struct socketio *socketio)
{
	load_begin(&socketio->load);
	send_load(socketio, NULL);
	if (socketio->question.from == 0)
		socketio->question.from = socketio->number;
	socketio->question.sent_at = now_of(socketio);
}

/* Events that are of no use any more are done. */
static void
drop(struct socketio *socketio, struct event *event, enum socketio_result result)
{
	socketio_finish(socketio, *event, result);
	event->row = NULL;
}

static void
send_batch(struct socketio *socketio, struct socketio_batch *batch)
{
	int64_t now = (int64_t) (consumer_now(socketio->consumer) * MICROSECONDS);
	struct socketio_load *load = &socketio->load;

	load_begin(load);
	for (int i = 0; i < batch->count; i++)
	{
		struct event *event = &batch->events[i];

		if (event->row == NULL)
			continue;
		if (event->row->expires_at != 0 && event->row->expires_at < now)
			drop(socketio, event, SOCKETIO_EXPIRED);
		else if (!load_event(load, socketio->namespace, event->row))
		{
			log_event(LOG_ERROR, "an event is no JSON, and is set aside", "event_id", "%lld",
					  (long long) event->row->id, NULL);
			drop(socketio, event, SOCKETIO_FAILED);
		}
	}
	send_load(socketio, batch);
}

/* Where no server is there nobody is connected to it. */
static void
drop_all(struct socketio *socketio)
{
	struct event event;

	while ((event = realtime_queue_peek(socketio->queue)).row != NULL)
	{
		realtime_queue_pop(socketio->queue);
		socketio_finish(socketio, event, SOCKETIO_UNHEARD);
	}
}

/* What is to be sent next; NULL: nothing is. */
static struct socketio_batch *
next_batch(struct socketio *socketio)
{
	if (socketio->batch == NULL && nodes_count(&socketio->nodes) == 0)
		drop_all(socketio);
	if (socketio->batch == NULL)
		socketio->batch = batch_take(socketio->queue, socketio->namespace, socketio->most);
	return socketio->batch;
}

/* Those that do not answer are asked again. */
static bool
asks_again(const struct socketio *socketio)
{
	uint64_t last = socketio->question.sent_at;

	if (socketio->state == SOCKETIO_ASKING && socketio->question.from == 0)
		return true;
	if (socketio->batch != NULL && socketio->batch->sent && socketio->batch->sent_at > last)
		last = socketio->batch->sent_at;
	return now_of(socketio) - last >= ASK_AGAIN_MS;
}

static void
send_next(struct socketio *socketio)
{
	struct socketio_batch *batch;

	if (socketio->state == SOCKETIO_LISTENING)
		socketio_listen(socketio);
	else if (socketio->state == SOCKETIO_ASKING)
	{
		if (asks_again(socketio))
			send_question(socketio);
	}
	else if ((batch = next_batch(socketio)) != NULL)
	{
		if (!batch->sent)
			send_batch(socketio, batch);
		else if (asks_again(socketio))
			send_question(socketio);
	}
	else if (socketio->nodes.unasked)
		send_question(socketio);
}

static void
on_timer(uv_timer_t *timer)
{
	socketio_pump(timer->data);
}

/* When to look again, if nothing happens before. */
static uint64_t
pause_of(const struct socketio *socketio)
{
	uint64_t now = now_of(socketio);

	if (socketio->next_at > now)
		return socketio->next_at - now;
	return socketio->batch != NULL || socketio->state != SOCKETIO_SENDING ? LOOK_MS : IDLE_MS;
}

void
socketio_pump(struct socketio *socketio)
{
	if (socketio->state == SOCKETIO_OFF)
		return;
	socketio_look(socketio);
	if (!socketio->busy && now_of(socketio) >= socketio->next_at &&
		consumer_leads(socketio->consumer))
		send_next(socketio);
	uv_timer_start(&socketio->timer, on_timer, pause_of(socketio), 0);
}
