/*
 * Who a message, receipt or typing notice is about, for the WUZAPI normaliser; see wuzapi.h.
 *
 * A person has two addresses, a hidden one (…@lid) and the phone's, and a body tells one or both. Which is known from earlier
 * bodies is not known here: the pairs that this one tells are written as they are.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "wuzapi/wuzapi.h"

/* Pairs of addresses that one body may tell; what is beyond them is told again with a message. */
#define MAX_PAIRS 10000

static const char *const chat_keys[] = {"Chat", "RemoteJid", NULL};

/* Reads whose message it is; both spellings of the flag. */
static bool
read_from_me(JsonbContainer *info)
{
	JsonbValue value;

	if (!wuzapi_find(info, "IsFromMe", &value) && !wuzapi_find(info, "FromMe", &value))
		return false;
	if (value.type != jbvBool)
		wuzapi_wrong_type("event.Info.IsFromMe", "true or false");
	return value.val.boolean;
}

/* One person, two addresses: *jid becomes the phone's where that is known, *lid the hidden one. */
static void
resolve(WuzapiJid *jid, WuzapiJid *lid, WuzapiJid alternative)
{
	if (jid->server == WUZAPI_LID)
	{
		*lid = *jid;
		if (alternative.server == WUZAPI_PHONE)
			*jid = alternative;
	}
	else if (jid->server == WUZAPI_PHONE && alternative.server == WUZAPI_LID)
		*lid = alternative;
}

/* Reads who wrote to the group or list. */
static WuzapiJid
read_participant(JsonbContainer *info, WuzapiJid *lid)
{
	WuzapiJid participant = wuzapi_find_jid(info, "Sender");

	if (participant.text == NULL)
		participant = wuzapi_find_jid(info, "Participant");
	resolve(&participant, lid, wuzapi_find_jid(info, "SenderAlt"));
	return participant;
}

/* WhatsApp's own announcements come from the number 0. */
static bool
is_announcement(const WuzapiJid *chat)
{
	return chat->server == WUZAPI_PHONE && strcmp(chat->text, "0@s.whatsapp.net") == 0;
}

/* Reads whose conversation it is: a contact's, or with *reason nobody's. */
static const char *
read_chat(JsonbContainer *info, WuzapiSource *source)
{
	WuzapiJid unused = {NULL, WUZAPI_NOWHERE};

	source->group = source->chat.server == WUZAPI_GROUP;
	if (source->group)
		source->participant = read_participant(info, &unused);
	else if (source->chat.server == WUZAPI_NEWSLETTER)
		return "newsletter";
	else if (is_announcement(&source->chat))
		return "announcement of WhatsApp";
	else if (source->chat.server != WUZAPI_BROADCAST)
	{
		/* What SenderAlt says is the sender's: the contact's, or for own messages the owner's. */
		source->alternate = wuzapi_find_jid(info, source->from_me ? "RecipientAlt" : "SenderAlt");
		resolve(&source->chat, &source->lid, source->alternate);
	}
	else if (strcmp(source->chat.text, "status@broadcast") == 0)
		return "status broadcast";
	else if (source->from_me)
		return "broadcast list";
	else
	{
		source->alternate = wuzapi_find_jid(info, "SenderAlt");
		source->chat = read_participant(info, &source->lid);
	}
	return NULL;
}

bool
wuzapi_read_source(JsonbContainer *info, const char *path, WuzapiSource *source,
				   const char **reason)
{
	JsonbValue chat = wuzapi_require_string(info, chat_keys, path);

	*source = (WuzapiSource){.from_me = read_from_me(info)};
	if (!wuzapi_jid(&chat, &source->chat))
		wuzapi_wrong_type(path, "a WhatsApp address such as 5511900000001@s.whatsapp.net");
	*reason = read_chat(info, source);
	if (*reason == NULL && source->chat.text == NULL)
		wuzapi_missing("event.Info.Sender");
	return *reason == NULL;
}

void
wuzapi_put_source(WuzapiOutput *out, const WuzapiSource *source)
{
	wuzapi_put_text(out, "chat", source->chat.text);
	wuzapi_put_text(out, "lid", source->lid.text);
	wuzapi_put_text(out, "alternate", source->alternate.text);
	wuzapi_put_bool(out, "fromMe", source->from_me);
	wuzapi_put_bool(out, "isGroup", source->group);
	wuzapi_put_text(out, "participant", source->participant.text);
}

