/*
 * Cache of chat.attachment; see attachment.h.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

#include "attachment.h"
#include "json_members.h"
#include "key.h"
#include "layout.h"
#include "names.h"
#include "plans.h"

/* A pair, or a table beside it. */
typedef struct AttachmentKey
{
	int32 id; /* of the pair; 0: it is none */
	Oid table;
} AttachmentKey;

typedef struct AttachmentEntry
{
	AttachmentKey key;
	bool valid;
	bool building; /* of what it will depend is not known yet: every change counts */
	ChatAttachment *attachment;
} AttachmentEntry;

static HTAB *attachments;
/* The pairs that there are, by id; see read_pairs. */
static int32 *pairs = NULL;
static int npairs = 0;
static int pairs_space = 0;
static bool pairs_valid = false;
static bool pairs_changed = false;
static Oid attachment_table = InvalidOid;

/* Marks every cached attachment as stale. */
static void
mark_attachments(void)
{
	HASH_SEQ_STATUS scan;
	AttachmentEntry *entry;

	pairs_valid = false;
	pairs_changed = true;
	hash_seq_init(&scan, attachments);
	while ((entry = hash_seq_search(&scan)) != NULL)
		entry->valid = false;
}

/* True when statements on an attachment name a table. */
static bool
names_table(const ChatAttachment *attachment, Oid relid)
{
	return attachment->conversations == relid || attachment->messages == relid ||
		   attachment->table == relid || attachment->owner.relid == relid ||
		   attachment->agent.relid == relid;
}

/* Marks what a change of a table makes stale; InvalidOid means all tables. */
static void
table_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	AttachmentEntry *entry;

	if (relid == InvalidOid || relid == attachment_table)
	{
		mark_attachments();
		chat_layout_forget(InvalidOid);
		attachment_table = InvalidOid;
		return;
	}
	hash_seq_init(&scan, attachments);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->building || (entry->attachment != NULL && names_table(entry->attachment, relid)))
			entry->valid = false;
	}
	chat_layout_forget(relid);
}

/* Statements of ours name schemas. */
static void
schema_changed(Datum arg, int cache, uint32 hash)
{
	mark_attachments();
}

/* Makes the caches and registers the invalidation callbacks, once per backend. */
void
chat_attachment_init(void)
{
	HASHCTL ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(AttachmentKey);
	ctl.entrysize = sizeof(AttachmentEntry);
	attachments = hash_create("chat_realtime attachments", 8, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
	chat_layout_init();
}

Oid
chat_own_table(const char *name)
{
	Oid schema = get_namespace_oid("chat", true);
	Oid relid = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(relid))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"chat.%s\" does not exist", name),
						errhint("Run CREATE EXTENSION chat_realtime in this database.")));
	return relid;
}

/* Text of a string member of a jsonb object, or NULL. */
static char *
member_text(Jsonb *object, const char *key)
{
	JsonbValue value;

	if (!chat_json_find(object, key, &value) || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* A table that is named by a text such as public.accounts. */
static Oid
table_named(const char *text)
{
	RangeVar *range = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(text)));
	Oid relid = RangeVarGetRelid(range, NoLock, true);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\", by which chat_realtime finds a user, does not exist", text),
				 errhint("Call chat.attach again, with the mapping as it is now.")));
	return relid;
}

void
chat_user_mapping_from(Jsonb *object, ChatUserMapping *mapping)
{
	char *table = member_text(object, "table");

	mapping->column = member_text(object, "column");
	if (table == NULL)
		return;
	mapping->relid = table_named(table);
	mapping->table = chat_name_of(mapping->relid);
	mapping->key = member_text(object, "key");
	mapping->user = member_text(object, "user");
}

void
chat_user_mapping_read(Jsonb *columns, const char *role, ChatUserMapping *mapping)
{
	JsonbValue value;

	if (chat_json_find(columns, role, &value) && value.type == jbvBinary)
		chat_user_mapping_from(JsonbValueToJsonb(&value), mapping);
}

void
chat_columns_read(ChatAttachment *attachment, Jsonb *columns)
{
	for (int role = 0; role < CHAT_ROLES; role++)
		attachment->column[role] = member_text(columns, chat_role_name(role));
}

