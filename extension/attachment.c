/*
 * Caches of chat.attachment and of table layouts; see attachment.h.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "attachment.h"
#include "key.h"

/* Role names of chat.attachment.columns, and the JSON key of those that clients know by a fixed name. */
static const struct
{
	const char *name;
	const char *json;
} roles[CHAT_ROLES] = {
	[CHAT_C_ID] = {"conversation_id", "id"},
	[CHAT_C_OWNER] = {"owner", NULL},
	[CHAT_C_AGENT] = {"agent", "assignedAgentId"},
	[CHAT_C_BOT] = {"bot", "assignedBotId"},
	[CHAT_C_STATUS] = {"conversation_status", "status"},
	[CHAT_C_UNREAD] = {"unread_count", "unreadCount"},
	[CHAT_C_LAST_AT] = {"last_message_at", "lastMessageAt"},
	[CHAT_C_PREVIEW] = {"last_message_preview", "lastMessagePreview"},
	[CHAT_C_CREATED] = {"conversation_created_at", "createdAt"},
	[CHAT_C_UPDATED] = {"conversation_updated_at", "updatedAt"},
	[CHAT_C_JID] = {"contact_jid", "contactJid"},
	[CHAT_C_NAME] = {"contact_name", "contactName"},
	[CHAT_M_ID] = {"message_id", "id"},
	[CHAT_M_CONVERSATION] = {"conversation", "conversationId"},
	[CHAT_M_DIRECTION] = {"direction", "direction"},
	[CHAT_M_STATUS] = {"status", "status"},
	[CHAT_M_TYPE] = {"type", "messageType"},
	[CHAT_M_CONTENT] = {"content", "content"},
	[CHAT_M_METADATA] = {"metadata", "metadata"},
	[CHAT_M_TIME] = {"time", "timestamp"},
	[CHAT_M_CREATED] = {"created_at", "createdAt"},
	[CHAT_M_UPDATED] = {"updated_at", "updatedAt"},
	[CHAT_M_STATUS_UPDATED] = {"status_updated_at", NULL},
	[CHAT_M_PRIVATE] = {"private", NULL},
	[CHAT_M_DELETED] = {"deleted", NULL},
	[CHAT_M_FILENAME] = {"media_filename", NULL},
};

typedef struct AttachmentEntry
{
	int32		id;				/* hash key */
	bool		valid;
	ChatAttachment *attachment;
} AttachmentEntry;

typedef struct LayoutEntry
{
	Oid			relid;			/* hash key */
	bool		valid;
	ChatLayout *layout;
} LayoutEntry;

static HTAB *attachments;
static HTAB *layouts;
static Oid	attachment_table = InvalidOid;

/* Marks every cached attachment as stale. */
static void
mark_attachments(void)
{
	HASH_SEQ_STATUS scan;
	AttachmentEntry *entry;

	hash_seq_init(&scan, attachments);
	while ((entry = hash_seq_search(&scan)) != NULL)
		entry->valid = false;
}

/* Marks what a change of a table makes stale; InvalidOid means all tables. */
static void
table_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	AttachmentEntry *attached;
	LayoutEntry *layout;

	if (relid == InvalidOid || relid == attachment_table)
	{
		mark_attachments();
		attachment_table = InvalidOid;
	}
	hash_seq_init(&scan, attachments);
	while ((attached = hash_seq_search(&scan)) != NULL)
	{
		if (attached->attachment != NULL && (attached->attachment->conversations == relid ||
											 attached->attachment->messages == relid))
			attached->valid = false;
	}
	hash_seq_init(&scan, layouts);
	while ((layout = hash_seq_search(&scan)) != NULL)
	{
		if (relid == InvalidOid || layout->relid == relid || relid == attachment_table)
			layout->valid = false;
	}
}

/* Makes the caches and registers the invalidation callback, once per backend. */
void
chat_attachment_init(void)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(int32);
	ctl.entrysize = sizeof(AttachmentEntry);
	attachments = hash_create("chat_realtime attachments", 8, &ctl, HASH_ELEM | HASH_BLOBS);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(LayoutEntry);
	layouts = hash_create("chat_realtime layouts", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
}

Oid
chat_own_table(const char *name)
{
	Oid			schema = get_namespace_oid("chat", true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"chat.%s\" does not exist", name),
				 errhint("Run CREATE EXTENSION chat_realtime in this database.")));
	return relid;
}

