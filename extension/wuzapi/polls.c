/*
 * Polls, what came out of them, and events that somebody plans; see content.h.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

/* Longest name of an option of a poll that goes into metadata. */
#define MAX_OPTION_BYTES 256

/* Of a poll and of its result: what describes it in metadata. options: the member that lists them. */
static void
describe(WuzapiOutput *out, JsonbContainer *poll, const char *options)
{
	JsonbContainer *list = wuzapi_find_array(poll, options);

	wuzapi_open(out, "poll");
	(void) wuzapi_copy_string(out, "question", poll, "name");
	wuzapi_open_array(out, "options");
	for (uint32 i = 0; i < wuzapi_count(list); i++)
	{
		char *name = wuzapi_text_of(wuzapi_element(list, i), "optionName");

		if (name != NULL && strlen(name) <= MAX_OPTION_BYTES)
			wuzapi_add_element(out, name);
	}
	wuzapi_close_array(out);
	wuzapi_copy_number(out, "selectableCount", poll, "selectableOptionsCount");
	(void) wuzapi_close(out);
}

static void
describe_poll(WuzapiOutput *out, const WuzapiContent *content)
{
	describe(out, content->body, "options");
}

static void
describe_result(WuzapiOutput *out, const WuzapiContent *content)
{
	describe(out, content->body, "pollVotes");
}

/* Appends an option to what is shown. */
typedef void (*AppendOption)(StringInfo text, uint32 number, const char *name,
							 JsonbContainer *option);

/* The question and the options, as text. */
static void
set_text(WuzapiContent *content, const char *options, AppendOption append)
{
	char *question = wuzapi_text_of(content->body, "name");
	JsonbContainer *list = wuzapi_find_array(content->body, options);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "📊 %s", question ? question : "");
	for (uint32 i = 0; i < wuzapi_count(list); i++)
	{
		JsonbContainer *option = wuzapi_element(list, i);
		char *name = wuzapi_text_of(option, "optionName");

		append(&text, i + 1, name ? name : "", option);
	}
	wuzapi_set_text(content, text.data);
}

static void
append_number(StringInfo text, uint32 number, const char *name, JsonbContainer *option)
{
	appendStringInfo(text, "\n%u. %s", number, name);
}

static void
append_votes(StringInfo text, uint32 number, const char *name, JsonbContainer *option)
{
	appendStringInfo(text, "\n%s: %.0f", name, wuzapi_number(option, "optionVoteCount"));
}

/* A poll: its question, and its options with numbers. */
const char *
wuzapi_read_poll(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);

	content->describe = describe_poll;
	set_text(content, "options", append_number);
	return reason;
}

/* What came out of a poll: its question, and how many chose each option. */
const char *
wuzapi_read_result(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);

	content->describe = describe_result;
	set_text(content, "pollVotes", append_votes);
	return reason;
}

static void
describe_event(WuzapiOutput *out, const WuzapiContent *content)
{
	static const char *const names[] = {"name", "eventTitle", "title"};
	JsonbContainer *body = content->body;
	double start = wuzapi_number(body, "startTime");

	wuzapi_open(out, "event");
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (wuzapi_copy_string(out, "name", body, names[i]))
			break;
	}
	(void) wuzapi_copy_string(out, "description", body, "description");
	(void) wuzapi_copy_string(out, "location", wuzapi_find_object(body, "location"), "name");
	(void) wuzapi_copy_string(out, "link", body, "joinLink");
	if (start <= 0)
		start = wuzapi_number(body, "scheduledTimestampMS") / 1000;
	wuzapi_put_text(out, "startsAt", wuzapi_time(start));
	wuzapi_put_text(out, "endsAt", wuzapi_time(wuzapi_number(body, "endTime")));
	if (wuzapi_is_true(body, "isCanceled"))
		wuzapi_put_bool(out, "canceled", true);
	(void) wuzapi_close(out);
}

/* An event or a call that somebody plans: its name, and what it is about. */
const char *
wuzapi_read_event(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *name = kind->text == NULL ? NULL : wuzapi_text_of(content->body, kind->text);
	char *description = wuzapi_text_of(content->body, "description");

	content->describe = describe_event;
	wuzapi_set_text(content,
					psprintf("%s%s%s%s%s", kind->placeholder, name ? " " : "", name ? name : "",
							 description ? "\n" : "", description ? description : ""));
	return reason;
}
