/*
 * Layouts of attached tables: which column has which role, which JSON field each becomes, and what an UPDATE of a
 * conversation's counters would reach. See layout.h.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "optimizer/optimizer.h"
#include "rewrite/prs2lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "indexes.h"
#include "layout.h"
#include "list_key.h"
#include "names.h"
#include "owner.h"

PG_FUNCTION_INFO_V1(chat_columns_left_out);

typedef struct LayoutEntry
{
	Oid relid; /* hash key */
	bool valid;
	uint64 changes; /* how often it was marked as stale */
	ChatLayout *layout;
} LayoutEntry;

static HTAB *layouts;

/* Turns unread_count into unreadCount. */
static char *
camel_case(const char *name)
{
	char *result = palloc(strlen(name) + 1);
	char *out = result;

	for (const char *in = name; *in != '\0'; in++)
	{
		bool join = in > name && *in == '_' &&
					((in[1] >= 'a' && in[1] <= 'z') || (in[1] >= '0' && in[1] <= '9'));

		if (join)
			*out++ = pg_ascii_toupper((unsigned char) *++in);
		else
			*out++ = *in;
	}
	*out = '\0';
	return result;
}

/* Which role a column has, or CHAT_ROLES. */
static int
role_of_column(const ChatAttachment *attachment, const char *column, bool messages)
{
	int first = messages ? CHAT_M_ID : CHAT_C_ID;
	int last = messages ? CHAT_ROLES : CHAT_M_ID;

	for (int role = first; role < last; role++)
	{
		if (attachment->column[role] != NULL && strcmp(attachment->column[role], column) == 0)
			return role;
	}
	return CHAT_ROLES;
}

/* True for types whose text depends on settings such as TimeZone, DateStyle or extra_float_digits, or may do. */
static bool
type_prints_by_settings(Oid type)
{
	Oid element = get_base_element_type(type);

	switch (OidIsValid(element) ? element : type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case JSONOID:
		case JSONBOID:
		case UUIDOID:
			return false;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return OidIsValid(element); /* a single one is printed without them */
		default:
			return !type_is_enum(OidIsValid(element) ? element : type);
	}
}

/* Notes what a column's type is made of, itself included, as far as it is not the server's own and can change. */
static void
watch_type(ChatLayout *layout, Oid type)
{
	while (type >= FirstNormalObjectId)
	{
		HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		Form_pg_type form;

		if (!HeapTupleIsValid(tuple))
			return;
		layout->types =
			lappend_int(layout->types, GetSysCacheHashValue1(TYPEOID, ObjectIdGetDatum(type)));
		form = (Form_pg_type) GETSTRUCT(tuple);
		layout->domains |= form->typtype == TYPTYPE_DOMAIN;
		type = form->typtype == TYPTYPE_DOMAIN ? form->typbasetype : form->typelem;
		ReleaseSysCache(tuple);
	}
}

/* Types that no client wants in a payload. */
static bool
type_is_carried(Oid type)
{
	return type != BYTEAOID && type != TSVECTOROID && type != XIDOID && type != OIDOID;
}

/* True when the flush can read and write a column of this type for a role; other columns are only carried. */
static bool
role_type_ok(ChatRole role, Oid type)
{
	switch (role)
	{
		case CHAT_C_UNREAD:
			return type == INT8OID || type == INT4OID || type == INT2OID;
		case CHAT_C_LAST_AT:
		case CHAT_C_UPDATED:
		case CHAT_M_TIME:
		case CHAT_M_CREATED:
		case CHAT_M_UPDATED:
		case CHAT_M_STATUS_UPDATED:
			return type == TIMESTAMPTZOID || type == TIMESTAMPOID;
		case CHAT_C_LIST_KEY:
			return type == INT8OID;
		case CHAT_C_PREVIEW:
			return type == TEXTOID || type == VARCHAROID;
		default:
			return true;
	}
}

void
chat_field_type(ChatField *field, Oid type, MemoryContext context)
{
	Oid output;

	field->type = type;
	field->element = get_base_element_type(type);
	getTypeOutputInfo(type, &output, &field->varlena);
	fmgr_info_cxt(output, &field->output, context);
}

