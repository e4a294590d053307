/*
 * Statuses of a message; see status.h.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "status.h"

PG_FUNCTION_INFO_V1(chat_status_moves);
PG_FUNCTION_INFO_V1(chat_status_is_known);

/* Place of a status in pending < sent < delivered < read; -1: none of these. */
static int
status_rank(const char *status)
{
	static const char *const order[] = {"pending", "sent", "delivered", "read"};

	for (int i = 0; status != NULL && i < (int) lengthof(order); i++)
	{
		if (strcmp(status, order[i]) == 0)
			return i;
	}
	return -1;
}

bool
chat_status_known(const char *status)
{
	return status_rank(status) >= 0 || strcmp(status, "failed") == 0;
}

bool
chat_status_step_allowed(const char *old_status, const char *new_status)
{
	int old_rank = status_rank(old_status);
	int new_rank = status_rank(new_status);

	if (old_status == NULL || new_status == NULL)
		return old_status == NULL;
	if (strcmp(new_status, "failed") == 0)
		return old_rank < 0 || old_rank <= 1;
	if (strcmp(old_status, "failed") == 0)
		return new_rank != 0;
	if (old_rank < 0 || new_rank < 0)
		return true; /* a status of the table's own */
	return new_rank > old_rank;
}

/* SQL: chat.status_moves(old, new) */
Datum
chat_status_moves(PG_FUNCTION_ARGS)
{
	char *old_status = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *new_status = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));

	PG_RETURN_BOOL(chat_status_step_allowed(old_status, new_status));
}

/* SQL: chat.status_is_known(status) */
Datum
chat_status_is_known(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(chat_status_known(text_to_cstring(PG_GETARG_TEXT_PP(0))));
}
