/*
 * The limit on messages; see message_limit.h.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "claims.h"
#include "message_limit.h"
#include "keys/ratelimit.h"
#include "settings.h"

#define MESSAGES_PER_SECOND 10
#define SECOND INT64CONST(1000000000)

/* Of one statement, kept with its trigger. */
typedef struct Writer
{
	char *user; /* NULL: not limited */
	int rows;
} Writer;

/*
 * The user whose messages are counted, or NULL. Most callers have no claims, and cost nothing more; those of a service are not
 * read, so that claims that are no JSON refuse it nothing.
 */
static char *
limited_user(void)
{
	/* The role that called, whoever's function it called. */
	if (!chat_rate_limits || !chat_has_claims() || chat_is_service(GetOuterUserId()))
		return NULL;
	return chat_caller_user();
}

static Writer *
writer_of(FmgrInfo *trigger)
{
	MemoryContext old;
	Writer *writer = trigger->fn_extra;

	if (writer != NULL)
		return writer;
	old = MemoryContextSwitchTo(trigger->fn_mcxt);
	writer = palloc0(sizeof(Writer));
	writer->user = limited_user();
	MemoryContextSwitchTo(old);
	trigger->fn_extra = writer;
	return writer;
}

void
chat_message_limit(FmgrInfo *trigger)
{
	Writer *writer = writer_of(trigger);
	ChatLimitResult result;

	if (writer->user == NULL)
		return;
	if (++writer->rows > MESSAGES_PER_SECOND)
		ereport(ERROR, (errcode(CHAT_ERRCODE_RATE_LIMITED), errmsg("rate limit exceeded"),
						errdetail("One statement may write %d messages.", MESSAGES_PER_SECOND),
						errhint("Write them in portions of at most %d a second, or by a role that "
								"chat.grant_backend was given.",
								MESSAGES_PER_SECOND)));
	result = chat_limit_take(CHAT_LIMIT_MESSAGES, writer->user, strlen(writer->user),
							 MESSAGES_PER_SECOND, SECOND);
	if (!chat_limit_passes(&result))
		ereport(ERROR, (errcode(CHAT_ERRCODE_RATE_LIMITED), errmsg("rate limit exceeded"),
						errdetail("One user may write %d messages a second.", MESSAGES_PER_SECOND),
						errhint("Try again after %.3f seconds.", result.retry_after / 1e9)));
}
