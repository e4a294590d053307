/*
 * Statements of lists of conversations, and what else is read of many.
 *
 * Each account and agent, and each part, is a query of its own, which reads in the order of an index and no further than the page
 * needs. The planner sees the values: it must know how many conversations they have. What is both the user's and assigned to
 * it is among those of its account.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "fragments.h"
#include "list_key.h"
#include "listed.h"
#include "statement_parts.h"

/* A part of a list that an index has in order: condition and ORDER BY list. */
typedef struct Part
{
	const char *bound;
	const char *ranking;
} Part;

#define MAX_PARTS 4

typedef struct Parts
{
	int count;
	Part items[MAX_PARTS];
} Parts;

/* The parameters of a list: those that its variant has none of are NULL. */
typedef struct Given
{
	ChatListed listed;
	const char *accounts; /* what the owner's and the agent's column hold for the user */
	const char *agents;
	const char *most;
	const char *skipped; /* of a page */
	const char *status;
	const char *agent;
	const char *pattern;
	const char *time; /* of the place after which the list goes on */
	const char *id;
} Given;

/* $1 accounts, $2 agents, $3 how many, $4 after how many others (of a page), and what the variant has besides */
static void
take_parameters(ChatSql *sql, Given *given, bool page)
{
	const ChatAttachment *a = sql->attachment;

	*given = (Given){.listed = chat_listed_unpack(sql->variant)};
	given->accounts = chat_sql_values_of(sql, CHAT_C_OWNER);
	given->agents = a->column[CHAT_C_AGENT] ? chat_sql_values_of(sql, CHAT_C_AGENT)
											: chat_sql_parameter(sql, TEXTARRAYOID);
	given->most = chat_sql_parameter(sql, INT4OID);
	if (page)
		given->skipped = chat_sql_parameter(sql, INT8OID);
	if (given->listed.status)
		given->status = chat_sql_value_of(sql, CHAT_C_STATUS);
	if (given->listed.assigned == CHAT_ASSIGNED_ONE)
		given->agent = chat_sql_value_of(sql, CHAT_C_AGENT);
	if (given->listed.search)
		given->pattern = chat_sql_parameter(sql, TEXTOID);
	if (given->listed.after == CHAT_AFTER_TIME)
		given->time = chat_sql_value_of(sql, CHAT_C_LAST_AT);
	if (given->listed.after != CHAT_AFTER_NOTHING)
		given->id = chat_sql_value_of(sql, CHAT_C_ID);
}

static void
append_search(ChatSql *sql, StringInfo filter, const char *pattern)
{
	static const ChatRole roles[] = {CHAT_C_NAME, CHAT_C_JID};
	const char *separator = " AND (";

	for (int i = 0; i < (int) lengthof(roles); i++)
	{
		if (sql->attachment->column[roles[i]] == NULL)
			continue;
		appendStringInfo(filter, "%s%s OPERATOR(pg_catalog.~~*) %s", separator,
						 chat_sql_column_of(sql, "c", roles[i]), pattern);
		separator = " OR ";
	}
	appendStringInfoChar(filter, ')');
}

/* " AND …": which of the conversations are wanted. */
static const char *
filter_of(ChatSql *sql, const Given *given)
{
	StringInfoData filter;

	initStringInfo(&filter);
	if (given->status != NULL)
		appendStringInfo(&filter, " AND %s" EQUALS "%s",
						 chat_sql_column_of(sql, "c", CHAT_C_STATUS), given->status);
	if (given->agent != NULL)
		appendStringInfo(&filter, " AND %s" EQUALS "%s", chat_sql_column_of(sql, "c", CHAT_C_AGENT),
						 given->agent);
	if (given->listed.assigned == CHAT_ASSIGNED_NONE)
		appendStringInfo(&filter, " AND %s IS NULL", chat_sql_column_of(sql, "c", CHAT_C_AGENT));
	if (given->listed.unread == CHAT_UNREAD_SOME)
		appendStringInfo(&filter, " AND %s OPERATOR(pg_catalog.>) 0",
						 chat_sql_column_of(sql, "c", CHAT_C_UNREAD));
	if (given->listed.unread == CHAT_UNREAD_NONE)
		appendStringInfo(&filter, " AND COALESCE(%s, 0)" EQUALS "0",
						 chat_sql_column_of(sql, "c", CHAT_C_UNREAD));
	if (given->pattern != NULL)
		append_search(sql, &filter, given->pattern);
	return filter.data;
}

