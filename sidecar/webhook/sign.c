/*
 * Signatures over OpenSSL's interfaces. The algorithm of the MAC is looked up once: that costs more than a signature.
 */
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/memory.h"

#include "webhook/sign.h"

#define KEY_MAX 512
#define PUBLIC_KEY_SIZE 32
#define PUBLIC_SIZE 64
#define DIGEST_SIZE 32

struct signer
{
	EVP_MAC *mac;
	EVP_MAC_CTX *context;
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

void
signer_destroy(struct signer *signer)
{
	EVP_MAC_CTX_free(signer->context);
	EVP_MAC_free(signer->mac);
	free(signer);
}

/* Computes the HMAC-SHA256 of the parts one after another. */
static bool
digest_parts(struct signer *signer, struct part key, const struct part *parts, size_t count,
			 unsigned char digest[DIGEST_SIZE])
{
	size_t len;
	/* An empty key must not be NULL: that would mean the one of the signature before. */
	bool good = EVP_MAC_init(signer->context, key.len > 0 ? key.bytes : "", key.len, NULL) == 1;

	for (size_t i = 0; i < count; i++)
		good = good && EVP_MAC_update(signer->context, parts[i].bytes, parts[i].len) == 1;
	return good && EVP_MAC_final(signer->context, digest, &len, DIGEST_SIZE) == 1 &&
		   len == DIGEST_SIZE;
}

bool
sign_standard(struct signer *signer, const char *secret, const char *id, int64_t timestamp,
			  const char *body, size_t body_len, char out[SIGN_STANDARD_SIZE])
{
	unsigned char decoded[KEY_MAX];
	unsigned char digest[DIGEST_SIZE];
	struct part key = {secret, strlen(secret)};
	ssize_t decoded_len = -1;
	char when[32];
	int when_len = snprintf(when, sizeof(when), ".%" PRId64 ".", timestamp);
	struct part parts[] = {{id, strlen(id)}, {when, (size_t) when_len}, {body, body_len}};
	bool signed_it;

	/* An empty key would be none. */
	if (strncmp(secret, "whsec_", 6) == 0)
		decoded_len = base64_decode(decoded, sizeof(decoded), secret + 6, strlen(secret + 6),
									BASE64_STANDARD);
	if (decoded_len > 0)
		key = (struct part){decoded, (size_t) decoded_len};
	signed_it = digest_parts(signer, key, parts, 3, digest);
	OPENSSL_cleanse(decoded, sizeof(decoded));
	if (!signed_it)
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
	struct part key = {secret, strlen(secret)};
	struct part part = {body, body_len};

	if (!digest_parts(signer, key, &part, 1, digest))
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
