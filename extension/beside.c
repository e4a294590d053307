/*
 * Writing rows of tables beside a pair; see beside.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "beside.h"
#include "input.h"
#include "json_members.h"
#include "keys/keytables.h"
#include "plans.h"
#include "statements.h"

PG_FUNCTION_INFO_V1(chat_write_beside);

/* But for the owner's, which may have any name. */
static const char *const written[CHAT_BESIDE_COLUMNS - 1] = {
	"id",
	"updated_at",
	"is_active",
	/* of keys */
	"name",
	"key_hash",
	"key_prefix",
	"scopes",
	"rate_limit_per_minute",
	"rate_limit",
	"expires_at",
	"replaced_by",
	"created_at",
	/* of webhooks */
	"url",
	"events",
	"secret",
	"old_secret",
	"old_secret_expires_at",
	"failure_count",
	"last_error",
	"first_failure_at",
	"disabled_at",
	"disabled_reason",
};

/* The owner's column of a table of keys. */
static const char *
owner_column(const ChatAttachment *table)
{
	const ChatKeyTable *keys = chat_keytables_find(table->table);

	return keys != NULL ? keys->column_name[CHAT_K_OWNER] : NULL;
}

const char *
chat_beside_column(const ChatAttachment *table, int n)
{
	return n < (int) lengthof(written) ? written[n] : owner_column(table);
}

/* The variant that writes what is given. Error 22023 for a column that is not among those we write. */
static uint64
variant_of(const ChatAttachment *table, Jsonb *given)
{
	uint64 variant = 0;
	uint32 left = JsonContainerSize(&given->root);
	JsonbValue value;

	for (int n = 0; n < CHAT_BESIDE_COLUMNS && left > 0; n++)
	{
		const char *name = chat_beside_column(table, n);

		if (name == NULL || !chat_json_find(given, name, &value))
			continue;
		variant |= UINT64CONST(1) << n;
		left--;
	}
	if (left > 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a value is given for a column that is not written")));
	return variant;
}

/* SQL: chat.write_beside(relation, row_values, id) */
Datum
chat_write_beside(PG_FUNCTION_ARGS)
{
	ChatAttachment *table;
	Jsonb *given;
	bool insert = PG_ARGISNULL(2);
	Datum row;
	bool isnull;

	chat_require_argument(fcinfo, 0, "relation");
	chat_require_argument(fcinfo, 1, "row_values");
	given = PG_GETARG_JSONB_P(1);
	if (!JB_ROOT_IS_OBJECT(given))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the values of a row must be a JSON object")));
	table = chat_attachment_of_table(PG_GETARG_OID(0));
	SPI_connect();
	(void) chat_plan_run_given(table, insert ? CHAT_PLAN_INSERT_ROW : CHAT_PLAN_UPDATE_ROW,
							   variant_of(table, given), insert ? 1 : 2,
							   (ChatArgument[]){{JSONBOID, JsonbPGetDatum(given), false},
												{UUIDOID, PG_GETARG_DATUM(2), insert}});
	row = chat_plan_first(JSONBOID, &isnull);
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(row);
}
