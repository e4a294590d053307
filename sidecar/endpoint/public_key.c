/*
 * See public_key.h.
 */
#include "endpoint/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/memory.h"

#define RSA_MIN_BITS 2048
#define RSA_MAX_BYTES 1024 /* 8192 bits: verifying takes longer with each */
#define COORDINATE 32      /* bytes of P-256 and of Ed25519 */

struct kind
{
	const char *algorithm;
	const char *type;  /* kty */
	const char *curve; /* crv, or NULL */
	EVP_PKEY *(*make)(const json_t *jwk);
};

struct public_key
{
	const struct kind *kind;
	char *id; /* kid, or NULL */
	EVP_PKEY *key;
};

static const char *
text_of(const json_t *jwk, const char *name)
{
	return json_string_value(json_object_get(jwk, name));
}

/* Bytes of a member; -1: it is not there, or is no such text, or is longer. */
static ssize_t
bytes_of(const json_t *jwk, const char *name, unsigned char *out, size_t size)
{
	const char *text = text_of(jwk, name);

	return text != NULL ? base64_decode(out, size, text, strlen(text), BASE64_URL) : -1;
}

static EVP_PKEY *
from_parameters(const char *type, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (EVP_PKEY_fromdata_init(context) != 1 ||
		EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	return key;
}

static EVP_PKEY *
make_rsa(const json_t *jwk)
{
	unsigned char modulus[RSA_MAX_BYTES], exponent[8];
	ssize_t n = bytes_of(jwk, "n", modulus, sizeof(modulus));
	ssize_t e = bytes_of(jwk, "e", exponent, sizeof(exponent));
	OSSL_PARAM_BLD *builder;
	BIGNUM *big_n, *big_e;
	EVP_PKEY *key = NULL;

	if (n <= 0 || e <= 0)
		return NULL;
	builder = OSSL_PARAM_BLD_new();
	big_n = BN_bin2bn(modulus, (int) n, NULL);
	big_e = BN_bin2bn(exponent, (int) e, NULL);
	if (BN_num_bits(big_n) >= RSA_MIN_BITS && BN_is_odd(big_e) && !BN_is_one(big_e) &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, big_n) == 1 &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, big_e) == 1)
		key = from_parameters("RSA", builder);
	BN_free(big_n);
	BN_free(big_e);
	OSSL_PARAM_BLD_free(builder);
	return key;
}

static EVP_PKEY *
make_p256(const json_t *jwk)
{
	unsigned char point[1 + 2 * COORDINATE] = {POINT_CONVERSION_UNCOMPRESSED};
	OSSL_PARAM_BLD *builder;
	EVP_PKEY *key = NULL;

	if (bytes_of(jwk, "x", point + 1, COORDINATE) != COORDINATE ||
		bytes_of(jwk, "y", point + 1 + COORDINATE, COORDINATE) != COORDINATE)
		return NULL;
	builder = OSSL_PARAM_BLD_new();
	if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ==
			1 &&
		OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) ==
			1)
		key = from_parameters("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	return key;
}

static EVP_PKEY *
make_ed25519(const json_t *jwk)
{
	unsigned char point[COORDINATE];

	if (bytes_of(jwk, "x", point, sizeof(point)) != COORDINATE)
		return NULL;
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point, sizeof(point));
}

static const struct kind kinds[] = {
	{"RS256", "RSA", NULL, make_rsa},
	{"ES256", "EC", "P-256", make_p256},
	{"EdDSA", "OKP", "Ed25519", make_ed25519},
};

static bool
is(const char *text, const char *wanted)
{
	return text != NULL && strcmp(text, wanted) == 0;
}

/* Of what type a key is, whatever else it says of itself must agree. */
static const struct kind *
kind_of(const json_t *jwk)
{
	const char *use = text_of(jwk, "use");
	const char *algorithm = text_of(jwk, "alg");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		const struct kind *kind = &kinds[i];

		if (is(text_of(jwk, "kty"), kind->type) &&
			(kind->curve == NULL || is(text_of(jwk, "crv"), kind->curve)) &&
			(use == NULL || is(use, "sig")) &&
			(algorithm == NULL || is(algorithm, kind->algorithm)))
			return kind;
	}
	return NULL;
}

struct public_key *
public_key_create(const json_t *jwk)
{
	const struct kind *kind = kind_of(jwk);
	EVP_PKEY *made = kind != NULL ? kind->make(jwk) : NULL;
	const char *id = text_of(jwk, "kid");
	struct public_key *key;

	if (made == NULL)
		return NULL;
	key = xcalloc(1, sizeof(*key));
	key->kind = kind;
	key->key = made;
	key->id = id != NULL ? xstrdup(id) : NULL;
	return key;
}

void
public_key_free(struct public_key *key)
{
	EVP_PKEY_free(key->key);
	free(key->id);
	free(key);
}

bool
public_key_algorithm_exists(const char *algorithm)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		if (strcmp(kinds[i].algorithm, algorithm) == 0)
			return true;
	}
	return false;
}

bool
public_key_is_meant(const struct public_key *key, const char *algorithm, const char *key_id)
{
	return strcmp(key->kind->algorithm, algorithm) == 0 &&
		   (key_id == NULL || key->id == NULL || strcmp(key->id, key_id) == 0);
}

/* OpenSSL wants the two numbers of RFC 7518, 3.4 as DER; malloc'ed by it. NULL: they are none. */
static unsigned char *
signature_as_der(const unsigned char *signature, size_t len, size_t *der_len)
{
	ECDSA_SIG *numbers;
	unsigned char *der = NULL;
	int size;

	if (len != 2 * COORDINATE)
		return NULL;
	numbers = ECDSA_SIG_new();
	ECDSA_SIG_set0(numbers, BN_bin2bn(signature, COORDINATE, NULL),
				   BN_bin2bn(signature + COORDINATE, COORDINATE, NULL));
	size = i2d_ECDSA_SIG(numbers, &der);
	ECDSA_SIG_free(numbers);
	*der_len = size > 0 ? (size_t) size : 0;
	return der;
}

bool
public_key_verify(const struct public_key *key, const char *text, size_t len,
				  const unsigned char *signature, size_t signature_len)
{
	bool curve = EVP_PKEY_is_a(key->key, "EC");
	const EVP_MD *digest = EVP_PKEY_is_a(key->key, "ED25519") ? NULL : EVP_sha256();
	unsigned char *der = NULL;
	EVP_MD_CTX *context;
	bool good;

	if (curve)
	{
		der = signature_as_der(signature, signature_len, &signature_len);
		if (der == NULL)
			return false;
		signature = der;
	}
	context = EVP_MD_CTX_new();
	good =
		EVP_DigestVerifyInit(context, NULL, digest, NULL, key->key) == 1 &&
		EVP_DigestVerify(context, signature, signature_len, (const unsigned char *) text, len) == 1;
	EVP_MD_CTX_free(context);
	OPENSSL_free(der);
	return good;
}