/* Fills one JSON field of a layout. */
static void
fill_field(ChatField *field, Form_pg_attribute attribute, int role, MemoryContext context)
{
	StringInfoData key;
	const char *name = role < CHAT_ROLES ? chat_roles[role].json : NULL;

	initStringInfo(&key);
	appendStringInfoChar(&key, ',');
	escape_json(&key, name ? name : camel_case(NameStr(attribute->attname)));
	appendStringInfoChar(&key, ':');
	field->key_length = key.len;
	appendStringInfoString(&key, "null");
	field->null_length = key.len;
	field->key = key.data;
	field->relid = attribute->attrelid;
	field->attnum = attribute->attnum;
	field->content = role == CHAT_M_CONTENT;
	field->quiet = role == CHAT_C_UPDATED;
	chat_field_type(field, getBaseType(attribute->atttypid), context);
}

/*
 * True when an earlier field has the same JSON key, as a mapped role and a column of that very name have, or created_at
 * and "createdAt"; or when it is the mark of a message's content that was cut.
 */
static bool
key_is_taken(const ChatLayout *layout, const char *key)
{
	if (layout->messages && strcmp(key, ",\"contentTruncated\":null") == 0)
		return true;
	for (int i = 0; i < layout->nfields; i++)
	{
		if (strcmp(layout->fields[i].key, key) == 0)
			return true;
	}
	return false;
}

/* Notes the column of a role. */
static void
take_role(ChatLayout *layout, ChatRole role, Form_pg_attribute attribute)
{
	int32 typmod = attribute->atttypmod;

	layout->att[role] = attribute->attnum;
	layout->type[role] = getBaseTypeAndTypmod(attribute->atttypid, &typmod);
	layout->typmod[role] = typmod;
}

static int
compare_keys(const void *a, const void *b)
{
	const ChatField *x = *(const ChatField *const *) a, *y = *(const ChatField *const *) b;

	return x->key_length != y->key_length ? x->key_length - y->key_length
										  : memcmp(x->key, y->key, x->key_length);
}

/* What is to be read as jsonb is written in its order: sorting costs little then. */
static void
sort_fields(ChatLayout *layout)
{
	layout->by_key = palloc(sizeof(ChatField *) * Max(layout->nfields, 1));
	for (int i = 0; i < layout->nfields; i++)
		layout->by_key[i] = &layout->fields[i];
	qsort(layout->by_key, layout->nfields, sizeof(ChatField *), compare_keys);
}

/* Builds the layout of one table: columns with a role of the triggers' first, so that their JSON keys win. */
static ChatLayout *
build_fields(const ChatAttachment *attachment, Oid relid, TupleDesc desc, bool messages,
			 MemoryContext context)
{
	ChatLayout *layout = palloc0(sizeof(ChatLayout));

	layout->attachment = attachment->id;
	layout->messages = messages;
	layout->relid = relid;
	layout->context = context;
	layout->max_content_bytes = attachment->settings.max_content_bytes;
	layout->fields = palloc0(sizeof(ChatField) * Max(desc->natts, 1));
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute attribute = TupleDescAttr(desc, i);
			ChatField *field = &layout->fields[layout->nfields];
			Oid type = attribute->attisdropped ? InvalidOid : getBaseType(attribute->atttypid);
			int role;

			if (attribute->attisdropped || chat_is_virtual(attribute))
				continue;
			if (pass == 0)
				watch_type(layout, attribute->atttypid);
			role = role_of_column(attachment, NameStr(attribute->attname), messages);
			if ((role < CHAT_ROLES && !(chat_roles[role].flags & CHAT_API)) != (pass == 0))
				continue;
			if (role < CHAT_ROLES && role_type_ok(role, type))
				take_role(layout, role, attribute);
			if (!type_is_carried(type) || role == CHAT_C_LIST_KEY)
				continue;
			fill_field(field, attribute, role, context);
			if (key_is_taken(layout, field->key))
				continue;
			layout->nfields++;
			layout->by_settings |= type_prints_by_settings(type);
		}
	}
	sort_fields(layout);
	return layout;
}

