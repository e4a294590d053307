/*
 * See jwt.h.
 */
#include "endpoint/jwt.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/memory.h"
#include "endpoint/json_scan.h"

#define API_KEY "sb_"
#define DIGEST_BYTES 32
#define MAX_TOKEN 16384 /* bytes; no head of a request has room for more. Its claims are kept */
#define MAX_TIME 9e15   /* seconds that a double holds exactly */

static const char NOT_A_JWT[] = "The token provided is not a valid JWT";

/* NUL terminated, malloc'ed; NULL for what is no such text. */
static unsigned char *
decode(const char *text, size_t len, size_t *out_len)
{
	unsigned char *data = xmalloc(BASE64_DECODED_SIZE(len) + 1);
	ssize_t n = base64_decode(data, BASE64_DECODED_SIZE(len), text, len, BASE64_URL);

	if (n < 0)
	{
		free(data);
		return NULL;
	}
	data[n] = '\0';
	*out_len = (size_t) n;
	return data;
}

static void
sign(const char *text, size_t len, const char *secret, unsigned char *digest)
{
	unsigned int size = DIGEST_BYTES;

	HMAC(EVP_sha256(), secret, strlen(secret), (const unsigned char *) text, len, digest, &size);
}

/*
 * Members of an object by name, in the order of the names. False: one is there twice, which readers would disagree
 * about. Names are compared as what they mean, escapes taken away.
 */
static bool
unique_members(struct json object, const char *const *names, size_t count, struct json *values)
{
	struct json key;
	struct json value;
	bool unique = true;

	memset(values, 0, count * sizeof(*values));
	while (unique && json_next_member(&object, &key, &value))
	{
		char *name = json_text(key);

		for (size_t i = 0; name != NULL && i < count; i++)
		{
			if (strcmp(name, names[i]) != 0)
				continue;
			unique = values[i].start == NULL;
			values[i] = value;
		}
		free(name);
	}
	return unique;
}

/* What a token says of its signature; both malloc'ed or NULL. */
struct header
{
	char *algorithm;
	char *key_id;
};

/* Reads the header. False: its algorithm is none of ours, or it has something that must be understood. */
static bool
read_header(const char *text, size_t len, struct header *header)
{
	static const char *const names[] = {"alg", "crit", "kid"};
	size_t n;
	unsigned char *decoded = decode(text, len, &n);
	struct json value;
	struct json member[3];
	bool ok = decoded != NULL && json_validate((char *) decoded, n, &value) &&
			  json_type(value) == '{' && unique_members(value, names, 3, member) &&
			  member[1].start == NULL;

	*header = (struct header){NULL, NULL};
	if (ok)
	{
		header->algorithm = json_text(member[0]);
		header->key_id = json_text(member[2]);
	}
	free(decoded);
	return header->algorithm != NULL && keyring_knows(header->algorithm);
}

static enum verified
verify_signature(const struct keyring *keyring, const struct header *header, const char *token,
				 const char *last_dot)
{
	size_t n;
	unsigned char *given = decode(last_dot + 1, strlen(last_dot + 1), &n);
	enum verified verified = VERIFIED_NOT;

	if (given != NULL)
		verified = keyring_verify(keyring, header->algorithm, header->key_id, token,
								  last_dot - token, given, n);
	free(given);
	return verified;
}

/* VERIFIED_NOT with *error filled where it is no token of ours. */
static enum verified
verify_text(const struct keyring *keyring, const char *token, const char *first, const char *last,
			const char **error)
{
	struct header header = {NULL, NULL};
	enum verified verified = VERIFIED_NOT;

	*error = NOT_A_JWT;
	if (last != NULL && strchr(last + 1, '.') == NULL && read_header(token, first - token, &header))
	{
		*error = "Failed to validate JWT signature";
		verified = verify_signature(keyring, &header, token, last);
	}
	free(header.algorithm);
	free(header.key_id);
	return verified;
}

