/*
 * Pieces of SQL; see fragments.h.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "fragments.h"
#include "names.h"
#include "validate.h"

PG_FUNCTION_INFO_V1(chat_column_lacks_zone);
PG_FUNCTION_INFO_V1(chat_conversation_order);
PG_FUNCTION_INFO_V1(chat_message_order);
PG_FUNCTION_INFO_V1(chat_deletion_is_flag);

#define MAX_POSITION 3

char *
chat_sql_column(const char *alias, const char *column)
{
	return psprintf("%s%s%s", alias, *alias == '\0' ? "" : ".", quote_identifier(column));
}

char *
chat_sql_user(const ChatUserMapping *mapping, const char *value)
{
	if (mapping->table == NULL)
		return psprintf("CAST(%s AS pg_catalog.text)", value);
	return psprintf(
		"(SELECT CAST(%s AS pg_catalog.text) FROM %s AS u WHERE %s OPERATOR(pg_catalog.=) %s)",
		chat_sql_column("u", mapping->user), mapping->table, chat_sql_column("u", mapping->key),
		value);
}

/* A column's type, of a domain its base type. */
static Oid
base_type(Oid relid, const char *column)
{
	Oid type = get_atttype(relid, get_attnum(relid, column));

	if (!OidIsValid(type))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("table %s has no column \"%s\"", chat_name_of(relid), column)));
	return getBaseType(type);
}

bool
chat_lacks_zone(Oid relid, const char *column)
{
	return base_type(relid, column) == TIMESTAMPOID;
}

bool
chat_is_not_null(Oid relid, const char *column)
{
	HeapTuple tuple = SearchSysCacheAttName(relid, column);
	bool not_null = HeapTupleIsValid(tuple) && ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return not_null;
}

const char *
chat_sql_time_for(const ChatAttachment *a, ChatRole role, const char *value)
{
	Oid relid = role < CHAT_M_ID ? a->conversations : a->messages;

	if (a->column[role] == NULL || !chat_lacks_zone(relid, a->column[role]))
		return value;
	return psprintf("pg_catalog.timezone('UTC', %s)", value);
}

/* Spelled as pg_get_indexdef does. */
char *
chat_sql_time_of(const ChatAttachment *a, ChatRole role, const char *alias)
{
	Oid relid = chat_role_is_message(role) ? a->messages : a->conversations;
	char *column = chat_sql_column(alias, a->column[role]);

	return chat_lacks_zone(relid, a->column[role])
			   ? psprintf("(%s AT TIME ZONE 'UTC'::text)", column)
			   : column;
}

char *
chat_sql_conversation_order(const ChatAttachment *a, const char *alias)
{
	char *id = psprintf("%s DESC", chat_sql_column(alias, a->column[CHAT_C_ID]));

	if (a->column[CHAT_C_LAST_AT] == NULL)
		return id;
	return psprintf("%s DESC NULLS LAST, %s", chat_sql_column(alias, a->column[CHAT_C_LAST_AT]),
					id);
}

char *
chat_sql_message_time(const ChatAttachment *a, const char *alias)
{
	char *created = chat_sql_time_of(a, CHAT_M_CREATED, alias);

	return a->column[CHAT_M_TIME] == NULL
			   ? created
			   : psprintf("COALESCE(%s, %s)", chat_sql_time_of(a, CHAT_M_TIME, alias), created);
}

int
chat_sql_message_position(const ChatAttachment *a, const char *alias, char **position)
{
	int count = 0;

	if (a->column[CHAT_M_TIME] != NULL)
		position[count++] = chat_sql_message_time(a, alias);
	position[count++] = chat_sql_time_of(a, CHAT_M_CREATED, alias);
	position[count++] = chat_sql_column(alias, a->column[CHAT_M_ID]);
	return count;
}

char *
chat_sql_message_order(const ChatAttachment *a, const char *alias)
{
	char *position[MAX_POSITION];
	int count = chat_sql_message_position(a, alias, position);
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < count; i++)
		appendStringInfo(&sql, "%s DESC%s", position[i], i < count - 1 ? " NULLS LAST, " : "");
	return sql.data;
}

/* The column that marks deletion holds true or false; else it holds a time, or nothing. */
static bool
deletion_is_flag(const ChatAttachment *a)
{
	return base_type(a->messages, a->column[CHAT_M_DELETED]) == BOOLOID;
}

char *
chat_sql_message_kept(const ChatAttachment *a, const char *alias, bool visible)
{
	StringInfoData sql;

	initStringInfo(&sql);
	if (visible && a->column[CHAT_M_PRIVATE] != NULL)
		appendStringInfo(&sql, " AND %s IS NOT TRUE",
						 chat_sql_column(alias, a->column[CHAT_M_PRIVATE]));
	if (a->column[CHAT_M_DELETED] != NULL)
		appendStringInfo(&sql, " AND %s IS %s", chat_sql_column(alias, a->column[CHAT_M_DELETED]),
						 deletion_is_flag(a) ? "NOT TRUE" : "NULL");
	return sql.data;
}

/*
 * A column as it is compared with a word: as text. An enum that has the word is compared as such, as somebody writes it who
 * makes an index for it.
 */
static char *
as_word(const ChatAttachment *a, const char *alias, ChatRole role, const char *word)
{
	char *column = chat_sql_column(alias, a->column[role]);
	Oid type = base_type(a->messages, a->column[role]);

	if (type_is_enum(type) &&
		SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), CStringGetDatum(word)))
		return column;
	return psprintf("CAST(%s AS pg_catalog.text)", column);
}

