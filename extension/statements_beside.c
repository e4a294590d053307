/*
 * Statements on tables beside a pair: of API keys and of webhooks. Others have made some of these: what a column need not be there
 * for is left out where it is not.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "beside.h"
#include "fragments.h"
#include "keys/keytables.h"
#include "names.h"
#include "statement_parts.h"

static const char *
table_of(const ChatSql *sql)
{
	return chat_name_of(sql->attachment->table);
}

static bool
has_column(const ChatSql *sql, const char *name)
{
	return get_attnum(sql->attachment->table, name) != InvalidAttrNumber;
}

static Oid
type_of(const ChatSql *sql, const char *name)
{
	Oid relid = sql->attachment->table;

	return get_atttype(relid, get_attnum(relid, name));
}

/* --- rows of either ---------------------------------------------------------------------------------- */

/* Appends the columns of the variant, each in this form, whose only argument is the column's name. */
static void
append_columns(ChatSql *sql, const char *before, const char *between)
{
	const char *separator = "";

	for (int n = 0; n < CHAT_BESIDE_COLUMNS; n++)
	{
		const char *name;

		if ((sql->variant & UINT64CONST(1) << n) == 0)
			continue;
		name = quote_identifier(chat_beside_column(sql->attachment, n));
		appendStringInfo(&sql->text, "%s%s%s", separator, before, name);
		if (between != NULL)
			appendStringInfo(&sql->text, "%s%s", between, name);
		separator = ", ";
	}
}

/* The record that JSON is read into. */
static void
append_given(ChatSql *sql)
{
	appendStringInfo(&sql->text, " FROM pg_catalog.jsonb_populate_record(NULL::%s, %s) AS r",
					 table_of(sql), chat_sql_parameter(sql, JSONBOID));
}

/* $1: an object with the columns of the variant; the row */
void
chat_build_insert_row(ChatSql *sql)
{
	appendStringInfo(&sql->text, "INSERT INTO %s AS t (", table_of(sql));
	append_columns(sql, "", NULL);
	appendStringInfoString(&sql->text, ") SELECT ");
	append_columns(sql, "r.", NULL);
	append_given(sql);
	appendStringInfoString(&sql->text, " RETURNING pg_catalog.to_jsonb(t.*)");
}

/* $1: an object with the columns of the variant, $2: id; the row */
void
chat_build_update_row(ChatSql *sql)
{
	appendStringInfo(&sql->text, "UPDATE %s AS t SET ", table_of(sql));
	if (sql->variant == 0)
		appendStringInfoString(&sql->text, "id = t.id"); /* for its triggers */
	append_columns(sql, "", " = r.");
	append_given(sql);
	appendStringInfo(&sql->text, " WHERE t.id" EQUALS "%s RETURNING pg_catalog.to_jsonb(t.*)",
					 chat_sql_parameter(sql, UUIDOID));
}

/* --- keys -------------------------------------------------------------------------------------------- */

static const ChatKeyTable *
key_table(const ChatSql *sql)
{
	const ChatKeyTable *keys = chat_keytables_find(sql->attachment->table);

	if (keys == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table %s is none of API keys", table_of(sql))));
	return keys;
}

/* The user whom key k belongs to. */
static const char *
key_user(const ChatSql *sql)
{
	const ChatUserMapping *owner = &key_table(sql)->owner;

	return chat_sql_user(owner, chat_sql_column("k", owner->column));
}

/* $1 id, $2 user, NULL for anybody: the row, locked */
void
chat_build_lock_key(ChatSql *sql)
{
	const char *id = chat_sql_parameter(sql, UUIDOID);
	const char *user = chat_sql_parameter(sql, TEXTOID);

	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.to_jsonb(k.*) FROM %s AS k WHERE k.id" EQUALS
					 "%s AND (%s IS NULL OR %s" EQUALS "%s) FOR UPDATE OF k",
					 table_of(sql), id, user, key_user(sql), user);
}

/* $1 values of the owner's column: the rows, newest first */
void
chat_build_list_keys(ChatSql *sql)
{
	const char *owner = key_table(sql)->owner.column;

	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(k.*) ORDER BY pg_catalog.to_jsonb(k.*)"
		" OPERATOR(pg_catalog.->>) 'created_at' DESC, k.id) FROM %s AS k WHERE %s" EQUALS
		"ANY (%s)",
		table_of(sql), chat_sql_column("k", owner),
		chat_sql_parameter(sql, get_array_type(type_of(sql, owner))));
}

/* --- webhooks ---------------------------------------------------------------------------------------- */