/* A point in time, in whole seconds; false: the value is no number. */
static bool
read_time(struct json value, int64_t *seconds)
{
	double number;

	if (json_type(value) == 0 || strchr("-0123456789", json_type(value)) == NULL)
		return false;
	number = strtod(value.start, NULL);
	if (number > MAX_TIME || number < -MAX_TIME)
		number = number > 0 ? MAX_TIME : -MAX_TIME;
	*seconds = (int64_t) number;
	return true;
}

/* Takes role and exp out of the claims. What says who it is must be there once: PostgreSQL takes the last one. */
static const char *
read_claims(struct jwt *jwt, int64_t now)
{
	static const char *const names[] = {"role", "exp", "nbf", "iat", "sub"};
	struct json value;
	struct json claim[5];
	int64_t time;

	if (!json_validate(jwt->claims, strlen(jwt->claims), &value) || json_type(value) != '{' ||
		!unique_members(value, names, 5, claim))
		return NOT_A_JWT;
	jwt->role = json_text(claim[0]);
	jwt->sub = json_text(claim[4]);
	if (jwt->role == NULL || !read_time(claim[1], &jwt->expires))
		return "Fields `role` and `exp` are required in JWT";
	if (claim[3].start != NULL && !read_time(claim[3], &time))
		return "Field `iat` is no number";
	if (claim[2].start != NULL && (!read_time(claim[2], &time) || time > now))
		return "Token is not yet valid";
	return jwt->expires <= now ? JWT_EXPIRED : NULL;
}

/* An API key stands for a role, for as long as it is configured. */
static const char *
take_api_key(const char *key, const struct keyring *keyring, struct jwt *jwt)
{
	const char *role = keyring_role(keyring, key);

	if (role == NULL)
		return NOT_A_JWT;
	jwt->role = xstrdup(role);
	jwt->claims = xasprintf("{\"role\":\"%s\"}", role);
	jwt->expires = (int64_t) MAX_TIME;
	return NULL;
}

static const char *
take_claims(const char *first, const char *last, enum verified verified, int64_t now,
			struct jwt *jwt)
{
	const char *error;
	int64_t expires;
	size_t len;

	jwt->claims = (char *) decode(first + 1, last - first - 1, &len);
	error = jwt->claims == NULL || strlen(jwt->claims) != len ? NOT_A_JWT : read_claims(jwt, now);
	if (error == NULL && verified == VERIFIED_BY_KEY && strcmp(jwt->role, "service_role") == 0)
		error = "Tokens of role service_role must be signed with the secret";
	if (error != NULL)
	{
		expires = jwt->expires;
		jwt_free(jwt);
		jwt->expires = expires;
	}
	return error;
}

const char *
jwt_verify(const char *token, const struct keyring *keyring, int64_t now, struct jwt *jwt)
{
	const char *first = strchr(token, '.');
	const char *last = first ? strchr(first + 1, '.') : NULL;
	const char *error;
	enum verified verified;

	memset(jwt, 0, sizeof(*jwt));
	if (strncmp(token, API_KEY, strlen(API_KEY)) == 0)
		return take_api_key(token, keyring, jwt);
	if (strlen(token) > MAX_TOKEN)
		return NOT_A_JWT;
	verified = verify_text(keyring, token, first, last, &error);
	if (verified == VERIFIED_NOT)
		return error;
	return take_claims(first, last, verified, now, jwt);
}

void
jwt_free(struct jwt *jwt)
{
	free(jwt->claims);
	free(jwt->role);
	free(jwt->sub);
	memset(jwt, 0, sizeof(*jwt));
}

char *
jwt_mint(const char *claims, const char *secret)
{
	static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
	unsigned char digest[DIGEST_BYTES];
	char *first = base64_encode_url((const unsigned char *) header, strlen(header));
	char *second = base64_encode_url((const unsigned char *) claims, strlen(claims));
	size_t size = strlen(first) + strlen(second) + 64;
	char *token = xmalloc(size);
	int len = snprintf(token, size, "%s.%s", first, second);
	char *third;

	sign(token, len, secret, digest);
	third = base64_encode_url(digest, DIGEST_BYTES);
	snprintf(token + len, size - len, ".%s", third);
	free(first);
	free(second);
	free(third);
	return token;
}
