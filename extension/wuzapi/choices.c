/*
 * What can be chosen in a WhatsApp message, and what was: buttons, lists, templates, interactive messages and their answers,
 * for the WUZAPI normaliser; see content.h.
 *
 * Where protobuf has a one-of, bodies have it in two spellings; see wuzapi_holder.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

/* Bytes of all that can be chosen: a carousel has ten cards of ten buttons. */
#define MAX_CHOICE_BYTES 16384

/* An object or a text that is one of several. */
static JsonbContainer *
find_choice(JsonbContainer *object, const char *group, const char *key)
{
	return wuzapi_find_object(wuzapi_holder(object, group, key), key);
}

static char *
choice_text(JsonbContainer *object, const char *group, const char *key)
{
	return wuzapi_text_of(wuzapi_holder(object, group, key), key);
}

/* --- buttons -------------------------------------------------------------------------------------- */

/* One thing that can be chosen. */
typedef struct WuzapiButton
{
	char *text;
	char *id;
	char *url;
	char *phone;
	char *name;             /* of a native flow's button */
	JsonbContainer *params; /* what its parameters say beyond that; NULL: nothing */
} WuzapiButton;

/* The elements of a list of one kind, read into buttons. */
typedef struct WuzapiChoices
{
	JsonbContainer *list;
	WuzapiButton (*read)(JsonbContainer *element);
} WuzapiChoices;

/* {buttonID, buttonText: {displayText}, nativeFlowInfo} */
static WuzapiButton
read_plain(JsonbContainer *button)
{
	return (WuzapiButton){
		.text = wuzapi_text_of(wuzapi_find_object(button, "buttonText"), "displayText"),
		.id = wuzapi_text_of(button, "buttonID"),
		.name = wuzapi_text_of(wuzapi_find_object(button, "nativeFlowInfo"), "name"),
	};
}

/* {title, rowID} */
static WuzapiButton
read_row(JsonbContainer *row)
{
	return (WuzapiButton){.text = wuzapi_text_of(row, "title"), .id = wuzapi_text_of(row, "rowID")};
}

/* One of three: {displayText, ID}, {displayText, URL}, {displayText, phoneNumber}. */
static WuzapiButton
read_hydrated(JsonbContainer *button)
{
	static const char *const forms[] = {"quickReplyButton", "urlButton", "callButton"};

	for (int i = 0; i < (int) lengthof(forms); i++)
	{
		JsonbContainer *form = find_choice(button, "hydratedButton", forms[i]);

		if (form != NULL)
			return (WuzapiButton){.text = wuzapi_text_of(form, "displayText"),
								  .id = wuzapi_text_of(form, "ID"),
								  .url = wuzapi_text_of(form, "URL"),
								  .phone = wuzapi_text_of(form, "phoneNumber")};
	}
	return (WuzapiButton){0};
}

/* {name, buttonParamsJSON}, whose JSON has the text and the id, or a payment, or whatever the flow wants. */
static WuzapiButton
read_flow(JsonbContainer *button)
{
	JsonbContainer *params = wuzapi_find_json(button, "buttonParamsJSON");
	WuzapiButton read = {
		.text = wuzapi_text_of(params, "display_text"),
		.id = wuzapi_text_of(params, "id"),
		.url = wuzapi_text_of(params, "url"),
		.phone = wuzapi_text_of(params, "phone_number"),
		.name = wuzapi_text_of(button, "name"),
	};

	if (read.text == NULL)
		read.params = params;
	return read;
}

static int
length_of(const char *text)
{
	return text == NULL ? 0 : (int) strlen(text);
}

/* Takes what a button needs off what is left; false when it does not fit. */
static bool
fits(const WuzapiButton *button, int *left)
{
	int needed = length_of(button->text) + length_of(button->id) + length_of(button->url) +
				 length_of(button->phone) + length_of(button->name);

	if (button->params != NULL)
		needed += WUZAPI_MAX_METADATA_BYTES; /* at most that many were read */
	if (needed == 0 || needed > *left)
		return false;
	*left -= needed;
	return true;
}

static void
put_button(WuzapiOutput *out, const WuzapiButton *button)
{
	wuzapi_open(out, NULL);
	wuzapi_put_text(out, "text", button->text);
	wuzapi_put_text(out, "id", button->id);
	wuzapi_put_text(out, "url", button->url);
	wuzapi_put_text(out, "phone", button->phone);
	wuzapi_put_text(out, "name", button->name);
	if (button->params != NULL)
		wuzapi_put_object(out, "params", button->params);
	(void) wuzapi_close(out);
}

/* Writes the texts of what can be chosen, or the buttons whole. */
static void
put_elements(WuzapiOutput *out, const WuzapiChoices *choices, int *left, bool whole)
{
	for (uint32 i = 0; i < wuzapi_count(choices->list); i++)
	{
		WuzapiButton button = choices->read(wuzapi_element(choices->list, i));

		if (!fits(&button, left))
			continue;
		if (whole)
			put_button(out, &button);
		else if (button.text != NULL)
			wuzapi_add_element(out, button.text);
	}
}