/* $1 id, $2 owner, NULL for anybody: the id */
void
chat_build_find_webhook(ChatSql *sql)
{
	const char *id = chat_sql_parameter(sql, UUIDOID);
	const char *owner = chat_sql_parameter(sql, TEXTOID);

	appendStringInfo(&sql->text,
					 "SELECT w.id FROM %s AS w WHERE w.id" EQUALS
					 "%s AND (%s IS NULL OR CAST(w.user_id AS pg_catalog.text)" EQUALS "%s)",
					 table_of(sql), id, owner, owner);
}

/* $1 id: the row, locked */
void
chat_build_lock_webhook(ChatSql *sql)
{
	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.to_jsonb(w.*) FROM %s AS w WHERE w.id" EQUALS
					 "%s FOR NO KEY UPDATE",
					 table_of(sql), chat_sql_parameter(sql, UUIDOID));
}

/* $1 owner: the rows, oldest first */
void
chat_build_list_webhooks(ChatSql *sql)
{
	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(w.*) ORDER BY pg_catalog.to_jsonb(w.*)"
		" OPERATOR(pg_catalog.->>) 'created_at', w.id) FROM %s AS w WHERE w.user_id" EQUALS "%s",
		table_of(sql), chat_sql_parameter(sql, type_of(sql, "user_id")));
}

/* $1 owner: how many */
void
chat_build_count_webhooks(ChatSql *sql)
{
	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.count(*) FROM %s AS w WHERE w.user_id" EQUALS "%s",
					 table_of(sql), chat_sql_parameter(sql, type_of(sql, "user_id")));
}

/* $1 owner, $2 url, $3 events, $4 secret: the row */
void
chat_build_insert_webhook(ChatSql *sql)
{
	const char *owner = chat_sql_parameter(sql, type_of(sql, "user_id"));
	const char *url = chat_sql_parameter(sql, TEXTOID);
	const char *events = chat_sql_parameter(sql, TEXTARRAYOID);

	appendStringInfo(&sql->text,
					 "INSERT INTO %s AS w (id, user_id, url, events, secret) VALUES"
					 " (pg_catalog.gen_random_uuid(), %s, %s, %s, %s)"
					 " RETURNING pg_catalog.to_jsonb(w.*)",
					 table_of(sql), owner, url, events, chat_sql_parameter(sql, TEXTOID));
}

/* $1 id: the same, as JSON */
void
chat_build_delete_webhook(ChatSql *sql)
{
	appendStringInfo(&sql->text,
					 "DELETE FROM %s AS w WHERE w.id" EQUALS
					 "%s RETURNING pg_catalog.to_jsonb(w.id)",
					 table_of(sql), chat_sql_parameter(sql, UUIDOID));
}

/* The active ones, as an array of chat.webhook_endpoint; a secret that was rotated only while it is still valid. */
static void
append_endpoints(ChatSql *sql)
{
	const char *old = "NULL::pg_catalog.text";

	if (has_column(sql, "old_secret") && has_column(sql, "old_secret_expires_at"))
		old =
			"CASE WHEN w.old_secret_expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()"
			" THEN CAST(w.old_secret AS pg_catalog.text) END";
	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.array_agg(CAST(ROW(w.id, CAST(w.user_id AS pg_catalog.text), CAST(w.url AS pg_catalog.text),"
		" CAST(w.secret AS pg_catalog.text), %s, CAST(w.events AS pg_catalog.text[])) AS chat.webhook_endpoint))"
		" FROM %s AS w WHERE w.is_active AND ",
		old, table_of(sql));
}

/* $1 ids */
void
chat_build_webhooks_by_id(ChatSql *sql)
{
	append_endpoints(sql);
	appendStringInfo(&sql->text, "w.id" EQUALS "ANY (%s)", chat_sql_parameter(sql, UUIDARRAYOID));
}

/* $1 owners. With a cast of the column to text the index on it could not be used. */
void
chat_build_webhooks_of(ChatSql *sql)
{
	append_endpoints(sql);
	if (type_of(sql, "user_id") == UUIDOID)
		appendStringInfo(&sql->text, "w.user_id" EQUALS "ANY (%s)",
						 chat_sql_parameter(sql, UUIDARRAYOID));
	else
		appendStringInfo(&sql->text, "CAST(w.user_id AS pg_catalog.text)" EQUALS "ANY (%s)",
						 chat_sql_parameter(sql, TEXTARRAYOID));
}

/* $1 ids: those of them that are there, active or not */
void
chat_build_webhooks_there(ChatSql *sql)
{
	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.array_agg(w.id) FROM %s AS w WHERE w.id" EQUALS "ANY (%s)",
					 table_of(sql), chat_sql_parameter(sql, UUIDARRAYOID));
}

/* $1 ids: of those that are there what an operator is shown, [{id, owner, url, isActive}], without secrets */
void
chat_build_show_webhooks(ChatSql *sql)
{
	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', w.id, 'owner', CAST(w.user_id AS pg_catalog.text),"
		" 'url', pg_catalog.left(CAST(w.url AS pg_catalog.text), 2048), 'isActive', w.is_active))"
		" FROM %s AS w WHERE w.id" EQUALS "ANY (%s)",
		table_of(sql), chat_sql_parameter(sql, UUIDARRAYOID));
}

