/*
 * Reading which tables of API keys there are; see keytables.h. Catalogs are read directly: PL/pgSQL would make a
 * connection's first request cost ten times as much.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "keys/keytables.h"
#include "names.h"

PG_FUNCTION_INFO_V1(chat_api_key_columns);

/* What a role's column may be called, the later the better, and its type; two of them where it may be either. */
typedef struct ColumnName
{
	ChatKeyColumn column;
	const char *name;
	Oid types[2]; /* none: any will do */
} ColumnName;

static const ColumnName names[] = {
	{CHAT_K_ID, "id", {UUIDOID}},
	{CHAT_K_OWNER, "user_id", {InvalidOid}},
	{CHAT_K_NAME, "name", {TEXTOID, VARCHAROID}},
	{CHAT_K_HASH, "key_hash", {TEXTOID, VARCHAROID}},
	{CHAT_K_PREFIX, "key_prefix", {TEXTOID, VARCHAROID}},
	{CHAT_K_SCOPES, "scopes", {TEXTARRAYOID}},
	{CHAT_K_RATE_LIMIT, "rate_limit_per_minute", {INT4OID}},
	{CHAT_K_RATE_LIMIT, "rate_limit", {INT4OID}},
	{CHAT_K_ACTIVE, "is_active", {BOOLOID}},
	{CHAT_K_LAST_USED, "last_used_at", {TIMESTAMPTZOID}},
	{CHAT_K_EXPIRES, "expires_at", {TIMESTAMPTZOID}},
	{CHAT_K_CREATED, "created_at", {InvalidOid}},
	{CHAT_K_UPDATED, "updated_at", {InvalidOid}},
	{CHAT_K_REPLACED_BY, "replaced_by", {UUIDOID}},
};

/* The roles, as chat.api_key_tables has them. */
static const char *const roles[CHAT_K_COLUMNS] = {
	"id",         "owner",      "name",        "key_hash",     "key_prefix",
	"scopes",     "rate_limit", "is_active",   "last_used_at", "expires_at",
	"created_at", "updated_at", "replaced_by",
};

static ChatKeyTables *current = NULL;

/* Counts the changes of chat.attachment, of the tables it names, and of schemas' names. */
static uint64 generation = 1;
static Oid attachment_relid = InvalidOid;

static void
table_changed(Datum arg, Oid relid)
{
	/* While new ones are being loaded it is not known yet which tables are concerned. */
	bool ours = relid == InvalidOid || relid == attachment_relid || current == NULL ||
				current->generation != generation;

	for (int i = 0; !ours && i < current->count; i++)
		ours = current->tables[i].relid == relid;
	if (ours)
		generation++;
}

/* Kept statements name schemas. */
static void
schema_changed(Datum arg, int cache, uint32 hash)
{
	generation++;
}

static AttrNumber
column_number(TupleDesc desc, const char *name)
{
	int number = SPI_fnumber(desc, name);

	return number > 0 ? number : 0;
}

/* Finds a table's columns; false: it lacks what is needed. */
static bool
find_columns(ChatKeyTable *table, TupleDesc desc)
{
	for (int i = 0; i < lengthof(names); i++)
	{
		AttrNumber number = column_number(desc, names[i].name);

		if (number != 0)
			table->column[names[i].column] = number;
	}
	if (table->owner.column != NULL && column_number(desc, table->owner.column) != 0)
		table->column[CHAT_K_OWNER] = column_number(desc, table->owner.column);
	else
		table->owner = (ChatUserMapping){.column = "user_id"};
	for (int column = 0; column <= CHAT_K_SCOPES; column++)
	{
		if (table->column[column] == 0)
			return false;
	}
	return true;
}

