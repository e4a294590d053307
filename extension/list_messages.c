/*
 * A page of a list of messages.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "fragments.h"
#include "plans.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(chat_message_rows);

#define MAX_ARGUMENTS 5

/* Adds the elements of a place to the arguments; which variant reads what comes after it. */
static uint64
add_place(const ChatAttachment *attachment, ArrayType *place, ChatArgument *args, int *nargs)
{
	uint64 variant = CHAT_PLACE;
	Datum *values;
	bool *nulls;
	int count;

	deconstruct_array(place, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	if (*nargs + count > MAX_ARGUMENTS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a place has at most %d elements", MAX_ARGUMENTS - *nargs)));
	if (chat_is_not_null(attachment->messages, attachment->column[CHAT_M_CREATED]))
		variant |= CHAT_PLACE_WHOLE;
	for (int n = 0; n < count; n++)
	{
		args[*nargs].type = TEXTOID;
		args[*nargs].value = values[n];
		args[*nargs].isnull = nulls[n];
		(*nargs)++;
		if (nulls[n] && (variant & CHAT_PLACE_WHOLE) == 0)
			variant |= CHAT_PLACE_NULL(n);
	}
	return variant;
}

/* SQL: chat.message_rows(attachment, conversation, limit, after) */
Datum
chat_message_rows(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = chat_attachment_get(PG_GETARG_INT32(0));
	ChatArgument args[MAX_ARGUMENTS] = {{TEXTOID, PG_GETARG_DATUM(1), PG_ARGISNULL(1)},
										{INT4OID, PG_GETARG_DATUM(2), PG_ARGISNULL(2)}};
	int nargs = 2;
	uint64 variant = 0;
	Datum rows;
	bool isnull;

	if (!PG_ARGISNULL(3))
		variant = add_place(attachment, PG_GETARG_ARRAYTYPE_P(3), args, &nargs);
	SPI_connect();
	(void) chat_plan_run_given(attachment, CHAT_PLAN_LIST_MESSAGES, variant, nargs, args);
	rows = chat_plan_first(JSONBOID, &isnull);
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(rows);
}
