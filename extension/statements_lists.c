/*
 * Statements of lists of messages.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "fragments.h"
#include "names.h"
#include "statement_parts.h"

#define MAX_POSITION 3

/* Appends to a list of SQL texts. */
static void
append_to(StringInfo list, const char *separator, const char *text)
{
	appendStringInfo(list, "%s%s", list->len > 0 ? separator : "", text);
}

/* The place's element n has a value; it is NULL otherwise. */
static bool
has_value(const ChatSql *sql, int n)
{
	return (sql->variant & CHAT_PLACE_NULL(n)) == 0;
}

/* A condition of one part of a list, in a query of its own. */
static void
append_part(ChatSql *sql, StringInfo parts, const char *conversation, const char *columns,
			const char *bound)
{
	append_to(parts, " UNION ALL ",
			  psprintf("(SELECT (m.*)::%s AS m%s FROM %s AS m WHERE %s" EQUALS
					   "%s AND %s ORDER BY %s LIMIT $2 OPERATOR(pg_catalog.+) 1)",
					   chat_sql_messages(sql), columns, chat_sql_messages(sql),
					   chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), conversation, bound,
					   chat_sql_message_order(sql->attachment, "m")));
}

/*
 * The parts of a list that come after a place, each of which an index has in order. Row comparison knows no NULLs: what has none
 * of a time comes after all that have one.
 */
static void
append_parts(ChatSql *sql, StringInfo parts, const char *conversation, const char *columns,
			 char **position, const char **place, int count)
{
	StringInfoData alike; /* the columns before n are those of the place */
	StringInfoData row, given;

	if ((sql->variant & CHAT_PLACE) == 0)
	{
		append_part(sql, parts, conversation, columns, "true");
		return;
	}
	initStringInfo(&row);
	initStringInfo(&given);
	initStringInfo(&alike);
	for (int n = 0; n < count; n++)
	{
		append_to(&row, ", ", position[n]);
		append_to(&given, ", ", place[n]);
	}
	if ((sql->variant & CHAT_PLACE_WHOLE) != 0)
	{
		append_part(sql, parts, conversation, columns,
					psprintf("(%s) OPERATOR(pg_catalog.<) (%s)", row.data, given.data));
		return;
	}
	for (int n = 0; n < count; n++)
	{
		if (has_value(sql, n))
			append_part(
				sql, parts, conversation, columns,
				psprintf("%s%s OPERATOR(pg_catalog.<) %s", alike.data, position[n], place[n]));
		if (has_value(sql, n) && n < count - 1)
			append_part(sql, parts, conversation, columns,
						psprintf("%s%s IS NULL", alike.data, position[n]));
		if (has_value(sql, n))
			appendStringInfo(&alike, "%s" EQUALS "%s AND ", position[n], place[n]);
		else
			appendStringInfo(&alike, "%s IS NULL AND ", position[n]);
	}
}

/* $1 conversation, $2 how many, then the place after which: [{data, place}], one more than asked for if there is */
void
chat_build_list_messages(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	char *position[MAX_POSITION];
	const char *place[MAX_POSITION];
	int count = chat_sql_message_position(a, "m", position);
	const char *conversation = chat_sql_value_of(sql, CHAT_M_CONVERSATION);
	StringInfoData columns, places, ranking, parts;

	(void) chat_sql_parameter(sql, INT4OID);
	initStringInfo(&columns);
	initStringInfo(&places);
	initStringInfo(&ranking);
	initStringInfo(&parts);
	for (int n = 0; n < count; n++)
	{
		bool last = n == count - 1;

		if ((sql->variant & CHAT_PLACE) != 0)
			place[n] =
				last ? chat_sql_value_of(sql, CHAT_M_ID) : chat_sql_parameter(sql, TIMESTAMPTZOID);
		appendStringInfo(&columns, ", %s AS p%d", position[n], n + 1);
		/* As to_jsonb writes them: a time with all its digits and its offset. */
		append_to(&places, ", ",
				  psprintf("pg_catalog.to_jsonb(p%d) OPERATOR(pg_catalog.#>>) '{}'", n + 1));
		append_to(&ranking, ", ", psprintf("p%d DESC%s", n + 1, last ? "" : " NULLS LAST"));
	}
	append_parts(sql, &parts, conversation, columns.data, position, place, count);
	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('data', chat.row_json(%d, r.m), 'place', ARRAY[%s]) ORDER BY r.n)"
		" FROM (SELECT u.*, pg_catalog.row_number() OVER (ORDER BY %s) AS n FROM (%s) u ORDER BY %s LIMIT $2 OPERATOR(pg_catalog.+) 1) r",
		a->id, places.data, ranking.data, parts.data, ranking.data);
}

/* $1 conversation, $2 how many, $3 pattern: [{data}], the newest first, one more than asked for if there is */
void
chat_build_search_messages(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *conversation = chat_sql_value_of(sql, CHAT_M_CONVERSATION);
	const char *most = chat_sql_parameter(sql, INT4OID);
	const char *order = chat_sql_message_order(a, "m");

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('data', chat.row_json(%d, p.m)) ORDER BY p.n)"
		" FROM (SELECT (m.*)::%s AS m, pg_catalog.row_number() OVER (ORDER BY %s) AS n FROM %s AS m"
		" WHERE %s" EQUALS
		"%s AND %s OPERATOR(pg_catalog.~~*) %s%s ORDER BY %s LIMIT %s OPERATOR(pg_catalog.+) 1) p",
		a->id, chat_sql_messages(sql), order, chat_sql_messages(sql),
		chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), conversation,
		chat_sql_column_of(sql, "m", CHAT_M_CONTENT), chat_sql_parameter(sql, TEXTOID),
		chat_sql_message_kept(a, "m", true), order, most);
}
