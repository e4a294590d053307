/*
 * Events of a flush; see emit.h. Rows become events in the order they came; the conversations whose counters
 * changed follow, in id order.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/spi.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "emit.h"
#include "event_log.h"
#include "payload.h"
#include "plans.h"
#include "row.h"
#include "settings.h"

TupleTableSlot *
chat_reader_fetch(ChatReader *reader, ChatAttachment *attachment, Oid relid, ItemPointerData tid,
				  bool messages)
{
	if (reader->relation != NULL && RelationGetRelid(reader->relation) != relid)
		chat_reader_close(reader);
	if (reader->relation == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(reader->context);

		/* The statement that wrote the row holds the table's lock. */
		reader->relation = table_open(relid, NoLock);
		reader->slot = table_slot_create(reader->relation, NULL);
		reader->layout = chat_layout_get(attachment, reader->relation, messages);
		MemoryContextSwitchTo(old);
	}
	if (!TTS_EMPTY(reader->slot) && ItemPointerEquals(&reader->tid, &tid))
		return reader->slot;
	if (!table_tuple_fetch_row_version(reader->relation, &tid, SnapshotAny, reader->slot))
		elog(ERROR, "a row version of \"%s\" vanished before its statement ended",
			 RelationGetRelationName(reader->relation));
	reader->tid = tid;
	return reader->slot;
}

void
chat_reader_close(ChatReader *reader)
{
	if (reader->relation == NULL)
		return;
	ExecDropSingleTupleTableSlot(reader->slot);
	table_close(reader->relation, NoLock);
	reader->relation = NULL;
}

/* A conversation's id as text. */
static char *
key_text(const ChatConversation *conversation)
{
	Oid type = conversation->attachment->key_type;

	return chat_datum_text(chat_key_to_datum(conversation->key, type), false, type);
}

/* Writes one event whose payload is in buf. */
static void
add_event(ChatLog *log, const char *topic, const char *name, const char *webhook,
		  const ChatConversation *conversation, const char *key, Datum changes, StringInfo payload)
{
	ChatEvent event = {
		.topic = topic,
		.event = name,
		.owner = conversation->owner,
		.conversation = key,
		.webhook = chat_import ? NULL : webhook,
		.changes = changes,
		.payload = payload->data,
		.payload_length = payload->len,
	};

	(void) chat_log_add(log, &event);
}

/* Events of one message row. */
static void
emit_message(ChatLog *log, ChatFlush *flush, const ChatPending *row,
			 const ChatConversation *conversation)
{
	TupleTableSlot *slot =
		chat_reader_fetch(&flush->reader, conversation->attachment, row->relid, row->tid, true);
	char *key = key_text(conversation);
	char *topic = psprintf("conversation:%s", key);
	/* A private note is for those who work in the conversation: it goes to no webhook. */
	bool note = chat_row_is_set(slot, flush->reader.layout, CHAT_M_PRIVATE);
	StringInfoData payload;

	initStringInfo(&payload);
	if (row->flags & (CHAT_MESSAGE_NEW | CHAT_MESSAGE_UPDATED | CHAT_MESSAGE_DELETED))
		chat_payload_row(&payload, flush->reader.layout, slot);
	if (row->flags & CHAT_MESSAGE_NEW)
		add_event(log, topic, "message.new",
				  note                         ? NULL
				  : row->flags & CHAT_INCOMING ? "message.received"
											   : "message.sent",
				  conversation, key, (Datum) 0, &payload);
	if (row->flags & CHAT_MESSAGE_UPDATED)
		add_event(log, topic, "message.updated", note ? NULL : "message.updated", conversation, key,
				  (Datum) 0, &payload);
	if (row->flags & CHAT_MESSAGE_STATUS)
	{
		StringInfoData status;

		initStringInfo(&status);
		chat_payload_status(&status, flush->reader.layout, slot);
		add_event(log, topic, "message.status", note ? NULL : "message.status", conversation, key,
				  (Datum) 0, &status);
	}
	if (row->flags & CHAT_MESSAGE_DELETED)
		add_event(log, topic, "message.deleted", note ? NULL : "message.deleted", conversation, key,
				  (Datum) 0, &payload);
}

/* The user id behind a conversation's owner or agent column, or NULL. */
static char *
user_of(ChatAttachment *attachment, const ChatUserMapping *mapping, ChatPlan plan, ChatRole role,
		const ChatLayout *layout, TupleTableSlot *slot)
{
	bool isnull;
	Datum value;
	char *user;

	if (mapping->column == NULL || layout->att[role] == 0)
		return NULL;
	value = slot_getattr(slot, layout->att[role], &isnull);
	if (isnull || mapping->table == NULL)
		return chat_datum_text(value, isnull, layout->type[role]);
	(void) chat_plan_run(attachment, plan, &value, NULL);
	user = chat_plan_text(1);
	SPI_freetuptable(SPI_tuptable);
	return user;
}

