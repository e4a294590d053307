/*
 * Rows that are written but told to nobody; see quiet.h.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"

#include "quiet.h"

/* Trigger depth at which a quiet statement fires triggers, or -1. */
static int quiet_depth = -1;

int
chat_trigger_depth(void)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	return DatumGetInt32(pg_trigger_depth(fcinfo));
}

void
chat_quietly(void (*work)(void *arg), void *arg)
{
	int outer = quiet_depth;

	quiet_depth = chat_trigger_depth() + 1;
	PG_TRY();
	{
		work(arg);
	}
	PG_FINALLY();
	{
		quiet_depth = outer;
	}
	PG_END_TRY();
}

bool
chat_is_quiet(void)
{
	return quiet_depth >= 0 && quiet_depth == chat_trigger_depth();
}