static void
add_part(Parts *parts, const char *bound, const char *ranking)
{
	Assert(parts->count < MAX_PARTS);
	parts->items[parts->count++] = (Part){bound, ranking};
}

/*
 * The parts that come after the place, where indexes are by the last message; each bound behind a condition. Row comparison knows
 * no NULLs: what has no last message comes last, as a part of its own.
 */
static void
add_parts_by_time(ChatSql *sql, Parts *parts, const Given *given, const char *condition)
{
	const char *ranking = chat_sql_conversation_order(sql->attachment, "c");
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);
	const char *last = sql->attachment->column[CHAT_C_LAST_AT]
						   ? chat_sql_column_of(sql, "c", CHAT_C_LAST_AT)
						   : NULL;

	if (given->listed.after == CHAT_AFTER_NOTHING)
		add_part(parts, psprintf("%strue", condition), ranking);
	else if (last == NULL)
		add_part(parts, psprintf("%s%s OPERATOR(pg_catalog.<) %s", condition, id, given->id),
				 ranking);
	else if (given->time == NULL)
		add_part(parts,
				 psprintf("%s%s IS NULL AND %s OPERATOR(pg_catalog.<) %s", condition, last, id,
						  given->id),
				 ranking);
	else
	{
		add_part(parts,
				 psprintf("%s(%s, %s) OPERATOR(pg_catalog.<) (%s, %s)", condition, last, id,
						  given->time, given->id),
				 ranking);
		add_part(parts, psprintf("%s%s IS NULL", condition, last), ranking);
	}
}

/* The keys of the place: the exact one, and that of its ten minutes. */
static const char *
exact_key(const ChatSql *sql, const Given *given)
{
	if (given->time == NULL)
		return psprintf("'" INT64_FORMAT "'::pg_catalog.int8", CHAT_LIST_NEVER);
	return psprintf("chat.list_key(%s)",
					chat_sql_time_for(sql->attachment, CHAT_C_LAST_AT, given->time));
}

/*
 * The same where indexes are by list key. Exact keys are in the order of the list. Those of ten minutes are so as well, and what
 * has the same is sorted when it is reached. A conversation that has no key yet, since the column is new, is in a part that is
 * sorted whole.
 */
static void
add_parts_by_key(ChatSql *sql, Parts *parts, const Given *given)
{
	const ChatAttachment *a = sql->attachment;
	const char *key = chat_sql_column_of(sql, "c", CHAT_C_LIST_KEY);
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);
	const char *never = psprintf("'" INT64_FORMAT "'::pg_catalog.int8", CHAT_LIST_NEVER);
	const char *exact = "", *bucket = "";

	if (given->listed.after != CHAT_AFTER_NOTHING)
		exact = psprintf(" AND (%s, %s) OPERATOR(pg_catalog.<) (%s, %s)", key, id,
						 exact_key(sql, given), given->id);
	if (given->time != NULL)
		bucket = psprintf(
			" AND %s OPERATOR(pg_catalog.<=) chat.list_bucket(%s) AND (%s, %s) OPERATOR(pg_catalog.<) (%s, %s)",
			key, chat_sql_time_for(a, CHAT_C_LAST_AT, given->time),
			chat_sql_column_of(sql, "c", CHAT_C_LAST_AT), id, given->time, given->id);
	add_part(parts, psprintf("%s OPERATOR(pg_catalog.>=) %s%s", key, never, exact),
			 psprintf("%s DESC, %s DESC", key, id));
	if (given->listed.after != CHAT_AFTER_NO_TIME)
		add_part(parts, psprintf("%s OPERATOR(pg_catalog.<) %s%s", key, never, bucket),
				 psprintf("%s DESC, %s", key, chat_sql_conversation_order(a, "c")));
	if (!chat_is_not_null(a->conversations, a->column[CHAT_C_LIST_KEY]))
		add_parts_by_time(sql, parts, given, psprintf("%s IS NULL AND ", key));
}

