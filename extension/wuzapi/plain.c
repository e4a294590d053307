/*
 * Texts, files, places and contacts; see content.h.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

/* What is wrong with a message is an error; with what it quotes, only a reason to leave that out. */
static const char *
unusable(const WuzapiContent *content, const char *path, const char *wanted)
{
	if (!content->quoted)
		wuzapi_wrong_type(path, wanted);
	return "of the wrong type";
}
const char *
wuzapi_read_text(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	if (value->type != jbvString)
		return unusable(content, "event.Message.conversation", "a string");
	if (value->val.string.len == 0)
		return "no content";
	content->type = kind->type;
	content->text = *value;
	return NULL;
}

const char *
wuzapi_read_object(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbValue text;

	content->body = wuzapi_as_object(value);
	if (content->body == NULL)
		return unusable(content, psprintf("event.Message.%s", kind->key), "an object");
	content->type = kind->type;
	content->whatsapp_type = kind->whatsapp_type;
	if (kind->placeholder != NULL)
		wuzapi_set_text(content, kind->placeholder);
	if (kind->text == NULL || !wuzapi_find(content->body, kind->text, &text))
		return NULL;
	if (text.type != jbvString)
		return unusable(content, psprintf("event.Message.%s.%s", kind->key, kind->text),
						"a string");
	if (kind->placeholder == NULL || text.val.string.len > 0)
		content->text = text;
	return NULL;
}

/* Text, or a link without one. */
const char *
wuzapi_read_extended(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	static const char *const others[] = {"matchedText", "title", "description"};
	const char *reason = wuzapi_read_object(content, kind, value);

	if (reason != NULL || (content->text.type == jbvString && content->text.val.string.len > 0))
		return reason;
	for (int i = 0; i < (int) lengthof(others); i++)
	{
		char *text = wuzapi_text_of(content->body, others[i]);

		if (text == NULL)
			continue;
		wuzapi_set_text(content, text);
		return NULL;
	}
	return "no content";
}

/* A file that is stored elsewhere. */
const char *
wuzapi_read_media(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);

	content->media_type = true;
	content->media = content->body;
	return reason;
}

/* A name or a note behind a word that says what it is. */
const char *
wuzapi_read_named(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *name = wuzapi_text_of(content->body, kind->text);

	if (name != NULL)
		wuzapi_set_text(content, psprintf("%s: %s", kind->placeholder, name));
	return reason;
}

/* A comment holds a message, and whose it is. */
const char *
wuzapi_read_comment(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);

	wuzapi_take_inner_text(content, "message");
	return reason;
}

/* --- places and contacts -------------------------------------------------------------------------- */

static void
put_place(WuzapiOutput *out, JsonbContainer *body)
{
	wuzapi_copy_number(out, "latitude", body, "degreesLatitude");
	wuzapi_copy_number(out, "longitude", body, "degreesLongitude");
	(void) wuzapi_copy_string(out, "name", body, "name");
	(void) wuzapi_copy_string(out, "address", body, "address");
	(void) wuzapi_copy_string(out, "url", body, "URL");
}

static void
describe_place(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "location");
	put_place(out, content->body);
	(void) wuzapi_close(out);
}

/* A place: the content is JSON, as clients of the existing system read it. */
const char *
wuzapi_read_location(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	WuzapiOutput place = {NULL};
	Jsonb *json;
	const char *reason = wuzapi_read_object(content, kind, value);

	content->describe = describe_place;
	wuzapi_open(&place, NULL);
	put_place(&place, content->body);
	json = JsonbValueToJsonb(wuzapi_close(&place));
	wuzapi_set_text(content, JsonbToCString(NULL, &json->root, VARSIZE(json)));
	return reason;
}

static void
describe_contact(WuzapiOutput *out, const WuzapiContent *content)
{
	(void) wuzapi_copy_string(out, "contactName", content->body, "displayName");
}

const char *
wuzapi_read_contact(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	content->describe = describe_contact;
	return wuzapi_read_object(content, kind, value);
}

/* Several contacts: their cards, one after the other. */
const char *
wuzapi_read_contacts(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbContainer *contacts;
	StringInfoData cards;
	const char *reason = wuzapi_read_contact(content, kind, value);

	contacts = wuzapi_find_array(content->body, "contacts");
	initStringInfo(&cards);
	for (uint32 i = 0; i < wuzapi_count(contacts); i++)
	{
		char *card = wuzapi_text_of(wuzapi_element(contacts, i), "vcard");

		if (card != NULL)
			appendStringInfo(&cards, "%s%s", cards.len > 0 ? "\n" : "", card);
	}
	wuzapi_set_text(content, cards.data);
	return reason;
}