/* --- pairs ---------------------------------------------------------------------------------------- */

/* The list being written; it is opened by its first pair. */
typedef struct WuzapiPairs
{
	WuzapiOutput *out;
	uint32 count;
	const char *last_lid; /* bodies tell the same one several times */
	const char *last_phone;
} WuzapiPairs;

/* Notes that two addresses are one person's, if one is hidden and the other a phone's. */
static void
add_pair(WuzapiPairs *pairs, WuzapiJid one, WuzapiJid other)
{
	WuzapiJid lid = one.server == WUZAPI_LID ? one : other;
	WuzapiJid phone = one.server == WUZAPI_LID ? other : one;

	if (lid.server != WUZAPI_LID || phone.server != WUZAPI_PHONE || pairs->count >= MAX_PAIRS)
		return;
	if (pairs->count == 0)
		wuzapi_open_array(pairs->out, "addresses");
	else if (strcmp(lid.text, pairs->last_lid) == 0 && strcmp(phone.text, pairs->last_phone) == 0)
		return;
	wuzapi_open_element_array(pairs->out);
	wuzapi_add_element(pairs->out, lid.text);
	wuzapi_add_element(pairs->out, phone.text);
	wuzapi_close_array(pairs->out);
	pairs->count++;
	pairs->last_lid = lid.text;
	pairs->last_phone = phone.text;
}

/* Two fields of an object. */
static void
add_fields(WuzapiPairs *pairs, JsonbContainer *object, const char *one, const char *other)
{
	add_pair(pairs, wuzapi_find_jid(object, one), wuzapi_find_jid(object, other));
}

/* Two fields of each element of a list. */
static void
add_list(WuzapiPairs *pairs, JsonbContainer *list, const char *one, const char *other)
{
	uint32 size = list == NULL ? 0 : JsonContainerSize(list);

	for (uint32 i = 0; i < size && pairs->count < MAX_PAIRS; i++)
		add_fields(pairs, wuzapi_as_object(getIthJsonbValueFromContainer(list, i)), one, other);
}

/* Whom a message, receipt or typing notice is about. */
static void
add_source(WuzapiPairs *pairs, JsonbContainer *info)
{
	add_fields(pairs, info, "Chat",
			   wuzapi_is_true(info, "IsFromMe") ? "RecipientAlt" : "SenderAlt");
	add_fields(pairs, info, "Sender", "SenderAlt");
}

/* Who made, joined or changed a group. */
static void
add_group(WuzapiPairs *pairs, JsonbContainer *group)
{
	static const char *const changes[] = {"Name", "Topic"};
	JsonbContainer *participants = wuzapi_find_array(group, "Participants");

	add_fields(pairs, group, "Sender", "SenderPN");
	add_fields(pairs, group, "OwnerJID", "OwnerPN");
	for (int i = 0; i < (int) lengthof(changes); i++)
	{
		/* GroupInfo has them as objects, JoinedGroup flat. */
		JsonbContainer *change = wuzapi_find_object(group, changes[i]);

		add_fields(pairs, change ? change : group, psprintf("%sSetBy", changes[i]),
				   psprintf("%sSetByPN", changes[i]));
	}
	add_list(pairs, participants, "JID", "PhoneNumber");
	add_list(pairs, participants, "LID", "JID");
}

/* Whom a history is about. */
static void
add_history(WuzapiPairs *pairs, JsonbContainer *data)
{
	JsonbContainer *conversations = wuzapi_find_array(data, "conversations");

	add_list(pairs, wuzapi_find_array(data, "phoneNumberToLidMappings"), "lidJID", "pnJID");
	add_list(pairs, wuzapi_find_array(data, "inlineContacts"), "lidJID", "pnJID");
	add_list(pairs, conversations, "ID", "pnJID");
	add_list(pairs, conversations, "lidJID", "ID");
}

void
wuzapi_put_pairs(WuzapiOutput *out, JsonbContainer *event)
{
	WuzapiPairs pairs = {.out = out};
	JsonbContainer *info = wuzapi_find_object(event, "Info");

	add_source(&pairs, info != NULL ? info : event);
	add_group(&pairs, event);
	add_history(&pairs, wuzapi_find_object(event, "Data"));
	if (pairs.count > 0)
		wuzapi_close_array(out);
}
