/*
 * See replay.h.
 */
#include "endpoint/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "endpoint/internal.h"
#include "io/db.h"

#define UNDER_WAY 1 /* between two of them those who join are asked about */
#define UNABLE "UnableToReplayMessages: Realtime was unable to replay messages"

/* A broadcast that came before the answer. */
struct held
{
	struct message *message;
	uint64_t id; /* 0: it is no event */
};

struct replay
{
	struct embedded *embedded;
	struct replay_wish wish;
	bool waits;    /* for the answer */
	bool overflow; /* too much came meanwhile */
	struct held *held;
	size_t held_count;
	size_t held_bytes;
	uint64_t *ids; /* of what was replayed, ascending */
	size_t count;
};

/* Names its subscription by ids: that may be gone when its turn comes. */
struct replay_question
{
	struct question question;
	struct embedded *embedded;
	uint64_t socket_id;
	uint64_t subscription_id;
};

static const struct db_statement statement = {
	"replay",
	"SELECT id, event, payload FROM chat.replay($1, $2::pg_catalog.jsonb, "
	"nullif($3, '')::pg_catalog.int8, nullif($4, '')::pg_catalog.int8, $5::pg_catalog.int4)",
	5, "id event payload", DB_ANY_ROWS};

void
replays_init(struct replays *replays)
{
	questions_init(&replays->questions);
}

void
replays_register(struct replays *replays, struct metrics *metrics)
{
	replays->replayed =
		metrics_counter(metrics, "chat_realtime_embedded_replayed_total", "",
						"Events that the embedded endpoint replayed to those who joined.");
}

void
replays_clear(struct replays *replays)
{
	questions_clear(&replays->questions);
}

/* --- what comes meanwhile, and twice ---------------------------------------------------------------- */

static void
forget_held(struct replay *replay)
{
	for (size_t i = 0; i < replay->held_count; i++)
		message_release(replay->held[i].message);
	free(replay->held);
	replay->held = NULL;
	replay->embedded->waiting_bytes -= replay->held_bytes;
	replay->held_count = replay->held_bytes = 0;
}

void
replay_free(struct replay *replay)
{
	if (replay == NULL)
		return;
	forget_held(replay);
	free(replay->ids);
	free(replay);
}

/* 0: it is no event of the log. */
static uint64_t
id_of(const struct broadcast *broadcast)
{
	const char *id = broadcast->id;

	return id != NULL && strspn(id, "0123456789") == strlen(id) ? strtoull(id, NULL, 10) : 0;
}