/* True for triggers that an UPDATE of counters fires and that are neither ours nor a foreign key's. */
static bool
trigger_is_foreign(const Trigger *trigger)
{
	return !trigger->tgisinternal && (trigger->tgtype & TRIGGER_TYPE_UPDATE) != 0 &&
		   strncmp(trigger->tgname, "zz_chat_realtime_", strlen("zz_chat_realtime_")) != 0 &&
		   strncmp(trigger->tgname, "00_chat_realtime_", strlen("00_chat_realtime_")) != 0;
}

/* True when an UPDATE of counters fires such a trigger. Looks nothing up: trigdesc goes with the next invalidation. */
static bool
has_foreign_trigger(Relation relation)
{
	const TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (trigger_is_foreign(&triggers->triggers[i]))
			return true;
	}
	return false;
}

/* True when a rule does something else beside each UPDATE of counters. */
static bool
has_rule(Relation relation)
{
	const RuleLock *rules = relation->rd_rules;

	for (int i = 0; rules != NULL && i < rules->numLocks; i++)
	{
		if (rules->rules[i]->event == CMD_UPDATE && !rules->rules[i]->isInstead)
			return true;
	}
	return false;
}

/* Columns that the flush writes. */
static const ChatRole kept[] = {CHAT_C_UNREAD, CHAT_C_LAST_AT, CHAT_C_PREVIEW, CHAT_C_UPDATED,
								CHAT_C_LIST_KEY};

/* True when the type of one of them is a domain, which has a say in what it holds. */
static bool
is_domain_kept(const ChatLayout *layout, TupleDesc desc)
{
	for (int i = 0; i < (int) lengthof(kept); i++)
	{
		AttrNumber attnum = layout->att[kept[i]];

		if (attnum != 0 && TupleDescAttr(desc, attnum - 1)->atttypid != layout->type[kept[i]])
			return true;
	}
	return false;
}

/* True when rows of other tables may refer to one of them, or it refers to such: that is kept by triggers, too. */
static bool
is_key_kept(const ChatLayout *layout, Relation relation)
{
	Bitmapset *keys = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_KEY);
	ListCell *cell;

	foreach (cell, RelationGetFKeyList(relation))
	{
		const ForeignKeyCacheInfo *foreign = lfirst(cell);

		for (int i = 0; i < foreign->nkeys; i++)
			keys = bms_add_member(keys, foreign->conkey[i] - FirstLowInvalidHeapAttributeNumber);
	}
	for (int i = 0; i < (int) lengthof(kept); i++)
	{
		if (bms_is_member(layout->att[kept[i]] - FirstLowInvalidHeapAttributeNumber, keys))
			return true;
	}
	return false;
}

/* True when a CHECK constraint reads one of them. */
static bool
check_reads_kept(const ChatLayout *layout, const TupleConstr *constraints)
{
	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		Bitmapset *columns = NULL;

		pull_varattnos(stringToNode(constraints->check[i].ccbin), 1, &columns);
		for (int k = 0; k < (int) lengthof(kept); k++)
		{
			if (bms_is_member(layout->att[kept[k]] - FirstLowInvalidHeapAttributeNumber, columns))
				return true;
		}
	}
	return false;
}

/* Declared length of a varchar column in characters, or -1. */
static int
column_length(const ChatLayout *layout, ChatRole role)
{
	if (layout->att[role] == 0 || layout->typmod[role] <= (int32) VARHDRSZ)
		return -1;
	return layout->typmod[role] - (int32) VARHDRSZ;
}

/* What writing counters into a conversations table has to know of it. */
static void
examine_conversations(ChatLayout *layout, Relation relation, TupleDesc desc)
{
	const TupleConstr *constraints = desc->constr;

	layout->key_index = chat_primary_key(relation);
	layout->list_index = chat_list_key_index(relation, layout->att[CHAT_C_OWNER],
											 layout->att[CHAT_C_LIST_KEY], layout->att[CHAT_C_ID]);
	layout->plain = relation->rd_rel->relkind == RELKIND_RELATION &&
					!has_foreign_trigger(relation) && !has_rule(relation) &&
					!is_domain_kept(layout, desc) && !is_key_kept(layout, relation) &&
					!(constraints != NULL && constraints->has_generated_stored) &&
					!check_reads_kept(layout, constraints) && chat_indexes_plain(relation);
	layout->preview_chars = column_length(layout, CHAT_C_PREVIEW);
	for (int role = CHAT_C_LAST_AT; role <= CHAT_C_PREVIEW; role++)
		layout->not_null[role] =
			layout->att[role] != 0 && TupleDescAttr(desc, layout->att[role] - 1)->attnotnull;
}

