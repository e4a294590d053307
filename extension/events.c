/*
 * The table of events; see events.h.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "events.h"

StaticAssertDecl(CHAT_LAST_CONVERSATION_EVENT < 24,
				 "what else is noted of a row has the upper bits");

#define PRESENCE_SECONDS 5

const ChatEventRow chat_events[CHAT_EVENT_KINDS] = {
	[CHAT_EVENT_MESSAGE_RECEIVED] = {"message.new", "message.received", CHAT_TOPIC_CONVERSATION,
									 CHAT_PAYLOAD_ROW, false, 0, "incoming message inserted"},
	[CHAT_EVENT_MESSAGE_SENT] = {"message.new", "message.sent", CHAT_TOPIC_CONVERSATION,
								 CHAT_PAYLOAD_ROW, false, 0, "outgoing message inserted"},
	[CHAT_EVENT_MESSAGE_UPDATED] = {"message.updated", "message.updated", CHAT_TOPIC_CONVERSATION,
									CHAT_PAYLOAD_ROW, false, 0,
									"content, type or metadata changed"},
	[CHAT_EVENT_MESSAGE_STATUS] = {"message.status", "message.status", CHAT_TOPIC_CONVERSATION,
								   CHAT_PAYLOAD_STATUS, false, 0, "status moved forward"},
	[CHAT_EVENT_MESSAGE_DELETED] = {"message.deleted", "message.deleted", CHAT_TOPIC_CONVERSATION,
									CHAT_PAYLOAD_ROW, false, 0,
									"message deleted, or marked deleted"},
	[CHAT_EVENT_CONVERSATION_DELETED] = {"conversation.deleted", NULL, CHAT_TOPIC_INBOX,
										 CHAT_PAYLOAD_ID, false, 0, "conversation deleted"},
	[CHAT_EVENT_CONVERSATION_NEW] = {"conversation.new", "conversation.created", CHAT_TOPIC_INBOX,
									 CHAT_PAYLOAD_ROW, false, 0, "conversation inserted"},
	[CHAT_EVENT_CONVERSATION_UPDATED] = {"conversation.updated", "conversation.updated",
										 CHAT_TOPIC_INBOX, CHAT_PAYLOAD_ROW, true, 0,
										 "any visible field changed, counters included"},
	[CHAT_EVENT_CONVERSATION_ASSIGNED] = {"conversation.assigned", "conversation.assigned",
										  CHAT_TOPIC_INBOX, CHAT_PAYLOAD_ROW, false, 0,
										  "agent or bot changed"},
	/* Beside conversation.updated, whose row says that the status changed. */
	[CHAT_EVENT_CONVERSATION_CLOSED] = {"conversation.updated", "conversation.closed",
										CHAT_TOPIC_INBOX, CHAT_PAYLOAD_ROW, true, 0,
										"status became resolved"},
	/* Also for the topic of the one that goes, whose readers are to go to the other one. */
	[CHAT_EVENT_CONVERSATION_MERGED] = {"conversation.merged", "conversation.merged",
										CHAT_TOPIC_INBOX, CHAT_PAYLOAD_GIVEN, false, 0,
										"conversation merged into another one"},
	[CHAT_EVENT_PRESENCE_JOIN] = {"presence.join", NULL, CHAT_TOPIC_PRESENCE, CHAT_PAYLOAD_GIVEN,
								  false, PRESENCE_SECONDS, "a user joined"},
	[CHAT_EVENT_PRESENCE_LEAVE] = {"presence.leave", NULL, CHAT_TOPIC_PRESENCE, CHAT_PAYLOAD_GIVEN,
								   false, PRESENCE_SECONDS, "a user left"},
	[CHAT_EVENT_PRESENCE_TYPING] = {"presence.typing", NULL, CHAT_TOPIC_CONVERSATION,
									CHAT_PAYLOAD_GIVEN, false, PRESENCE_SECONDS,
									"a user is typing, or stopped"},
	[CHAT_EVENT_WEBHOOK_DISABLED] = {"webhook.disabled", NULL, CHAT_TOPIC_INBOX, CHAT_PAYLOAD_GIVEN,
									 false, 0, "deliveries to a webhook failed for too long"},
	[CHAT_EVENT_WEBHOOK_RECOVERED] = {"webhook.recovered", NULL, CHAT_TOPIC_INBOX,
									  CHAT_PAYLOAD_GIVEN, false, 0,
									  "a webhook that was disabled, or failed for ten minutes, "
									  "works again"},
	[CHAT_EVENT_PROVIDER_CHANGED] = {"provider.changed", NULL, CHAT_TOPIC_INBOX, CHAT_PAYLOAD_GIVEN,
									 false, 0, "the user is served another way"},
};

bool
chat_event_is_state(const char *name)
{
	for (int kind = 0; kind < CHAT_EVENT_KINDS; kind++)
	{
		if (strcmp(chat_events[kind].name, name) == 0)
			return chat_events[kind].state;
	}
	return false;
}

/* What stands around the id. */
static const struct
{
	const char *before;
	const char *after;
} topics[] = {
	[CHAT_TOPIC_CONVERSATION] = {"conversation:", ""},
	[CHAT_TOPIC_INBOX] = {"user:", ":inbox"},
	[CHAT_TOPIC_PRESENCE] = {"presence:", ""},
};

char *
chat_topic(ChatTopicKind kind, const char *id)
{
	size_t before = strlen(topics[kind].before);
	size_t after = strlen(topics[kind].after);
	size_t length = strlen(id);
	char *topic = palloc(before + length + after + 1);

	memcpy(topic, topics[kind].before, before);
	memcpy(topic + before, id, length);
	memcpy(topic + before + length, topics[kind].after, after + 1);
	return topic;
}

PG_FUNCTION_INFO_V1(chat_event_kinds);

/* SQL: chat.event_kinds() */
Datum
chat_event_kinds(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < CHAT_EVENT_KINDS; i++)
	{
		const ChatEventRow *row = &chat_events[i];
		Datum values[6] = {
			CStringGetTextDatum(row->name),
			row->webhook ? CStringGetTextDatum(row->webhook) : (Datum) 0,
			CStringGetTextDatum(chat_topic(row->topic, "<id>")),
			BoolGetDatum(row->state),
			Int32GetDatum(row->seconds),
			CStringGetTextDatum(row->when),
		};
		bool nulls[6] = {[1] = row->webhook == NULL};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
