/*
 * Who may join a private topic, and broadcast on one: the database says, by chat.can_join over the verified claims. Users
 * take turns, whatever number of sockets they have; what was refused a moment ago is refused at once.
 *
 * Two answers need no question: policies are for role authenticated alone, and on topics of events nobody but the
 * service broadcasts, in public channels neither, where nobody would be asked.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "endpoint/internal.h"
#include "io/db.h"

#define UNDER_WAY 16 /* questions at a time */

struct access_question
{
	struct question question;
	struct embedded *embedded;
	char *topic;
	char *claims;
	char *user;
	bool write;
	access_answer answer;
	void *arg;
};

static const struct db_statement can_join = {
	"can_join", "SELECT chat.can_join($1, $2::pg_catalog.jsonb, $3::pg_catalog.bool) AS allowed", 3,
	"allowed?", DB_ONE_ROW};

static void
answer(struct access_question *question, bool allowed, bool known)
{
	question->answer(question->arg, question->embedded, allowed, known);
	free(question->topic);
	free(question->claims);
	free(question->user);
	free(question);
}

static void ask_on(struct embedded *embedded);

static void
answered(void *arg, PGresult *result)
{
	struct access_question *question = arg;
	struct embedded *embedded = question->embedded;
	bool known =
		result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
	bool allowed = known && strcmp(PQgetvalue(result, 0, 0), "t") == 0;

	embedded->asking--;
	if (known && !allowed)
		refusals_note(&embedded->refused, question->user, question->topic, question->write,
					  uv_now(embedded->app->loop));
	answer(question, allowed, known);
	ask_on(embedded);
}

static void
ask(struct access_question *question)
{
	const char *params[] = {question->topic, question->claims, question->write ? "true" : "false"};
	struct embedded *embedded = question->embedded;

	/* Who joins before the core reads the log, and has asked for what was missed, would miss what is committed in between. */
	if (embedded->db == NULL || !db_is_ready(embedded->db) || !embedded->fed)
	{
		answer(question, false, false);
		return;
	}
	embedded->asking++;
	db_query(embedded->db, &can_join, params, answered, question);
}

/* Some are under way at a time; whose turn it is is decided when one is done. */
static void
ask_on(struct embedded *embedded)
{
	struct question *next;

	while (embedded->asking < UNDER_WAY && (next = questions_next(&embedded->questions)) != NULL)
		ask((struct access_question *) next);
}

static struct access_question *
create(struct embedded *embedded, const char *topic, const struct jwt *token, bool write)
{
	struct access_question *question = xcalloc(1, sizeof(*question));

	question->embedded = embedded;
	question->topic = xstrdup(topic);
	question->claims = xstrdup(token->claims);
	question->user = xstrdup(token->sub != NULL ? token->sub : "");
	question->write = write;
	question->question.bytes =
		sizeof(*question) + strlen(topic) + strlen(token->claims) + strlen(question->user);
	return question;
}

void
access_ask(struct embedded *embedded, const char *topic, const struct jwt *token, bool write,
		   access_answer callback, void *arg)
{
	const char *user = token->sub != NULL ? token->sub : "";
	struct access_question *question;
	struct question *left_out;

	if (strcmp(token->role, "authenticated") != 0 || (write && access_is_reserved(topic)) ||
		refusals_has(&embedded->refused, user, topic, write, uv_now(embedded->app->loop)))
	{
		callback(arg, embedded, false, true);
		return;
	}
	question = create(embedded, topic, token, write);
	question->answer = callback;
	question->arg = arg;
	left_out = questions_add(&embedded->questions, user, &question->question);
	if (left_out != NULL)
		answer((struct access_question *) left_out, false, false);
	ask_on(embedded);
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
