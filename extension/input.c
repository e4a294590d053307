/*
 * What callers give; see input.h.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "input.h"

PG_FUNCTION_INFO_V1(chat_bad_input_sql);

#define SHOWN_CHARACTERS 64

void
chat_require_argument(FunctionCallInfo fcinfo, int n, const char *what)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be NULL", what)));
}

char *
chat_text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

char *
chat_shown(const char *text)
{
	return pnstrdup(text, pg_mbcharcliplen(text, strlen(text), SHOWN_CHARACTERS));
}

void
chat_bad_input(int sqlstate, const char *field, const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(sqlstate), errmsg_internal("%s", message),
			 hint != NULL ? errhint("%s", hint) : 0, field != NULL ? chat_errfield(field) : 0));
	pg_unreachable();
}

/* SQL: chat.bad_input(message, hint, code, field) */
Datum
chat_bad_input_sql(PG_FUNCTION_ARGS)
{
	char *message = chat_text_argument(fcinfo, 0);
	char *hint = chat_text_argument(fcinfo, 1);
	char *code = chat_text_argument(fcinfo, 2);
	char *field = chat_text_argument(fcinfo, 3);

	if (message == NULL || code == NULL || strlen(code) != 5)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an error needs a message and an SQLSTATE of five characters")));
	chat_bad_input(MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4]), field, message,
				   hint);
}
