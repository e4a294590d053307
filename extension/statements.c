/*
 * The text of every statement on a pair of tables; see statements.h. Those about counters and of lists have files of their own.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "fragments.h"
#include "names.h"
#include "statement_parts.h"

/* --- of the API -------------------------------------------------------------------------------------- */

/* $1 id, $2 user: the key and whether the user does not own the conversation */
static void
build_find_conversation(ChatSql *sql)
{
	const char *id = chat_sql_value_of(sql, CHAT_C_ID);
	const char *user = chat_sql_parameter(sql, TEXTOID);

	appendStringInfo(&sql->text,
					 "SELECT ARRAY[%s, CAST(%s AS pg_catalog.text)] FROM %s AS c"
					 " WHERE %s" EQUALS "%s AND %s",
					 chat_sql_text_of(sql, "c", CHAT_C_ID), chat_sql_agency(sql, user),
					 chat_sql_conversations(sql), chat_sql_column_of(sql, "c", CHAT_C_ID), id,
					 chat_sql_ownership(sql, user));
}

/* The same of a message. */
static void
build_find_message(ChatSql *sql)
{
	const char *id = chat_sql_value_of(sql, CHAT_M_ID);
	const char *user = chat_sql_parameter(sql, TEXTOID);

	appendStringInfo(&sql->text,
					 "SELECT ARRAY[%s, CAST(%s AS pg_catalog.text)] FROM %s AS m JOIN %s AS c"
					 " ON %s" EQUALS "%s WHERE %s" EQUALS "%s AND %s",
					 chat_sql_text_of(sql, "m", CHAT_M_ID), chat_sql_agency(sql, user),
					 chat_sql_messages(sql), chat_sql_conversations(sql),
					 chat_sql_column_of(sql, "c", CHAT_C_ID),
					 chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION),
					 chat_sql_column_of(sql, "m", CHAT_M_ID), id, chat_sql_ownership(sql, user));
}

/*
 * $1 id, $2 user: status; what the agent's column holds when that is the user; whether the user does not own it; its route. Who may is
 * asked for under the lock: while it was waited for, the conversation may have been given to somebody else.
 */
static void
build_lock_conversation(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *id = chat_sql_value_of(sql, CHAT_C_ID);
	const char *user = chat_sql_parameter(sql, TEXTOID);
	const char *agent = "NULL::pg_catalog.text";

	if (a->agent.column != NULL)
		agent = psprintf("CASE WHEN %s" EQUALS "%s THEN %s END",
						 chat_sql_user(&a->agent, chat_sql_column("c", a->agent.column)), user,
						 chat_sql_text_of(sql, "c", CHAT_C_AGENT));
	appendStringInfo(&sql->text,
					 "SELECT %s, %s, %s, %s FROM %s AS c WHERE %s" EQUALS "%s AND %s"
					 " FOR NO KEY UPDATE OF c",
					 chat_sql_text_of(sql, "c", CHAT_C_STATUS), agent, chat_sql_agency(sql, user),
					 a->column[CHAT_C_INBOX] || a->column[CHAT_C_METADATA]
						 ? chat_sql_route_of(sql)
						 : "NULL::pg_catalog.text",
					 chat_sql_conversations(sql), chat_sql_column_of(sql, "c", CHAT_C_ID), id,
					 chat_sql_ownership(sql, user));
}

/*
 * $1 message, $2 user: whether the user does not own the conversation of that message. It is locked before its messages, as by
 * whoever deletes it: the triggers would lock it after them.
 */
static void
build_lock_conversation_of(ChatSql *sql)
{
	const char *id = chat_sql_value_of(sql, CHAT_M_ID);
	const char *user = chat_sql_parameter(sql, TEXTOID);

	appendStringInfo(&sql->text,
					 "SELECT %s FROM %s AS c WHERE %s" EQUALS
					 "(SELECT %s FROM %s AS m WHERE %s" EQUALS "%s) AND %s FOR NO KEY UPDATE OF c",
					 chat_sql_agency(sql, user), chat_sql_conversations(sql),
					 chat_sql_column_of(sql, "c", CHAT_C_ID),
					 chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), chat_sql_messages(sql),
					 chat_sql_column_of(sql, "m", CHAT_M_ID), id, chat_sql_ownership(sql, user));
}