/* Fills an attachment from its row of chat.attachment. */
static void
read_attachment(ChatAttachment *attachment, HeapTuple row, TupleDesc desc)
{
	bool isnull, no_settings;
	Datum settings = SPI_getbinval(row, desc, SPI_fnumber(desc, "settings"), &no_settings);
	Jsonb *columns;

	attachment->conversations = DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull));
	attachment->messages = DatumGetObjectId(SPI_getbinval(row, desc, 3, &isnull));
	columns =
		(Jsonb *) DatumGetPointer(SPI_getbinval(row, desc, SPI_fnumber(desc, "columns"), &isnull));
	if (isnull || no_settings)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("columns and settings of a pair of tables must not be NULL")));
	columns = DatumGetJsonbP(PointerGetDatum(columns));
	chat_columns_read(attachment, columns);
	chat_settings_read(&attachment->settings, DatumGetJsonbP(settings));
	chat_user_mapping_read(columns, "owner", &attachment->owner);
	chat_user_mapping_read(columns, "agent", &attachment->agent);
	attachment->column[CHAT_C_OWNER] = attachment->owner.column;
	attachment->column[CHAT_C_AGENT] = attachment->agent.column;
}

/* Reports a column that is gone. */
static void
report_missing(int level, const ChatAttachment *attachment, ChatRole role)
{
	Oid relid = chat_role_is_message(role) ? attachment->messages : attachment->conversations;
	const char *table = get_rel_name(relid);
	const char *column = attachment->column[role];

	ereport(level,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("attached table \"%s\" has no column \"%s\" any more, which was its \"%s\"",
					table ? table : "", column ? column : "", chat_role_name(role)),
			 errhint("Call chat.attach again, so that it follows the table's columns.")));
}

/*
 * Columns can be dropped and renamed after chat.attach. What is not essential is then left alone, with a warning;
 * without an essential column nothing can be kept right, and writing to the tables is an error.
 */
static void
check_columns(ChatAttachment *attachment)
{
	attachment->missing = CHAT_ROLES;
	for (int role = 0; role < CHAT_ROLES && attachment->missing == CHAT_ROLES; role++)
	{
		Oid relid = chat_role_is_message(role) ? attachment->messages : attachment->conversations;
		const char *column = attachment->column[role];
		int flags = chat_roles[role].flags;

		if (column != NULL && get_attnum(relid, column) != InvalidAttrNumber)
			continue;
		if ((flags & CHAT_ESSENTIAL) != 0)
		{
			attachment->missing = role;
			return;
		}
		if (column != NULL && (flags & CHAT_API) == 0)
			report_missing(WARNING, attachment, role);
		attachment->column[role] = NULL;
	}
	if (attachment->agent.column != NULL && attachment->column[CHAT_C_AGENT] == NULL)
		attachment->agent.column = NULL;
}

static void
free_plans(void *attachment)
{
	chat_plans_free(attachment);
}

/* Its plans go with its memory context, the current one. */
static void
own_plans(ChatAttachment *attachment, MemoryContext context)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	attachment->context = context;
	dlist_init(&attachment->variants);
	callback->func = free_plans;
	callback->arg = attachment;
	MemoryContextRegisterResetCallback(context, callback);
}

/* What follows from the names that were read. */
static void
finish(ChatAttachment *attachment, MemoryContext context)
{
	own_plans(attachment, context);
	check_columns(attachment);
	if (attachment->missing != CHAT_ROLES)
		return;
	attachment->key_type = getBaseType(
		get_atttype(attachment->conversations,
					get_attnum(attachment->conversations, attachment->column[CHAT_C_ID])));
	if (!chat_key_type_ok(attachment->key_type))
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("ids of \"%s\" are neither integers nor uuid",
							   get_rel_name(attachment->conversations))));
	attachment->search_path = psprintf("pg_catalog, %s, pg_temp",
									   quote_identifier(chat_schema_of(attachment->conversations)));
}

/* Reads chat.attachment by id, under the extension's own authority: a plain scan checks no privilege. */
static ChatAttachment *
load_attachment(int32 id, MemoryContext context)
{
	ChatAttachment *attachment = palloc0(sizeof(ChatAttachment));
	Relation relation = table_open(chat_own_table("attachment"), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple row;
	bool found = false;

	attachment_table = RelationGetRelid(relation);
	attachment->id = id;
	while (!found && (row = systable_getnext(scan)) != NULL)
	{
		bool isnull;

		found = DatumGetInt32(SPI_getbinval(row, RelationGetDescr(relation), 1, &isnull)) == id;
		if (found)
			read_attachment(attachment, row, RelationGetDescr(relation));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	if (!found)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("chat.attachment has no row %d, but a trigger names it", id),
						errhint("Call chat.attach for this pair of tables again.")));
	finish(attachment, context);
	return attachment;
}

/* A table beside the pairs. */
static ChatAttachment *
load_table(Oid relid, MemoryContext context)
{
	ChatAttachment *attachment = palloc0(sizeof(ChatAttachment));

	attachment_table =
		chat_own_table("attachment"); /* its rows say how the owner of a key is found */
	attachment->table = relid;
	attachment->missing = CHAT_ROLES;
	own_plans(attachment, context);
	return attachment;
}

