/*
 * See log_packets.h. One table says it all. A payload has what the existing server's has, and eventId, by which clients drop
 * what comes twice.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "events.h"
#include "json_members.h"
#include "json_text.h"
#include "log_packets.h"

#define MOST_TOPIC 256 /* bytes of a key; chat.emit takes topics of up to 246 */

#define PUT(out, literal) appendBinaryStringInfo((out), (literal), sizeof(literal) - 1)

/* A payload, as the log has it and as one can look into it. */
typedef struct Payload
{
	const char *text; /* an object, without an end of its own */
	int length;
	Jsonb *members;
} Payload;

struct ChatPackets
{
	FmgrInfo options; /* chat.socketio_options */
	HTAB *known;      /* Known by topic */
};

typedef struct Known
{
	char topic[MOST_TOPIC];
	char *options; /* NULL: nobody is served */
} Known;

/* --- payloads ------------------------------------------------------------------------------------- */

/* The value of the payload's member called key: an id or a name. */
static void
put_value(StringInfo out, const Payload *payload, const char *key)
{
	JsonbValue value = {.type = jbvNull};

	(void) chat_json_find(payload->members, key, &value);
	if (value.type == jbvString)
		chat_append_string(out, value.val.string.val, value.val.string.len);
	else if (value.type == jbvNumeric)
		appendStringInfoString(out, DatumGetCString(DirectFunctionCall1(
										numeric_out, NumericGetDatum(value.val.numeric))));
	else
		PUT(out, "null");
}

/* ,"name":value of the payload's member called key */
static void
put_member(StringInfo out, const char *name, const Payload *payload, const char *key)
{
	appendStringInfo(out, ",\"%s\":", name);
	put_value(out, payload, key);
}

/* All members of the payload, behind others. */
static void
put_members(StringInfo out, const Payload *payload)
{
	if (JsonContainerSize(&payload->members->root) == 0)
		return;
	PUT(out, ",");
	appendBinaryStringInfo(out, payload->text + 1, payload->length - 2);
}

static void
put_whole(StringInfo out, const Payload *payload)
{
	appendBinaryStringInfo(out, payload->text, payload->length);
}

static void
put_new_message(StringInfo out, const Payload *payload)
{
	put_member(out, "conversationId", payload, "conversationId");
	PUT(out, ",\"message\":");
	put_whole(out, payload);
}

static void
put_message_status(StringInfo out, const Payload *payload)
{
	put_member(out, "messageId", payload, "id");
	put_members(out, payload);
}

/* Where the table has such columns they come later, and win. */
static void
put_message_update(StringInfo out, const Payload *payload)
{
	PUT(out, ",\"isEdited\":true,\"isDeleted\":false");
	put_members(out, payload);
}

static void
put_message_gone(StringInfo out, const Payload *payload)
{
	put_members(out, payload);
	PUT(out, ",\"isDeleted\":true");
}

static void
put_conversation(StringInfo out, const Payload *payload)
{
	put_member(out, "conversationId", payload, "id");
	PUT(out, ",\"conversation\":");
	put_whole(out, payload);
}

static void
put_conversation_gone(StringInfo out, const Payload *payload)
{
	put_member(out, "conversationId", payload, "id");
	PUT(out, ",\"isDeleted\":true");
}

static void
put_conversation_merged(StringInfo out, const Payload *payload)
{
	put_member(out, "conversationId", payload, "from");
	put_member(out, "mergedInto", payload, "into");
}

static void
put_typing(StringInfo out, const Payload *payload)
{
	put_members(out, payload);
	PUT(out, ",\"agent\":{\"id\":");
	put_value(out, payload, "userId");
	put_member(out, "username", payload, "username");
	PUT(out, "}");
}

/* --- events --------------------------------------------------------------------------------------- */

typedef struct Packet
{
	const char *name; /* NULL: the server has no such event */
	void (*put)(StringInfo out, const Payload *payload);
	bool state;     /* a later one of its room and conversation replaces it */
	bool everybody; /* it goes to users who are served another way, too */
} Packet;

/* Those of one event name are the same. */
static const Packet packets[CHAT_EVENT_KINDS] = {
	[CHAT_EVENT_MESSAGE_RECEIVED] = {"new_message", put_new_message, false, false},
	[CHAT_EVENT_MESSAGE_SENT] = {"new_message", put_new_message, false, false},
	[CHAT_EVENT_MESSAGE_UPDATED] = {"message_update", put_message_update, false, false},
	[CHAT_EVENT_MESSAGE_STATUS] = {"message_status_update", put_message_status, false, false},
	[CHAT_EVENT_MESSAGE_DELETED] = {"message_update", put_message_gone, false, false},
	[CHAT_EVENT_CONVERSATION_NEW] = {"new_conversation", put_conversation, false, false},
	[CHAT_EVENT_CONVERSATION_UPDATED] = {"conversation_update", put_conversation, true, false},
	[CHAT_EVENT_CONVERSATION_CLOSED] = {"conversation_update", put_conversation, true, false},
	[CHAT_EVENT_CONVERSATION_ASSIGNED] = {"conversation_update", put_conversation, true, false},
	[CHAT_EVENT_CONVERSATION_DELETED] = {"conversation_update", put_conversation_gone, false,
										 false},
	[CHAT_EVENT_CONVERSATION_MERGED] = {"conversation_update", put_conversation_merged, false,
										false},
	[CHAT_EVENT_PRESENCE_TYPING] = {"typing_status", put_typing, false, false},
	[CHAT_EVENT_PROVIDER_CHANGED] = {"provider.changed", put_members, false, true},
	[CHAT_EVENT_WEBHOOK_DISABLED] = {"webhook.disabled", put_members, false, false},
	[CHAT_EVENT_WEBHOOK_RECOVERED] = {"webhook.recovered", put_members, false, false},
};