/* $1 id: what a change of a message that is not deleted has to know of it */
static void
build_lock_message(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_build_object('key', %s, 'conversation', %s, 'content', %s, 'metadata', %s,"
		" 'direction', %s) FROM %s AS m WHERE %s" EQUALS "%s%s FOR NO KEY UPDATE",
		chat_sql_column_of(sql, "m", CHAT_M_ID), chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION),
		chat_sql_column_of(sql, "m", CHAT_M_CONTENT),
		a->column[CHAT_M_METADATA] ? chat_sql_column_of(sql, "m", CHAT_M_METADATA)
								   : "NULL::pg_catalog.text",
		chat_sql_column_of(sql, "m", CHAT_M_DIRECTION), chat_sql_messages(sql),
		chat_sql_column_of(sql, "m", CHAT_M_ID), chat_sql_value_of(sql, CHAT_M_ID),
		chat_sql_message_kept(a, "m", false));
}

/* $1 conversation, which is to be deleted: true */
static void
build_lock_all(ChatSql *sql)
{
	appendStringInfo(&sql->text, "SELECT true FROM %s AS c WHERE %s" EQUALS "%s FOR UPDATE",
					 chat_sql_conversations(sql), chat_sql_column_of(sql, "c", CHAT_C_ID),
					 chat_sql_value_of(sql, CHAT_C_ID));
}

/* $1 conversation: a message that somebody else has locked; all others are locked then */
static void
build_lock_all_messages(ChatSql *sql)
{
	const char *id = chat_sql_column_of(sql, "m", CHAT_M_ID);
	const char *of = psprintf("%s" EQUALS "%s", chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION),
							  chat_sql_value_of(sql, CHAT_M_CONVERSATION));

	appendStringInfo(&sql->text,
					 "WITH own AS MATERIALIZED (SELECT %s AS id FROM %s AS m WHERE %s ORDER BY %s"
					 " FOR UPDATE SKIP LOCKED) SELECT CAST(%s AS pg_catalog.text) FROM %s AS m"
					 " WHERE %s AND NOT EXISTS (SELECT FROM own WHERE own.id" EQUALS
					 "%s) ORDER BY %s LIMIT 1",
					 id, chat_sql_messages(sql), of, id, id, chat_sql_messages(sql), of, id, id);
}

/* $1 message: true */
static void
build_lock_one_message(ChatSql *sql)
{
	appendStringInfo(&sql->text, "SELECT true FROM %s AS m WHERE %s" EQUALS "%s FOR UPDATE",
					 chat_sql_messages(sql), chat_sql_column_of(sql, "m", CHAT_M_ID),
					 chat_sql_value_of(sql, CHAT_M_ID));
}

/* $1 message, $2 status: whether it has another one */
static void
build_lock_status(ChatSql *sql)
{
	const char *id = chat_sql_value_of(sql, CHAT_M_ID);

	appendStringInfo(&sql->text,
					 "SELECT %s IS DISTINCT FROM %s FROM %s AS m WHERE %s" EQUALS
					 "%s FOR NO KEY UPDATE",
					 chat_sql_text_of(sql, "m", CHAT_M_STATUS), chat_sql_parameter(sql, TEXTOID),
					 chat_sql_messages(sql), chat_sql_column_of(sql, "m", CHAT_M_ID), id);
}

/*
 * $1 conversation, $2 time or NULL: keys of the messages that are unread (and not later), locked in key order. They are found
 * from the newest backwards, as many as the conversation counts: what was read long ago is not looked at.
 */
