/*
 * Statements about contacts, and about what WUZAPI tells of messages.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "fragments.h"
#include "statement_parts.h"

/* --- contacts ---------------------------------------------------------------------------------------- */

/* What is looked at of a contact's conversation c: {id, jid, name, status, inbox, metadata}, as far as the table has it. */
static const char *
contact_object(const ChatSql *sql, const char *also)
{
	static const struct
	{
		const char *name;
		ChatRole role;
	} optional[] = {{"inbox", CHAT_C_INBOX},
					{"metadata", CHAT_C_METADATA},
					{"name", CHAT_C_NAME},
					{"status", CHAT_C_STATUS}};
	StringInfoData object;

	initStringInfo(&object);
	appendStringInfo(&object, "pg_catalog.jsonb_build_object('id', %s, 'jid', %s",
					 chat_sql_column_of(sql, "c", CHAT_C_ID),
					 chat_sql_column_of(sql, "c", CHAT_C_JID));
	for (int i = 0; i < (int) lengthof(optional); i++)
	{
		if (sql->attachment->column[optional[i].role] != NULL)
			appendStringInfo(&object, ", '%s', %s", optional[i].name,
							 chat_sql_column_of(sql, "c", optional[i].role));
	}
	appendStringInfo(&object, "%s)", also);
	return object.data;
}

/*
 * $1 values of the owner's column, $2 spellings of addresses, the preferred first, $3 the same as texts, $4 how many of them are
 * the contact's by more than a rule, $5 inbox, $6 whether to look in that inbox and in none: the conversations, the best first. Of
 * those that are the same contact by a rule alone, the one with the newest message.
 */
void
chat_build_contact_rows(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *owner = chat_sql_values_of(sql, CHAT_C_OWNER);
	const char *spelled = chat_sql_values_of(sql, CHAT_C_JID);
	const char *texts = chat_sql_parameter(sql, TEXTARRAYOID);
	const char *exact = chat_sql_parameter(sql, INT4OID);
	const char *inbox = chat_sql_parameter(sql, TEXTOID);
	const char *within = chat_sql_parameter(sql, BOOLOID);
	const char *position = psprintf("pg_catalog.array_position(%s, %s)", texts,
									chat_sql_text_of(sql, "c", CHAT_C_JID));
	const char *here = chat_sql_text_of(sql, "c", CHAT_C_INBOX);

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_agg(r.v ORDER BY r.elsewhere, r.place, r.at DESC NULLS LAST, r.key)"
		" FROM (SELECT %s AS v, %s AND %s IS NULL AS elsewhere,"
		" LEAST(%s, %s OPERATOR(pg_catalog.+) 1) AS place, %s AS at, %s AS key FROM %s AS c"
		" WHERE %s" EQUALS "ANY (%s) AND %s" EQUALS "ANY (%s)"
		" AND (NOT %s OR COALESCE(%s" EQUALS "%s, true))) r",
		contact_object(sql, psprintf(", 'exact', %s OPERATOR(pg_catalog.<=) %s", position, exact)),
		within, here, position, exact,
		a->column[CHAT_C_LAST_AT] ? chat_sql_column_of(sql, "c", CHAT_C_LAST_AT)
								  : "NULL::pg_catalog.timestamptz",
		chat_sql_column_of(sql, "c", CHAT_C_ID), chat_sql_conversations(sql),
		chat_sql_column_of(sql, "c", CHAT_C_OWNER), owner, chat_sql_column_of(sql, "c", CHAT_C_JID),
		spelled, within, here, inbox);
}

/* $1 conversation */
void
chat_build_contact(ChatSql *sql)
{
	appendStringInfo(&sql->text, "SELECT %s FROM %s AS c WHERE %s" EQUALS "%s",
					 contact_object(sql, ""), chat_sql_conversations(sql),
					 chat_sql_column_of(sql, "c", CHAT_C_ID), chat_sql_value_of(sql, CHAT_C_ID));
}

void
chat_build_lock_contact(ChatSql *sql)
{
	chat_build_contact(sql);
	appendStringInfoString(&sql->text, " FOR NO KEY UPDATE OF c");
}

/* $1 conversations: true; locked in the order of their ids */
void
chat_build_lock_conversations(ChatSql *sql)
{
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);

	appendStringInfo(&sql->text,
					 "SELECT true FROM %s AS c WHERE %s" EQUALS
					 "ANY (%s) ORDER BY %s FOR NO KEY UPDATE OF c",
					 chat_sql_conversations(sql), id, chat_sql_values_of(sql, CHAT_C_ID), id);
}

