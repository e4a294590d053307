/*
 * Parts of statements; see statement_parts.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "fragments.h"
#include "names.h"
#include "statement_parts.h"

/* What is asked for by a statement that cannot do without it. */
static const char *
required(const ChatSql *sql, ChatRole role)
{
	if (sql->attachment->column[role] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("no column is mapped for \"%s\"", chat_role_name(role)),
				 errhint("Call chat.attach again, so that it follows the table's columns.")));
	return sql->attachment->column[role];
}

const char *
chat_sql_column_of(const ChatSql *sql, const char *alias, ChatRole role)
{
	return chat_sql_column(alias, required(sql, role));
}

/* The column as text; NULL where the table has none. */
const char *
chat_sql_text_of(const ChatSql *sql, const char *alias, ChatRole role)
{
	const char *column = sql->attachment->column[role];

	return psprintf("CAST(%s AS pg_catalog.text)",
					column ? chat_sql_column(alias, column) : "NULL");
}

const char *
chat_sql_conversations(const ChatSql *sql)
{
	return chat_name_of(sql->attachment->conversations);
}

const char *
chat_sql_messages(const ChatSql *sql)
{
	return chat_name_of(sql->attachment->messages);
}

static Oid
table_of(const ChatSql *sql, ChatRole role)
{
	return chat_role_is_message(role) ? sql->attachment->messages : sql->attachment->conversations;
}

/* A new parameter: $1, $2 … */
const char *
chat_sql_parameter(ChatSql *sql, Oid type)
{
	Assert(sql->nparameters < CHAT_MAX_PARAMETERS);
	sql->types[sql->nparameters++] = type;
	return psprintf("$%d", sql->nparameters);
}

Oid
chat_sql_type_of(const ChatSql *sql, ChatRole role)
{
	Oid relid = table_of(sql, role);

	return get_atttype(relid, get_attnum(relid, required(sql, role)));
}

/* The length, or the like, that a column's type is declared with; -1: none. */
static int32
typmod_of(const ChatSql *sql, ChatRole role)
{
	Oid relid = table_of(sql, role);
	Oid type, collation;
	int32 typmod;

	get_atttypetypmodcoll(relid, get_attnum(relid, required(sql, role)), &type, &typmod,
						  &collation);
	return typmod;
}

bool
chat_sql_has_length(const ChatSql *sql, ChatRole role)
{
	return typmod_of(sql, role) >= 0;
}

const char *
chat_sql_type_name(const ChatSql *sql, ChatRole role, bool length)
{
	return format_type_extended(chat_sql_type_of(sql, role), length ? typmod_of(sql, role) : -1,
								(length ? FORMAT_TYPE_TYPEMOD_GIVEN : 0) |
									FORMAT_TYPE_FORCE_QUALIFY);
}

/* One of a column's type. */
const char *
chat_sql_value_of(ChatSql *sql, ChatRole role)
{
	return chat_sql_parameter(sql, chat_sql_type_of(sql, role));
}

/* An array of a column's type. */
const char *
chat_sql_values_of(ChatSql *sql, ChatRole role)
{
	return chat_sql_parameter(sql, get_array_type(chat_sql_type_of(sql, role)));
}

/* Whether the user owns conversation c, or is assigned to it; for NULL: true. */
const char *
chat_sql_ownership(const ChatSql *sql, const char *user)
{
	const ChatAttachment *a = sql->attachment;
	const char *owner = chat_sql_user(&a->owner, chat_sql_column("c", a->owner.column));
	const char *agent =
		a->agent.column
			? psprintf(" OR %s" EQUALS "%s",
					   chat_sql_user(&a->agent, chat_sql_column("c", a->agent.column)), user)
			: "";

	return psprintf("(%s IS NULL OR %s" EQUALS "%s%s)", user, owner, user, agent);
}

/* Whether a user of whom ownership is true is so as the agent alone. */
const char *
chat_sql_agency(const ChatSql *sql, const char *user)
{
	const ChatAttachment *a = sql->attachment;

	if (a->agent.column == NULL)
		return "false";
	return psprintf("(%s IS NOT NULL AND %s IS DISTINCT FROM %s)", user,
					chat_sql_user(&a->owner, chat_sql_column("c", a->owner.column)), user);
}

/* The user behind the agent's column of conversation c; NULL where there is none. */
const char *
chat_sql_agent_of(const ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;

	return a->agent.column ? chat_sql_user(&a->agent, chat_sql_column("c", a->agent.column))
						   : "NULL::pg_catalog.text";
}

const char *
chat_sql_route_of(const ChatSql *sql)
{
	const ChatAttachment *a = sql->attachment;
	const char *inbox = "NULL::pg_catalog.jsonb";
	const char *kept[] = {"NULL::pg_catalog.jsonb", "NULL::pg_catalog.jsonb"};
	static const char *const keys[] = {"instance", "inboxId"};
	bool has_metadata =
		a->column[CHAT_C_METADATA] != NULL &&
		get_atttype(a->conversations, get_attnum(a->conversations, a->column[CHAT_C_METADATA])) ==
			JSONBOID;

	if (a->column[CHAT_C_INBOX] != NULL)
		inbox = psprintf("pg_catalog.to_jsonb(%s)", chat_sql_column_of(sql, "c", CHAT_C_INBOX));
	for (int i = 0; i < 2 && has_metadata; i++)
		kept[i] = psprintf("(%s OPERATOR(pg_catalog.->) '%s')",
						   chat_sql_column_of(sql, "c", CHAT_C_METADATA), keys[i]);
	return psprintf(
		"CAST(pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('instance', %s,"
		" 'inboxId', COALESCE(%s, %s))) AS pg_catalog.text)",
		kept[0], inbox, kept[1]);
}