void
chat_attachment_retire(MemoryContext context)
{
	MemoryContextSetParent(context, TopTransactionContext);
}

/* What is stale goes with the transaction, also of pairs that are not looked at again since they were detached. */
static void
retire_stale(void)
{
	HASH_SEQ_STATUS scan;
	AttachmentEntry *entry;

	hash_seq_init(&scan, attachments);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->valid || entry->attachment == NULL)
			continue;
		chat_attachment_retire(entry->attachment->context);
		entry->attachment = NULL;
	}
}

ChatAttachment *
chat_attachment_get(int32 id)
{
	ChatAttachment *attachment = chat_attachment_peek(id);

	if (attachment->missing != CHAT_ROLES)
		report_missing(ERROR, attachment, attachment->missing);
	return attachment;
}

static ChatAttachment *
look_up(AttachmentKey key)
{
	bool found;
	AttachmentEntry *entry = hash_search(attachments, &key, HASH_ENTER, &found);
	MemoryContext context, old;
	ChatAttachment *attachment;

	if (!found)
	{
		entry->valid = entry->building = false;
		entry->attachment = NULL;
	}
	if (entry->valid)
		return entry->attachment;

	retire_stale();
	/* Built below the transaction's memory first: an error on the way leaves nothing behind. */
	context = AllocSetContextCreate(TopTransactionContext, "chat_realtime attachment",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	entry->valid = entry->building =
		true; /* an invalidation that comes meanwhile clears it again */
	PG_TRY();
	{
		attachment = OidIsValid(key.table) ? load_table(key.table, context)
										   : load_attachment(key.id, context);
	}
	PG_CATCH();
	{
		entry->valid = entry->building = false;
		if (!found)
			(void) hash_search(attachments, &key, HASH_REMOVE, NULL);
		PG_RE_THROW();
	}
	PG_END_TRY();
	entry->building = false;
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	entry->attachment = attachment;
	return attachment;
}

ChatAttachment *
chat_attachment_peek(int32 id)
{
	return look_up((AttachmentKey){.id = id});
}

ChatAttachment *
chat_attachment_of_table(Oid relid)
{
	return look_up((AttachmentKey){.table = relid});
}

ChatAttachment *
chat_attachment_from(HeapTupleHeader given)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "chat_realtime pair", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ChatAttachment *attachment = palloc0(sizeof(ChatAttachment));
	HeapTupleData row = {.t_len = HeapTupleHeaderGetDatumLength(given), .t_data = given};
	TupleDesc desc =
		lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(given), HeapTupleHeaderGetTypMod(given));

	read_attachment(attachment, &row, desc);
	ReleaseTupleDesc(desc);
	finish(attachment, context);
	MemoryContextSwitchTo(old);
	if (attachment->missing != CHAT_ROLES)
		report_missing(ERROR, attachment, attachment->missing);
	return attachment;
}

static int
compare_pairs(const void *a, const void *b)
{
	int32 one = *(const int32 *) a, two = *(const int32 *) b;

	return one < two ? -1 : one > two;
}

/* Reads which pairs there are, if that may have changed. A plain scan checks no privilege. */
static void
read_pairs(void)
{
	Relation relation;
	Snapshot snapshot;
	SysScanDesc scan;
	HeapTuple row;

	if (pairs_valid)
		return;
	relation = table_open(chat_own_table("attachment"), AccessShareLock);
	attachment_table = RelationGetRelid(relation);
	pairs_changed = false;
	npairs = 0;
	if (pairs == NULL)
	{
		pairs = MemoryContextAlloc(CacheMemoryContext, 8 * sizeof(int32));
		pairs_space = 8;
	}
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, NULL);
	while ((row = systable_getnext(scan)) != NULL)
	{
		bool isnull;

		if (npairs == pairs_space)
		{
			pairs = repalloc(pairs, 2 * pairs_space * sizeof(int32));
			pairs_space *= 2;
		}
		pairs[npairs++] = DatumGetInt32(SPI_getbinval(row, RelationGetDescr(relation), 1, &isnull));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	qsort(pairs, npairs, sizeof(int32), compare_pairs);
	pairs_valid = !pairs_changed;
}

int32 *
chat_attachment_ids(int *count)
{
	int32 *ids;

	read_pairs();
	ids = palloc(sizeof(int32) * Max(npairs, 1));
	memcpy(ids, pairs, sizeof(int32) * npairs);
	*count = npairs;
	return ids;
}

PG_FUNCTION_INFO_V1(chat_attachment_changed);

/* Statement trigger on chat.attachment: every backend is to read it again. */
Datum
chat_attachment_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("chat.attachment_changed must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	PG_RETURN_POINTER(NULL);
}
