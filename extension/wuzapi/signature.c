/*
 * chat.verify_wuzapi: whether the bytes of a webhook were signed with a key.
 *
 * WUZAPI signs with HMAC-SHA-256 and sends it in hex. The answer is true or false, never an error: a signature is what
 * strangers send.
 */
#include "postgres.h"

#include "common/hmac.h"
#include "common/sha2.h"
#include "fmgr.h"

#include "compat.h"

/* Larger than any body WUZAPI sends, which can hold a file in base64. */
#define MAX_BODY_BYTES (128 * 1024 * 1024)

PG_FUNCTION_INFO_V1(chat_verify_wuzapi);

/* The value of a hexadecimal digit, or -1. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads the signature, with or without "sha256=" in front. */
static bool
read_signature(const text *signature, uint8 *bytes)
{
	static const char prefix[] = "sha256=";
	const char *hex = VARDATA_ANY(signature);
	int length = VARSIZE_ANY_EXHDR(signature);

	if (length > (int) strlen(prefix) && memcmp(hex, prefix, strlen(prefix)) == 0)
	{
		hex += strlen(prefix);
		length -= strlen(prefix);
	}
	if (length != 2 * PG_SHA256_DIGEST_LENGTH)
		return false;
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
	{
		int high = hex_digit(hex[2 * i]);
		int low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = high << 4 | low;
	}
	return true;
}

static bool
sign(const text *key, const bytea *body, uint8 *bytes)
{
	pg_hmac_ctx *context = pg_hmac_create(PG_SHA256);
	bool done;

	if (context == NULL)
		return false;
	done =
		pg_hmac_init(context, (const uint8 *) VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)) == 0 &&
		pg_hmac_update(context, (const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body)) == 0 &&
		pg_hmac_final(context, bytes, PG_SHA256_DIGEST_LENGTH) == 0;
	pg_hmac_free(context);
	return done;
}

/* SQL: chat.verify_wuzapi(body, signature, key) */
Datum
chat_verify_wuzapi(PG_FUNCTION_ARGS)
{
	uint8 given[PG_SHA256_DIGEST_LENGTH];
	uint8 wanted[PG_SHA256_DIGEST_LENGTH];
	uint8 difference = 0;
	bytea *body;
	text *key;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_BOOL(false);
	body = PG_GETARG_BYTEA_PP(0);
	key = PG_GETARG_TEXT_PP(2);
	if (VARSIZE_ANY_EXHDR(key) == 0 || VARSIZE_ANY_EXHDR(body) > MAX_BODY_BYTES ||
		!read_signature(PG_GETARG_TEXT_PP(1), given) || !sign(key, body, wanted))
		PG_RETURN_BOOL(false);
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
		difference |= given[i] ^ wanted[i];
	PG_RETURN_BOOL(difference == 0);
}