static void
build_lock_unread(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *id = chat_sql_column_of(sql, "m", CHAT_M_ID);
	const char *conversation = chat_sql_value_of(sql, CHAT_M_CONVERSATION);
	const char *up_to = chat_sql_parameter(sql, TIMESTAMPTZOID);
	const char *counted = "";

	if (a->column[CHAT_C_UNREAD] != NULL)
		counted = psprintf(" LIMIT (SELECT %s FROM %s AS c WHERE %s" EQUALS "%s)",
						   chat_sql_column_of(sql, "c", CHAT_C_UNREAD), chat_sql_conversations(sql),
						   chat_sql_column_of(sql, "c", CHAT_C_ID), conversation);
	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.array_agg(l.key) FROM (SELECT CAST(%s AS pg_catalog.text) AS key"
		" FROM %s AS m WHERE %s" EQUALS "ANY (ARRAY(SELECT n.id FROM (SELECT %s AS id, %s AS at"
		" FROM %s AS m WHERE %s" EQUALS "%s AND %s ORDER BY %s%s) n"
		" WHERE %s IS NULL OR n.at OPERATOR(pg_catalog.<=) %s))"
		" AND %s IS DISTINCT FROM 'read' ORDER BY %s FOR NO KEY UPDATE OF m) l",
		id, chat_sql_messages(sql), id, id, chat_sql_message_time(a, "m"), chat_sql_messages(sql),
		chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), conversation,
		chat_sql_message_unread(a, "m"), chat_sql_message_order(a, "m"), counted, up_to, up_to,
		chat_sql_text_of(sql, "m", CHAT_M_STATUS), id);
}

/* $1 conversation, $2 WhatsApp's id: the message's key, as JSON and as text */
static void
build_find_external(ChatSql *sql)
{
	const char *id = chat_sql_column_of(sql, "m", CHAT_M_ID);
	const char *conversation = chat_sql_value_of(sql, CHAT_M_CONVERSATION);

	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.to_jsonb(%s), CAST(%s AS pg_catalog.text) FROM %s AS m"
					 " WHERE %s" EQUALS "%s AND %s" EQUALS "%s ORDER BY %s LIMIT 1",
					 id, id, chat_sql_messages(sql),
					 chat_sql_column_of(sql, "m", CHAT_M_CONVERSATION), conversation,
					 chat_sql_column_of(sql, "m", CHAT_M_EXTERNAL),
					 chat_sql_value_of(sql, CHAT_M_EXTERNAL), id);
}

/* $1 conversation: its id and the users behind it */
static void
build_users_of(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;

	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.jsonb_build_object('id', %s, 'owner', %s, 'agent', %s)"
					 " FROM %s AS c WHERE %s" EQUALS "%s",
					 chat_sql_column_of(sql, "c", CHAT_C_ID),
					 chat_sql_user(&a->owner, chat_sql_column("c", a->owner.column)),
					 chat_sql_agent_of(sql), chat_sql_conversations(sql),
					 chat_sql_column_of(sql, "c", CHAT_C_ID), chat_sql_value_of(sql, CHAT_C_ID));
}

/* $1 conversation, $2 the same as events spell it, $3 user: whether the user owns it or is its agent */
static void
build_takes_part(ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *id = chat_sql_value_of(sql, CHAT_C_ID);
	const char *spelled = chat_sql_parameter(sql, TEXTOID);

	appendStringInfo(&sql->text,
					 "SELECT COALESCE(%s IN (%s, %s), false) AND %s" EQUALS "%s FROM %s AS c"
					 " WHERE %s" EQUALS "%s",
					 chat_sql_parameter(sql, TEXTOID),
					 chat_sql_user(&a->owner, chat_sql_column("c", a->owner.column)),
					 chat_sql_agent_of(sql), chat_sql_text_of(sql, "c", CHAT_C_ID), spelled,
					 chat_sql_conversations(sql), chat_sql_column_of(sql, "c", CHAT_C_ID), id);
}

/* $1 id: the row as the API shows it. A table may have a column of the alias's name: the whole row is (t.*). */
static void
build_json(ChatSql *sql, const char *table, ChatRole id)
{
	appendStringInfo(&sql->text, "SELECT chat.row_json(%d, t.*) FROM %s AS t WHERE %s" EQUALS "%s",
					 sql->attachment->id, table, chat_sql_column_of(sql, "t", id),
					 chat_sql_value_of(sql, id));
}

static void
build_conversation_json(ChatSql *sql)
{
	build_json(sql, chat_sql_conversations(sql), CHAT_C_ID);
}

static void
build_message_json(ChatSql *sql)
{
	build_json(sql, chat_sql_messages(sql), CHAT_M_ID);
}

/* A role's column is a time; it is given one with a zone, whatever the column has. */
static bool
is_time(const ChatSql *sql, ChatRole role)
{
	Oid type = getBaseType(chat_sql_type_of(sql, role));

	return type == TIMESTAMPTZOID || type == TIMESTAMPOID;
}

