/*
 * What each answer of Realtime means, as its documentation and a running server have them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/realtime/realtime_answer.h"

static void
check(long status, const char *body, enum answer wanted)
{
	struct http_response response = {.status = status, .body = body, .body_len = strlen(body)};
	bool flags[2];
	enum answer got = answer_judge(&response, 2, flags);

	printf("%s %ld %s\n", got == wanted ? "ok" : "not ok", status, body);
	if (got != wanted)
		exit(1);
}

static void
check_single(long status, const char *body, enum confirmation wanted)
{
	struct http_response response = {.status = status, .body = body, .body_len = strlen(body)};
	enum confirmation got = answer_confirms(&response);

	printf("%s alone: %ld %s\n", got == wanted ? "ok" : "not ok", status, body);
	if (got != wanted)
		exit(1);
}

int
main(void)
{
	check_single(202, "", CONFIRMED);
	check_single(429, "{\"message\":\"Connection pool exhausted\"}", CONFIRMED_LOST);
	check_single(429, "{\"message\":\"Too many requests\"}", CONFIRMS_LATER);
	check_single(429, "{\"message\":\"You have exceeded your rate limit\"}", CONFIRMS_LATER);
	check_single(422, "{\"message\":\"Query canceled\"}", CONFIRMED_LOST);
	check_single(422, "{\"message\":\"Tenant database connection initializing\"}", CONFIRMED_LOST);
	check_single(422, "{\"message\":\"RLS policy error\"}", CONFIRMATION_REFUSED);
	check_single(422, "<html>", CONFIRMS_LATER);
	check_single(401, "", CONFIRMATION_REFUSED);
	check_single(403, "{\"message\":\"Unauthorized\"}", CONFIRMATION_REFUSED);
	check_single(404, "", CONFIRMS_NOTHING);
	check_single(503, "", CONFIRMS_LATER);
	check_single(0, "", CONFIRMS_LATER);
	check(202, "", ANSWER_ACCEPTED);
	check(200, "<html>", ANSWER_STRANGER);
	check(201, "", ANSWER_STRANGER);
	check(204, "", ANSWER_STRANGER);
	check(301, "", ANSWER_STRANGER);
	check(304, "", ANSWER_STRANGER);
	check(400, "Bad Request", ANSWER_SPLIT);
	check(413, "", ANSWER_SPLIT);
	check(401, "{\"message\":\"Unauthorized\"}", ANSWER_KEY);
	check(403, "{\"message\":\"Tenant is suspended\"}", ANSWER_KEY);
	check(404, "", ANSWER_REFUSED);
	check(406, "", ANSWER_REFUSED);
	check(408, "", ANSWER_AGAIN);
	check(425, "", ANSWER_AGAIN);
	check(429, "{\"message\":\"Too many requests\"}", ANSWER_LIMITED);
	check(500, "\"Internal Server Error\"", ANSWER_AGAIN);
	check(503, "", ANSWER_AGAIN);
	check(0, "", ANSWER_AGAIN);
	check(422, "{\"errors\":{\"messages\":[{},{\"payload\":[\"can't be blank\"]}]}}",
		  ANSWER_POISONED);
	/* The list is not that of the messages, or flags none of them: no message may be set aside for it. */
	check(422, "{\"errors\":{\"messages\":[{\"payload\":[\"can't be blank\"]}]}}", ANSWER_REFUSED);
	check(422, "{\"errors\":{\"messages\":[{},{}]}}", ANSWER_REFUSED);
	check(422, "{\"errors\":{\"messages\":[\"can't be blank\"]}}", ANSWER_REFUSED);
	check(422, "{\"message\":\"Tenant database unavailable\"}", ANSWER_AGAIN);
	check(422, "<html>", ANSWER_REFUSED);
	return 0;
}