/* Text of a string member of a jsonb object, or NULL. */
static char *
member_text(Jsonb *object, const char *key)
{
	JsonbValue	found;
	JsonbValue *value = getKeyJsonValueFromContainer(&object->root, key, strlen(key), &found);

	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* Qualified and quoted name of a table that is named by a text such as public.accounts. */
static char *
table_name(const char *text)
{
	RangeVar   *range = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(text)));
	Oid			relid = RangeVarGetRelid(range, NoLock, false);

	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* Reads a mapping of users: {"column": …, "table": …, "key": …, "user": …}. */
static void
read_user_mapping(Jsonb *columns, const char *role, ChatUserMapping *mapping)
{
	JsonbValue	found;
	JsonbValue *value = getKeyJsonValueFromContainer(&columns->root, role, strlen(role), &found);
	Jsonb	   *object;
	char	   *table;

	if (value == NULL || value->type != jbvBinary)
		return;
	object = JsonbValueToJsonb(value);
	mapping->column = member_text(object, "column");
	table = member_text(object, "table");
	if (table == NULL)
		return;
	mapping->table = table_name(table);
	mapping->key = member_text(object, "key");
	mapping->user = member_text(object, "user");
}

/* Fills an attachment from its row of chat.attachment. */
static void
read_attachment(ChatAttachment *attachment, HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	Jsonb	   *columns;

	attachment->conversations = DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull));
	attachment->messages = DatumGetObjectId(SPI_getbinval(row, desc, 3, &isnull));
	columns = DatumGetJsonbP(SPI_getbinval(row, desc, SPI_fnumber(desc, "columns"), &isnull));
	for (int role = 0; role < CHAT_ROLES; role++)
		attachment->column[role] = member_text(columns, roles[role].name);
	read_user_mapping(columns, "owner", &attachment->owner);
	read_user_mapping(columns, "agent", &attachment->agent);
	attachment->column[CHAT_C_OWNER] = attachment->owner.column;
	attachment->column[CHAT_C_AGENT] = attachment->agent.column;
}

/* Type of a column that must exist, by name. */
static Oid
column_type(Oid relid, const char *column)
{
	AttrNumber	attnum = column ? get_attnum(relid, column) : InvalidAttrNumber;

	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of attached table \"%s\" does not exist",
						column ? column : "id", get_rel_name(relid)),
				 errhint("Call chat.attach again, so that it follows the table's columns.")));
	return get_atttype(relid, attnum);
}

