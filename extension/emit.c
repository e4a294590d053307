/*
 * Events of a flush; see emit.h. Rows become events in the order they came. That a conversation's counters changed is told
 * with the last of its messages; those that have none there follow, in id order.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "port/pg_bitutils.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "emit.h"
#include "event_log.h"
#include "events.h"
#include "payload.h"
#include "plans.h"
#include "quiet.h"
#include "row.h"
#include "settings.h"

/* A conversation's id as text. */
static char *
key_text(const ChatConversation *conversation)
{
	Oid type = conversation->attachment->key_type;

	return chat_datum_text(chat_key_to_datum(conversation->key, type), false, type);
}

/* Writes one event of a conversation. */
static void
add_event(ChatLog *log, ChatEventKind kind, const char *topic, bool for_webhooks,
		  const ChatConversation *conversation, const char *key, Datum changes, const char *rights,
		  StringInfo payload, const ChatRider *rider)
{
	ChatEvent event = {
		.topic = topic,
		.event = chat_events[kind].name,
		.owner = conversation->owner,
		.conversation = key,
		.webhook = for_webhooks && !chat_import ? chat_events[kind].webhook : NULL,
		.changes = changes,
		.rights = rights,
		.payload = payload->data,
		.payload_length = payload->len,
		.rider = rider,
	};

	(void) chat_log_add(log, &event);
}

/* A payload of a row, made again only where the next event wants another one. */
typedef struct Payload
{
	StringInfoData text;
	ChatEventPayload is;
} Payload;

static void
init_payload(Payload *payload)
{
	initStringInfo(&payload->text);
	payload->is = CHAT_PAYLOAD_GIVEN;
}

