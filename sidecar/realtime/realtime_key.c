/*
 * See realtime_key.h.
 */
#include "realtime/realtime_key.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/memory.h"

#define OPAQUE "sb_secret_"
#define PUBLISHABLE "sb_publishable_"

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool
realtime_key_is_opaque(const char *key)
{
	return begins(key, OPAQUE) && key[strlen(OPAQUE)] != '\0';
}

/* The claims of what looks like a token, else NULL. */
static json_t *
read_claims(const char *key)
{
	const char *first = strchr(key, '.');
	const char *last = first != NULL ? strchr(first + 1, '.') : NULL;
	unsigned char *text;
	json_t *claims;
	size_t encoded;
	ssize_t len;

	if (last == NULL || strchr(last + 1, '.') != NULL || first == key || last[1] == '\0')
		return NULL;
	encoded = (size_t) (last - first - 1);
	text = xmalloc(BASE64_DECODED_SIZE(encoded));
	len = base64_decode(text, BASE64_DECODED_SIZE(encoded), first + 1, encoded, BASE64_URL);
	claims = len < 0 ? NULL
					 : json_loadb((const char *) text, (size_t) len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	if (json_is_object(claims))
		return claims;
	json_decref(claims);
	return NULL;
}

static const char *
judge_claims(const json_t *claims, int64_t now)
{
	const char *role = json_string_value(json_object_get(claims, "role"));
	const json_t *expires = json_object_get(claims, "exp");

	if (role == NULL || strcmp(role, "service_role") != 0)
		return role != NULL && strcmp(role, "anon") == 0
				   ? "is the anon key: Realtime would accept every event and deliver none; the role must be service_role"
				   : "is a token whose role is not service_role: Realtime would accept every event and deliver none";
	if (!json_is_number(expires))
		return "is a token without exp, which Realtime refuses";
	if (json_number_value(expires) <= (double) now)
		return "is a token that has expired";
	return NULL;
}

const char *
realtime_key_fault(const char *key, int64_t now)
{
	json_t *claims;
	const char *fault;

	if (realtime_key_is_opaque(key))
		return NULL;
	if (begins(key, PUBLISHABLE))
		return "is a publishable key, which may not send: the secret one (sb_secret_…), or a token with role service_role is needed";
	claims = read_claims(key);
	if (claims == NULL)
		return "is neither a token (three parts with dots between) nor a secret key (sb_secret_…)";
	fault = judge_claims(claims, now);
	json_decref(claims);
	return fault;
}
