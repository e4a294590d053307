/*
 * Conversations that were merged into others; see merged.h.
 *
 * Rows are looked for under the extension's own authority, since a scan checks no privilege, and only what is there costs a
 * statement, which runs as the owner of the extension's tables.
 *
 * They are looked for as they are now. Statements of a transaction that keeps an older snapshot would miss them: it would leave
 * a merge into what it deletes, or merge on what others were merged into without them. So such a transaction fails to serialise.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "merged.h"
#include "owner.h"
#include "row.h"
#include "wuzapi/address.h"

/* Columns of the tables, by which their indexes find rows. */
#define MERGED_ATTACHMENT 1
#define MERGED_FROM 2
#define MERGED_INTO 3
#define PAIR_OWNER 1
#define PAIR_LID 2
#define PAIR_PHONE 3

PG_FUNCTION_INFO_V1(chat_merged_into_sql);
PG_FUNCTION_INFO_V1(chat_has_merged_sql);

static char *
key_text(const ChatAttachment *attachment, ChatKey conversation)
{
	Oid type = attachment->key_type;

	return chat_datum_text(chat_key_to_datum(conversation, type), false, type);
}

static void
equals_text(ScanKeyData *key, AttrNumber column, const char *value)
{
	ScanKeyInit(key, column, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(value));
	key->sk_collation = DEFAULT_COLLATION_OID;
}

static char *
scan_for(Relation relation, Oid index, ScanKeyData *keys, AttrNumber column)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(relation, index, true, snapshot, 2, keys);
	char *found = NULL;
	HeapTuple tuple;
	bool isnull;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		chat_row_require_seen(
			relation, scan->slot,
			"Another transaction has merged a conversation or told of its contact.");
		if (found == NULL)
			found = TextDatumGetCString(
				heap_getattr(tuple, column, RelationGetDescr(relation), &isnull));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return found;
}

/* Text of a column of the first row that an index finds by two keys, in the current memory context, or NULL. */
static char *
find_row(const char *table, const char *index, ScanKeyData *keys, AttrNumber column)
{
	Relation relation = table_open(chat_own_table(table), AccessShareLock);
	char *found = NULL;

	/* Most installations never merge. */
	if (RelationGetNumberOfBlocks(relation) > 0)
		found = scan_for(relation, chat_own_table(index), keys, column);
	table_close(relation, AccessShareLock);
	return found;
}

/* Before ALTER EXTENSION ... UPDATE there are no merges. */
static bool
has_merges(void)
{
	return OidIsValid(get_relname_relid("merged_conversation", get_namespace_oid("chat", false)));
}

/* The other conversation of the first merge that names this one in a column. */
static char *
find_merge(const ChatAttachment *attachment, AttrNumber column, const char *id)
{
	bool from = column == MERGED_FROM;
	ScanKeyData keys[2];

	if (!has_merges())
		return NULL;
	ScanKeyInit(&keys[0], MERGED_ATTACHMENT, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(attachment->id));
	equals_text(&keys[1], column, id);
	return find_row("merged_conversation",
					from ? "merged_conversation_pkey" : "merged_conversation_into_idx", keys,
					from ? MERGED_INTO : MERGED_FROM);
}

static bool
has_pair(const char *owner, const char *address)
{
	ScanKeyData keys[2];
	bool hidden = strstr(address, "@lid") != NULL;

	equals_text(&keys[0], PAIR_OWNER, owner);
	equals_text(&keys[1], hidden ? PAIR_LID : PAIR_PHONE, address);
	return find_row("contact_pair", hidden ? "contact_pair_pkey" : "contact_pair_phone_idx", keys,
					PAIR_OWNER) != NULL;
}

/* --- forgetting ----------------------------------------------------------------------------------- */

typedef struct Call
{
	const char *statement;
	int nargs;
	Oid types[3];
	Datum values[3];
} Call;

static void
run(void *arg)
{
	Call *call = arg;

	if (SPI_execute_with_args(call->statement, call->nargs, call->types, call->values, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "what goes with a conversation cannot be forgotten");
}

static void
call_own(Call *call)
{
	SPI_connect();
	chat_as_owner(chat_own_table("merged_conversation"), false, run, call);
	SPI_finish();
}

static void
forget_merges(const ChatAttachment *attachment, const char *id)
{
	Call call = {"SELECT chat.forget_merges($1, $2)", 2, {INT4OID, TEXTOID}, {0}};

	call.values[0] = Int32GetDatum(attachment->id);
	call.values[1] = CStringGetTextDatum(id);
	call_own(&call);
}

static void
forget_contact(const ChatAttachment *attachment, const char *owner, const char *address)
{
	Call call = {"SELECT chat.forget_contact($1, $2, $3)", 3, {INT4OID, TEXTOID, TEXTOID}, {0}};

	call.values[0] = Int32GetDatum(attachment->id);
	call.values[1] = CStringGetTextDatum(owner);
	call.values[2] = CStringGetTextDatum(address);
	call_own(&call);
}

/* --- what others call ------------------------------------------------------------------------------ */

char *
chat_merged_into(const ChatAttachment *attachment, const char *id)
{
	return find_merge(attachment, MERGED_FROM, id);
}

bool
chat_is_merged(const ChatAttachment *attachment, ChatKey conversation)
{
	return chat_merged_into(attachment, key_text(attachment, conversation)) != NULL;
}

void
chat_merged_new(const ChatAttachment *attachment, ChatKey conversation)
{
	char *id = key_text(attachment, conversation);

	if (find_merge(attachment, MERGED_FROM, id) != NULL ||
		find_merge(attachment, MERGED_INTO, id) != NULL)
		forget_merges(attachment, id);
}

void
chat_merged_gone(const ChatAttachment *attachment, ChatKey conversation, const char *owner,
				 const char *address)
{
	char *id = key_text(attachment, conversation);
	char *contact = address == NULL ? NULL : chat_contact_one_form(address, strlen(address));

	if (find_merge(attachment, MERGED_INTO, id) != NULL)
		forget_merges(attachment, id);
	if (has_merges() && owner != NULL && contact != NULL && has_pair(owner, contact))
		forget_contact(attachment, owner, contact);
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

/* SQL: chat.has_merged(attachment, key) */
Datum
chat_has_merged_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(find_merge(chat_attachment_get(PG_GETARG_INT32(0)), MERGED_INTO,
							  text_to_cstring(PG_GETARG_TEXT_PP(1))) != NULL);
}