/* Reads chat.attachment by id, under the extension's own authority: a plain scan checks no privilege. */
static ChatAttachment *
load_attachment(int32 id, MemoryContext context)
{
	ChatAttachment *attachment = palloc0(sizeof(ChatAttachment));
	Relation	relation = table_open(chat_own_table("attachment"), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	row;
	bool		found = false;

	attachment_table = RelationGetRelid(relation);
	attachment->id = id;
	attachment->context = context;
	while (!found && (row = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		found = DatumGetInt32(SPI_getbinval(row, RelationGetDescr(relation), 1, &isnull)) == id;
		if (found)
			read_attachment(attachment, row, RelationGetDescr(relation));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("chat.attachment has no row %d, but a trigger names it", id),
				 errhint("Call chat.attach for this pair of tables again.")));
	attachment->key_type = column_type(attachment->conversations, attachment->column[CHAT_C_ID]);
	if (!chat_key_type_ok(attachment->key_type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("ids of \"%s\" are neither integers nor uuid",
						get_rel_name(attachment->conversations))));
	attachment->search_path =
		psprintf("pg_catalog, %s, pg_temp",
				 quote_identifier(get_namespace_name(get_rel_namespace(attachment->conversations))));
	return attachment;
}

/* Frees the kept plans of an attachment that goes away. */
static void
free_plans(void *arg)
{
	ChatAttachment *attachment = arg;

	for (int i = 0; i < CHAT_PLANS; i++)
	{
		if (attachment->plans[i] != NULL)
			SPI_freeplan(attachment->plans[i]);
	}
}

/* Lets what a rebuilt cache entry replaces live until the end of the transaction. */
static void
retire(MemoryContext context)
{
	MemoryContextSetParent(context, TopTransactionContext);
}

ChatAttachment *
chat_attachment_get(int32 id)
{
	bool		found;
	AttachmentEntry *entry = hash_search(attachments, &id, HASH_ENTER, &found);
	MemoryContext context,
				old;
	ChatAttachment *attachment;
	MemoryContextCallback *callback;

	if (!found)
	{
		entry->valid = false;
		entry->attachment = NULL;
	}
	if (entry->valid)
		return entry->attachment;

	/* Built below the transaction's memory first: an error on the way leaves nothing behind. */
	context = AllocSetContextCreate(TopTransactionContext, "chat_realtime attachment",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	entry->valid = true;		/* an invalidation that arrives while loading clears it again */
	PG_TRY();
	{
		attachment = load_attachment(id, context);
	}
	PG_CATCH();
	{
		entry->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	callback = palloc0(sizeof(MemoryContextCallback));
	callback->func = free_plans;
	callback->arg = attachment;
	MemoryContextRegisterResetCallback(context, callback);
	MemoryContextSwitchTo(old);
	if (entry->attachment != NULL)
		retire(entry->attachment->context);
	MemoryContextSetParent(context, CacheMemoryContext);
	entry->attachment = attachment;
	return attachment;
}

/* Turns unread_count into unreadCount. */
static char *
camel_case(const char *name)
{
	char	   *result = palloc(strlen(name) + 1);
	char	   *out = result;

	for (const char *in = name; *in != '\0'; in++)
	{
		bool		join = in > name && *in == '_' &&
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
	int			first = messages ? CHAT_M_ID : CHAT_C_ID;
	int			last = messages ? CHAT_ROLES : CHAT_M_ID;

	for (int role = first; role < last; role++)
	{
		if (attachment->column[role] != NULL && strcmp(attachment->column[role], column) == 0)
			return role;
	}
	return CHAT_ROLES;
}

/* Types that no client wants in a payload. */
static bool
type_is_carried(Oid type)
{
	return type != BYTEAOID && type != TSVECTOROID && type != XIDOID && type != OIDOID;
}

/* Fills one JSON field of a layout. */
static void
fill_field(ChatField *field, Form_pg_attribute attribute, int role)
{
	StringInfoData key;
	const char *name = role < CHAT_ROLES ? roles[role].json : NULL;
	bool		varlena;

	initStringInfo(&key);
	escape_json(&key, name ? name : camel_case(NameStr(attribute->attname)));
	appendStringInfoChar(&key, ':');
	field->key = key.data;
	field->attnum = attribute->attnum;
	field->type = attribute->atttypid;
	field->content = role == CHAT_M_CONTENT;
	field->quiet = role == CHAT_C_UPDATED;
	getTypeOutputInfo(attribute->atttypid, &field->output, &varlena);
}

/* True when an earlier field has the same JSON key: a mapped role and a column of that very name. */
static bool
key_is_taken(const ChatLayout *layout, const char *key)
{
	for (int i = 0; i < layout->nfields; i++)
	{
		if (strcmp(layout->fields[i].key, key) == 0)
			return true;
	}
	return false;
}

/* Builds the layout of one table: columns with a role first, so that their JSON keys win. */
static ChatLayout *
build_layout(const ChatAttachment *attachment, Relation relation, bool messages,
			 MemoryContext context)
{
	ChatLayout *layout = palloc0(sizeof(ChatLayout));
	TupleDesc	desc = RelationGetDescr(relation);

	layout->relid = RelationGetRelid(relation);
	layout->context = context;
	layout->fields = palloc0(sizeof(ChatField) * Max(desc->natts, 1));
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute attribute = TupleDescAttr(desc, i);
			ChatField  *field = &layout->fields[layout->nfields];
			int			role;

			if (attribute->attisdropped)
				continue;
			role = role_of_column(attachment, NameStr(attribute->attname), messages);
			if ((role < CHAT_ROLES) != (pass == 0))
				continue;
			if (role < CHAT_ROLES)
			{
				layout->att[role] = attribute->attnum;
				layout->type[role] = attribute->atttypid;
			}
			if (!type_is_carried(attribute->atttypid))
				continue;
			fill_field(field, attribute, role);
			if (!key_is_taken(layout, field->key))
				layout->nfields++;
		}
	}
	return layout;
}

ChatLayout *
chat_layout_get(ChatAttachment *attachment, Relation relation, bool messages)
{
	Oid			relid = RelationGetRelid(relation);
	bool		found;
	LayoutEntry *entry = hash_search(layouts, &relid, HASH_ENTER, &found);
	MemoryContext context,
				old;
	ChatLayout *layout;

	if (!found)
	{
		entry->valid = false;
		entry->layout = NULL;
	}
	if (entry->valid)
		return entry->layout;
	context = AllocSetContextCreate(TopTransactionContext, "chat_realtime layout",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	layout = build_layout(attachment, relation, messages, context);
	MemoryContextSwitchTo(old);
	if (entry->layout != NULL)
		retire(entry->layout->context);
	MemoryContextSetParent(context, CacheMemoryContext);
	entry->layout = layout;
	entry->valid = true;
	return layout;
}

PG_FUNCTION_INFO_V1(chat_attachment_changed);

/* Statement trigger on chat.attachment: every backend is to read it again. */
Datum
chat_attachment_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("chat.attachment_changed must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	PG_RETURN_POINTER(NULL);
}
