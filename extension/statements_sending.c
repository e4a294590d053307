/*
 * Statements about what is to be sent; sql/sending.sql calls them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "fragments.h"
#include "statement_parts.h"

/* Bytes of media in what is read of one conversation; one message is read in any case. */
#define MAX_MEDIA_BYTES "8388608"

/* A role's column, NULL where the table has none. */
static const char *
column_or_null(const ChatSql *sql, const char *alias, ChatRole role)
{
	return sql->attachment->column[role] ? chat_sql_column_of(sql, alias, role)
										 : "NULL::pg_catalog.text";
}

/* A member of a message's metadata, as JSON. */
static const char *
metadata_member(const ChatSql *sql, const char *alias, const char *key)
{
	const ChatAttachment *a = sql->attachment;
	const char *column = a->column[CHAT_M_METADATA];

	if (column == NULL || get_atttype(a->messages, get_attnum(a->messages, column)) != JSONBOID)
		return "NULL::pg_catalog.jsonb";
	return psprintf("(%s OPERATOR(pg_catalog.->) '%s')", chat_sql_column(alias, column), key);
}

static const char *
is_outgoing(const ChatSql *sql, const char *alias)
{
	return psprintf("(%s" EQUALS "'outgoing')", chat_sql_text_of(sql, alias, CHAT_M_DIRECTION));
}

/* Whether a message is to be sent, and was stored after a time. */
static const char *
is_due(const ChatSql *sql, const char *since)
{
	return psprintf("%s AND %s OPERATOR(pg_catalog.>) %s",
					chat_sql_message_pending(sql->attachment, "m"),
					chat_sql_time_of(sql->attachment, CHAT_M_CREATED, "m"), since);
}

/* $1 conversations to be left out, $2 since when, $3 how many: ids of conversations with messages to be sent */
void
chat_build_pending_conversations(ChatSql *sql)
{
	const char *of = chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION);
	const char *left_out = chat_sql_values_of(sql, CHAT_M_CONVERSATION);
	const char *since = chat_sql_parameter(sql, TIMESTAMPTZOID);

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.array_agg(p.id ORDER BY p.since) FROM (SELECT CAST(%s AS pg_catalog.text) AS id,"
		" pg_catalog.min(%s) AS since FROM %s AS m WHERE %s AND %s OPERATOR(pg_catalog.<>) ALL (%s)"
		" GROUP BY %s ORDER BY 2 LIMIT %s) p",
		of, chat_sql_time_of(sql->attachment, CHAT_M_CREATED, "m"), chat_sql_messages(sql),
		is_due(sql, since), of, left_out, of, chat_sql_parameter(sql, INT4OID));
}

/* $1 conversation: true, and it is locked; nothing where somebody else has it locked, or it is gone */
void
chat_build_lock_if_free(ChatSql *sql)
{
	appendStringInfo(&sql->text,
					 "SELECT true FROM %s AS c WHERE %s" EQUALS
					 "%s FOR NO KEY UPDATE OF c SKIP LOCKED",
					 chat_sql_conversations(sql), chat_sql_column_of(sql, "c", CHAT_C_ID),
					 chat_sql_value_of(sql, CHAT_C_ID));
}

/* The message that m answers, named by its key or by WhatsApp's id: {messageId, fromMe, participant} */
static const char *
answered(const ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *column = a->column[CHAT_M_REPLY_TO];
	Oid type;
	ChatRole by;

	if (column == NULL)
		return "NULL::pg_catalog.jsonb";
	type = get_atttype(a->messages, get_attnum(a->messages, column));
	by = type == TEXTOID || type == VARCHAROID ? CHAT_M_EXTERNAL : CHAT_M_ID;
	return psprintf(
		"(SELECT pg_catalog.jsonb_build_object('messageId', %s, 'fromMe', %s, 'participant', %s) FROM %s AS q"
		" WHERE %s" EQUALS "%s AND %s" EQUALS "%s LIMIT 1)",
		chat_sql_column_of(sql, "q", CHAT_M_EXTERNAL), is_outgoing(sql, "q"),
		metadata_member(sql, "q", "participant"), chat_sql_messages(sql),
		chat_sql_column_of(sql, "q", CHAT_M_CONVERSATION),
		chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), chat_sql_column_of(sql, "q", by),
		chat_sql_column("m", column));
}

