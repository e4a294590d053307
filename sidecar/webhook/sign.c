/*
 * Signatures over OpenSSL's interfaces. The algorithm of the MAC is looked up once, and what a secret comes to is kept for
 * the next message that is signed with it: each of both costs more than a signature.
 */
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/hash.h"
#include "base/memory.h"

#include "webhook/sign.h"

#define KEY_MAX 512
#define PUBLIC_KEY_SIZE 32
#define PUBLIC_SIZE 64
#define DIGEST_SIZE 32
#define KEPT_KEYS 256 /* of each kind; about 1 KiB each */

/* Which bytes of a secret are the key. */
enum kind
{
	DECODED,
	AS_TEXT,
	KINDS
};

/* All zero: nothing is kept here. */
struct kept_key
{
	char *secret;
	EVP_MAC_CTX *context;
};

struct signer
{
	EVP_MAC *mac;
	EVP_MAC_CTX *context; /* without a key */
	struct kept_key keys[KINDS][KEPT_KEYS];
};

struct part
{
	const void *bytes;
	size_t len;
};

struct signer *
signer_create(void)
{
	struct signer *signer = xcalloc(1, sizeof(*signer));
	OSSL_PARAM params[2];

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *) "SHA256", 0);
	params[1] = OSSL_PARAM_construct_end();
	signer->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (signer->mac != NULL)
		signer->context = EVP_MAC_CTX_new(signer->mac);
	if (signer->context != NULL && EVP_MAC_CTX_set_params(signer->context, params) == 1)
		return signer;
	signer_destroy(signer);
	return NULL;
}

static void
forget_key(struct kept_key *key)
{
	if (key->secret != NULL)
		OPENSSL_cleanse(key->secret, strlen(key->secret));
	free(key->secret);
	EVP_MAC_CTX_free(key->context);
	*key = (struct kept_key){NULL, NULL};
}

void
signer_destroy(struct signer *signer)
{
	for (int kind = 0; kind < KINDS; kind++)
	{
		for (int i = 0; i < KEPT_KEYS; i++)
			forget_key(&signer->keys[kind][i]);
	}
	EVP_MAC_CTX_free(signer->context);
	EVP_MAC_free(signer->mac);
	free(signer);
}

/* A context keyed with that; NULL: the library failed. */
static EVP_MAC_CTX *
key_context(const struct signer *signer, enum kind kind, const char *secret)
{
	EVP_MAC_CTX *context = EVP_MAC_CTX_dup(signer->context);
	unsigned char decoded[KEY_MAX];
	const unsigned char *key = (const unsigned char *) secret;
	size_t len = strlen(secret);
	ssize_t decoded_len = -1;

	/* An empty key would be none. */
	if (kind == DECODED && strncmp(secret, "whsec_", 6) == 0)
		decoded_len = base64_decode(decoded, sizeof(decoded), secret + 6, len - 6, BASE64_STANDARD);
	if (decoded_len > 0)
	{
		key = decoded;
		len = (size_t) decoded_len;
	}
	if (context != NULL && EVP_MAC_init(context, key, len, NULL) != 1)
	{
		EVP_MAC_CTX_free(context);
		context = NULL;
	}
	OPENSSL_cleanse(decoded, sizeof(decoded));
	return context;
}

/* The context of a secret, at its beginning; NULL: the library failed. */
static EVP_MAC_CTX *
begin(struct signer *signer, enum kind kind, const char *secret)
{
	struct kept_key *key = &signer->keys[kind][hash_text(HASH_EMPTY, secret) % KEPT_KEYS];

	if (key->secret != NULL && strcmp(key->secret, secret) == 0)
		return EVP_MAC_init(key->context, NULL, 0, NULL) == 1 ? key->context : NULL;
	forget_key(key);
	key->context = key_context(signer, kind, secret);
	if (key->context != NULL)
		key->secret = xstrdup(secret);
	return key->context;
}

/* Computes the HMAC-SHA256 of the parts one after another. */
static bool
digest_parts(struct signer *signer, enum kind kind, const char *secret, const struct part *parts,
			 size_t count, unsigned char digest[DIGEST_SIZE])
{
	EVP_MAC_CTX *context = begin(signer, kind, secret);
	bool good = context != NULL;
	size_t len;

	for (size_t i = 0; i < count; i++)
		good = good && EVP_MAC_update(context, parts[i].bytes, parts[i].len) == 1;
	return good && EVP_MAC_final(context, digest, &len, DIGEST_SIZE) == 1 && len == DIGEST_SIZE;
}

bool
sign_standard(struct signer *signer, const char *secret, const char *id, int64_t timestamp,
			  const char *body, size_t body_len, char out[SIGN_STANDARD_SIZE])
{
	unsigned char digest[DIGEST_SIZE];
	char when[32];
	int when_len = snprintf(when, sizeof(when), ".%" PRId64 ".", timestamp);
	const struct part parts[] = {{id, strlen(id)}, {when, (size_t) when_len}, {body, body_len}};

	if (!digest_parts(signer, DECODED, secret, parts, 3, digest))
		return false;
	memcpy(out, "v1,", 3);
	EVP_EncodeBlock((unsigned char *) out + 3, digest, DIGEST_SIZE);
	return true;
}

static EVP_PKEY *
private_key(const char *key)
{
	unsigned char decoded[PUBLIC_KEY_SIZE + 4];
	EVP_PKEY *made = NULL;

	if (base64_decode(decoded, sizeof(decoded), key, strlen(key), BASE64_STANDARD) ==
		PUBLIC_KEY_SIZE)
		made = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, decoded, PUBLIC_KEY_SIZE);
	OPENSSL_cleanse(decoded, sizeof(decoded));
	return made;
}

/* Ed25519 takes a message as a whole, not in parts. */
static bool
sign_whole(const char *key, const unsigned char *text, size_t len,
		   unsigned char signature[PUBLIC_SIZE])
{
	EVP_PKEY *private = private_key(key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = PUBLIC_SIZE;
	bool good = private != NULL && context != NULL &&
				EVP_DigestSignInit(context, NULL, NULL, NULL, private) == 1 &&
				EVP_DigestSign(context, signature, &size, text, len) == 1 && size == PUBLIC_SIZE;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(private);
	return good;
}

bool
sign_public(const char *key, const char *id, int64_t timestamp, const char *body, size_t body_len,
			char out[SIGN_PUBLIC_SIZE])
{
	unsigned char signature[PUBLIC_SIZE];
	char *text = xasprintf("%s.%" PRId64 ".", id, timestamp);
	size_t head = strlen(text);
	bool signed_it;

	text = xrealloc(text, head + body_len);
	memcpy(text + head, body, body_len);
	signed_it = sign_whole(key, (unsigned char *) text, head + body_len, signature);
	free(text);
	if (!signed_it)
		return false;
	memcpy(out, "v1a,", 4);
	EVP_EncodeBlock((unsigned char *) out + 4, signature, PUBLIC_SIZE);
	return true;
}

bool
sign_body(struct signer *signer, const char *secret, const char *body, size_t body_len,
		  char out[SIGN_BODY_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[DIGEST_SIZE];
	const struct part part = {body, body_len};

	if (!digest_parts(signer, AS_TEXT, secret, &part, 1, digest))
		return false;
	memcpy(out, "sha256=", 7);
	for (int i = 0; i < DIGEST_SIZE; i++)
	{
		out[7 + 2 * i] = digits[digest[i] >> 4];
		out[8 + 2 * i] = digits[digest[i] & 15];
	}
	out[SIGN_BODY_SIZE - 1] = '\0';
	return true;
}
