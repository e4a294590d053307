/*
 * What each answer of Realtime means, as its documentation and a running server have them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/realtime/realtime_answer.h"
#include "require.h"

static void
check(long status, const char *body, enum verdict_kind wanted)
{
	struct http_response response = {.status = status, .body = body, .body_len = strlen(body)};
	bool flags[2];
	enum verdict_kind got = answer_judge(&response, 2, flags).kind;

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

static void
check_texts(void)
{
	const struct http_response refused = {.status = 401, .body = "{\"message\":\"Unauthorized\"}"},
							   closed = {
								   .error = "closed", .body = "", .reused_connection_closed = true};
	bool flags[1];
	struct verdict verdict = answer_judge(&refused, 1, flags);

	require("a verdict has the answer's words, and what to look at",
			verdict.status == 401 && verdict.answer == refused.body &&
				strstr(verdict.hint, "REALTIME_KEY") != NULL);
	require("that it is the key is said apart",
			answer_refuses_key(&refused) && !answer_refuses_key(&closed));
	require("a connection that was closed says nothing",
			answer_judge(&closed, 1, flags).kind == VERDICT_VOID);
}

/* Realtime says of an empty batch that messages can't be blank. */
static void
check_empty(long status, const char *body, enum verdict_kind wanted)
{
	const struct http_response response = {
		.status = status, .body = body, .body_len = strlen(body)};

	require("an empty batch", answer_judge(&response, 0, NULL).kind == wanted);
}

int
main(void)
{
	check_texts();
	check_empty(422, "{\"errors\":{\"messages\":[\"can't be blank\"]}}", VERDICT_ACCEPTED);
	check_empty(202, "", VERDICT_ACCEPTED);
	check_empty(400, "Bad Request", VERDICT_SPLIT);
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
	check(202, "", VERDICT_ACCEPTED);
	check(200, "<html>", VERDICT_STOP);
	check(201, "", VERDICT_STOP);
	check(204, "", VERDICT_STOP);
	check(301, "", VERDICT_STOP);
	check(304, "", VERDICT_STOP);
	check(400, "Bad Request", VERDICT_SPLIT);
	check(413, "", VERDICT_SPLIT);
	check(401, "{\"message\":\"Unauthorized\"}", VERDICT_STOP);
	check(403, "{\"message\":\"Tenant is suspended\"}", VERDICT_STOP);
	check(404, "", VERDICT_STOP);
	check(406, "", VERDICT_STOP);
	check(408, "", VERDICT_AGAIN);
	check(425, "", VERDICT_AGAIN);
	check(429, "{\"message\":\"Too many requests\"}", VERDICT_LIMITED);
	check(500, "\"Internal Server Error\"", VERDICT_AGAIN);
	check(503, "", VERDICT_AGAIN);
	check(0, "", VERDICT_AGAIN);
	check(422, "{\"errors\":{\"messages\":[{},{\"payload\":[\"can't be blank\"]}]}}",
		  VERDICT_POISONED);
	/* The list is not that of the messages, or flags none of them: no message may be set aside for it. */
	check(422, "{\"errors\":{\"messages\":[{\"payload\":[\"can't be blank\"]}]}}", VERDICT_STOP);
	check(422, "{\"errors\":{\"messages\":[{},{}]}}", VERDICT_STOP);
	check(422, "{\"errors\":{\"messages\":[\"can't be blank\"]}}", VERDICT_STOP);
	check(422, "{\"message\":\"Tenant database unavailable\"}", VERDICT_AGAIN);
	check(422, "<html>", VERDICT_STOP);
	return 0;
}