/* A text in SQL as a role's column takes it. A value is cut to the length of its column; content that is too long is an error. */
static const char *
cast_value(const ChatSql *sql, ChatRole role, const char *value)
{
	if (is_time(sql, role))
		return chat_sql_time_for(sql->attachment, role,
								 psprintf("CAST(%s AS pg_catalog.timestamptz)", value));
	return psprintf("CAST(%s AS %s)", value, chat_sql_type_name(sql, role, role != CHAT_M_CONTENT));
}

/* The same of a new parameter, which has the column's type already. */
static const char *
new_value(ChatSql *sql, ChatRole role)
{
	Oid type = chat_sql_type_of(sql, role);
	const char *value;

	if (is_time(sql, role))
		return chat_sql_time_for(sql->attachment, role, chat_sql_parameter(sql, TIMESTAMPTZOID));
	value = chat_sql_parameter(sql, type);
	return chat_sql_has_length(sql, role) && role != CHAT_M_CONTENT ? cast_value(sql, role, value)
																	: value;
}

/* A parameter for each role of the variant, in their order. */
static void
build_insert(ChatSql *sql, const char *table, ChatRole id)
{
	StringInfoData values;
	const char *separator = "";

	initStringInfo(&values);
	appendStringInfo(&sql->text, "INSERT INTO %s AS t (", table);
	for (int role = 0; role < CHAT_ROLES; role++)
	{
		if ((sql->variant & CHAT_ROLE_BIT(role)) == 0)
			continue;
		appendStringInfo(&sql->text, "%s%s", separator, chat_sql_column_of(sql, "", role));
		appendStringInfo(&values, "%s%s", separator, new_value(sql, role));
		separator = ", ";
	}
	appendStringInfo(&sql->text, ") VALUES (%s)", values.data);
	if ((sql->variant & CHAT_UNLESS_THERE) != 0)
		appendStringInfo(&sql->text, " ON CONFLICT (%s, %s) DO NOTHING",
						 chat_sql_column_of(sql, "", CHAT_C_OWNER),
						 chat_sql_column_of(sql, "", CHAT_C_JID));
	appendStringInfo(&sql->text, " RETURNING pg_catalog.to_jsonb(%s), CAST(%s AS pg_catalog.text)",
					 chat_sql_column_of(sql, "t", id), chat_sql_column_of(sql, "t", id));
}

/* $1: JSON array of objects by role, one for each row; of each the roles of the variant */
static void
build_insert_messages(ChatSql *sql)
{
	const char *rows = chat_sql_parameter(sql, JSONBOID);
	const char *separator = "";
	StringInfoData values;

	initStringInfo(&values);
	appendStringInfo(&sql->text, "INSERT INTO %s (", chat_sql_messages(sql));
	for (int role = 0; role < CHAT_ROLES; role++)
	{
		if ((sql->variant & CHAT_ROLE_BIT(role)) == 0)
			continue;
		appendStringInfo(&sql->text, "%s%s", separator, chat_sql_column_of(sql, "", role));
		appendStringInfo(
			&values, "%s%s", separator,
			cast_value(sql, role,
					   psprintf("(r.v OPERATOR(pg_catalog.->>) '%s')", chat_role_name(role))));
		separator = ", ";
	}
	appendStringInfo(
		&sql->text,
		") SELECT %s FROM pg_catalog.jsonb_array_elements(%s) WITH ORDINALITY AS r (v, n)"
		" ORDER BY r.n",
		values.data, rows);
}

static void
build_insert_conversation(ChatSql *sql)
{
	build_insert(sql, chat_sql_conversations(sql), CHAT_C_ID);
}

static void
build_insert_message(ChatSql *sql)
{
	build_insert(sql, chat_sql_messages(sql), CHAT_M_ID);
}