/* --- interactive ---------------------------------------------------------------------------------- */

/* The object with header, body, footer and buttons: the message itself, or what a template holds. */
static JsonbContainer *
interactive_of(JsonbContainer *body)
{
	JsonbContainer *form = find_choice(body, "format", "interactiveMessageTemplate");

	return form != NULL ? form : body;
}

/* A template's filled-in form, under one of several names. */
static JsonbContainer *
hydrated_of(JsonbContainer *body)
{
	JsonbContainer *form = wuzapi_find_object(body, "hydratedTemplate");

	return form != NULL ? form : find_choice(body, "format", "hydratedFourRowTemplate");
}

static JsonbContainer *
flow_buttons(JsonbContainer *interactive)
{
	return wuzapi_find_array(find_choice(interactive, "interactiveMessage", "nativeFlowMessage"),
							 "buttons");
}

static JsonbContainer *
cards_of(JsonbContainer *interactive)
{
	return wuzapi_find_array(find_choice(interactive, "interactiveMessage", "carouselMessage"),
							 "cards");
}

/* Writes all that a message lets one choose: of whichever of its lists there are. */
static void
put_choices(WuzapiOutput *out, JsonbContainer *body, bool whole)
{
	JsonbContainer *sections = wuzapi_find_array(body, "sections");
	JsonbContainer *interactive = interactive_of(body);
	JsonbContainer *cards = cards_of(interactive);
	const WuzapiChoices choices[] = {
		{wuzapi_find_array(body, "buttons"), read_plain},
		{wuzapi_find_array(hydrated_of(body), "hydratedButtons"), read_hydrated},
		{flow_buttons(interactive), read_flow},
	};
	int left = MAX_CHOICE_BYTES;

	wuzapi_open_array(out, whole ? "buttons" : "options");
	for (int i = 0; i < (int) lengthof(choices); i++)
		put_elements(out, &choices[i], &left, whole);
	for (uint32 i = 0; i < wuzapi_count(sections); i++)
		put_elements(
			out, &(WuzapiChoices){wuzapi_find_array(wuzapi_element(sections, i), "rows"), read_row},
			&left, whole);
	for (uint32 i = 0; i < wuzapi_count(cards); i++)
		put_elements(out, &(WuzapiChoices){flow_buttons(wuzapi_element(cards, i)), read_flow},
					 &left, whole);
	wuzapi_close_array(out);
}

/* The cards of a carousel: what each says. */
static void
put_cards(WuzapiOutput *out, JsonbContainer *cards)
{
	int left = MAX_CHOICE_BYTES;

	if (wuzapi_count(cards) == 0)
		return;
	wuzapi_open_array(out, "cards");
	for (uint32 i = 0; i < wuzapi_count(cards); i++)
	{
		JsonbContainer *card = wuzapi_element(cards, i);
		char *title = wuzapi_text_of(wuzapi_find_object(card, "header"), "title");
		char *text = wuzapi_text_of(wuzapi_find_object(card, "body"), "text");

		left -= length_of(title) + length_of(text);
		if (left < 0)
			break;
		wuzapi_open(out, NULL);
		wuzapi_put_text(out, "title", title);
		wuzapi_put_text(out, "text", text);
		(void) wuzapi_close(out);
	}
	wuzapi_close_array(out);
}

static void
describe_choice(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *interactive = interactive_of(content->body);
	JsonbContainer *hydrated = hydrated_of(content->body);

	wuzapi_open(out, "interactive");
	wuzapi_put_text(out, "type", content->whatsapp_type);
	if (!wuzapi_copy_string(out, "title", wuzapi_find_object(interactive, "header"), "title") &&
		!wuzapi_copy_string(out, "title", wuzapi_holder(hydrated, "title", "hydratedTitleText"),
							"hydratedTitleText"))
		(void) wuzapi_copy_string(out, "title", wuzapi_holder(content->body, "header", "text"),
								  "text");
	put_choices(out, content->body, false);
	put_choices(out, content->body, true);
	put_cards(out, cards_of(interactive));
	if (!wuzapi_copy_string(out, "footer", content->body, "footerText") &&
		!wuzapi_copy_string(out, "footer", hydrated, "hydratedFooterText"))
		(void) wuzapi_copy_string(out, "footer", wuzapi_find_object(interactive, "footer"), "text");
	(void) wuzapi_close(out);
}

/* The file that stands above the text, if there is one. */
static JsonbContainer *
media_of(JsonbContainer *body)
{
	static const char *const kinds[] = {"imageMessage", "videoMessage", "documentMessage"};
	JsonbContainer *header = wuzapi_find_object(interactive_of(body), "header");
	JsonbContainer *hydrated = hydrated_of(body);

	for (int i = 0; i < (int) lengthof(kinds); i++)
	{
		JsonbContainer *media = find_choice(header, "media", kinds[i]);

		if (media == NULL)
			media = find_choice(hydrated, "title", kinds[i]);
		if (media == NULL)
			media = find_choice(body, "header", kinds[i]);
		if (media != NULL)
			return media;
	}
	return NULL;
}

