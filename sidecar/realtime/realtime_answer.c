/*
 * See realtime_answer.h. A batch is refused as a whole: either with a list of errors, one per message in the
 * same order, or, when it cannot even be parsed, without any hint at the culprit.
 */
#include "realtime/realtime_answer.h"

#include <jansson.h>
#include <string.h>

/* Flags the messages with errors in {"errors":{"messages":[{},{"payload":[…]},…]}}; answers how many. */
static int
flag_errors(const char *body, size_t len, int count, bool *flags)
{
	json_t *root = json_loadb(body, len, 0, NULL);
	json_t *list = json_object_get(json_object_get(root, "errors"), "messages");
	int flagged = 0;

	if (json_array_size(list) != (size_t) count)
	{
		json_decref(root);
		return 0;
	}
	for (int i = 0; i < count; i++)
	{
		flags[i] = json_object_size(json_array_get(list, (size_t) i)) > 0;
		flagged += flags[i];
	}
	json_decref(root);
	return flagged;
}

bool
answer_knows_no_tenant(const struct http_response *response)
{
	return strstr(response->body, "Tenant not found") != NULL;
}

/* Says for people what to look at. */
static const char *
hint_at(const struct http_response *response)
{
	switch (response->status)
	{
		case 0:
			return response->connect_failed ? "is Realtime running, and REALTIME_URL right?" : "";
		case 401:
			if (answer_knows_no_tenant(response))
				return "the host names no tenant of Realtime: set REALTIME_HOST, e.g. to realtime-dev.localhost";
			return "REALTIME_KEY is refused: it must be a token with role service_role and exp, signed with the tenant's secret";
		case 403:
			return "REALTIME_KEY is not allowed to broadcast, or the tenant is suspended";
		case 404:
			return "nothing is there: REALTIME_URL is without /api/broadcast, and through a gateway it ends in /realtime/v1";
		case 429:
			return "lower REALTIME_MAX_EVENTS_PER_SECOND, or raise the tenant's limit";
		default:
			if (response->status >= 200 && response->status < 400 && response->status != 202)
				return "this is not Realtime, which answers 202: REALTIME_URL is wrong";
			return "";
	}
}

static enum verdict_kind
judge_invalid(const struct http_response *response, int count, bool *refused)
{
	/* Realtime says of an empty batch that messages can't be blank. */
	if (count == 0)
		return VERDICT_ACCEPTED;
	if (flag_errors(response->body, response->body_len, count, refused) > 0)
		return VERDICT_POISONED;
	/* {"message": …} speaks of the tenant's database, and passes. */
	return strstr(response->body, "\"message\"") != NULL ? VERDICT_AGAIN : VERDICT_STOP;
}

static enum verdict_kind
judge_status(const struct http_response *response, int count, bool *refused)
{
	switch (response->status)
	{
		case 202:
			return VERDICT_ACCEPTED;
		case 400:
		case 413:
			return VERDICT_SPLIT;
		case 422:
			return judge_invalid(response, count, refused);
		case 429:
			return VERDICT_LIMITED;
		case 408:
		case 425:
			return VERDICT_AGAIN;
		default:
			/* Realtime accepts with 202 alone, and never redirects: others are not Realtime. */
			return response->status >= 200 && response->status < 500 ? VERDICT_STOP : VERDICT_AGAIN;
	}
}

bool
answer_refuses_key(const struct http_response *response)
{
	return response->status == 401 || response->status == 403;
}

struct verdict
answer_judge(const struct http_response *response, int count, bool *refused)
{
	return (struct verdict){
		.kind = response->reused_connection_closed ? VERDICT_VOID
												   : judge_status(response, count, refused),
		.refused = refused,
		.status = response->status,
		.error = response->error,
		.location = response->location,
		.answer = response->body,
		.hint = hint_at(response),
	};
}

/* {"message": …} of what passes, in the words of the server. */
static bool
is_transient(const char *body)
{
	static const char *const texts[] = {"Query canceled",
										"Missing messages partition",
										"Tenant database unavailable",
										"Tenant database initializing",
										"Tenant database connection initializing",
										"Tenant database has too many connections",
										"Connect rate limit reached"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		if (strstr(body, texts[i]) != NULL)
			return true;
	}
	return false;
}

enum confirmation
answer_confirms(const struct http_response *response)
{
	switch (response->status)
	{
		case 202:
			return CONFIRMED;
		case 401:
		case 403:
			return CONFIRMATION_REFUSED;
		case 404:
			return CONFIRMS_NOTHING;
		case 422:
			if (is_transient(response->body))
				return CONFIRMED_LOST;
			return strstr(response->body, "RLS policy error") != NULL ? CONFIRMATION_REFUSED
																	  : CONFIRMS_LATER;
		case 429:
			return strstr(response->body, "Connection pool exhausted") != NULL ? CONFIRMED_LOST
																			   : CONFIRMS_LATER;
		default:
			return CONFIRMS_LATER;
	}
}
