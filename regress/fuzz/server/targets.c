/*
 * Targets that need a server; see targets.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "keys/apikey.h"
#include "payload.h"
#include "targets.h"

extern Datum chat_wuzapi_parse(PG_FUNCTION_ARGS);
extern Datum chat_api_key_hash(PG_FUNCTION_ARGS);
extern Datum chat_verify_wuzapi(PG_FUNCTION_ARGS);

static void
require(bool condition, const char *what)
{
	if (condition)
		return;
	write_stderr("fuzz: %s\n", what);
	abort();
}

/* The bytes as a string, or NULL where a text cannot hold them. */
static char *
text_of(const char *data, size_t size)
{
	char *text = palloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	return pg_verify_mbstr(PG_UTF8, text, (int) size, true) ? text : NULL;
}

static char *
jsonb_text(Datum value)
{
	Jsonb *jsonb = DatumGetJsonbP(value);

	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

/* The body of a webhook: what comes out is valid jsonb that says its kind, and the same the second time. */
static void
wuzapi(const char *data, size_t size)
{
	char *text = text_of(data, size);
	Datum body;
	char *parsed;
	Datum again;

	if (text == NULL)
		return;
	body = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
	parsed = jsonb_text(DirectFunctionCall1(chat_wuzapi_parse, body));
	require(strncmp(parsed, "{", 1) == 0 && strstr(parsed, "\"kind\": ") != NULL, "no kind");
	again = DirectFunctionCall1(jsonb_in, CStringGetDatum(parsed));
	require(strcmp(jsonb_text(again), parsed) == 0, "not the form of jsonb");
	require(strcmp(jsonb_text(DirectFunctionCall1(chat_wuzapi_parse, body)), parsed) == 0,
			"another answer the second time");
}

static bool
base62(const char *text, int count)
{
	static const char all[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	for (int i = 0; i < count; i++)
	{
		if (memchr(all, text[i], strlen(all)) == NULL)
			return false;
	}
	return true;
}

/* CRC-32 bit by bit, written with six characters. */
static void
checksum(const char *key, int count, char *out)
{
	static const char all[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint32 crc = 0xffffffff;

	for (int i = 0; i < count; i++)
	{
		crc ^= (unsigned char) key[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	crc = ~crc;
	for (int i = 5; i >= 0; i--, crc /= 62)
		out[i] = all[crc % 62];
}

/* What chat.authenticate says of a key: an answer, never an error. */
static char *
authenticate(char *text)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(text)};
	char *code;
	MemoryContext mine = CurrentMemoryContext;

	SPI_connect();
	require(SPI_execute_with_args("SELECT code FROM chat.authenticate($1)", 1, types, values, NULL,
								  false, 1) == SPI_OK_SELECT &&
				SPI_processed == 1,
			"chat.authenticate gives no row");
	code = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	code = MemoryContextStrdup(mine, code);
	SPI_finish();
	return code;
}

/* Form and checksum of a key, against a second opinion; once as it is, and once with the checksum it should have. */
static void
api_key(const char *data, size_t size)
{
	const int signed_length = CHAT_KEY_LENGTH - 6;
	char *key = palloc(CHAT_KEY_LENGTH); /* without a NUL: nothing may look for one */
	char *text;
	char crc[6];
	bool good;

	if (size == CHAT_KEY_LENGTH)
	{
		memcpy(key, data, size);
		checksum(key, signed_length, crc);
		good = memcmp(key, "csk_", 4) == 0 && base62(key + 4, CHAT_KEY_LENGTH - 4) &&
			   memcmp(key + signed_length, crc, 6) == 0;
		require(chat_key_is_well_formed(key) == good, "the form of a key");
		memcpy(key, "csk_", 4);
		checksum(key, signed_length, key + signed_length);
		require(chat_key_is_well_formed(key) == base62(key + 4, CHAT_KEY_LENGTH - 4),
				"the checksum of a key");
	}
	text = text_of(data, size);
	if (text != NULL)
	{
		char *code = authenticate(text);

		require(strncmp(code, "API_KEY_", 8) == 0, "a key that nobody made is let in");
		require(size != 0 || strcmp(code, "API_KEY_MISSING") == 0, "an empty key is there");
		(void) DirectFunctionCall1(chat_api_key_hash, CStringGetTextDatum(text));
	}
}

/* The signature of a webhook: a body signed with a key is accepted with it, in either case of letters, and no other. */
static void
signature(const char *data, size_t size)
{
	bytea *body = cstring_to_text_with_len("body", 4);
	text *given = cstring_to_text_with_len(data, (int) size);
	bool accepted = DatumGetBool(DirectFunctionCall3(chat_verify_wuzapi, PointerGetDatum(body),
													 PointerGetDatum(given),
													 CStringGetTextDatum("key")));
	char hex[2 * PG_SHA256_DIGEST_LENGTH + 1] =
		"515aae133b435d4000956731f68ae5cf5eb85d4f0dc6a546d2bfcd3595ec1ae1";
	size_t skip = size > 7 && memcmp(data, "sha256=", 7) == 0 ? 7 : 0;

	require(accepted == (size - skip == strlen(hex) &&
						 pg_strncasecmp(data + skip, hex, strlen(hex)) == 0),
			"a signature");
}

static const FuzzTarget targets[] = {
	{"wuzapi", wuzapi},
	{"api_key", api_key},
	{"signature", signature},
};

const FuzzTarget *
fuzz_target(const char *name)
{
	for (int i = 0; i < (int) lengthof(targets); i++)
	{
		if (strcmp(targets[i].name, name) == 0)
			return &targets[i];
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no target \"%s\"", name)));
}
