/*
 * Statements about counters and last messages: those of the triggers, and what finds where they are wrong.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "fragments.h"
#include "names.h"
#include "statement_parts.h"

/* Appends one assignment of a SET list, if the table has the column. */
static void
append_assignment(ChatSql *sql, const char **separator, ChatRole role, const char *value)
{
	if (sql->attachment->column[role] == NULL)
		return;
	appendStringInfo(&sql->text, "%s%s = %s", *separator, chat_sql_column_of(sql, "", role), value);
	*separator = ", ";
}

/* $1 id, $2 unread, $3 time of the newest message, $4 its preview, $5 the list key */
void
chat_build_set(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *separator = "";
	const char *id = chat_sql_parameter(sql, a->key_type);

	appendStringInfo(&sql->text, "UPDATE %s AS c SET ", chat_sql_conversations(sql));
	append_assignment(sql, &separator, CHAT_C_UNREAD, chat_sql_parameter(sql, INT8OID));
	append_assignment(
		sql, &separator, CHAT_C_LAST_AT,
		chat_sql_time_for(a, CHAT_C_LAST_AT, chat_sql_parameter(sql, TIMESTAMPTZOID)));
	append_assignment(sql, &separator, CHAT_C_PREVIEW, chat_sql_parameter(sql, TEXTOID));
	append_assignment(sql, &separator, CHAT_C_LIST_KEY, chat_sql_parameter(sql, INT8OID));
	append_assignment(sql, &separator, CHAT_C_UPDATED,
					  chat_sql_time_for(a, CHAT_C_UPDATED, "pg_catalog.now()"));
	appendStringInfo(&sql->text, " WHERE %s" EQUALS "%s RETURNING c.ctid",
					 chat_sql_column_of(sql, "c", CHAT_C_ID), id);
}

/* $1 id; no update of ours: its triggers tell of it as of anybody's */
void
chat_build_open(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;

	appendStringInfo(&sql->text,
					 "UPDATE %s AS c SET %s = 'open' WHERE %s" EQUALS "%s RETURNING c.ctid",
					 chat_sql_conversations(sql), quote_identifier(a->column[CHAT_C_STATUS]),
					 chat_sql_column_of(sql, "c", CHAT_C_ID), chat_sql_parameter(sql, a->key_type));
}

/* $1 conversation; in the order of rule R2, as the index made by chat.attach has it. What has no time is no last message. */
void
chat_build_newest(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	char *time = chat_sql_message_time(a, "m");

	appendStringInfo(
		&sql->text,
		"SELECT %s, %s, %s, %s FROM %s AS m WHERE %s" EQUALS "%s%s"
		" AND %s OPERATOR(pg_catalog.>) pg_catalog.timestamptz '-infinity'"
		" ORDER BY %s LIMIT 1",
		time, chat_sql_text_of(sql, "m", CHAT_M_TYPE), chat_sql_text_of(sql, "m", CHAT_M_CONTENT),
		chat_sql_text_of(sql, "m", CHAT_M_FILENAME), chat_sql_messages(sql),
		chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), chat_sql_parameter(sql, a->key_type),
		chat_sql_message_kept(a, "m", true), time, chat_sql_message_order(a, "m"));
}

/* $1 conversation; rule R1 */
void
chat_build_unread(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;

	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.count(*) FROM %s AS m WHERE %s" EQUALS "%s AND %s",
					 chat_sql_messages(sql), chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION),
					 chat_sql_parameter(sql, a->key_type), chat_sql_message_unread(a, "m"));
}

void
chat_build_counted(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *unread = a->column[CHAT_C_UNREAD];
	const char *last_at = a->column[CHAT_C_LAST_AT];

	appendStringInfo(&sql->text, "SELECT %s FROM %s AS c WHERE ",
					 chat_sql_column_of(sql, "c", CHAT_C_ID), chat_sql_conversations(sql));
	appendStringInfo(&sql->text, unread ? "%s OPERATOR(pg_catalog.<>) 0" : "false",
					 unread ? chat_sql_column("c", unread) : "");
	appendStringInfo(&sql->text, last_at ? " OR %s IS NOT NULL" : "",
					 last_at ? chat_sql_column("c", last_at) : "");
	appendStringInfo(&sql->text, " ORDER BY %s FOR NO KEY UPDATE OF c",
					 chat_sql_column_of(sql, "c", CHAT_C_ID));
}

/* $1: what the column holds */
void
chat_build_owner(ChatSql *sql)
{
	appendStringInfo(&sql->text, "SELECT %s",
					 chat_sql_user(&sql->attachment->owner, chat_sql_value_of(sql, CHAT_C_OWNER)));
}

void
chat_build_agent(ChatSql *sql)
{
	appendStringInfo(&sql->text, "SELECT %s",
					 chat_sql_user(&sql->attachment->agent, chat_sql_value_of(sql, CHAT_C_AGENT)));
}

/* What a conversation's column can hold of a count. */
static const char *
countable(const ChatSql *sql, const char *count)
{
	const ChatAttachment *a = sql->attachment;

	switch (getBaseType(
		get_atttype(a->conversations, get_attnum(a->conversations, a->column[CHAT_C_UNREAD]))))
	{
		case INT2OID:
			return psprintf("LEAST(%s, 32767)", count);
		case INT4OID:
			return psprintf("LEAST(%s, 2147483647)", count);
		default:
			return count;
	}
}