/* $1 conversation, $2 since when, $3 how many: its messages that are to be sent, the oldest first */
void
chat_build_pending_of(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	char *position[3];
	int count = chat_sql_message_position(a, "m", position);
	const char *conversation = chat_sql_value_of(sql, CHAT_M_CONVERSATION);
	const char *since = chat_sql_parameter(sql, TIMESTAMPTZOID);
	const char *most = chat_sql_parameter(sql, INT4OID);
	StringInfoData order;

	initStringInfo(&order);
	for (int i = 0; i < count; i++)
		appendStringInfo(&order, "%s%s NULLS FIRST", i > 0 ? ", " : "", position[i]);
	appendStringInfo(
		&sql->text,
		"SELECT COALESCE(pg_catalog.jsonb_agg(p.message ORDER BY p.n), '[]') FROM (SELECT r.message, r.n,"
		" pg_catalog.sum(r.bytes) OVER (ORDER BY r.n) AS bytes FROM (SELECT pg_catalog.row_number() OVER (ORDER BY %s) AS n,"
		" COALESCE(pg_catalog.octet_length(CAST(%s AS pg_catalog.text)), 0) AS bytes,"
		" pg_catalog.jsonb_build_object('action', 'send', 'id', %s, 'messageId', %s, 'type', %s, 'content', %s,"
		" 'mediaUrl', %s, 'mediaMimeType', %s, 'mediaFilename', %s, 'metadata', %s, 'replyTo', %s, 'createdAt', %s)"
		" OPERATOR(pg_catalog.||) pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('instance', %s, 'inboxId', %s)) AS message"
		" FROM %s AS m WHERE %s" EQUALS "%s AND %s ORDER BY %s LIMIT %s) r) p"
		" WHERE p.n" EQUALS "1 OR p.bytes OPERATOR(pg_catalog.<=) " MAX_MEDIA_BYTES,
		order.data, column_or_null(sql, "m", CHAT_M_MEDIA_URL),
		chat_sql_text_of(sql, "m", CHAT_M_ID), chat_sql_column_of(sql, "m", CHAT_M_EXTERNAL),
		column_or_null(sql, "m", CHAT_M_TYPE), chat_sql_column_of(sql, "m", CHAT_M_CONTENT),
		column_or_null(sql, "m", CHAT_M_MEDIA_URL), column_or_null(sql, "m", CHAT_M_MIME),
		column_or_null(sql, "m", CHAT_M_FILENAME), column_or_null(sql, "m", CHAT_M_METADATA),
		answered(sql), chat_sql_time_of(a, CHAT_M_CREATED, "m"),
		metadata_member(sql, "m", "instance"), metadata_member(sql, "m", "inboxId"),
		chat_sql_messages(sql), chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), conversation,
		is_due(sql, since), order.data, most);
}

/* $1 conversation: where what is sent of it goes, and by which of the owner's numbers */
void
chat_build_recipient(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_build_object('conversationId', %s, 'to', %s, 'owner', %s)"
		" OPERATOR(pg_catalog.||) CAST(%s AS pg_catalog.jsonb) FROM %s AS c WHERE %s" EQUALS "%s",
		chat_sql_text_of(sql, "c", CHAT_C_ID), column_or_null(sql, "c", CHAT_C_JID),
		chat_sql_user(&a->owner, chat_sql_column("c", a->owner.column)), chat_sql_route_of(sql),
		chat_sql_conversations(sql), chat_sql_column_of(sql, "c", CHAT_C_ID),
		chat_sql_value_of(sql, CHAT_C_ID));
}

/* $1 message: what a change of it has to name */
void
chat_build_sending_target(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_build_object('conversation', %s, 'messageId', %s, 'fromMe', %s, 'status', %s,"
		" 'participant', %s, 'private', %s) FROM %s AS m WHERE %s" EQUALS "%s%s",
		chat_sql_text_of(sql, "m", CHAT_M_CONVERSATION), column_or_null(sql, "m", CHAT_M_EXTERNAL),
		is_outgoing(sql, "m"), chat_sql_text_of(sql, "m", CHAT_M_STATUS),
		metadata_member(sql, "m", "participant"),
		a->column[CHAT_M_PRIVATE]
			? psprintf("%s IS TRUE", chat_sql_column_of(sql, "m", CHAT_M_PRIVATE))
			: "false",
		chat_sql_messages(sql), chat_sql_column_of(sql, "m", CHAT_M_ID),
		chat_sql_value_of(sql, CHAT_M_ID), chat_sql_message_kept(a, "m", false));
}

/* $1 messages: [{messageId, participant}] of those that WhatsApp knows; NULL for none */
void
chat_build_external_ids(ChatSql *sql)
{
	const char *id = chat_sql_column_of(sql, "m", CHAT_M_ID);
	const char *external = chat_sql_column_of(sql, "m", CHAT_M_EXTERNAL);

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('messageId', %s, 'participant', %s) ORDER BY %s)"
		" FROM %s AS m WHERE %s" EQUALS "ANY (%s) AND %s IS NOT NULL",
		external, metadata_member(sql, "m", "participant"), id, chat_sql_messages(sql), id,
		chat_sql_values_of(sql, CHAT_M_ID), external);
}