char *
chat_sql_message_unread(const ChatAttachment *a, const char *alias)
{
	return psprintf("%s OPERATOR(pg_catalog.=) 'incoming' AND %s IS DISTINCT FROM 'read'%s",
					as_word(a, alias, CHAT_M_DIRECTION, "incoming"),
					as_word(a, alias, CHAT_M_STATUS, "read"),
					chat_sql_message_kept(a, alias, true));
}

char *
chat_sql_message_pending(const ChatAttachment *a, const char *alias)
{
	return psprintf(
		"%s OPERATOR(pg_catalog.=) 'outgoing' AND %s OPERATOR(pg_catalog.=) 'pending'%s",
		as_word(a, alias, CHAT_M_DIRECTION, "outgoing"),
		as_word(a, alias, CHAT_M_STATUS, "pending"), chat_sql_message_kept(a, alias, true));
}

/* Appends the CHECK constraints that judge a column alone, over one of that name. */
static void
append_checks(StringInfo sql, Oid relid, TupleDesc desc, AttrNumber attnum)
{
	List *context = deparse_context_for(get_rel_name(relid), relid);

	for (int i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
	{
		Node *rule = stringToNode(desc->constr->check[i].ccbin);

		if (chat_only_column(rule) == attnum)
			appendStringInfo(sql, " AND (%s) IS NOT FALSE",
							 deparse_expression(rule, context, false, false));
	}
}

/* Appends the list of words that holds where the table has no rule of its own. */
static void
append_words(StringInfo sql, const char *value)
{
	const char *separator = "";

	appendStringInfo(sql, " AND %s OPERATOR(pg_catalog.=) ANY (ARRAY[", value);

	for (const char *const *word = chat_message_types; *word != NULL; word++)
	{
		appendStringInfo(sql, "%s'%s'", separator, *word);
		separator = ", ";
	}
	appendStringInfoString(sql, "]::pg_catalog.text[])");
}

char *
chat_sql_type_allowed(const ChatAttachment *a, const char *value)
{
	Relation relation;
	TupleDesc desc;
	AttrNumber attnum;
	StringInfoData sql;
	const char *name;
	Form_pg_attribute attribute;

	if (a->column[CHAT_M_TYPE] == NULL)
		return pstrdup("true");
	relation = table_open(a->messages, AccessShareLock);
	desc = CreateTupleDescCopyConstr(RelationGetDescr(relation));
	table_close(relation, AccessShareLock);
	attnum = get_attnum(a->messages, a->column[CHAT_M_TYPE]);
	attribute = TupleDescAttr(desc, attnum - 1);
	name = quote_identifier(a->column[CHAT_M_TYPE]);
	initStringInfo(&sql);
	/* A cast cuts what is too long: what is not the same afterwards cannot be stored. */
	appendStringInfo(&sql, "(SELECT CAST(v.%s AS pg_catalog.text) OPERATOR(pg_catalog.=) %s", name,
					 value);
	if (chat_word_is_ruled(desc, attnum))
		append_checks(&sql, a->messages, desc, attnum);
	else
		append_words(&sql, value);
	appendStringInfo(&sql, " FROM (SELECT CAST(%s AS %s) AS %s) AS v)", value,
					 format_type_extended(attribute->atttypid, attribute->atttypmod,
										  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
					 name);
	return sql.data;
}

/* --- for SQL: (messages, columns, alias) ----------------------------------------------------------- */

static void
require_column(const ChatAttachment *a, ChatRole role)
{
	if (a->column[role] == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("no column is mapped for \"%s\"", chat_role_name(role)),
						errhint("Call chat.attach again.")));
}

/* What is no longer there counts as missing, as it does for the triggers. */
static void
read_pair(FunctionCallInfo fcinfo, ChatAttachment *a)
{
	static const ChatRole optional[] = {CHAT_M_TIME, CHAT_M_PRIVATE, CHAT_M_DELETED, CHAT_M_TYPE};
	static const ChatRole needed[] = {CHAT_M_ID, CHAT_M_CREATED};

	memset(a, 0, sizeof(*a));
	a->messages = PG_GETARG_OID(0);
	chat_columns_read(a, PG_GETARG_JSONB_P(1));
	for (int i = 0; i < (int) lengthof(optional); i++)
	{
		char **column = &a->column[optional[i]];

		if (*column != NULL && get_attnum(a->messages, *column) == InvalidAttrNumber)
			*column = NULL;
	}
	for (int i = 0; i < (int) lengthof(needed); i++)
		require_column(a, needed[i]);
}

/* SQL: chat.lacks_zone(relation, name) */
Datum
chat_column_lacks_zone(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(chat_lacks_zone(PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(1))));
}

/* SQL: chat.conversation_order(columns, alias) */
Datum
chat_conversation_order(PG_FUNCTION_ARGS)
{
	ChatAttachment a = {0};

	chat_columns_read(&a, PG_GETARG_JSONB_P(0));
	require_column(&a, CHAT_C_ID);
	PG_RETURN_TEXT_P(
		cstring_to_text(chat_sql_conversation_order(&a, text_to_cstring(PG_GETARG_TEXT_PP(1)))));
}

/* SQL: chat.message_order(messages, columns, alias) */
Datum
chat_message_order(PG_FUNCTION_ARGS)
{
	ChatAttachment a;

	read_pair(fcinfo, &a);
	PG_RETURN_TEXT_P(
		cstring_to_text(chat_sql_message_order(&a, text_to_cstring(PG_GETARG_TEXT_PP(2)))));
}

/* SQL: chat.deletion_is_flag(messages, columns) */
Datum
chat_deletion_is_flag(PG_FUNCTION_ARGS)
{
	ChatAttachment a;

	read_pair(fcinfo, &a);
	if (a.column[CHAT_M_DELETED] == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(deletion_is_flag(&a));
}