/* NULL: the server has no such event. */
static const Packet *
packet_of(const char *name)
{
	for (int kind = 0; kind < CHAT_EVENT_KINDS; kind++)
	{
		if (strcmp(chat_events[kind].name, name) == 0)
			return packets[kind].name != NULL ? &packets[kind] : NULL;
	}
	return NULL;
}

/* --- who gets them -------------------------------------------------------------------------------- */

ChatPackets *
chat_packets_create(void)
{
	ChatPackets *made = palloc0(sizeof(ChatPackets));
	Oid types[3] = {TEXTOID, TEXTOID, BOOLOID};
	HASHCTL control = {
		.keysize = MOST_TOPIC, .entrysize = sizeof(Known), .hcxt = CurrentMemoryContext};

	fmgr_info(LookupFuncName(list_make2(makeString("chat"), makeString("socketio_options")), 3,
							 types, false),
			  &made->options);
	made->known =
		hash_create("chat_realtime rooms", 64, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	return made;
}

/* In the current memory context; NULL: nobody is served. */
static char *
ask_options(ChatPackets *made, const struct varlena *topic, const struct varlena *owner,
			bool everybody)
{
	LOCAL_FCINFO(call, 3);
	Datum options;

	InitFunctionCallInfoData(*call, &made->options, 3, DEFAULT_COLLATION_OID, NULL, NULL);
	call->args[0] = (NullableDatum){PointerGetDatum(topic), false};
	call->args[1] = (NullableDatum){PointerGetDatum(owner), owner == NULL};
	call->args[2] = (NullableDatum){BoolGetDatum(everybody), false};
	options = FunctionCallInvoke(call);
	return call->isnull ? NULL : TextDatumGetCString(options);
}

/* The same of an earlier event of the answer, where there was one. */
static char *
options_of(ChatPackets *made, const struct varlena *topic, const struct varlena *owner)
{
	char key[MOST_TOPIC];
	MemoryContext old;
	Known *known;
	bool found;

	if (VARSIZE_ANY_EXHDR(topic) >= MOST_TOPIC)
		return ask_options(made, topic, owner, false);
	text_to_cstring_buffer((const text *) topic, key, sizeof(key));
	known = hash_search(made->known, key, HASH_FIND, NULL);
	if (known != NULL)
		return known->options;
	old = MemoryContextSwitchTo(GetMemoryChunkContext(made));
	known = hash_search(made->known, key, HASH_ENTER, &found);
	known->options = NULL;
	known->options = ask_options(made, topic, owner, false);
	MemoryContextSwitchTo(old);
	return known->options;
}

/* --- putting -------------------------------------------------------------------------------------- */

static void
put_packet(StringInfo out, const Packet *packet, int64 id, const struct varlena *text,
		   const char *options)
{
	Payload payload = {.text = VARDATA_ANY(text), .length = VARSIZE_ANY_EXHDR(text)};

	payload.members = DatumGetJsonbP(
		DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(payload.text, payload.length))));
	PUT(out, "{\"packet\":{\"type\":2,\"data\":[\"");
	appendStringInfoString(out, packet->name);
	appendStringInfo(out, "\",{\"eventId\":\"" INT64_FORMAT "\"", id);
	packet->put(out, &payload);
	PUT(out, "}]},\"opts\":");
	appendStringInfoString(out, options);
	PUT(out, "}");
}

void
chat_packets_put(ChatLogAnswer *answer, const ChatLogRow *row, int64 id,
				 const struct varlena *topic, const char *name, const struct varlena *payload)
{
	const Packet *packet = packet_of(name);
	const struct varlena *owner = chat_log_text(row, row->columns->owner);
	const char *options;
	int start;

	if (packet == NULL || topic == NULL || payload == NULL)
		return;
	options = packet->everybody ? ask_options(answer->packets, topic, owner, true)
								: options_of(answer->packets, topic, owner);
	if (options == NULL)
		return;
	start = chat_answer_begin_event(answer, row, id, packet->state ? CHAT_EVENT_STATE : 0, payload);
	appendBinaryStringInfo(answer->out, VARDATA_ANY(topic), VARSIZE_ANY_EXHDR(topic));
	put_packet(answer->out, packet, id, payload, options);
	chat_answer_end_event(answer, start, VARSIZE_ANY_EXHDR(topic), strlen(packet->name));
}