/*
 * Appends whether a column of conversation c differs from what it is to hold; one that must have a value keeps any. What a domain
 * refuses is no reason to ask in vain.
 */
static void
append_difference(ChatSql *sql, StringInfo differs, ChatRole role, const char *value, bool optional)
{
	const ChatAttachment *a = sql->attachment;
	AttrNumber attnum = get_attnum(a->conversations, a->column[role]);
	Oid type, collation;
	int32 typmod;

	get_atttypetypmodcoll(a->conversations, attnum, &type, &typmod, &collation);
	type = getBaseTypeAndTypmod(type, &typmod);
	appendStringInfo(
		differs, "%s(%s IS DISTINCT FROM CAST(%s AS %s)%s)", differs->len > 0 ? " OR " : "",
		chat_sql_column_of(sql, "c", role), value,
		format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
		optional && chat_is_not_null(a->conversations, a->column[role]) ? " AND n.at IS NOT NULL"
																		: "");
}

/* Whether conversation c differs from unread u and newest message n. */
static const char *
differences(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	StringInfoData differs;

	initStringInfo(&differs);
	if (a->column[CHAT_C_UNREAD] != NULL)
		append_difference(sql, &differs, CHAT_C_UNREAD, countable(sql, "COALESCE(u.unread, 0)"),
						  false);
	if (a->column[CHAT_C_PREVIEW] != NULL)
		append_difference(sql, &differs, CHAT_C_PREVIEW, "n.preview", true);
	if (a->column[CHAT_C_LAST_AT] != NULL)
		append_difference(sql, &differs, CHAT_C_LAST_AT,
						  chat_sql_time_for(a, CHAT_C_LAST_AT, "n.at"), true);
	if (a->column[CHAT_C_LAST_AT] != NULL && a->column[CHAT_C_LIST_KEY] != NULL)
		appendStringInfo(&differs, " OR NOT chat.list_key_matches(%s, %s)",
						 chat_sql_column_of(sql, "c", CHAT_C_LIST_KEY),
						 chat_sql_time_of(a, CHAT_C_LAST_AT, "c"));
	return differs.len > 0 ? differs.data : "false";
}

/*
 * $1 and $2 conversations, or NULL for all: keys, in order, of those whose counters or last message are not what their messages
 * say. Each table is read once: a look-up per conversation would take as many times longer.
 */
void
chat_build_drifted(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *of = chat_sql_values_of(sql, CHAT_M_CONVERSATION);
	const char *only = chat_sql_values_of(sql, CHAT_C_ID);
	const char *conversation = chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION);
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);
	const char *counted = psprintf("(%s IS NULL OR %s" EQUALS "ANY (%s))", of, conversation, of);
	char *time = chat_sql_message_time(a, "m");

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.array_agg(CAST(%s AS pg_catalog.text) ORDER BY %s) FROM %s AS c"
		" LEFT JOIN (SELECT %s AS key, pg_catalog.count(*) AS unread FROM %s AS m WHERE %s AND %s GROUP BY 1) u ON u.key" EQUALS
		"%s",
		id, id, chat_sql_conversations(sql), conversation, chat_sql_messages(sql), counted,
		chat_sql_message_unread(a, "m"), id);
	appendStringInfo(
		&sql->text,
		" LEFT JOIN (SELECT DISTINCT ON (%s) %s AS key, %s AS at, chat.message_preview(%s, %s, %s, %s) AS preview"
		" FROM %s AS m WHERE %s%s AND %s OPERATOR(pg_catalog.>) pg_catalog.timestamptz '-infinity' ORDER BY %s, %s) n ON n.key" EQUALS
		"%s",
		conversation, conversation, time, chat_sql_text_of(sql, "m", CHAT_M_TYPE),
		chat_sql_text_of(sql, "m", CHAT_M_CONTENT), chat_sql_text_of(sql, "m", CHAT_M_FILENAME),
		a->settings.preview_labels ? quote_literal_cstr(a->settings.preview_labels) : "NULL",
		chat_sql_messages(sql), counted, chat_sql_message_kept(a, "m", true), time, conversation,
		chat_sql_message_order(a, "m"), id);
	appendStringInfo(&sql->text, " WHERE (%s) AND (%s IS NULL OR %s" EQUALS "ANY (%s))",
					 differences(sql), only, id, only);
}

/* $1 conversation or NULL, $2 how many: the next keys after it, in order */
void
chat_build_conversations_after(ChatSql *sql)
{
	const char *last = chat_sql_value_of(sql, CHAT_C_ID);
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.array_agg(CAST(s.key AS pg_catalog.text) ORDER BY s.key) FROM (SELECT %s AS key FROM %s AS c"
		" WHERE %s IS NULL OR %s OPERATOR(pg_catalog.>) %s ORDER BY %s LIMIT %s) s",
		id, chat_sql_conversations(sql), last, id, last, id, chat_sql_parameter(sql, INT4OID));
}
