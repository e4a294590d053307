/*
 * Making, checking and hashing API keys; see apikey.h.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/pg_crc.h"

#include "keys/apikey.h"

#define PREFIX "csk_"
#define PREFIX_LENGTH 4
#define CRC_LENGTH 6
#define SIGNED_LENGTH (CHAT_KEY_LENGTH - CRC_LENGTH)
#define MIN_PEPPER_LENGTH 32

PG_FUNCTION_INFO_V1(chat_make_api_key);
PG_FUNCTION_INFO_V1(chat_api_key_hash);
PG_FUNCTION_INFO_V1(chat_random_bytes);

char *chat_key_pepper = "";
char *chat_key_pepper_old = "";
uint64 chat_key_peppers = 1;

/* False in a session that loaded the library itself: until then, any role could read the setting. */
static bool pepper_is_hidden = false;

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* That a pepper cannot be set for a database or a role, where everybody could read it, follows from PGC_SIGHUP. */
static bool
check_pepper(char **value, void **extra, GucSource source)
{
	if (**value == '\0')
		return true;
	if (strlen(*value) < MIN_PEPPER_LENGTH)
	{
		GUC_check_errdetail("A pepper is at least %d bytes long.", MIN_PEPPER_LENGTH);
		return false;
	}
	return true;
}

static void
pepper_changed(const char *value, void *extra)
{
	chat_key_peppers++;
}

void
chat_apikey_init(void)
{
	pepper_is_hidden = process_shared_preload_libraries_in_progress;
	DefineCustomStringVariable(
		"chat_realtime.key_pepper", "Secret that API keys are hashed with (HMAC-SHA-256).",
		"Empty: they are hashed with SHA-256 alone. Needs shared_preload_libraries.",
		&chat_key_pepper, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY | GUC_NOT_IN_SAMPLE, check_pepper,
		pepper_changed, NULL);
	DefineCustomStringVariable(
		"chat_realtime.key_pepper_old", "The pepper before: keys hashed with it are good still.",
		"Empty: there was none. Such a key is hashed anew when it is used.", &chat_key_pepper_old,
		"", PGC_SIGHUP, GUC_SUPERUSER_ONLY | GUC_NOT_IN_SAMPLE, check_pepper, pepper_changed, NULL);
}

/* Six base62 characters of a CRC-32, the most significant first. */
static void
write_crc(const char *key, char *out)
{
	pg_crc32 crc;

	INIT_TRADITIONAL_CRC32(crc);
	COMP_TRADITIONAL_CRC32(crc, key, SIGNED_LENGTH);
	FIN_TRADITIONAL_CRC32(crc);
	for (int i = CRC_LENGTH - 1; i >= 0; i--)
	{
		out[i] = base62[crc % 62];
		crc /= 62;
	}
}

static bool
is_base62(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool
chat_key_is_well_formed(const char *key)
{
	char crc[CRC_LENGTH];

	if (memcmp(key, PREFIX, PREFIX_LENGTH) != 0)
		return false;
	for (int i = PREFIX_LENGTH; i < CHAT_KEY_LENGTH; i++)
	{
		if (!is_base62(key[i]))
			return false;
	}
	write_crc(key, crc);
	return memcmp(crc, key + SIGNED_LENGTH, CRC_LENGTH) == 0;
}

/* Random base62 characters. A byte from 248 on is dropped: 248 is a multiple of 62, so all are equally likely. */
static void
write_random(char *out, int count)
{
	unsigned char bytes[64];
	int at = sizeof(bytes);

	for (int i = 0; i < count;)
	{
		if (at == sizeof(bytes))
		{
			if (!pg_strong_random(bytes, sizeof(bytes)))
				ereport(ERROR,
						(errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random numbers can be had")));
			at = 0;
		}
		if (bytes[at] < 248)
			out[i++] = base62[bytes[at] % 62];
		at++;
	}
	explicit_bzero(bytes, sizeof(bytes));
}

/* Refuses to work with a pepper that was readable before the library was loaded. */
static void
require_hidden_pepper(void)
{
	if (!pepper_is_hidden)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a pepper for API keys needs the library to be preloaded"),
			 errdetail("Until a session loads it, every role can read chat_realtime.key_pepper."),
			 errhint("Add chat_realtime to shared_preload_libraries and restart the server.")));
}

static void
hmac(const char *key, const char *pepper, uint8 *digest)
{
	pg_hmac_ctx *context = pg_hmac_create(PG_SHA256);

	if (context == NULL || pg_hmac_init(context, (const uint8 *) pepper, strlen(pepper)) < 0 ||
		pg_hmac_update(context, (const uint8 *) key, CHAT_KEY_LENGTH) < 0 ||
		pg_hmac_final(context, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "HMAC of an API key failed: %s", pg_hmac_error(context));
	pg_hmac_free(context);
}

static void
sha256(const char *key, uint8 *digest)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) key, CHAT_KEY_LENGTH) < 0 ||
		pg_cryptohash_final(context, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "hash of an API key failed: %s", pg_cryptohash_error(context));
	pg_cryptohash_free(context);
}

void
chat_key_hash(const char *key, const char *pepper, char *hash)
{
	uint8 digest[PG_SHA256_DIGEST_LENGTH];

	if (*pepper != '\0')
	{
		require_hidden_pepper();
		hmac(key, pepper, digest);
	}
	else
		sha256(key, digest);
	hex_encode((const char *) digest, sizeof(digest), hash);
	hash[CHAT_KEY_HASH_LENGTH] = '\0';
}

Datum
chat_make_api_key(PG_FUNCTION_ARGS)
{
	char key[CHAT_KEY_LENGTH];

	memcpy(key, PREFIX, PREFIX_LENGTH);
	write_random(key + PREFIX_LENGTH, SIGNED_LENGTH - PREFIX_LENGTH);
	write_crc(key, key + SIGNED_LENGTH);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(key, sizeof(key)));
}

Datum
chat_api_key_hash(PG_FUNCTION_ARGS)
{
	text *key = PG_GETARG_TEXT_PP(0);
	char hash[CHAT_KEY_HASH_LENGTH + 1];

	if (VARSIZE_ANY_EXHDR(key) != CHAT_KEY_LENGTH || !chat_key_is_well_formed(VARDATA_ANY(key)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("this is no API key")));
	chat_key_hash(VARDATA_ANY(key), chat_key_pepper, hash);
	PG_RETURN_TEXT_P(cstring_to_text(hash));
}

/* SQL: chat.random_bytes(length) */
Datum
chat_random_bytes(PG_FUNCTION_ARGS)
{
	int32 length = PG_GETARG_INT32(0);
	bytea *result;

	if (length < 1 || length > 1024)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("length must be from 1 to 1024")));
	result = palloc(VARHDRSZ + length);
	SET_VARSIZE(result, VARHDRSZ + length);
	if (!pg_strong_random(VARDATA(result), length))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random numbers can be had")));
	PG_RETURN_BYTEA_P(result);
}