/* An expiry that is not understood must not be one that never comes. */
static void
check_types(const ChatKeyTable *table, TupleDesc desc)
{
	for (int i = 0; i < lengthof(names); i++)
	{
		AttrNumber number = column_number(desc, names[i].name);
		Oid type = number ? TupleDescAttr(desc, number - 1)->atttypid : InvalidOid;

		if (!OidIsValid(type) || !OidIsValid(names[i].types[0]) || type == names[i].types[0] ||
			type == names[i].types[1])
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 err_generic_string(PG_DIAG_COLUMN_NAME, names[i].name),
				 errmsg("column \"%s\" of table %s of API keys has a type that cannot be used",
						names[i].name, table->name),
				 errhint("Make it %s.", format_type_be(names[i].types[0]))));
	}
}

/* Whether a hash can be looked up in an index: a plain one on that column alone. */
static bool
is_on_hash(Form_pg_index form, HeapTuple row, AttrNumber column)
{
	HeapTuple relation;
	bool btree;

	if (!form->indisvalid || form->indnkeyatts != 1 || form->indkey.values[0] != column ||
		!heap_attisnull(row, Anum_pg_index_indpred, NULL))
		return false;
	relation = SearchSysCache1(RELOID, ObjectIdGetDatum(form->indexrelid));
	btree =
		HeapTupleIsValid(relation) && ((Form_pg_class) GETSTRUCT(relation))->relam == BTREE_AM_OID;
	if (HeapTupleIsValid(relation))
		ReleaseSysCache(relation);
	return btree;
}

/* Finds the index that hashes are looked up in, best a unique one. */
static void
find_index(ChatKeyTable *table, Relation relation)
{
	bool heap = relation->rd_tableam == GetHeapamTableAmRoutine();
	ListCell *cell;

	foreach (cell, RelationGetIndexList(relation))
	{
		HeapTuple row = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index form;

		if (!HeapTupleIsValid(row))
			continue;
		form = (Form_pg_index) GETSTRUCT(row);
		if (!table->certain && is_on_hash(form, row, table->column[CHAT_K_HASH]))
		{
			table->index = form->indexrelid;
			table->certain = heap && form->indisunique && form->indimmediate;
		}
		ReleaseSysCache(row);
	}
}

static void
keep_names(ChatKeyTable *table, TupleDesc desc)
{
	for (int column = 0; column < CHAT_K_COLUMNS; column++)
	{
		AttrNumber number = table->column[column];

		if (number != 0)
			table->column_name[column] = pstrdup(NameStr(TupleDescAttr(desc, number - 1)->attname));
	}
}

/* Fills in how to read a table; false: it is none of keys, or gone. */
static bool
describe(ChatKeyTable *table)
{
	Relation relation = try_relation_open(table->relid, AccessShareLock);
	TupleDesc desc;
	bool usable;

	if (relation == NULL)
		return false;
	desc = CreateTupleDescCopy(RelationGetDescr(relation)); /* other catalogs are looked at */
	usable = relation->rd_rel->relkind == RELKIND_RELATION && find_columns(table, desc);
	if (usable)
	{
		bool varlena;

		table->name = chat_name_of(table->relid);
		check_types(table, desc);
		find_index(table, relation);
		keep_names(table, desc);
		table->owner_type = TupleDescAttr(desc, table->column[CHAT_K_OWNER] - 1)->atttypid;
		getTypeOutputInfo(table->owner_type, &table->owner_output, &varlena);
	}
	FreeTupleDesc(desc);
	relation_close(relation, AccessShareLock);
	return usable;
}

/* In the order of the tables; of one that several pairs name, the first pair first. */
static int
compare_tables(const void *a, const void *b)
{
	const ChatKeyTable *first = a;
	const ChatKeyTable *second = b;

	if (first->relid != second->relid)
		return first->relid < second->relid ? -1 : 1;
	return first->pair < second->pair ? -1 : 1;
}

/* Reads a row of chat.attachment; false: it names no table of keys. */
static bool
read_pair(ChatKeyTable *table, HeapTuple row, TupleDesc desc)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, SPI_fnumber(desc, "api_keys"), &isnull);

	if (isnull)
		return false;
	*table = (ChatKeyTable){.relid = DatumGetObjectId(value)};
	table->pair = DatumGetInt32(SPI_getbinval(row, desc, SPI_fnumber(desc, "id"), &isnull));
	value = SPI_getbinval(row, desc, SPI_fnumber(desc, "columns"), &isnull);
	chat_user_mapping_read(DatumGetJsonbP(value), "owner", &table->owner);
	return true;
}

