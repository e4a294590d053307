/*
 * Ends of the API's functions; see answer.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/snapmgr.h"

#include "answer.h"
#include "plans.h"

Datum
chat_return_json(FunctionCallInfo fcinfo, ChatPlan plan, ChatAttachment *attachment,
				 const char *key)
{
	ChatArgument id = chat_text_given(key);
	Datum json = (Datum) 0;
	bool isnull = true;

	/* What the function has written is to be seen. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (chat_plan_run_given(attachment, plan, 0, 1, &id) > 0)
		json = chat_plan_result(1, &isnull);
	PopActiveSnapshot();
	if (!isnull)
		json = SPI_datumTransfer(json, false, -1);
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(json);
}

Datum
chat_return_null(FunctionCallInfo fcinfo)
{
	SPI_finish();
	PG_RETURN_NULL();
}
