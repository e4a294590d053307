/*
 * Who may join a private topic, and broadcast on one: the database says, by chat.can_join over the verified claims.
 *
 * Two answers need no question: policies are for role authenticated alone, and on topics of events nobody but the
 * service broadcasts, in public channels neither, where nobody would be asked.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "endpoint/internal.h"
#include "io/db.h"

#define MAX_QUESTIONS 1000 /* that wait at a time */

struct question
{
	struct embedded *embedded;
	access_answer answer;
	void *arg;
};

static const struct db_statement can_join = {
	"can_join", "SELECT chat.can_join($1, $2::pg_catalog.jsonb, $3::pg_catalog.bool) AS allowed", 3,
	"allowed?", DB_ONE_ROW};

static void
answered(void *arg, PGresult *result)
{
	struct question *question = arg;
	struct embedded *embedded = question->embedded;
	bool known =
		result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
	bool allowed = known && strcmp(PQgetvalue(result, 0, 0), "t") == 0;

	embedded->questions--;
	question->answer(question->arg, embedded, allowed, known);
	free(question);
}

void
access_ask(struct embedded *embedded, const char *topic, const struct jwt *token, bool write,
		   access_answer answer, void *arg)
{
	const char *params[] = {topic, token->claims, write ? "true" : "false"};
	struct question *question;

	if (strcmp(token->role, "authenticated") != 0 || (write && access_is_reserved(topic)))
	{
		answer(arg, embedded, false, true);
		return;
	}
	if (embedded->db == NULL || !db_is_ready(embedded->db) || embedded->questions >= MAX_QUESTIONS)
	{
		answer(arg, embedded, false, false);
		return;
	}
	question = xcalloc(1, sizeof(*question));
	question->embedded = embedded;
	question->answer = answer;
	question->arg = arg;
	embedded->questions++;
	db_query(embedded->db, &can_join, params, answered, question);
}

bool
access_is_service(const struct jwt *token)
{
	return token->role != NULL && strcmp(token->role, "service_role") == 0;
}

static bool
starts_with(const char *topic, const char *text)
{
	return strncmp(topic, text, strlen(text)) == 0;
}

bool
access_is_reserved(const char *topic)
{
	return starts_with(topic, "conversation:") || starts_with(topic, "user:");
}

bool
access_is_ours(const char *topic)
{
	static const char inbox[] = ":inbox";
	size_t len = strlen(topic);

	if (starts_with(topic, "user:"))
		return len > strlen(inbox) && strcmp(topic + len - strlen(inbox), inbox) == 0;
	return starts_with(topic, "conversation:") || starts_with(topic, "presence:");
}
