/*
 * Defining the settings; see retention.h.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "retention.h"

#define DAY 86400

static int retention = DAY;
static int audit_retention = 365 * DAY;

void
chat_retention_init(void)
{
	DefineCustomIntVariable(
		"chat_realtime.retention", "How long events are kept in the log.",
		"Whole partitions are dropped, so some are kept up to a quarter longer; "
		"none before every enabled consumer is past it.",
		&retention, DAY, 1, PG_INT32_MAX, PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"chat_realtime.audit_retention", "How long rows of the audit log are kept.", "0: for ever.",
		&audit_retention, 365 * DAY, 0, PG_INT32_MAX, PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
}
