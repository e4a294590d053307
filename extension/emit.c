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
		  const ChatConversation *conversation, const char *key, Datum changes, const char *rights,
		  StringInfo payload)
{
	ChatEvent event = {
		.topic = topic,
		.event = name,
		.owner = conversation->owner,
		.conversation = key,
		.webhook = chat_import ? NULL : webhook,
		.changes = changes,
		.rights = rights,
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
				  conversation, key, (Datum) 0, NULL, &payload);
	if (row->flags & CHAT_MESSAGE_UPDATED)
		add_event(log, topic, "message.updated", note ? NULL : "message.updated", conversation, key,
				  (Datum) 0, NULL, &payload);
	if (row->flags & CHAT_MESSAGE_STATUS)
	{
		StringInfoData status;

		initStringInfo(&status);
		chat_payload_status(&status, flush->reader.layout, slot);
		add_event(log, topic, "message.status", note ? NULL : "message.status", conversation, key,
				  (Datum) 0, NULL, &status);
	}
	if (row->flags & CHAT_MESSAGE_DELETED)
		add_event(log, topic, "message.deleted", note ? NULL : "message.deleted", conversation, key,
				  (Datum) 0, NULL, &payload);
}

/* The user id behind a value of an owner or agent column, or NULL. */
static char *
user_behind(ChatAttachment *attachment, const ChatUserMapping *mapping, ChatPlan plan, Oid type,
			Datum value)
{
	char *user;

	if (mapping->table == NULL)
		return chat_datum_text(value, false, type);
	(void) chat_plan_run(attachment, plan, &value, NULL);
	user = chat_plan_text(1);
	SPI_freetuptable(SPI_tuptable);
	return user;
}

char *
chat_emit_owner(ChatAttachment *attachment, const ChatLayout *layout, TupleTableSlot *slot)
{
	bool isnull;
	Datum value;

	if (attachment->owner.column == NULL || layout->att[CHAT_C_OWNER] == 0)
		return NULL;
	value = slot_getattr(slot, layout->att[CHAT_C_OWNER], &isnull);
	return isnull ? NULL
				  : user_behind(attachment, &attachment->owner, CHAT_PLAN_OWNER,
								layout->type[CHAT_C_OWNER], value);
}

/* The user behind what an agent column holds, or held. */
static char *
agent_behind(ChatAttachment *attachment, const ChatLayout *layout, Datum value)
{
	return user_behind(attachment, &attachment->agent, CHAT_PLAN_AGENT, layout->type[CHAT_C_AGENT],
					   value);
}

char *
chat_emit_agent(ChatAttachment *attachment, const ChatLayout *layout, TupleTableSlot *slot)
{
	bool isnull;
	Datum value;

	if (attachment->agent.column == NULL || layout->att[CHAT_C_AGENT] == 0)
		return NULL;
	value = slot_getattr(slot, layout->att[CHAT_C_AGENT], &isnull);
	return isnull ? NULL : agent_behind(attachment, layout, value);
}

static bool
same_user(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* One change of a conversation, as it is told to each inbox. */
typedef struct Telling
{
	ChatLog *log;
	const ChatConversation *conversation;
	const char *key;
	Datum changes;
	const char *rights; /* noted with the first row that is written, for all of them */
	StringInfo payload;
} Telling;

static void
tell(Telling *telling, const char *topic, const char *name, const char *webhook)
{
	add_event(telling->log, topic, name, webhook, telling->conversation, telling->key,
			  telling->changes, telling->rights, telling->payload);
	telling->rights = NULL;
}

/* Tells a user; nobody is no user. Webhooks are the owner's: copies for others go to none. */
static void
tell_user(Telling *telling, const char *user, const char *name, const char *webhook)
{
	if (user != NULL)
		tell(telling, psprintf("user:%s:inbox", user), name, webhook);
}

/* Tells the owner, and the agent when that is somebody else. */
static void
tell_both(Telling *telling, const char *agent, const char *name, const char *webhook)
{
	const char *owner = telling->conversation->owner;

	tell_user(telling, owner, name, webhook);
	if (!same_user(agent, owner))
		tell_user(telling, agent, name, NULL);
}

/* Tells whom an assignment concerns: the owner, who has got it, and from whom it is taken. */
static void
tell_assigned(Telling *telling, const char *agent, const char *previous)
{
	const char *owner = telling->conversation->owner;

	tell_both(telling, agent, "conversation.assigned", "conversation.assigned");
	if (!same_user(previous, owner) && !same_user(previous, agent))
		tell_user(telling, previous, "conversation.assigned", NULL);
}

/* Events of one conversation row. */
static void
emit_conversation(ChatLog *log, ChatFlush *flush, const ChatPending *row,
				  ChatConversation *conversation)
{
	ChatAttachment *attachment = conversation->attachment;
	const ChatChanges *changes = row->changes;
	TupleTableSlot *slot =
		chat_reader_fetch(&flush->reader, attachment, row->relid, row->tid, false);
	ChatLayout *layout = flush->reader.layout;
	char *owner = chat_emit_owner(attachment, layout, slot);
	char *agent = chat_emit_agent(attachment, layout, slot);
	StringInfoData payload;
	Telling telling = {log, conversation, key_text(conversation), (Datum) 0, NULL, &payload};

	conversation->owner = owner ? MemoryContextStrdup(flush->reader.context, owner) : NULL;
	if (changes != NULL)
		telling.changes = DirectFunctionCall1(jsonb_in, CStringGetDatum(changes->json));
	if (row->flags & CHAT_CONVERSATION_RIGHTS)
		telling.rights = telling.key;
	initStringInfo(&payload);
	if (row->flags & CHAT_CONVERSATION_DELETED)
		chat_payload_id(&payload, layout, slot);
	else
		chat_payload_row(&payload, layout, slot);
	if (row->flags & CHAT_CONVERSATION_DELETED)
		tell_both(&telling, agent, "conversation.deleted", NULL);
	if (row->flags & CHAT_CONVERSATION_NEW)
		tell_both(&telling, agent, "conversation.new", "conversation.created");
	if (row->flags & CHAT_CONVERSATION_UPDATED)
		tell_both(&telling, agent, "conversation.updated", "conversation.updated");
	if (row->flags & CHAT_CONVERSATION_AGENT)
		tell_assigned(&telling, agent,
					  changes->had_agent ? agent_behind(attachment, layout, changes->old_agent)
										 : NULL);
	else if (row->flags & CHAT_CONVERSATION_ASSIGNED)
		tell_user(&telling, conversation->owner, "conversation.assigned", "conversation.assigned");
	if (telling.rights != NULL)
	{
		/* No inbox to send it to: a row where nobody may listen says whose rights changed. */
		resetStringInfo(&payload);
		chat_payload_id(&payload, layout, slot);
		tell(&telling, psprintf("conversation:%s", telling.key),
			 row->flags & CHAT_CONVERSATION_DELETED ? "conversation.deleted"
			 : row->flags & CHAT_CONVERSATION_NEW   ? "conversation.new"
													: "conversation.updated",
			 NULL);
	}
}

/* conversation.updated of a conversation whose counters or last message changed. */
static void
emit_counters(ChatLog *log, ChatFlush *flush, ChatConversation *conversation)
{
	const ChatTable *table = &flush->table;
	StringInfoData payload;
	Telling telling = {log, conversation, NULL, (Datum) 0, NULL, &payload};

	if (conversation->owner == NULL && conversation->agent == NULL)
		return; /* no inbox to send it to */
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
	telling.key = key_text(conversation);
	tell_both(&telling, conversation->agent, "conversation.updated", "conversation.updated");
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