AttrNumber
chat_only_column(Node *condition)
{
	Bitmapset *columns = NULL;
	int column;

	pull_varattnos(condition, 1, &columns);
	return bms_get_singleton_member(columns, &column) ? column + FirstLowInvalidHeapAttributeNumber
													  : InvalidAttrNumber;
}

static bool
has_own_check(const TupleConstr *constraints, AttrNumber attnum)
{
	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		if (chat_only_column(stringToNode(constraints->check[i].ccbin)) == attnum)
			return true;
	}
	return false;
}

bool
chat_word_is_ruled(TupleDesc desc, AttrNumber attnum)
{
	Oid type = TupleDescAttr(desc, attnum - 1)->atttypid;
	Oid base = getBaseType(type);

	return type_is_enum(base) || (type != base && DomainHasConstraints(type)) ||
		   has_own_check(desc->constr, attnum);
}

/* Finds out which words the table itself rules. */
static void
examine_words(ChatLayout *layout, TupleDesc desc)
{
	static const ChatRole words[] = {CHAT_C_STATUS, CHAT_M_DIRECTION, CHAT_M_STATUS, CHAT_M_TYPE,
									 CHAT_M_SENDER_TYPE};

	for (int i = 0; i < (int) lengthof(words); i++)
	{
		AttrNumber attnum = layout->att[words[i]];

		layout->own_rule[words[i]] = attnum == 0 || chat_word_is_ruled(desc, attnum);
	}
}

typedef struct BuildCall
{
	const ChatAttachment *attachment;
	Relation relation;
	bool messages;
	MemoryContext context;
	ChatLayout *layout;
} BuildCall;

static void
build(void *arg)
{
	BuildCall *call = arg;
	TupleDesc desc = CreateTupleDescCopyConstr(RelationGetDescr(call->relation));

	call->layout = build_fields(call->attachment, RelationGetRelid(call->relation), desc,
								call->messages, call->context);
	examine_words(call->layout, desc);
	if (!call->messages)
		examine_conversations(call->layout, call->relation, desc);
	FreeTupleDesc(desc);
}

/* True for the pair's own table, and for a partition of its messages. */
static bool
is_served(const ChatAttachment *attachment, Relation relation, bool messages)
{
	Oid relid = RelationGetRelid(relation);

	if (!messages)
		return relid == attachment->conversations;
	return relid == attachment->messages ||
		   (relation->rd_rel->relispartition &&
			list_member_oid(get_partition_ancestors(relid), attachment->messages));
}

/*
 * A trigger knows its pair by a number, which a copy of the table has, too: one that was restored beside the live tables, or
 * came from another database. Its rows must not reach conversations that are not its own.
 */
static void
require_served(const ChatAttachment *attachment, Relation relation, bool messages)
{
	Oid relid = RelationGetRelid(relation);

	if (is_served(attachment, relation, messages))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a trigger of table %s belongs to another pair of tables, %s and %s",
					chat_name_of(relid), chat_name_of(attachment->conversations),
					chat_name_of(attachment->messages)),
			 errdetail("Table and trigger were copied, or the table was a partition."),
			 errhint("Call chat.attach for the pair that the table is of, or drop its triggers of "
					 "chat_realtime: chat.status() names them.")));
}

/* What is constant in constraints and indexes is evaluated when they are looked at. */
static ChatLayout *
build_layout(const ChatAttachment *attachment, Relation relation, bool messages,
			 MemoryContext context)
{
	BuildCall call = {attachment, relation, messages, context, NULL};

	require_served(attachment, relation, messages);
	chat_as_owner(RelationGetRelid(relation), true, build, &call);
	return call.layout;
}

void
chat_layout_forget(Oid relid)
{
	HASH_SEQ_STATUS scan;
	LayoutEntry *entry;

	hash_seq_init(&scan, layouts);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (relid != InvalidOid && entry->relid != relid)
			continue;
		entry->valid = false;
		entry->changes++;
	}
}

