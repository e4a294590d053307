/*
 * Statements of merging conversations; see statements.h. None of them but the last tells anybody of what it writes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "fragments.h"
#include "statement_parts.h"

/* Messages that are moved at once. */
#define PORTION "1000"

/* $1 conversations: what is looked at of those that are merged, by key */
void
chat_build_merge_sides(ChatSql *sql)
{
	static const ChatRole looked_at[] = {CHAT_C_JID,    CHAT_C_NAME,     CHAT_C_AVATAR,
										 CHAT_C_STATUS, CHAT_C_AGENT,    CHAT_C_BOT,
										 CHAT_C_INBOX,  CHAT_C_METADATA, CHAT_C_UNREAD};
	const ChatAttachment *a = sql->attachment;
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_object_agg(%s, pg_catalog.jsonb_build_object('key', %s,"
		" 'owner', %s, 'user', %s, 'agentUser', %s",
		chat_sql_text_of(sql, "c", CHAT_C_ID), id, chat_sql_text_of(sql, "c", CHAT_C_OWNER),
		chat_sql_user(&a->owner, chat_sql_column("c", a->owner.column)), chat_sql_agent_of(sql));
	for (int i = 0; i < (int) lengthof(looked_at); i++)
	{
		if (a->column[looked_at[i]] != NULL)
			appendStringInfo(&sql->text, ", '%s', %s", chat_role_name(looked_at[i]),
							 chat_sql_column_of(sql, "c", looked_at[i]));
	}
	appendStringInfo(&sql->text, ")) FROM %s AS c WHERE %s" EQUALS "ANY (%s)",
					 chat_sql_conversations(sql), id, chat_sql_values_of(sql, CHAT_C_ID));
}

/* $1 conversations, $2 address: the one of them that has it has none any more */
void
chat_build_free_address(ChatSql *sql)
{
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);
	const char *ids = chat_sql_values_of(sql, CHAT_C_ID);

	appendStringInfo(&sql->text,
					 "UPDATE %s AS c SET %s = CAST(pg_catalog.concat('merged:', %s) AS %s)"
					 " WHERE %s" EQUALS "ANY (%s) AND %s" EQUALS "%s"
					 " RETURNING CAST(%s AS pg_catalog.text)",
					 chat_sql_conversations(sql), chat_sql_column_of(sql, "", CHAT_C_JID), id,
					 chat_sql_type_name(sql, CHAT_C_JID, true), id, ids,
					 chat_sql_text_of(sql, "c", CHAT_C_JID), chat_sql_parameter(sql, TEXTOID), id);
}

/* $1 conversation: the newest of its messages that nobody else holds, which are locked */
void
chat_build_lock_movable(ChatSql *sql)
{
	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.array_agg(k.id) FROM (SELECT CAST(%s AS pg_catalog.text) AS id"
		" FROM %s AS m WHERE %s" EQUALS "%s ORDER BY %s LIMIT " PORTION
		" FOR UPDATE OF m SKIP LOCKED) k",
		chat_sql_column_of(sql, "m", CHAT_M_ID), chat_sql_messages(sql),
		chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION),
		chat_sql_value_of(sql, CHAT_M_CONVERSATION), chat_sql_message_order(sql->attachment, "m"));
}

/* $1 messages, $2 conversation: how many of them it has, too; they are deleted */
void
chat_build_drop_doubles(ChatSql *sql)
{
	const char *messages = chat_sql_messages(sql);
	const char *ids = chat_sql_values_of(sql, CHAT_M_ID);

	appendStringInfo(&sql->text,
					 "WITH done AS (DELETE FROM %s AS m WHERE %s" EQUALS "ANY (%s) AND EXISTS"
					 " (SELECT FROM %s AS o WHERE %s" EQUALS "%s AND %s" EQUALS "%s AND %s" EQUALS
					 "%s) RETURNING 1) SELECT pg_catalog.count(*) FROM done",
					 messages, chat_sql_column_of(sql, "m", CHAT_M_ID), ids, messages,
					 chat_sql_column_of(sql, "o", CHAT_M_CONVERSATION),
					 chat_sql_value_of(sql, CHAT_M_CONVERSATION),
					 chat_sql_column_of(sql, "o", CHAT_M_EXTERNAL),
					 chat_sql_column_of(sql, "m", CHAT_M_EXTERNAL),
					 chat_sql_column_of(sql, "o", CHAT_M_DIRECTION),
					 chat_sql_column_of(sql, "m", CHAT_M_DIRECTION));
}

/* $1 messages, $2 conversation, which they are moved to: how many */
void
chat_build_move_messages(ChatSql *sql)
{
	const char *ids = chat_sql_values_of(sql, CHAT_M_ID);

	appendStringInfo(&sql->text,
					 "WITH done AS (UPDATE %s AS m SET %s = %s WHERE %s" EQUALS
					 "ANY (%s) RETURNING 1) SELECT pg_catalog.count(*) FROM done",
					 chat_sql_messages(sql), chat_sql_column_of(sql, "", CHAT_M_CONVERSATION),
					 chat_sql_value_of(sql, CHAT_M_CONVERSATION),
					 chat_sql_column_of(sql, "m", CHAT_M_ID), ids);
}

/* $1 conversations: those that have messages; NULL for none */
void
chat_build_with_messages(ChatSql *sql)
{
	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.array_agg(CAST(k.id AS pg_catalog.text)) FROM pg_catalog.unnest(%s) AS k (id)"
		" WHERE EXISTS (SELECT FROM %s AS m WHERE %s" EQUALS "k.id)",
		chat_sql_values_of(sql, CHAT_M_CONVERSATION), chat_sql_messages(sql),
		chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION));
}

/* $1 conversations: the same, the oldest first */
void
chat_build_by_age(ChatSql *sql)
{
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);
	const char *created = sql->attachment->column[CHAT_C_CREATED] == NULL
							  ? ""
							  : psprintf("%s, ", chat_sql_column_of(sql, "c", CHAT_C_CREATED));

	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.array_agg(CAST(%s AS pg_catalog.text) ORDER BY %s%s)"
					 " FROM %s AS c WHERE %s" EQUALS "ANY (%s)",
					 id, created, id, chat_sql_conversations(sql), id,
					 chat_sql_values_of(sql, CHAT_C_ID));
}

/*
 * $1 conversations, whose metadata is jsonb: they are marked as merged no more, but for those that somebody else has locked, whose
 * locks come before the caller's
 */
void
chat_build_unmark_merged(ChatSql *sql)
{
	const char *table = chat_sql_conversations(sql);
	const char *id = chat_sql_column_of(sql, "c", CHAT_C_ID);
	const char *mark = chat_sql_column_of(sql, "c", CHAT_C_METADATA);

	appendStringInfo(
		&sql->text,
		"WITH free AS (SELECT %s AS id FROM %s AS c WHERE %s" EQUALS
		"ANY (%s) FOR NO KEY UPDATE SKIP LOCKED) UPDATE %s AS c"
		" SET %s = %s OPERATOR(pg_catalog.-) 'mergedInto'::pg_catalog.text FROM free AS f"
		" WHERE %s" EQUALS "f.id AND pg_catalog.jsonb_typeof(%s)" EQUALS
		"'object'::pg_catalog.text",
		id, table, id, chat_sql_values_of(sql, CHAT_C_ID), table,
		chat_sql_column_of(sql, "", CHAT_C_METADATA), mark, id, mark);
}
