/*
 * See keyring.h. Keys of a JWKS that are of no use here (for encryption, of another type, too short) are skipped; one
 * without any that is of use is refused, as it would lock everybody out.
 */
#include "endpoint/keyring.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "endpoint/public_key.h"

#define MAX_KEYS 32
#define MAX_API_KEYS 64

struct api_key
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char *role;
};

struct keyring
{
	char *secrets[KEYRING_MAX_SECRETS];
	int nsecrets;
	struct public_key *keys[MAX_KEYS];
	int nkeys;
	struct api_key api_keys[MAX_API_KEYS];
	int napi_keys;
};

static const struct
{
	const char *name;
	const EVP_MD *(*digest)(void);
} macs[] = {{"HS256", EVP_sha256}, {"HS384", EVP_sha384}, {"HS512", EVP_sha512}};

struct keyring *
keyring_create(void)
{
	return xcalloc(1, sizeof(struct keyring));
}

/* Secrets ------------------------------------------------------------------------------------- */

static void
forget_secrets(struct keyring *keyring)
{
	for (int i = 0; i < keyring->nsecrets; i++)
	{
		OPENSSL_cleanse(keyring->secrets[i], strlen(keyring->secrets[i]));
		free(keyring->secrets[i]);
	}
	keyring->nsecrets = 0;
}

void
keyring_set_secrets(struct keyring *keyring, const char *secrets)
{
	forget_secrets(keyring);
	while (*secrets != '\0' && keyring->nsecrets < KEYRING_MAX_SECRETS)
	{
		size_t len = strcspn(secrets, ",");

		keyring->secrets[keyring->nsecrets++] = xstrndup(secrets, len);
		secrets += len + (secrets[len] == ',');
	}
}

const char *
keyring_secret(const struct keyring *keyring)
{
	return keyring->nsecrets > 0 ? keyring->secrets[0] : "";
}

/* NULL: it is none of HMAC. */
static const EVP_MD *
mac_of(const char *algorithm)
{
	for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++)
	{
		if (strcmp(macs[i].name, algorithm) == 0)
			return macs[i].digest();
	}
	return NULL;
}

static bool
verify_mac(const char *secret, const EVP_MD *digest, const char *text, size_t len,
		   const unsigned char *signature, size_t signature_len)
{
	unsigned char wanted[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	return HMAC(digest, secret, (int) strlen(secret), (const unsigned char *) text, len, wanted,
				&size) != NULL &&
		   size == signature_len && CRYPTO_memcmp(wanted, signature, size) == 0;
}

/* Public keys --------------------------------------------------------------------------------- */

static void
free_keys(struct public_key **keys, int count)
{
	for (int i = 0; i < count; i++)
		public_key_free(keys[i]);
}

const char *
keyring_set_jwks(struct keyring *keyring, const char *text)
{
	struct public_key *keys[MAX_KEYS];
	json_t *set = *text != '\0' ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const json_t *list = json_object_get(set, "keys");
	int count = 0;

	for (size_t i = 0; i < json_array_size(list) && count < MAX_KEYS; i++)
	{
		keys[count] = public_key_create(json_array_get(list, i));
		count += keys[count] != NULL;
	}
	json_decref(set);
	if (count == 0 && *text != '\0')
		return json_is_array(list)
				   ? "holds no public key that is of use: RSA of at least 2048 bits, P-256 or Ed25519"
				   : "is no JWKS: {\"keys\": […]}";
	free_keys(keyring->keys, keyring->nkeys);
	memcpy(keyring->keys, keys, count * sizeof(*keys));
	keyring->nkeys = count;
	return NULL;
}

/* API keys ------------------------------------------------------------------------------------ */

static void
free_api_keys(struct api_key *keys, int count)
{
	for (int i = 0; i < count; i++)
		free(keys[i].role);
}

/* One line; false: it is none. */
static bool
read_api_key(const char *line, size_t len, struct api_key *key)
{
	static const char blanks[] = " \t\r\n";
	size_t first = strcspn(line, blanks), gap, second;

	if (first >= len || first < 8 || strncmp(line, "sb_", 3) != 0)
		return false;
	gap = strspn(line + first, " \t");
	second = strcspn(line + first + gap, blanks);
	if (second == 0 || first + gap + second > len ||
		first + gap + second + strspn(line + first + gap + second, " \t\r") < len)
		return false;
	SHA256((const unsigned char *) line, first, key->digest);
	key->role = xstrndup(line + first + gap, second);
	return true;
}

bool
keyring_role_exists(const char *role)
{
	return strcmp(role, "anon") == 0 || strcmp(role, "authenticated") == 0 ||
		   strcmp(role, "service_role") == 0;
}

/* NULL: good. What it has put into keys is to be freed either way. */
static const char *
read_api_keys(const char *text, struct api_key *keys, int *count)
{
	for (const char *line = text; *line != '\0';)
	{
		size_t len = strcspn(line, "\n");

		if (strspn(line, " \t\r") < len && *line != '#')
		{
			if (*count == MAX_API_KEYS)
				return "has more than 64 keys";
			if (!read_api_key(line, len, &keys[*count]))
				return "has a line that is not a key (sb_…) and its role";
			if (!keyring_role_exists(keys[(*count)++].role))
				return "has a role that is none of anon, authenticated, service_role";
		}
		line += len + (line[len] == '\n');
	}
	return NULL;
}

const char *
keyring_set_api_keys(struct keyring *keyring, const char *text)
{
	struct api_key keys[MAX_API_KEYS];
	int count = 0;
	const char *fault = read_api_keys(text, keys, &count);

	if (fault != NULL)
	{
		free_api_keys(keys, count);
		return fault;
	}
	free_api_keys(keyring->api_keys, keyring->napi_keys);
	memcpy(keyring->api_keys, keys, count * sizeof(*keys));
	keyring->napi_keys = count;
	return NULL;
}

const char *
keyring_role(const struct keyring *keyring, const char *api_key)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	const char *role = NULL;

	SHA256((const unsigned char *) api_key, strlen(api_key), digest);
	for (int i = 0; i < keyring->napi_keys; i++)
	{
		if (CRYPTO_memcmp(digest, keyring->api_keys[i].digest, sizeof(digest)) == 0)
			role = keyring->api_keys[i].role;
	}
	return role;
}

/* Both ---------------------------------------------------------------------------------------- */

bool
keyring_knows(const char *algorithm)
{
	return mac_of(algorithm) != NULL || public_key_algorithm_exists(algorithm);
}

enum verified
keyring_verify(const struct keyring *keyring, const char *algorithm, const char *key_id,
			   const char *text, size_t len, const unsigned char *signature, size_t signature_len)
{
	const EVP_MD *digest = mac_of(algorithm);

	for (int i = 0; digest != NULL && i < keyring->nsecrets; i++)
	{
		if (verify_mac(keyring->secrets[i], digest, text, len, signature, signature_len))
			return VERIFIED_BY_SECRET;
	}
	for (int i = 0; digest == NULL && i < keyring->nkeys; i++)
	{
		if (public_key_is_meant(keyring->keys[i], algorithm, key_id) &&
			public_key_verify(keyring->keys[i], text, len, signature, signature_len))
			return VERIFIED_BY_KEY;
	}
	return VERIFIED_NOT;
}

void
keyring_free(struct keyring *keyring)
{
	forget_secrets(keyring);
	free_keys(keyring->keys, keyring->nkeys);
	free_api_keys(keyring->api_keys, keyring->napi_keys);
	free(keyring);
}