char *
chat_emit_owner(ChatAttachment *attachment, const ChatLayout *layout, TupleTableSlot *slot)
{
	return user_of(attachment, &attachment->owner, CHAT_PLAN_OWNER, CHAT_C_OWNER, layout, slot);
}

/* Writes an event of a conversation to its owner's inbox. */
static void
add_inbox_event(ChatLog *log, const char *user, const char *name, const char *webhook,
				const ChatConversation *conversation, Datum changes, StringInfo payload)
{
	if (user == NULL)
		return; /* nobody owns it: no inbox to send it to */
	add_event(log, psprintf("user:%s:inbox", user), name, webhook, conversation,
			  key_text(conversation), changes, payload);
}

/* Copies an assignment to the inbox of the newly assigned agent. */
static void
copy_to_agent(ChatLog *log, ChatFlush *flush, const ChatConversation *conversation,
			  TupleTableSlot *slot, Datum changes, StringInfo payload)
{
	ChatAttachment *attachment = conversation->attachment;
	char *agent = user_of(attachment, &attachment->agent, CHAT_PLAN_AGENT, CHAT_C_AGENT,
						  flush->reader.layout, slot);

	if (agent == NULL || (conversation->owner != NULL && strcmp(agent, conversation->owner) == 0))
		return;
	add_inbox_event(log, agent, "conversation.assigned", NULL, conversation, changes, payload);
}

/* Events of one conversation row. */
static void
emit_conversation(ChatLog *log, ChatFlush *flush, const ChatPending *row,
				  ChatConversation *conversation)
{
	ChatAttachment *attachment = conversation->attachment;
	TupleTableSlot *slot =
		chat_reader_fetch(&flush->reader, attachment, row->relid, row->tid, false);
	Datum changes = row->changes == NULL
						? (Datum) 0
						: DirectFunctionCall1(jsonb_in, CStringGetDatum(row->changes));
	char *owner;
	StringInfoData payload;

	owner = chat_emit_owner(attachment, flush->reader.layout, slot);
	conversation->owner = owner ? MemoryContextStrdup(flush->reader.context, owner) : NULL;
	initStringInfo(&payload);
	chat_payload_row(&payload, flush->reader.layout, slot);
	if (row->flags & CHAT_CONVERSATION_NEW)
		add_inbox_event(log, conversation->owner, "conversation.new", "conversation.created",
						conversation, (Datum) 0, &payload);
	if (row->flags & CHAT_CONVERSATION_UPDATED)
		add_inbox_event(log, conversation->owner, "conversation.updated", "conversation.updated",
						conversation, changes, &payload);
	if (row->flags & CHAT_CONVERSATION_ASSIGNED)
		add_inbox_event(log, conversation->owner, "conversation.assigned", "conversation.assigned",
						conversation, changes, &payload);
	if (row->flags & CHAT_CONVERSATION_AGENT)
		copy_to_agent(log, flush, conversation, slot, changes, &payload);
}

/* conversation.updated of a conversation whose counters or last message changed. */
static void
emit_counters(ChatLog *log, ChatFlush *flush, ChatConversation *conversation)
{
	const ChatTable *table = &flush->table;
	StringInfoData payload;

	if (conversation->owner == NULL)
		return; /* nobody owns it: no inbox to send it to */
	initStringInfo(&payload);
	if (table->attachment == conversation->attachment &&
		ItemPointerEquals(&table->latest->tts_tid, &conversation->tid))
		chat_payload_row(&payload, table->layout, table->latest); /* it was the last one written */
	else
	{
		TupleTableSlot *slot =
			chat_reader_fetch(&flush->reader, conversation->attachment,
							  conversation->attachment->conversations, conversation->tid, false);

		chat_payload_row(&payload, flush->reader.layout, slot);
	}
	add_inbox_event(log, conversation->owner, "conversation.updated", "conversation.updated",
					conversation, (Datum) 0, &payload);
}

int
chat_emit_flush(ChatFlush *flush)
{
	ChatLog *log = chat_log_begin();
	MemoryContext per_row =
		AllocSetContextCreate(CurrentMemoryContext, "chat_realtime event", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = CurrentMemoryContext;
	int changed = 0;

	for (int i = 0; i < flush->nrows; i++)
	{
		const ChatPending *row = &flush->rows[i];
		ChatConversation *conversation = &flush->conversations[flush->conversation_of[i]];

		MemoryContextSwitchTo(per_row);
		if ((row->flags & CHAT_MESSAGE_EVENTS) && !chat_import)
			emit_message(log, flush, row, conversation);
		if (row->flags & CHAT_CONVERSATION_EVENTS)
			emit_conversation(log, flush, row, conversation);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);
	}
	for (int i = 0; i < flush->nconversations; i++)
	{
		if (!flush->conversations[i].changed)
			continue;
		MemoryContextSwitchTo(per_row);
		emit_counters(log, flush, &flush->conversations[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);
		changed++;
	}
	chat_log_end(log);
	return changed;
}
