/*
 * Polls, what came out of them, and events that somebody plans; see content.h.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

/* Longest name of an option of a poll that goes into metadata. */
#define MAX_OPTION_BYTES 256

/* Walks over a list whose elements have a name. */
static void
put_names(WuzapiOutput *out, JsonbContainer *list, const char *field)
{
	wuzapi_open_array(out, "options");
	for (uint32 i = 0; i < wuzapi_count(list); i++)
	{
		char *name = wuzapi_text_of(wuzapi_element(list, i), field);

		if (name != NULL && strlen(name) <= MAX_OPTION_BYTES)
			wuzapi_add_element(out, name);
	}
	wuzapi_close_array(out);
}

static void
describe_poll(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "poll");
	(void) wuzapi_copy_string(out, "question", content->body, "name");
	put_names(out, wuzapi_find_array(content->body, "options"), "optionName");
	wuzapi_copy_number(out, "selectableCount", content->body, "selectableOptionsCount");
	(void) wuzapi_close(out);
}

/* A poll: its question, and its options with numbers. */
const char *
wuzapi_read_poll(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *question = wuzapi_text_of(content->body, "name");
	JsonbContainer *options = wuzapi_find_array(content->body, "options");
	StringInfoData text;

	content->describe = describe_poll;
	initStringInfo(&text);
	appendStringInfo(&text, "📊 %s", question ? question : "");
	for (uint32 i = 0; i < wuzapi_count(options); i++)
	{
		char *name = wuzapi_text_of(wuzapi_element(options, i), "optionName");

		appendStringInfo(&text, "\n%u. %s", i + 1, name ? name : "");
	}
	wuzapi_set_text(content, text.data);
	return reason;
}

static void
describe_result(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *votes = wuzapi_find_array(content->body, "pollVotes");

	wuzapi_open(out, "poll");
	(void) wuzapi_copy_string(out, "question", content->body, "name");
	put_names(out, votes, "optionName");
	wuzapi_close(out);
}

/* What came out of a poll: its question, and how many chose each option. */
const char *
wuzapi_read_result(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *question = wuzapi_text_of(content->body, "name");
	JsonbContainer *votes = wuzapi_find_array(content->body, "pollVotes");
	StringInfoData text;

	content->describe = describe_result;
	initStringInfo(&text);
	appendStringInfo(&text, "📊 %s", question ? question : "");
	for (uint32 i = 0; i < wuzapi_count(votes); i++)
	{
		JsonbContainer *vote = wuzapi_element(votes, i);
		char *name = wuzapi_text_of(vote, "optionName");

		appendStringInfo(&text, "\n%s: %.0f", name ? name : "",
						 wuzapi_number(vote, "optionVoteCount"));
	}
	wuzapi_set_text(content, text.data);
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
