/*
 * The library's version, and what the SQL of earlier versions calls. A library is replaced before ALTER EXTENSION ...
 * UPDATE is run, and until then it serves the functions of the version before.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(chat_library_version);
PG_FUNCTION_INFO_V1(chat_limit_messages);

/* chat.library_version() → text */
Datum
chat_library_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(CHAT_REALTIME_VERSION));
}

/* Of 1.0's chat.save_message; the trigger counts now. */
Datum
chat_limit_messages(PG_FUNCTION_ARGS)
{
	PG_RETURN_VOID();
}