/* "m JOIN c …" of messages and their conversations. */
static const char *
joined(const ChatSql *sql)
{
	return psprintf("%s AS m JOIN %s AS c ON %s" EQUALS "%s", chat_sql_messages(sql),
					chat_sql_conversations(sql), chat_sql_column_of(sql, "c", CHAT_C_ID),
					chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION));
}

/*
 * $1 values of the owner's column, $2 WhatsApp's id of a message, $3 pattern: the address, of this pattern, of a conversation that
 * has it as the contact's
 */
void
chat_build_other_address(ChatSql *sql)
{
	const char *jid = chat_sql_text_of(sql, "c", CHAT_C_JID);
	const char *owner = chat_sql_values_of(sql, CHAT_C_OWNER);
	const char *external = chat_sql_value_of(sql, CHAT_M_EXTERNAL);

	appendStringInfo(&sql->text,
					 "SELECT %s FROM %s WHERE %s" EQUALS "%s AND %s" EQUALS
					 "'incoming' AND %s" EQUALS "ANY (%s) AND %s OPERATOR(pg_catalog.~~) %s"
					 " ORDER BY %s LIMIT 1",
					 jid, joined(sql), chat_sql_column_of(sql, "m", CHAT_M_EXTERNAL), external,
					 chat_sql_text_of(sql, "m", CHAT_M_DIRECTION),
					 chat_sql_column_of(sql, "c", CHAT_C_OWNER), owner, jid,
					 chat_sql_parameter(sql, TEXTOID), chat_sql_column_of(sql, "c", CHAT_C_ID));
}

/* $1 [[address, name], …], $2 values of the owner's column: how many conversations without a name got theirs */
void
chat_build_name_contacts(ChatSql *sql)
{
	const char *names = chat_sql_parameter(sql, JSONBOID);
	const char *owner = chat_sql_values_of(sql, CHAT_C_OWNER);
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);

	/* A name is missing, or clients showed the number and stored it. */
	appendStringInfo(
		&sql->text,
		"WITH named AS (SELECT n.value OPERATOR(pg_catalog.->>) 0 AS jid,"
		" n.value OPERATOR(pg_catalog.->>) 1 AS name FROM pg_catalog.jsonb_array_elements(%s) n),"
		" locked AS (SELECT %s AS key, n.name FROM %s AS c JOIN named n ON %s" EQUALS "n.jid"
		" WHERE %s" EQUALS "ANY (%s) AND COALESCE(%s, '')" EQUALS
		"ANY (ARRAY['', pg_catalog.split_part(n.jid, '@', 1)]) ORDER BY %s FOR NO KEY UPDATE OF c),"
		" done AS (UPDATE %s AS c SET %s = l.name FROM locked l WHERE %s" EQUALS
		"l.key RETURNING 1) SELECT pg_catalog.count(*) FROM done",
		names, id, chat_sql_conversations(sql), chat_sql_text_of(sql, "c", CHAT_C_JID),
		chat_sql_column_of(sql, "c", CHAT_C_OWNER), owner, chat_sql_text_of(sql, "c", CHAT_C_NAME),
		id, chat_sql_conversations(sql), chat_sql_column_of(sql, "", CHAT_C_NAME), id);
}

/* --- messages ---------------------------------------------------------------------------------------- */

/* $1 values of the owner's column, $2 WhatsApp's ids: the conversations that have them, as a JSON array */
void
chat_build_conversations_of(ChatSql *sql)
{
	const char *owner = chat_sql_values_of(sql, CHAT_C_OWNER);

	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.jsonb_agg(DISTINCT %s) FROM %s WHERE %s" EQUALS
					 "ANY (%s) AND %s" EQUALS "ANY (%s)",
					 chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), joined(sql),
					 chat_sql_column_of(sql, "c", CHAT_C_OWNER), owner,
					 chat_sql_column_of(sql, "m", CHAT_M_EXTERNAL),
					 chat_sql_values_of(sql, CHAT_M_EXTERNAL));
}

