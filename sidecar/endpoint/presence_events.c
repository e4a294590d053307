/*
 * Users who come to a conversation and go, as events for backends, where chat_realtime.presence_events asks for them.
 *
 * A user is there while one of its tabs tracks, at whatever endpoint. Each endpoint tells of the first and the last one as far as it
 * knows, and the database drops what it was told already: so the last word comes when tabs come and go at several at once. While
 * the database does not want to know it is asked again after a minute. What cannot be told now is not told later: these events
 * soon expire.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "endpoint/internal.h"
#include "io/db.h"

#define SILENCE_MS 60000
#define MOST_TOLD 1000 /* that wait at a time */

struct present
{
	struct entry entry; /* key: user and conversation */
	char *conversation;
	char *user;
	int tabs;
};

static const struct db_statement statement = {"endpoint_presence",
											  "SELECT chat.endpoint_presence($1, $2, $3) AS wanted",
											  3, "wanted", DB_ONE_ROW};

static void
told(void *arg, PGresult *result)
{
	struct embedded *embedded = arg;
	struct presences *presences = &embedded->presences;
	bool good = result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK;
	uint64_t now = uv_now(embedded->app->loop);
	int times;

	presences->telling--;
	if (good && strcmp(PQgetvalue(result, 0, 0), "t") == 0)
		return;
	presences->silent_till = now + SILENCE_MS;
	times = good ? 0 : log_pace_due(&presences->untold, now);
	if (times > 0)
		log_event(LOG_WARN, "the database was not told who is at a conversation", "reason", "%s",
				  result ? PQresultErrorMessage(result) : "the connection was lost", "times", "%d",
				  times, NULL);
}

static void
tell(struct embedded *embedded, const struct present *present, const char *state)
{
	const char *params[] = {present->conversation, present->user, state};

	if (embedded->db == NULL || !db_is_ready(embedded->db) ||
		embedded->presences.telling >= MOST_TOLD ||
		uv_now(embedded->app->loop) < embedded->presences.silent_till)
		return;
	embedded->presences.telling++;
	db_query(embedded->db, &statement, params, told, embedded);
}

/* The conversation's id in a topic of one; NULL: it is none. */
static const char *
conversation_of(const char *topic)
{
	const char *colon = strchr(topic, ':');

	return access_is_ours(topic) && strncmp(topic, "user:", strlen("user:")) != 0 ? colon + 1
																				  : NULL;
}

struct present *
present_join(struct embedded *embedded, const char *topic, const char *user, bool tells)
{
	const char *conversation = conversation_of(topic);
	struct present *present;
	char *key;

	if (conversation == NULL || user == NULL)
		return NULL;
	/* The length says where the user ends. */
	key = xasprintf("%zu %s %s", strlen(user), user, conversation);
	present = (struct present *) table_find(&embedded->presences.present, key);
	if (present == NULL)
	{
		present = xcalloc(1, sizeof(*present));
		present->conversation = xstrdup(conversation);
		present->user = xstrdup(user);
		table_add(&embedded->presences.present, &present->entry, key);
	}
	free(key);
	if (++present->tabs == 1 && tells)
		tell(embedded, present, "join");
	return present;
}

static void
free_present(struct entry *entry)
{
	struct present *present = (struct present *) entry;

	free(present->conversation);
	free(present->user);
	free(present);
}

void
present_leave(struct embedded *embedded, struct present *present, bool tells)
{
	if (--present->tabs > 0)
		return;
	if (tells)
		tell(embedded, present, "leave");
	table_remove(&embedded->presences.present, &present->entry);
	free_present(&present->entry);
}

void
presents_clear(struct presences *presences)
{
	table_clear(&presences->present, free_present);
}