static StringInfo
make_payload(Payload *payload, ChatEventPayload wanted, const ChatLayout *layout,
			 TupleTableSlot *slot)
{
	if (payload->is == wanted)
		return &payload->text;
	resetStringInfo(&payload->text);
	if (wanted == CHAT_PAYLOAD_ROW)
		chat_payload_row(&payload->text, layout, slot);
	else if (wanted == CHAT_PAYLOAD_STATUS)
		chat_payload_status(&payload->text, layout, slot);
	else
		chat_payload_id(&payload->text, layout, slot);
	payload->is = wanted;
	return &payload->text;
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
	Datum value = slot_getattr(slot, layout->att[CHAT_C_OWNER], &isnull);

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

/* Appends a conversation as it is after the flush. */
static void
append_conversation(StringInfo payload, ChatFlush *flush, const ChatConversation *conversation)
{
	const ChatTable *table = &flush->table;
	TupleTableSlot *slot;

	if (table->attachment == conversation->attachment &&
		ItemPointerEquals(&table->latest->tts_tid,
						  unconstify(ItemPointerData *, &conversation->tid)))
	{
		chat_payload_row(payload, table->layout, table->latest); /* it was the last one written */
		return;
	}
	slot = chat_reader_fetch(&flush->conversation_rows, conversation->attachment,
							 conversation->attachment->conversations, conversation->tid, false);
	chat_payload_row(payload, flush->conversation_rows.layout, slot);
}

/*
 * conversation.updated takes the row of the conversation's last message, where there is one, and an owner to send it to:
 * one row of the log instead of two or three. Then nothing else tells it.
 */
static bool
rides(const ChatConversation *conversation)
{
	return conversation->changed && conversation->carrier >= 0 && conversation->owner != NULL &&
		   !chat_import;
}

static ChatRider *
make_rider(ChatFlush *flush, const ChatConversation *conversation)
{
	ChatRider *rider = palloc0(sizeof(ChatRider));
	StringInfoData payload;

	initStringInfo(&payload);
	append_conversation(&payload, flush, conversation);
	rider->payload = payload.data;
	rider->payload_length = payload.len;
	rider->inbox = chat_topic(CHAT_TOPIC_INBOX, conversation->owner);
	if (conversation->agent != NULL && !same_user(conversation->agent, conversation->owner))
		rider->agent_inbox = chat_topic(CHAT_TOPIC_INBOX, conversation->agent);
	return rider;
}

/* Events of one message row; what rides on the row is in the last one's. */
static void
emit_message(ChatLog *log, ChatFlush *flush, const ChatPending *row,
			 const ChatConversation *conversation, const ChatRider *rider)
{
	TupleTableSlot *slot =
		chat_reader_fetch(&flush->messages, conversation->attachment, row->relid, row->tid, true);
	const ChatLayout *layout = flush->messages.layout;
	char *key = key_text(conversation);
	/* A private note is for those who work in the conversation: it goes to no webhook. */
	bool note = chat_row_is_set(slot, layout, CHAT_M_PRIVATE);
	int last = pg_leftmost_one_pos32(row->flags & CHAT_MESSAGE_EVENTS);
	Payload payload;

	init_payload(&payload);
	for (int kind = CHAT_FIRST_MESSAGE_EVENT; kind <= last; kind++)
	{
		if (row->flags & CHAT_EVENT_BIT(kind))
			add_event(log, kind, chat_topic(chat_events[kind].topic, key), !note, conversation, key,
					  (Datum) 0, NULL,
					  make_payload(&payload, chat_events[kind].payload, layout, slot),
					  kind == last ? rider : NULL);
	}
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
tell(Telling *telling, ChatEventKind kind, const char *topic, bool for_webhooks)
{
	add_event(telling->log, kind, topic, for_webhooks, telling->conversation, telling->key,
			  telling->changes, telling->rights, telling->payload, NULL);
	telling->rights = NULL;
}

/* Tells a user; nobody is no user. Webhooks are the owner's: copies for others go to none. */
static void
tell_user(Telling *telling, ChatEventKind kind, const char *user, bool is_owner)
{
	if (user != NULL)
		tell(telling, kind, chat_topic(CHAT_TOPIC_INBOX, user), is_owner);
}

/* Tells the owner, and the agent when that is somebody else. */
static void
tell_both(Telling *telling, ChatEventKind kind, const char *agent)
{
	const char *owner = telling->conversation->owner;

	tell_user(telling, kind, owner, true);
	if (!same_user(agent, owner))
		tell_user(telling, kind, agent, false);
}

/* Tells whom an assignment concerns: the owner, and where agents changed, who has got it and from whom it is taken. */
static void
tell_assigned(Telling *telling, const ChatPending *row, const char *agent, const ChatLayout *layout)
{
	const ChatConversation *conversation = telling->conversation;
	const char *previous;

	if (!(row->flags & CHAT_NEW_AGENT))
	{
		tell_user(telling, CHAT_EVENT_CONVERSATION_ASSIGNED, conversation->owner, true);
		return;
	}
	previous = row->changes->had_agent
				   ? agent_behind(conversation->attachment, layout, row->changes->old_agent)
				   : NULL;
	tell_both(telling, CHAT_EVENT_CONVERSATION_ASSIGNED, agent);
	if (!same_user(previous, conversation->owner) && !same_user(previous, agent))
		tell_user(telling, CHAT_EVENT_CONVERSATION_ASSIGNED, previous, false);
}

/* Events of one conversation row. */
static void
emit_conversation(ChatLog *log, ChatFlush *flush, const ChatPending *row,
				  ChatConversation *conversation)
{
	ChatAttachment *attachment = conversation->attachment;
	TupleTableSlot *slot =
		chat_reader_fetch(&flush->conversation_rows, attachment, row->relid, row->tid, false);
	ChatLayout *layout = flush->conversation_rows.layout;
	char *owner = chat_emit_owner(attachment, layout, slot);
	char *agent = chat_emit_agent(attachment, layout, slot);
	int first = CHAT_FIRST_CONVERSATION_EVENT;
	Payload payload;
	Telling telling = {log, conversation, key_text(conversation), (Datum) 0, NULL, NULL};

	conversation->owner =
		owner ? MemoryContextStrdup(flush->conversation_rows.context, owner) : NULL;
	if (row->changes != NULL)
		telling.changes = DirectFunctionCall1(jsonb_in, CStringGetDatum(row->changes->json));
	if (row->flags & CHAT_RIGHTS)
		telling.rights = telling.key;
	init_payload(&payload);
	while (!(row->flags & CHAT_EVENT_BIT(first)))
		first++;
	for (int kind = first; kind <= CHAT_LAST_CONVERSATION_EVENT; kind++)
	{
		if (!(row->flags & CHAT_EVENT_BIT(kind)))
			continue;
		telling.payload = make_payload(&payload, chat_events[kind].payload, layout, slot);
		if (kind == CHAT_EVENT_CONVERSATION_ASSIGNED)
			tell_assigned(&telling, row, agent, layout);
		else
			tell_both(&telling, kind, agent);
	}
	if (telling.rights != NULL)
	{
		/* No inbox to send it to: a row where nobody may listen says whose rights changed. */
		telling.payload = make_payload(&payload, CHAT_PAYLOAD_ID, layout, slot);
		tell(&telling, first, chat_topic(CHAT_TOPIC_CONVERSATION, telling.key), false);
	}
}

/* conversation.updated of a conversation whose counters or last message changed, and no message told it. */
static void
emit_counters(ChatLog *log, ChatFlush *flush, ChatConversation *conversation)
{
	StringInfoData payload;
	Telling telling = {log, conversation, NULL, (Datum) 0, NULL, &payload};

	if (conversation->owner == NULL && conversation->agent == NULL)
		return; /* no inbox to send it to */
	initStringInfo(&payload);
	append_conversation(&payload, flush, conversation);
	telling.key = key_text(conversation);
	tell_both(&telling, CHAT_EVENT_CONVERSATION_UPDATED, conversation->agent);
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
			emit_message(log, flush, row, conversation,
						 conversation->carrier == i && rides(conversation)
							 ? make_rider(flush, conversation)
							 : NULL);
		if (row->flags & CHAT_CONVERSATION_EVENTS)
			emit_conversation(log, flush, row, conversation);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);
	}
	for (int i = 0; i < flush->nconversations; i++)
	{
		if (!flush->conversations[i].changed || chat_is_quiet())
			continue;
		changed++;
		if (rides(&flush->conversations[i]))
			continue;
		MemoryContextSwitchTo(per_row);
		emit_counters(log, flush, &flush->conversations[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);
	}
	chat_log_end(log);
	return changed;
}