/*
 * $1 how many: that many origins of active ones, of a sample; without what a URL has in front of its host, and behind its port
 */
void
chat_build_webhook_origins(ChatSql *sql)
{
	appendStringInfo(
		&sql->text,
		"SELECT pg_catalog.array_agg(d.origin) FROM (SELECT DISTINCT o.origin FROM"
		" (SELECT pg_catalog.left(CAST(w.url AS pg_catalog.text), 2048) AS url FROM %s AS w WHERE w.is_active LIMIT 10000) AS s,"
		" LATERAL (SELECT pg_catalog.substring(s.url, '^[a-zA-Z]+://') OPERATOR(pg_catalog.||)"
		" pg_catalog.substring(s.url, '^[a-zA-Z]+://(?:[^/?#]*@)?([^/?#@]+)') AS origin) AS o"
		" WHERE o.origin IS NOT NULL LIMIT %s) AS d",
		table_of(sql), chat_sql_parameter(sql, INT4OID));
}

/*
 * $1: [{webhook, error, failures, since}], what became of attempts; $2: one that succeeded and was noted since then is not noted
 * again.
 */
void
chat_build_note_webhooks(ChatSql *sql)
{
	const char *judged = chat_sql_parameter(sql, JSONBOID);

	appendStringInfo(
		&sql->text,
		"UPDATE %s AS w SET last_triggered_at = pg_catalog.clock_timestamp(), failure_count = a.failures%s%s"
		" FROM pg_catalog.jsonb_to_recordset(%s) AS a (webhook pg_catalog.uuid, error pg_catalog.text, failures pg_catalog.int4,"
		" since pg_catalog.timestamptz) WHERE w.id" EQUALS
		"a.webhook AND (a.error IS NOT NULL OR w.failure_count OPERATOR(pg_catalog.<>) 0 OR w.last_triggered_at IS NULL"
		" OR w.last_triggered_at OPERATOR(pg_catalog.<) %s)",
		table_of(sql), has_column(sql, "last_error") ? ", last_error = a.error" : "",
		has_column(sql, "first_failure_at") ? ", first_failure_at = a.since" : "", judged,
		chat_sql_parameter(sql, TIMESTAMPTZOID));
}

/* $1 ids, $2 reasons: [{id, owner, url, reason}] of those that were active */
void
chat_build_disable_webhooks(ChatSql *sql)
{
	const char *ids = chat_sql_parameter(sql, UUIDARRAYOID);

	appendStringInfo(
		&sql->text,
		"WITH changed AS (UPDATE %s AS w SET is_active = false%s%s"
		" FROM ROWS FROM (pg_catalog.unnest(%s), pg_catalog.unnest(%s)) AS a (webhook, reason)"
		" WHERE w.id" EQUALS "a.webhook AND w.is_active"
		" RETURNING w.id, CAST(w.user_id AS pg_catalog.text) AS owner, CAST(w.url AS pg_catalog.text) AS url, a.reason)"
		" SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(c)) FROM changed AS c",
		table_of(sql),
		has_column(sql, "disabled_at") ? ", disabled_at = pg_catalog.clock_timestamp()" : "",
		has_column(sql, "disabled_reason") ? ", disabled_reason = a.reason" : "", ids,
		chat_sql_parameter(sql, TEXTARRAYOID));
}

/* $1: most that are counted; how many have no secret */
void
chat_build_count_unsigned(ChatSql *sql)
{
	appendStringInfo(&sql->text,
					 "SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS w"
					 " WHERE COALESCE(CAST(w.secret AS pg_catalog.text), '')" EQUALS
					 "'' LIMIT %s) AS u",
					 table_of(sql), chat_sql_parameter(sql, INT4OID));
}

/* $1: no secret, an empty text. The table's trigger gives each its own: how many have one then */
void
chat_build_sign_webhooks(ChatSql *sql)
{
	const char *none = chat_sql_parameter(sql, TEXTOID);

	appendStringInfo(&sql->text,
					 "WITH changed AS (UPDATE %s AS w SET secret = NULL"
					 " WHERE COALESCE(CAST(w.secret AS pg_catalog.text), %s)" EQUALS
					 "%s RETURNING w.secret)"
					 " SELECT pg_catalog.count(c.secret) FROM changed AS c",
					 table_of(sql), none, none);
}
