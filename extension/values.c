/*
 * Values by role; see values.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "json_members.h"
#include "statements.h"
#include "values.h"

PG_FUNCTION_INFO_V1(chat_insert_row);
PG_FUNCTION_INFO_V1(chat_insert_rows);
PG_FUNCTION_INFO_V1(chat_update_rows);
PG_FUNCTION_INFO_V1(chat_write_quietly);

void
chat_values_set(ChatValues *values, ChatRole role, char *text)
{
	values->given |= CHAT_ROLE_BIT(role);
	values->text[role] = text;
}

void
chat_values_unset(ChatValues *values, ChatRole role)
{
	values->given &= ~CHAT_ROLE_BIT(role);
	values->text[role] = NULL;
}

bool
chat_values_is(const ChatValues *values, ChatRole role, const char *text)
{
	return values->text[role] != NULL && strcmp(values->text[role], text) == 0;
}

void
chat_values_from_roles(ChatValues *values, Jsonb *given)
{
	JsonbIterator *it = JsonbIteratorInit(&given->root);
	JsonbIteratorToken token;
	JsonbValue item;
	ChatRole role = CHAT_ROLES;

	memset(values, 0, sizeof(*values));
	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			role = chat_role_named(item.val.string.val, item.val.string.len);
		else if (token == WJB_VALUE && role < CHAT_ROLES)
			chat_values_set(values, role, chat_json_text(&item));
	}
}

/* The roles of a table that have a value and a column. */
static uint64
written(const ChatAttachment *attachment, const ChatValues *values, bool messages, bool nulls)
{
	uint64 roles = 0;

	for (int role = 0; role < CHAT_ROLES; role++)
	{
		if (chat_values_has(values, role) && chat_role_is_message(role) == messages &&
			attachment->column[role] != NULL && (nulls || values->text[role] != NULL))
			roles |= CHAT_ROLE_BIT(role);
	}
	return roles;
}

/* The values of these roles, in their order; returns how many. */
static int
arguments(const ChatValues *values, uint64 roles, ChatArgument *args)
{
	int count = 0;

	for (int role = 0; role < CHAT_ROLES; role++)
	{
		if ((roles & CHAT_ROLE_BIT(role)) == 0)
			continue;
		args[count].type = CSTRINGOID;
		args[count].value = CStringGetDatum(values->text[role]);
		args[count].isnull = values->text[role] == NULL;
		count++;
	}
	return count;
}

char *
chat_values_insert(ChatAttachment *attachment, const ChatValues *values, bool messages,
				   bool unless_there)
{
	uint64 roles = written(attachment, values, messages, false);
	ChatArgument args[CHAT_ROLES];
	int count = arguments(values, roles, args);

	if (chat_plan_run_given(attachment,
							messages ? CHAT_PLAN_INSERT_MESSAGE : CHAT_PLAN_INSERT_CONVERSATION,
							roles | (unless_there ? CHAT_UNLESS_THERE : 0), count, args) == 0)
		return NULL;
	return chat_plan_text(2);
}

/* Writes by a plan that takes what has a column, and keys. */
static uint64
update(ChatAttachment *attachment, const ChatValues *values, ChatPlan plan,
	   const ChatArgument *keys)
{
	uint64 roles = written(attachment, values, plan == CHAT_PLAN_UPDATE_MESSAGES, true);
	ChatArgument args[CHAT_ROLES + 1];
	int count = arguments(values, roles, args);

	if (count == 0 || keys->isnull)
		return 0;
	args[count++] = *keys;
	return chat_plan_run_given(attachment, plan, roles, count, args);
}

uint64
chat_values_update(ChatAttachment *attachment, const ChatValues *values, bool messages,
				   const ChatArgument *keys)
{
	return update(attachment, values,
				  messages ? CHAT_PLAN_UPDATE_MESSAGES : CHAT_PLAN_UPDATE_CONVERSATIONS, keys);
}

/* SQL: chat.insert_row(attachment, messages, role_values, unless_there) */
Datum
chat_insert_row(PG_FUNCTION_ARGS)
{
	ChatValues values;
	Datum key;
	bool isnull;

	chat_values_from_roles(&values, PG_GETARG_JSONB_P(2));
	SPI_connect();
	(void) chat_values_insert(chat_attachment_get(PG_GETARG_INT32(0)), &values, PG_GETARG_BOOL(1),
							  PG_GETARG_BOOL(3));
	key = chat_plan_first(JSONBOID, &isnull);
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(key);
}

/* The roles that the first object of an array has, NULLs included. */
static void
read_first(ChatValues *values, Jsonb *rows)
{
	JsonbValue *first =
		JB_ROOT_IS_ARRAY(rows) ? getIthJsonbValueFromContainer(&rows->root, 0) : NULL;

	if (first == NULL || first->type != jbvBinary)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("rows must be a JSON array of objects")));
	chat_values_from_roles(values, JsonbValueToJsonb(first));
}

/* SQL: chat.insert_rows(attachment, rows) */
Datum
chat_insert_rows(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = chat_attachment_get(PG_GETARG_INT32(0));
	ChatArgument rows = {JSONBOID, PG_GETARG_DATUM(1), false};
	ChatValues values;
	uint64 count;

	read_first(&values, PG_GETARG_JSONB_P(1));
	SPI_connect();
	count = chat_plan_run_given(attachment, CHAT_PLAN_INSERT_MESSAGES,
								written(attachment, &values, true, true), 1, &rows);
	SPI_finish();
	PG_RETURN_INT32((int32) count);
}

/* The first column of the last statement's rows, as a JSON array in the context that SPI was entered from. */
static Jsonb *
rows_as_array(void)
{
	JsonbParseState *state = NULL;
	JsonbValue *array;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		Datum key = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		JsonbValue element;

		(void) JsonbExtractScalar(&DatumGetJsonbP(key)->root, &element);
		(void) pushJsonbValue(&state, WJB_ELEM, &element);
	}
	array = pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	return DatumGetJsonbP(SPI_datumTransfer(JsonbPGetDatum(JsonbValueToJsonb(array)), false, -1));
}

static void
unset_nulls(ChatValues *values)
{
	for (int role = 0; role < CHAT_ROLES; role++)
	{
		if (values->text[role] == NULL)
			chat_values_unset(values, role);
	}
}

/* SQL: chat.write_quietly(attachment, row_values, key) */
Datum
chat_write_quietly(PG_FUNCTION_ARGS)
{
	ChatArgument key = chat_key_given(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	ChatValues values;

	chat_values_from_roles(&values, PG_GETARG_JSONB_P(1));
	unset_nulls(&values);
	SPI_connect();
	(void) update(chat_attachment_get(PG_GETARG_INT32(0)), &values, CHAT_PLAN_WRITE_QUIETLY, &key);
	SPI_finish();
	PG_RETURN_VOID();
}

/* SQL: chat.update_rows(attachment, messages, role_values, keys, keep_null) */
Datum
chat_update_rows(PG_FUNCTION_ARGS)
{
	ChatValues values;
	ChatArgument keys = {TEXTARRAYOID, PG_GETARG_DATUM(3), PG_ARGISNULL(3)};
	Jsonb *changed = NULL;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(4))
		PG_RETURN_NULL();
	chat_values_from_roles(&values, PG_GETARG_JSONB_P(2));
	if (!PG_GETARG_BOOL(4))
		unset_nulls(&values);
	SPI_connect();
	if (chat_values_update(chat_attachment_get(PG_GETARG_INT32(0)), &values, PG_GETARG_BOOL(1),
						   &keys) > 0)
		changed = rows_as_array();
	SPI_finish();
	if (changed == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(changed);
}