/* A parameter for each role of the variant, in their order, and the keys of the rows: the keys of those that are there. */
static void
build_update(ChatSql *sql, const char *table, ChatRole id)
{
	const char *separator = "";

	appendStringInfo(&sql->text, "UPDATE %s AS t SET ", table);
	for (int role = 0; role < CHAT_ROLES; role++)
	{
		if ((sql->variant & CHAT_ROLE_BIT(role)) == 0)
			continue;
		appendStringInfo(&sql->text, "%s%s = %s", separator, chat_sql_column_of(sql, "", role),
						 new_value(sql, role));
		separator = ", ";
	}
	appendStringInfo(&sql->text, " WHERE %s" EQUALS "ANY (%s) RETURNING pg_catalog.to_jsonb(%s)",
					 chat_sql_column_of(sql, "t", id), chat_sql_values_of(sql, id),
					 chat_sql_column_of(sql, "t", id));
}

static void
build_update_conversations(ChatSql *sql)
{
	build_update(sql, chat_sql_conversations(sql), CHAT_C_ID);
}

static void
build_update_messages(ChatSql *sql)
{
	build_update(sql, chat_sql_messages(sql), CHAT_M_ID);
}

/* $1: the key, or what a column holds that all rows to be deleted have */
static void
build_delete(ChatSql *sql, const char *table, ChatRole role)
{
	appendStringInfo(&sql->text, "DELETE FROM %s AS t WHERE %s" EQUALS "%s", table,
					 chat_sql_column_of(sql, "t", role), chat_sql_value_of(sql, role));
}

static void
build_delete_message(ChatSql *sql)
{
	build_delete(sql, chat_sql_messages(sql), CHAT_M_ID);
}

static void
build_delete_messages_of(ChatSql *sql)
{
	build_delete(sql, chat_sql_messages(sql), CHAT_M_CONVERSATION);
}

static void
build_delete_conversation(ChatSql *sql)
{
	build_delete(sql, chat_sql_conversations(sql), CHAT_C_ID);
}

/* --- all of them ------------------------------------------------------------------------------------- */

/* The table that a statement is on, as whose owner it is run. */
typedef enum Table
{
	CONVERSATIONS,
	MESSAGES,
	OWNERS, /* by which the user behind the owner's column is found; conversations where that is the user */
	AGENTS,
	BESIDE, /* the pair: a table of webhooks or keys, see chat_attachment_of_table */
} Table;

typedef struct Statement
{
	const char *name; /* by which SQL calls it; NULL: it does not */
	void (*build)(ChatSql *sql);
	ChatMode mode;
	Table table;
} Statement;

