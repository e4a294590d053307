/*
 * Statements that find which of the pair's rows are a user's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/lsyscache.h"

#include "fragments.h"
#include "statement_parts.h"

/* $1 user: what the column of a mapping that has a table holds for that user */
static void
build_keys(ChatSql *sql, const ChatUserMapping *mapping)
{
	const char *key = chat_sql_column("o", mapping->key);
	Oid type = get_atttype(mapping->relid, get_attnum(mapping->relid, mapping->user));

	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.array_agg(CAST(%s AS pg_catalog.text) ORDER BY %s)"
					 " FROM %s AS o WHERE %s" EQUALS "%s",
					 key, key, mapping->table, chat_sql_column("o", mapping->user),
					 chat_sql_parameter(sql, type));
}

void
chat_build_owner_keys(ChatSql *sql)
{
	build_keys(sql, &sql->attachment->owner);
}

void
chat_build_agent_keys(ChatSql *sql)
{
	build_keys(sql, &sql->attachment->agent);
}

/* $1 values of a role's column: whether a conversation has one of them */
static void
build_has_one(ChatSql *sql, ChatRole role)
{
	appendStringInfo(&sql->text, "SELECT EXISTS (SELECT FROM %s AS c WHERE %s" EQUALS "ANY (%s))",
					 chat_sql_conversations(sql), chat_sql_column_of(sql, "c", role),
					 chat_sql_values_of(sql, role));
}

void
chat_build_owns(ChatSql *sql)
{
	build_has_one(sql, CHAT_C_OWNER);
}

void
chat_build_is_agent(ChatSql *sql)
{
	build_has_one(sql, CHAT_C_AGENT);
}

/*
 * $1 user or NULL, $2 how many: the users that come next in the order of the column that has them. A mapping's table may have
 * some who own nothing yet.
 */
static void
build_users_after(ChatSql *sql, const ChatUserMapping *mapping, ChatRole role)
{
	bool mapped = mapping->table != NULL;
	const char *user =
		mapped ? chat_sql_column("o", mapping->user) : chat_sql_column_of(sql, "o", role);
	const char *last =
		mapped ? chat_sql_parameter(
					 sql, get_atttype(mapping->relid, get_attnum(mapping->relid, mapping->user)))
			   : chat_sql_value_of(sql, role);

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.array_agg(CAST(s.key AS pg_catalog.text) ORDER BY s.key) FROM (SELECT DISTINCT %s AS key FROM %s AS o"
		" WHERE %s IS NOT NULL AND (%s IS NULL OR %s OPERATOR(pg_catalog.>) %s) ORDER BY %s LIMIT %s) s",
		user, mapped ? mapping->table : chat_sql_conversations(sql), user, last, user, last, user,
		chat_sql_parameter(sql, INT4OID));
}

void
chat_build_owners_after(ChatSql *sql)
{
	build_users_after(sql, &sql->attachment->owner, CHAT_C_OWNER);
}

void
chat_build_agents_after(ChatSql *sql)
{
	build_users_after(sql, &sql->attachment->agent, CHAT_C_AGENT);
}