/* A column's type may have changed its own. A constraint's domain is not said. 0: anything may have changed. */
static bool
depends_on(const ChatLayout *layout, int cache, uint32 hash)
{
	return hash == 0 ||
		   (cache == TYPEOID ? list_member_int(layout->types, (int) hash) : layout->domains);
}

/* A domain's constraints are rules of the columns that have it. Tables of others are none of a layout's business. */
static void
type_changed(Datum arg, int cache, uint32 hash)
{
	HASH_SEQ_STATUS scan;
	LayoutEntry *entry;

	hash_seq_init(&scan, layouts);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->valid && !depends_on(entry->layout, cache, hash))
			continue;
		entry->valid = false;
		entry->changes++;
	}
}

/* What is stale goes with the transaction, also of tables that are written to no more. */
static void
retire_stale(void)
{
	HASH_SEQ_STATUS scan;
	LayoutEntry *entry;

	hash_seq_init(&scan, layouts);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->valid || entry->layout == NULL)
			continue;
		chat_attachment_retire(entry->layout->context);
		entry->layout = NULL;
	}
}

void
chat_layout_init(void)
{
	HASHCTL ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(LayoutEntry);
	layouts = hash_create("chat_realtime layouts", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(TYPEOID, type_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(CONSTROID, type_changed, (Datum) 0);
}

ChatLayout *
chat_layout_get(ChatAttachment *attachment, Relation relation, bool messages)
{
	Oid relid = RelationGetRelid(relation);
	bool found;
	LayoutEntry *entry = hash_search(layouts, &relid, HASH_ENTER, &found);
	MemoryContext context, old;
	ChatLayout *layout;
	uint64 changes;

	if (!found)
	{
		entry->valid = false;
		entry->changes = 0;
		entry->layout = NULL;
	}
	if (entry->valid && entry->layout->attachment == attachment->id &&
		entry->layout->messages == messages)
		return entry->layout;
	retire_stale();
	context =
		AllocSetContextCreate(TopTransactionContext, "chat_realtime layout", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	/* Runs code of the table's owner, who may write to the table meanwhile: until it is built there is none. */
	entry->valid = false;
	changes = entry->changes;
	layout = build_layout(attachment, relation, messages, context);
	MemoryContextSwitchTo(old);
	if (entry->layout != NULL)
		chat_attachment_retire(entry->layout->context);
	MemoryContextSetParent(context, CacheMemoryContext);
	entry->layout = layout;
	entry->valid = entry->changes == changes;
	return layout;
}

ChatLayout *
chat_layout_kept(Oid relid)
{
	LayoutEntry *entry = hash_search(layouts, &relid, HASH_FIND, NULL);

	return entry != NULL && entry->valid ? entry->layout : NULL;
}

static bool
has_field(const ChatLayout *layout, AttrNumber attnum)
{
	for (int i = 0; i < layout->nfields; i++)
	{
		if (layout->fields[i].attnum == attnum)
			return true;
	}
	return false;
}

/* SQL: chat.columns_left_out(attachment, relation) */
Datum
chat_columns_left_out(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = chat_attachment_get(PG_GETARG_INT32(0));
	Relation relation = table_open(PG_GETARG_OID(1), AccessShareLock);
	TupleDesc desc = RelationGetDescr(relation);
	ChatLayout *layout = build_layout(
		attachment, relation, PG_GETARG_OID(1) == attachment->messages, CurrentMemoryContext);
	ArrayBuildState *names = initArrayResult(TEXTOID, CurrentMemoryContext, false);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && !chat_is_virtual(attribute) &&
			type_is_carried(getBaseType(attribute->atttypid)) &&
			attribute->attnum != layout->att[CHAT_C_LIST_KEY] &&
			!has_field(layout, attribute->attnum))
			names = accumArrayResult(names, CStringGetTextDatum(NameStr(attribute->attname)), false,
									 TEXTOID, CurrentMemoryContext);
	}
	table_close(relation, AccessShareLock);
	PG_RETURN_DATUM(makeArrayResult(names, CurrentMemoryContext));
}