static const Statement statements[CHAT_PLANS] = {
	[CHAT_PLAN_SET] = {NULL, chat_build_set, CHAT_NOW, CONVERSATIONS},
	[CHAT_PLAN_OPEN] = {NULL, chat_build_open, CHAT_NOW, CONVERSATIONS},
	[CHAT_PLAN_NEWEST] = {NULL, chat_build_newest, CHAT_NOW, MESSAGES},
	[CHAT_PLAN_UNREAD] = {NULL, chat_build_unread, CHAT_NOW, MESSAGES},
	[CHAT_PLAN_COUNTED] = {NULL, chat_build_counted, CHAT_NOW, CONVERSATIONS},
	[CHAT_PLAN_OWNER] = {NULL, chat_build_owner, CHAT_NOW, CONVERSATIONS},
	[CHAT_PLAN_AGENT] = {NULL, chat_build_agent, CHAT_NOW, CONVERSATIONS},
	[CHAT_PLAN_DRIFTED] = {NULL, chat_build_drifted, CHAT_LIST, MESSAGES},
	[CHAT_PLAN_CONVERSATIONS_AFTER] = {"conversations_after", chat_build_conversations_after,
									   CHAT_LIST, CONVERSATIONS},
	[CHAT_PLAN_LIST_CONVERSATIONS] = {NULL, chat_build_list_conversations, CHAT_LIST,
									  CONVERSATIONS},
	[CHAT_PLAN_COUNT_CONVERSATIONS] = {NULL, chat_build_count_conversations, CHAT_LIST,
									   CONVERSATIONS},
	[CHAT_PLAN_LIST_MESSAGES] = {NULL, chat_build_list_messages, CHAT_LIST, MESSAGES},
	[CHAT_PLAN_SEARCH_MESSAGES] = {"search_messages", chat_build_search_messages, CHAT_LIST,
								   MESSAGES},
	[CHAT_PLAN_FIND_CONVERSATION] = {"find_conversation", build_find_conversation, CHAT_READ,
									 CONVERSATIONS},
	[CHAT_PLAN_FIND_MESSAGE] = {"find_message", build_find_message, CHAT_READ, MESSAGES},
	[CHAT_PLAN_LOCK_CONVERSATION] = {"lock_conversation", build_lock_conversation, CHAT_LOCK,
									 CONVERSATIONS},
	[CHAT_PLAN_LOCK_CONVERSATION_OF] = {"lock_conversation_of", build_lock_conversation_of,
										CHAT_LOCK, CONVERSATIONS},
	[CHAT_PLAN_LOCK_MESSAGE] = {"lock_message", build_lock_message, CHAT_LOCK, MESSAGES},
	[CHAT_PLAN_LOCK_ALL] = {"lock_all", build_lock_all, CHAT_LOCK, CONVERSATIONS},
	[CHAT_PLAN_LOCK_ALL_MESSAGES] = {"lock_all_messages", build_lock_all_messages, CHAT_LOCK,
									 MESSAGES},
	[CHAT_PLAN_LOCK_ONE_MESSAGE] = {"lock_one_message", build_lock_one_message, CHAT_LOCK,
									MESSAGES},
	[CHAT_PLAN_USERS_OF] = {"users_of", build_users_of, CHAT_READ, CONVERSATIONS},
	[CHAT_PLAN_TAKES_PART] = {"takes_part", build_takes_part, CHAT_READ, CONVERSATIONS},
	[CHAT_PLAN_DELETE_MESSAGE] = {"delete_message", build_delete_message, CHAT_WRITE, MESSAGES},
	[CHAT_PLAN_DELETE_MESSAGES_OF] = {"delete_messages_of", build_delete_messages_of, CHAT_WRITE,
									  MESSAGES},
	[CHAT_PLAN_DELETE_CONVERSATION] = {"delete_conversation", build_delete_conversation, CHAT_WRITE,
									   CONVERSATIONS},
	[CHAT_PLAN_LOCK_STATUS] = {NULL, build_lock_status, CHAT_LOCK, MESSAGES},
	[CHAT_PLAN_LOCK_UNREAD] = {"lock_unread", build_lock_unread, CHAT_LOCK, MESSAGES},
	[CHAT_PLAN_FIND_EXTERNAL] = {"find_external", build_find_external, CHAT_LOCK, MESSAGES},
	[CHAT_PLAN_CONVERSATION_JSON] = {"conversation_json", build_conversation_json, CHAT_READ,
									 CONVERSATIONS},
	[CHAT_PLAN_MESSAGE_JSON] = {"message_json", build_message_json, CHAT_READ, MESSAGES},
	[CHAT_PLAN_INSERT_CONVERSATION] = {NULL, build_insert_conversation, CHAT_WRITE, CONVERSATIONS},
	[CHAT_PLAN_INSERT_MESSAGE] = {NULL, build_insert_message, CHAT_WRITE, MESSAGES},
	[CHAT_PLAN_UPDATE_CONVERSATIONS] = {NULL, build_update_conversations, CHAT_WRITE,
										CONVERSATIONS},
	[CHAT_PLAN_WRITE_QUIETLY] = {NULL, build_update_conversations, CHAT_QUIET, CONVERSATIONS},
	[CHAT_PLAN_UPDATE_MESSAGES] = {NULL, build_update_messages, CHAT_WRITE, MESSAGES},
	[CHAT_PLAN_OWNER_KEYS] = {NULL, chat_build_owner_keys, CHAT_READ, OWNERS},
	[CHAT_PLAN_AGENT_KEYS] = {NULL, chat_build_agent_keys, CHAT_READ, AGENTS},
	[CHAT_PLAN_OWNS] = {NULL, chat_build_owns, CHAT_LIST, CONVERSATIONS},
	[CHAT_PLAN_IS_AGENT] = {NULL, chat_build_is_agent, CHAT_LIST, CONVERSATIONS},
	[CHAT_PLAN_OWNERS_AFTER] = {"owners_after", chat_build_owners_after, CHAT_LIST, OWNERS},
	[CHAT_PLAN_AGENTS_AFTER] = {"agents_after", chat_build_agents_after, CHAT_LIST, AGENTS},
	[CHAT_PLAN_CONTACT_ROWS] = {NULL, chat_build_contact_rows, CHAT_READ, CONVERSATIONS},
	[CHAT_PLAN_CONTACT] = {"contact", chat_build_contact, CHAT_READ, CONVERSATIONS},
	[CHAT_PLAN_LOCK_CONTACT] = {"lock_contact", chat_build_lock_contact, CHAT_LOCK, CONVERSATIONS},
	[CHAT_PLAN_LOCK_CONVERSATIONS] = {"lock_conversations", chat_build_lock_conversations,
									  CHAT_LOCK, CONVERSATIONS},
	[CHAT_PLAN_OTHER_ADDRESS] = {"other_address", chat_build_other_address, CHAT_FIND, MESSAGES},
	[CHAT_PLAN_CONVERSATIONS_OF] = {"conversations_of", chat_build_conversations_of, CHAT_LIST,
									MESSAGES},
	[CHAT_PLAN_FIND_AMONG] = {"find_among", chat_build_find_among, CHAT_FIND, MESSAGES},
	[CHAT_PLAN_LOCK_DUE] = {"lock_due", chat_build_lock_due, CHAT_LOCK, MESSAGES},
	[CHAT_PLAN_LATEST_AMONG] = {"latest_among", chat_build_latest_among, CHAT_LIST, MESSAGES},
	[CHAT_PLAN_TYPE_IS_ALLOWED] = {"type_is_allowed", chat_build_type_is_allowed, CHAT_WRITE,
								   MESSAGES},
	[CHAT_PLAN_NEW_ROWS] = {"new_rows", chat_build_new_rows, CHAT_READ, MESSAGES},
	[CHAT_PLAN_INSERT_MESSAGES] = {NULL, build_insert_messages, CHAT_WRITE, MESSAGES},
	[CHAT_PLAN_NAME_CONTACTS] = {"name_contacts", chat_build_name_contacts, CHAT_WRITE,
								 CONVERSATIONS},
	[CHAT_PLAN_PENDING_CONVERSATIONS] = {"pending_conversations", chat_build_pending_conversations,
										 CHAT_LIST, MESSAGES},
	[CHAT_PLAN_LOCK_IF_FREE] = {"lock_if_free", chat_build_lock_if_free, CHAT_LOCK, CONVERSATIONS},
	[CHAT_PLAN_PENDING_OF] = {"pending_of", chat_build_pending_of, CHAT_READ, MESSAGES},
	[CHAT_PLAN_RECIPIENT] = {"recipient", chat_build_recipient, CHAT_READ, CONVERSATIONS},
	[CHAT_PLAN_SENDING_TARGET] = {"sending_target", chat_build_sending_target, CHAT_READ, MESSAGES},
	[CHAT_PLAN_EXTERNAL_IDS] = {"external_ids", chat_build_external_ids, CHAT_READ, MESSAGES},
	[CHAT_PLAN_MERGE_SIDES] = {"merge_sides", chat_build_merge_sides, CHAT_READ, CONVERSATIONS},
	[CHAT_PLAN_FREE_ADDRESS] = {"free_address", chat_build_free_address, CHAT_QUIET, CONVERSATIONS},
	[CHAT_PLAN_LOCK_MOVABLE] = {"lock_movable", chat_build_lock_movable, CHAT_LOCK, MESSAGES},
	[CHAT_PLAN_DROP_DOUBLES] = {"drop_doubles", chat_build_drop_doubles, CHAT_QUIET, MESSAGES},
	[CHAT_PLAN_MOVE_MESSAGES] = {"move_messages", chat_build_move_messages, CHAT_QUIET, MESSAGES},
	[CHAT_PLAN_WITH_MESSAGES] = {"with_messages", chat_build_with_messages, CHAT_FIND, MESSAGES},
	[CHAT_PLAN_BY_AGE] = {"by_age", chat_build_by_age, CHAT_READ, CONVERSATIONS},
	[CHAT_PLAN_REMOVE_MERGED] = {"remove_merged", build_delete_conversation, CHAT_QUIET,
								 CONVERSATIONS},
	[CHAT_PLAN_UNMARK_MERGED] = {"unmark_merged", chat_build_unmark_merged, CHAT_WRITE,
								 CONVERSATIONS},
	[CHAT_PLAN_INBOXES] = {"inboxes", chat_build_inboxes, CHAT_FIND, CONVERSATIONS},
	[CHAT_PLAN_INSERT_ROW] = {NULL, chat_build_insert_row, CHAT_WRITE, BESIDE},
	[CHAT_PLAN_UPDATE_ROW] = {NULL, chat_build_update_row, CHAT_WRITE, BESIDE},
	[CHAT_PLAN_LOCK_KEY] = {"lock_key", chat_build_lock_key, CHAT_LOCK, BESIDE},
	[CHAT_PLAN_LIST_KEYS] = {"list_keys", chat_build_list_keys, CHAT_FIND, BESIDE},
	[CHAT_PLAN_FIND_WEBHOOK] = {"find_webhook", chat_build_find_webhook, CHAT_FIND, BESIDE},
	[CHAT_PLAN_LOCK_WEBHOOK] = {"lock_webhook", chat_build_lock_webhook, CHAT_LOCK, BESIDE},
	[CHAT_PLAN_LIST_WEBHOOKS] = {"list_webhooks", chat_build_list_webhooks, CHAT_FIND, BESIDE},
	[CHAT_PLAN_COUNT_WEBHOOKS] = {"count_webhooks", chat_build_count_webhooks, CHAT_FIND, BESIDE},
	[CHAT_PLAN_INSERT_WEBHOOK] = {"insert_webhook", chat_build_insert_webhook, CHAT_WRITE, BESIDE},
	[CHAT_PLAN_DELETE_WEBHOOK] = {"delete_webhook", chat_build_delete_webhook, CHAT_WRITE, BESIDE},
	[CHAT_PLAN_WEBHOOKS_BY_ID] = {"webhooks_by_id", chat_build_webhooks_by_id, CHAT_FIND, BESIDE},
	[CHAT_PLAN_WEBHOOKS_OF] = {"webhooks_of", chat_build_webhooks_of, CHAT_FIND, BESIDE},
	[CHAT_PLAN_WEBHOOKS_THERE] = {"webhooks_there", chat_build_webhooks_there, CHAT_FIND, BESIDE},
	[CHAT_PLAN_SHOW_WEBHOOKS] = {"show_webhooks", chat_build_show_webhooks, CHAT_FIND, BESIDE},
	[CHAT_PLAN_WEBHOOK_ORIGINS] = {"webhook_origins", chat_build_webhook_origins, CHAT_READ,
								   BESIDE},
	[CHAT_PLAN_NOTE_WEBHOOKS] = {"note_webhooks", chat_build_note_webhooks, CHAT_WRITE, BESIDE},
	[CHAT_PLAN_DISABLE_WEBHOOKS] = {"disable_webhooks", chat_build_disable_webhooks, CHAT_WRITE,
									BESIDE},
	[CHAT_PLAN_COUNT_UNSIGNED] = {"count_unsigned", chat_build_count_unsigned, CHAT_READ, BESIDE},
	[CHAT_PLAN_SIGN_WEBHOOKS] = {"sign_webhooks", chat_build_sign_webhooks, CHAT_WRITE, BESIDE},
};

void
chat_statement_build(ChatSql *sql, const ChatAttachment *attachment, ChatPlan plan, uint64 variant)
{
	sql->attachment = attachment;
	sql->variant = variant;
	sql->nparameters = 0;
	initStringInfo(&sql->text);
	statements[plan].build(sql);
}

ChatMode
chat_statement_mode(ChatPlan plan)
{
	return statements[plan].mode;
}

Oid
chat_statement_table(const ChatAttachment *attachment, ChatPlan plan)
{
	switch (statements[plan].table)
	{
		case MESSAGES:
			return attachment->messages;
		case OWNERS:
			return attachment->owner.table != NULL ? attachment->owner.relid
												   : attachment->conversations;
		case AGENTS:
			return attachment->agent.table != NULL ? attachment->agent.relid
												   : attachment->conversations;
		case BESIDE:
			return attachment->table;
		default:
			return attachment->conversations;
	}
}

ChatPlan
chat_statement_named(const char *name)
{
	for (int plan = 0; plan < CHAT_PLANS; plan++)
	{
		if (statements[plan].name != NULL && strcmp(statements[plan].name, name) == 0)
			return plan;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("there is no statement \"%s\"", name)));
}