/* The wanted conversations of each account, then of each agent, and each part of them, up to so many of each. */
static const char *
union_of(ChatSql *sql, const Given *given, const Parts *parts, const char *what, const char *most)
{
	const ChatListed *listed = &given->listed;
	const char *table = chat_sql_conversations(sql);
	const char *filter = filter_of(sql, given);
	const char *owner = chat_sql_column_of(sql, "c", CHAT_C_OWNER);
	StringInfoData text;

	initStringInfo(&text);
	for (int n = 0; n < listed->accounts + listed->agents; n++)
	{
		bool agent = n >= listed->accounts;
		const char *column = agent ? chat_sql_column_of(sql, "c", CHAT_C_AGENT) : owner;
		const char *not_owned =
			agent && listed->accounts > 0
				? psprintf(" AND (%s OPERATOR(pg_catalog.<>) ALL (%s)) IS NOT FALSE", owner,
						   given->accounts)
				: "";

		for (int i = 0; i < parts->count; i++)
			appendStringInfo(&text,
							 "%s(SELECT %s FROM %s AS c WHERE %s" EQUALS
							 "%s[%d]%s%s AND %s ORDER BY %s LIMIT %s)",
							 text.len > 0 ? " UNION ALL " : "", what, table, column,
							 agent ? given->agents : given->accounts,
							 agent ? n - listed->accounts + 1 : n + 1, not_owned, filter,
							 parts->items[i].bound, parts->items[i].ranking, most);
	}
	return text.data;
}

/* A row's place as an array of texts, as to_jsonb writes them: a time with all its digits and its offset. */
static const char *
place_of(ChatSql *sql)
{
	const char *id = psprintf("pg_catalog.to_jsonb(%s) OPERATOR(pg_catalog.#>>) '{}'",
							  chat_sql_column_of(sql, "(p.c)", CHAT_C_ID));

	if (sql->attachment->column[CHAT_C_LAST_AT] == NULL)
		return psprintf("ARRAY[%s]", id);
	return psprintf("ARRAY[pg_catalog.to_jsonb(%s) OPERATOR(pg_catalog.#>>) '{}', %s]",
					chat_sql_column_of(sql, "(p.c)", CHAT_C_LAST_AT), id);
}

/*
 * A page after a place: [{data, place}]. A table may have a column of the alias's name: the whole row is (c.*). See
 * take_parameters.
 */
void
chat_build_list_conversations(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *order = chat_sql_conversation_order(a, "(u.c)");
	Given given;
	Parts parts = {0};

	take_parameters(sql, &given, true);
	if (a->column[CHAT_C_LIST_KEY] != NULL)
		add_parts_by_key(sql, &parts, &given);
	else
		add_parts_by_time(sql, &parts, &given, "");
	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('data', chat.row_json(%d, p.c), 'place', %s) ORDER BY p.n)"
		" FROM (SELECT u.c, pg_catalog.row_number() OVER (ORDER BY %s) AS n FROM (%s) u"
		" ORDER BY %s LIMIT %s OFFSET %s) p",
		a->id, place_of(sql), order,
		union_of(sql, &given, &parts, psprintf("(c.*)::%s AS c", chat_sql_conversations(sql)),
				 psprintf("%s OPERATOR(pg_catalog.+) %s", given.most, given.skipped)),
		order, given.most, given.skipped);
}

/* How many there are, up to so many, in the order of an index. See take_parameters. */
void
chat_build_count_conversations(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	Given given;
	Parts parts = {0};

	take_parameters(sql, &given, false);
	add_part(&parts, "true",
			 a->column[CHAT_C_LIST_KEY] != NULL
				 ? psprintf("%s DESC, %s DESC", chat_sql_column_of(sql, "c", CHAT_C_LIST_KEY),
							chat_sql_column_of(sql, "c", CHAT_C_ID))
				 : chat_sql_conversation_order(a, "c"));
	appendStringInfo(&sql->text, "SELECT pg_catalog.count(*) FROM (SELECT FROM (%s) u LIMIT %s) n",
					 union_of(sql, &given, &parts, "1", given.most), given.most);
}

/* $1 conversations: an object with the inboxes that they are in, by id */
void
chat_build_inboxes(ChatSql *sql)
{
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_object_agg(%s, %s) FROM %s AS c WHERE %s" EQUALS "ANY (%s)",
		chat_sql_text_of(sql, "c", CHAT_C_ID), chat_sql_text_of(sql, "c", CHAT_C_INBOX),
		chat_sql_conversations(sql), id, chat_sql_values_of(sql, CHAT_C_ID));
}
