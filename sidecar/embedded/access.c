/*
 * Who may join a private topic: the database says, by chat.can_join over the verified claims.
 */
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "embedded/internal.h"

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
	bool known =
		result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
	bool allowed = known && strcmp(PQgetvalue(result, 0, 0), "t") == 0;

	question->answer(question->arg, question->embedded, allowed, known);
	free(question);
}

void
access_ask(struct embedded *embedded, const char *topic, const char *claims, bool write,
		   access_answer answer, void *arg)
{
	const char *params[] = {topic, claims, write ? "true" : "false"};
	struct question *question;

	if (embedded->db == NULL || !db_is_ready(embedded->db))
	{
		answer(arg, embedded, false, false);
		return;
	}
	question = calloc(1, sizeof(*question));
	question->embedded = embedded;
	question->answer = answer;
	question->arg = arg;
	db_query(embedded->db, &can_join, params, answered, question);
}

bool
access_is_service(const struct jwt *token)
{
	return token->role != NULL && strcmp(token->role, "service_role") == 0;
}