/* --- reading -------------------------------------------------------------------------------------- */

/* Takes the first text that there is. */
static void
set_first(WuzapiContent *content, char *const *texts, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (texts[i] == NULL)
			continue;
		wuzapi_set_text(content, texts[i]);
		return;
	}
}

/* Notes the object and what is special about all that can be chosen. */
static const char *
read_choice(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);

	content->describe = describe_choice;
	content->media = media_of(content->body);
	return reason;
}

const char *
wuzapi_read_buttons(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = read_choice(content, kind, value);
	char *texts[2] = {wuzapi_text_of(content->body, "contentText"),
					  choice_text(content->body, "header", "text")};

	set_first(content, texts, lengthof(texts));
	return reason;
}

/* A list has a title and a description. */
const char *
wuzapi_read_list(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = read_choice(content, kind, value);
	char *texts[2] = {wuzapi_text_of(content->body, "title"),
					  wuzapi_text_of(content->body, "description")};

	if (texts[0] != NULL && texts[1] != NULL)
		wuzapi_set_text(content, psprintf("%s\n%s", texts[0], texts[1]));
	else
		set_first(content, texts, lengthof(texts));
	return reason;
}

/* Text and title of a template's form or of an interactive message. */
static void
set_interactive_text(WuzapiContent *content)
{
	JsonbContainer *hydrated = hydrated_of(content->body);
	JsonbContainer *interactive = interactive_of(content->body);
	char *texts[4] = {wuzapi_text_of(hydrated, "hydratedContentText"),
					  wuzapi_text_of(wuzapi_find_object(interactive, "body"), "text"),
					  choice_text(hydrated, "title", "hydratedTitleText"),
					  wuzapi_text_of(wuzapi_find_object(interactive, "header"), "title")};

	set_first(content, texts, lengthof(texts));
}

/* A message made from a template: its text is one or two levels deeper, under one of several names. */
const char *
wuzapi_read_template(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = read_choice(content, kind, value);

	set_interactive_text(content);
	return reason;
}

/* The templates of old: a filled-in one inside, or names and parameters of one that only the sender has. */
const char *
wuzapi_read_structured(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = read_choice(content, kind, value);
	JsonbContainer *inner = wuzapi_find_object(content->body, "hydratedHsm");

	if (inner == NULL)
		return reason;
	content->body = inner;
	content->media = media_of(inner);
	set_interactive_text(content);
	return reason;
}

const char *
wuzapi_read_interactive(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = read_choice(content, kind, value);

	set_interactive_text(content);
	return reason;
}

/* --- what was chosen ------------------------------------------------------------------------------ */

static void
describe_answer(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "interactive");
	wuzapi_put_text(out, "type", content->whatsapp_type);
	if (!wuzapi_copy_string(out, "id", content->body, "selectedButtonID") &&
		!wuzapi_copy_string(out, "id", content->body, "selectedID"))
		(void) wuzapi_copy_string(out, "id", wuzapi_find_object(content->body, "singleSelectReply"),
								  "selectedRowID");
	(void) wuzapi_copy_string(out, "description", content->body, "description");
	(void) wuzapi_close(out);
}

const char *
wuzapi_read_answer(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *text = choice_text(content->body, "response", "selectedDisplayText");

	content->describe = describe_answer;
	if (text != NULL)
		wuzapi_set_text(content, text);
	return reason;
}

static JsonbContainer *
flow_answer_of(JsonbContainer *body)
{
	return find_choice(body, "interactiveResponseMessage", "nativeFlowResponseMessage");
}

/* What was chosen, or filled in: the parameters hold the id, and whatever the flow asked for. */
static void
describe_flow_answer(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *flow = flow_answer_of(content->body);
	JsonbContainer *params = wuzapi_find_json(flow, "paramsJSON");

	wuzapi_open(out, "interactive");
	wuzapi_put_text(out, "type", content->whatsapp_type);
	(void) wuzapi_copy_string(out, "name", flow, "name");
	(void) wuzapi_copy_string(out, "id", params, "id");
	if (params != NULL)
		wuzapi_put_object(out, "params", params);
	(void) wuzapi_close(out);
}

const char *
wuzapi_read_flow_answer(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	JsonbContainer *params = wuzapi_find_json(flow_answer_of(content->body), "paramsJSON");
	char *texts[3] = {wuzapi_text_of(wuzapi_find_object(content->body, "body"), "text"),
					  wuzapi_text_of(params, "title"), wuzapi_text_of(params, "display_text")};

	content->describe = describe_flow_answer;
	set_first(content, texts, lengthof(texts));
	return reason;
}
