/*
 * Signatures over OpenSSL's MAC interface. The algorithm is looked up once: that costs more than a signature.
 */
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "webhook/sign.h"

#define KEY_MAX 512
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
	struct signer *signer = calloc(1, sizeof(*signer));
	OSSL_PARAM params[2];

	if (signer == NULL)
		abort();
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

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Decodes base64 with or without padding; false when it is none, or longer than a key can be. */
static bool
decode_base64(const char *text, unsigned char *out, size_t *out_len)
{
	size_t len = strlen(text);
	uint32_t bits = 0;
	int held = 0;

	while (len > 0 && text[len - 1] == '=')
		len--;
	if (len == 0 || len % 4 == 1 || len / 4 * 3 + 2 > KEY_MAX)
		return false;
	*out_len = 0;
	for (size_t i = 0; i < len; i++)
	{
		int value = base64_value(text[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t) value;
		held += 6;
		if (held >= 8)
		{
			held -= 8;
			out[(*out_len)++] = (unsigned char) (bits >> held);
		}
	}
	return true;
}

bool
sign_standard(struct signer *signer, const char *secret, const char *id, int64_t timestamp,
			  const char *body, size_t body_len, char out[SIGN_STANDARD_SIZE])
{
	unsigned char decoded[KEY_MAX];
	unsigned char digest[DIGEST_SIZE];
	struct part key = {secret, strlen(secret)};
	size_t decoded_len;
	char when[32];
	int when_len = snprintf(when, sizeof(when), ".%" PRId64 ".", timestamp);
	struct part parts[] = {{id, strlen(id)}, {when, (size_t) when_len}, {body, body_len}};
	bool signed_it;

	if (strncmp(secret, "whsec_", 6) == 0 && decode_base64(secret + 6, decoded, &decoded_len))
		key = (struct part){decoded, decoded_len};
	signed_it = digest_parts(signer, key, parts, 3, digest);
	OPENSSL_cleanse(decoded, sizeof(decoded));
	if (!signed_it)
		return false;
	memcpy(out, "v1,", 3);
	EVP_EncodeBlock((unsigned char *) out + 3, digest, DIGEST_SIZE);
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