static int
compare_ids(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static bool
was_replayed(const struct replay *replay, uint64_t id)
{
	return id != 0 && replay->count > 0 &&
		   bsearch(&id, replay->ids, replay->count, sizeof(id), compare_ids) != NULL;
}

static void
hold(struct replay *replay, struct message *message, uint64_t id)
{
	size_t len = message_length(message);

	if (replay->held_count >= REPLAY_MOST_HELD ||
		replay->held_bytes + len > REPLAY_MOST_HELD_BYTES ||
		replay->embedded->waiting_bytes + len > MAX_WAITING_BYTES)
	{
		replay->overflow = true;
		forget_held(replay);
		return;
	}
	/* Doubled at each power of two. */
	if ((replay->held_count & (replay->held_count - 1)) == 0)
		replay->held = xrealloc(replay->held, (replay->held_count * 2 + (replay->held_count == 0)) *
												  sizeof(*replay->held));
	replay->held[replay->held_count++] = (struct held){message_share(message), id};
	replay->held_bytes += len;
	replay->embedded->waiting_bytes += len;
}

bool
replay_keeps(struct replay *replay, const struct broadcast *broadcast, struct message *message)
{
	uint64_t id = id_of(broadcast);

	if (!replay->waits)
		return was_replayed(replay, id);
	if (!replay->overflow)
		hold(replay, message, id);
	return true;
}

/* --- asking ----------------------------------------------------------------------------------------- */

static void
fail(struct subscription *subscription, const char *why)
{
	struct embedded *embedded = subscription->socket->embedded;
	int times = log_pace_due(&embedded->replays.failures, uv_now(embedded->app->loop));

	if (times > 0)
		log_event(LOG_WARN, "events could not be replayed", "reason", "%s", why, "topic", "%s",
				  subscription->topic, "times", "%d", times, NULL);
	subscription_fail(subscription, UNABLE, "");
}

static void
send_row(struct subscription *subscription, PGresult *result, int row)
{
	struct socket *socket = subscription->socket;
	struct replay *replay = subscription->replay;
	struct broadcast broadcast = {
		.topic = subscription->topic,
		.event = PQgetvalue(result, row, 1),
		.id = PQgetvalue(result, row, 0),
		.payload = PQgetvalue(result, row, 2),
		.payload_len = (size_t) PQgetlength(result, row, 2),
		.payload_json = true,
	};

	socket_send(socket, frame_replay(socket->serializer, subscription->join_ref, &broadcast));
	replay->ids[replay->count++] = id_of(&broadcast);
	metric_add(socket->embedded->replays.replayed, 1);
}

/* What waited goes out behind the rows, but for what is among them. */
static void
send_held(struct subscription *subscription)
{
	struct replay *replay = subscription->replay;

	for (size_t i = 0; i < replay->held_count; i++)
	{
		if (was_replayed(replay, replay->held[i].id))
			continue;
		socket_send(subscription->socket, message_share(replay->held[i].message));
		metric_add(subscription->socket->embedded->metrics.deliveries, 1);
	}
	forget_held(replay);
}

static void
send_rows(struct subscription *subscription, PGresult *result)
{
	struct replay *replay = subscription->replay;
	int rows = PQntuples(result);

	replay->waits = false;
	replay->ids = xcalloc((size_t) rows, sizeof(*replay->ids));
	for (int row = 0; row < rows; row++)
		send_row(subscription, result, row);
	send_held(subscription);
	if (rows > 0)
		return;
	replay_free(replay);
	subscription->replay = NULL;
}

static void ask_on(struct embedded *embedded);

static void
answered(void *arg, PGresult *result)
{
	struct replay_question *question = arg;
	struct embedded *embedded = question->embedded;
	struct subscription *subscription =
		subscription_find_by_id(embedded, question->socket_id, question->subscription_id);

	embedded->replays.asking--;
	free(question);
	if (subscription != NULL && result == NULL)
		fail(subscription, "the connection to the database was lost");
	else if (subscription != NULL && PQresultStatus(result) != PGRES_TUPLES_OK)
		fail(subscription, PQresultErrorMessage(result));
	else if (subscription != NULL && subscription->replay->overflow)
		fail(subscription, "too much was broadcast meanwhile");
	else if (subscription != NULL)
		send_rows(subscription, result);
	ask_on(embedded);
}

static void
ask(struct replay_question *question, const struct subscription *subscription)
{
	const struct replay_wish *wish = &subscription->replay->wish;
	char since[24], limit[24];
	const char *params[] = {subscription->topic, subscription->token->jwt.claims,
							wish->kind == REPLAY_BY_TIME ? since : "",
							wish->kind == REPLAY_BY_ID ? since : "", limit};
	int64_t rows = wish->limit < 0 ? 0 : wish->limit > 1000 ? 1000 : wish->limit;

	snprintf(since, sizeof(since), "%" PRId64, wish->since);
	snprintf(limit, sizeof(limit), "%" PRId64, rows);
	question->embedded->replays.asking++;
	db_query(question->embedded->db, &statement, params, answered, question);
}

/* It cannot be asked. */
static void
give_up(struct replay_question *question, const char *why)
{
	struct subscription *subscription =
		subscription_find_by_id(question->embedded, question->socket_id, question->subscription_id);

	free(question);
	if (subscription != NULL)
		fail(subscription, why);
}

static void
ask_on(struct embedded *embedded)
{
	struct question *next;

	while (embedded->replays.asking < UNDER_WAY &&
		   (next = questions_next(&embedded->replays.questions)) != NULL)
	{
		struct replay_question *question = (struct replay_question *) next;
		struct subscription *subscription =
			subscription_find_by_id(embedded, question->socket_id, question->subscription_id);

		if (subscription != NULL && embedded->db != NULL && db_is_ready(embedded->db))
			ask(question, subscription);
		else
			give_up(question, "the database cannot be asked");
	}
}

void
replay_begin(struct subscription *subscription, const struct replay_wish *wish)
{
	struct embedded *embedded = subscription->socket->embedded;
	char alone[ALONE_TEXT];
	struct replay_question *question;
	struct question *left_out;

	if (wish->kind == REPLAY_NONE || !access_is_ours(subscription->topic))
		return;
	subscription->replay = xcalloc(1, sizeof(*subscription->replay));
	subscription->replay->embedded = embedded;
	subscription->replay->wish = *wish;
	subscription->replay->waits = true;
	question = xcalloc(1, sizeof(*question));
	question->embedded = embedded;
	question->socket_id = subscription->socket->id;
	question->subscription_id = subscription->id;
	question->question.bytes = sizeof(*question);
	left_out = questions_add(&embedded->replays.questions, subscription_user(subscription, alone),
							 &question->question);
	if (left_out != NULL)
		give_up((struct replay_question *) left_out, "too many wait for it");
	ask_on(embedded);
}