/* $1 conversations, $2 WhatsApp's id: the message's key as text */
void
chat_build_find_among(ChatSql *sql)
{
	const char *conversations = chat_sql_values_of(sql, CHAT_M_CONVERSATION);

	appendStringInfo(
		&sql->text,
		"SELECT %s FROM %s AS m WHERE %s" EQUALS "ANY (%s) AND %s" EQUALS "%s ORDER BY %s LIMIT 1",
		chat_sql_text_of(sql, "m", CHAT_M_ID), chat_sql_messages(sql),
		chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), conversations,
		chat_sql_column_of(sql, "m", CHAT_M_EXTERNAL), chat_sql_value_of(sql, CHAT_M_EXTERNAL),
		chat_sql_column_of(sql, "m", CHAT_M_ID));
}

/* $1 conversations, $2 WhatsApp's ids, $3 status: keys of the outgoing messages that it moves forward, locked in key order */
void
chat_build_lock_due(ChatSql *sql)
{
	const char *conversations = chat_sql_values_of(sql, CHAT_M_CONVERSATION);
	const char *external = chat_sql_values_of(sql, CHAT_M_EXTERNAL);

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.array_agg(d.key) FROM (SELECT %s AS key FROM %s AS m WHERE %s" EQUALS
		"ANY (%s) AND %s" EQUALS "ANY (%s) AND %s" EQUALS
		"'outgoing' AND chat.status_moves(%s, %s) ORDER BY %s FOR NO KEY UPDATE OF m) d",
		chat_sql_text_of(sql, "m", CHAT_M_ID), chat_sql_messages(sql),
		chat_sql_column_of(sql, "m", CHAT_M_EXTERNAL), external,
		chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), conversations,
		chat_sql_text_of(sql, "m", CHAT_M_DIRECTION), chat_sql_text_of(sql, "m", CHAT_M_STATUS),
		chat_sql_parameter(sql, TEXTOID), chat_sql_column_of(sql, "m", CHAT_M_ID));
}

/* $1 conversation, $2 WhatsApp's ids: time of the newest of them */
void
chat_build_latest_among(ChatSql *sql)
{
	const char *conversation = chat_sql_value_of(sql, CHAT_M_CONVERSATION);

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.max(%s) FROM %s AS m WHERE %s" EQUALS "ANY (%s) AND %s" EQUALS "%s",
		chat_sql_message_time(sql->attachment, "m"), chat_sql_messages(sql),
		chat_sql_column_of(sql, "m", CHAT_M_EXTERNAL), chat_sql_values_of(sql, CHAT_M_EXTERNAL),
		chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), conversation);
}

/* $1 type: whether an INSERT takes it. The rule may call functions of the table's owner. */
void
chat_build_type_is_allowed(ChatSql *sql)
{
	const char *type = chat_sql_parameter(sql, TEXTOID);

	appendStringInfo(&sql->text, "SELECT %s", chat_sql_type_allowed(sql->attachment, type));
}

/*
 * $1 rows by role: those whose WhatsApp id their conversation does not have yet, once each, the oldest first, as a JSON array.
 */
void
chat_build_new_rows(ChatSql *sql)
{
	appendStringInfo(
		&sql->text,
		"SELECT COALESCE(pg_catalog.jsonb_agg(r.v ORDER BY r.v OPERATOR(pg_catalog.->>) 'time', r.n), '[]')"
		" FROM (SELECT DISTINCT ON (v OPERATOR(pg_catalog.->>) 'conversation', v OPERATOR(pg_catalog.->>) 'external_id') v, n"
		" FROM pg_catalog.unnest(%s) WITH ORDINALITY u (v, n)"
		" ORDER BY v OPERATOR(pg_catalog.->>) 'conversation', v OPERATOR(pg_catalog.->>) 'external_id', n) r"
		" WHERE NOT EXISTS (SELECT FROM %s AS m WHERE %s" EQUALS
		"CAST(r.v OPERATOR(pg_catalog.->>) 'conversation' AS %s) AND %s" EQUALS
		"CAST(r.v OPERATOR(pg_catalog.->>) 'external_id' AS %s))",
		chat_sql_parameter(sql, JSONBARRAYOID), chat_sql_messages(sql),
		chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION),
		chat_sql_type_name(sql, CHAT_M_CONVERSATION, true),
		chat_sql_column_of(sql, "m", CHAT_M_EXTERNAL),
		chat_sql_type_name(sql, CHAT_M_EXTERNAL, true));
}
