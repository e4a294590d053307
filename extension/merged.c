/*
 * Conversations that were merged into others; see merged.h.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "merged.h"
#include "row.h"

/* Columns of chat.merged_conversation, by which its primary key finds a row. */
#define COL_ATTACHMENT 1
#define COL_FROM_ID 2

/* Read under the extension's own authority: a scan checks no privilege. */
bool
chat_is_merged(const ChatAttachment *attachment, ChatKey conversation)
{
	Relation relation = table_open(chat_own_table("merged_conversation"), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	Oid type = attachment->key_type;
	char *key = chat_datum_text(chat_key_to_datum(conversation, type), false, type);
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool merged;

	ScanKeyInit(&keys[0], COL_ATTACHMENT, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(attachment->id));
	ScanKeyInit(&keys[1], COL_FROM_ID, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(key));
	keys[1].sk_collation = DEFAULT_COLLATION_OID;
	scan = systable_beginscan(relation, chat_own_table("merged_conversation_pkey"), true, snapshot,
							  2, keys);
	merged = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return merged;
}