/* Enlarged for one more table. */
static ChatKeyTables *
make_room(ChatKeyTables *tables)
{
	return repalloc(tables,
					offsetof(ChatKeyTables, tables) + sizeof(ChatKeyTable) * (tables->count + 1));
}

/* Reads chat.attachment under the extension's own authority: a plain scan checks no privilege. */
static ChatKeyTables *
read_pairs(ChatKeyTables *tables)
{
	Relation relation = table_open(attachment_relid, AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple row;

	while ((row = systable_getnext(scan)) != NULL)
	{
		tables = make_room(tables);
		if (read_pair(&tables->tables[tables->count], row, RelationGetDescr(relation)))
			tables->count++;
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return tables;
}

/* Leaves each table that keys can be kept in, once. */
static void
describe_all(ChatKeyTables *tables)
{
	int count = 0;
	Oid last = InvalidOid;

	qsort(tables->tables, tables->count, sizeof(ChatKeyTable), compare_tables);
	for (int i = 0; i < tables->count; i++)
	{
		ChatKeyTable *table = &tables->tables[i];
		bool again = table->relid == last;

		last = table->relid;
		if (!again && describe(table))
			tables->tables[count++] = *table;
	}
	tables->count = count;
}

static void
free_plans(void *arg)
{
	ChatKeyTables *tables = arg;

	for (int i = 0; i < tables->count; i++)
	{
		if (tables->tables[i].find_owner)
			SPI_freeplan(tables->tables[i].find_owner);
		if (tables->tables[i].touch)
			SPI_freeplan(tables->tables[i].touch);
	}
}

/* Reads them into memory that frees their plans when it goes. */
static ChatKeyTables *
load_tables(void)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext, "chat_realtime API keys",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	ChatKeyTables *tables = palloc0(offsetof(ChatKeyTables, tables));

	attachment_relid = chat_own_table("attachment");
	tables->context = context;
	tables->generation = generation;
	tables = read_pairs(tables);
	describe_all(tables);
	callback->func = free_plans;
	callback->arg = tables;
	MemoryContextRegisterResetCallback(context, callback);
	MemoryContextSwitchTo(old);
	return tables;
}

ChatKeyTables *
chat_keytables_get(void)
{
	static bool registered = false;
	ChatKeyTables *made;

	if (current != NULL && current->generation == generation)
		return current;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
	}
	registered = true;
	made = load_tables();
	if (current != NULL)
		MemoryContextSetParent(current->context, TopTransactionContext);
	MemoryContextSetParent(made->context, CacheMemoryContext);
	current = made;
	return current;
}

const ChatKeyTable *
chat_keytables_find(Oid relid)
{
	ChatKeyTables *tables = chat_keytables_get();

	for (int i = 0; i < tables->count; i++)
	{
		if (tables->tables[i].relid == relid)
			return &tables->tables[i];
	}
	return NULL;
}

bool
chat_keytables_hold(const ChatKeyTables *tables)
{
	return tables->generation == generation;
}

/* The names of a table's columns by role, as jsonb. */
static Datum
columns_json(const ChatKeyTable *table)
{
	const char *separator = "{";
	StringInfoData json;

	initStringInfo(&json);
	for (int column = 0; column < CHAT_K_COLUMNS; column++)
	{
		if (table->column[column] == 0)
			continue;
		appendStringInfo(&json, "%s\"%s\": ", separator, roles[column]);
		escape_json(&json, table->column_name[column]);
		separator = ", ";
	}
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

Datum
chat_api_key_columns(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ChatKeyTables *tables = chat_keytables_get();

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < tables->count; i++)
	{
		const ChatKeyTable *table = &tables->tables[i];
		Datum values[3] = {ObjectIdGetDatum(table->relid), Int32GetDatum(table->pair),
						   columns_json(table)};
		bool nulls[3] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
