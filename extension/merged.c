/*
 * Conversations that were merged into others; see merged.h.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "merged.h"
#include "row.h"

/* Columns of chat.merged_conversation, by which its primary key finds a row. */
#define COL_ATTACHMENT 1
#define COL_FROM_ID 2
#define COL_INTO_ID 3

PG_FUNCTION_INFO_V1(chat_merged_into_sql);

/* Read under the extension's own authority: a scan checks no privilege. */
char *
chat_merged_into(const ChatAttachment *attachment, const char *key)
{
	Relation relation = table_open(chat_own_table("merged_conversation"), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple row;
	char *into = NULL;

	ScanKeyInit(&keys[0], COL_ATTACHMENT, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(attachment->id));
	ScanKeyInit(&keys[1], COL_FROM_ID, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(key));
	keys[1].sk_collation = DEFAULT_COLLATION_OID;
	scan = systable_beginscan(relation, chat_own_table("merged_conversation_pkey"), true, snapshot,
							  2, keys);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
	{
		bool isnull;
		Datum value = heap_getattr(row, COL_INTO_ID, RelationGetDescr(relation), &isnull);

		into = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return into;
}

bool
chat_is_merged(const ChatAttachment *attachment, ChatKey conversation)
{
	Oid type = attachment->key_type;

	return chat_merged_into(attachment, chat_datum_text(chat_key_to_datum(conversation, type),
														false, type)) != NULL;
}

/* SQL: chat.merged_into(attachment, key) */
Datum
chat_merged_into_sql(PG_FUNCTION_ARGS)
{
	char *into = chat_merged_into(chat_attachment_get(PG_GETARG_INT32(0)),
								  text_to_cstring(PG_GETARG_TEXT_PP(1)));

	if (into == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(into));
}
