/*
 * What tokens and API keys are verified with: the secrets of HMAC (several while one is replaced), the public keys of a
 * JWKS (RFC 7517), and the API keys that stand for a role. No I/O.
 *
 * The algorithm comes from the key's type: a token cannot choose to have a public key taken for a secret, and symmetric
 * keys of a JWKS are left out.
 */
#ifndef SIDECAR_KEYRING_H
#define SIDECAR_KEYRING_H

#include <stdbool.h>
#include <stddef.h>

#define KEYRING_MAX_SECRETS 8

struct keyring;

struct keyring *keyring_create(void);
void keyring_free(struct keyring *keyring);

/* Comma separated, the newest first, at most KEYRING_MAX_SECRETS; what was there before is forgotten. */
void keyring_set_secrets(struct keyring *keyring, const char *secrets);

/* The text of a JWKS, "" for none. NULL: taken over; else what is wrong with it, static, and the former keys stay. */
const char *keyring_set_jwks(struct keyring *keyring, const char *text);

/* Lines of an API key (sb_…), blanks and its role; empty lines and those that begin with # do not count. "" for none. NULL: taken over; else what is wrong, static, and the former ones stay. */
const char *keyring_set_api_keys(struct keyring *keyring, const char *text);

enum verified
{
	VERIFIED_NOT,
	VERIFIED_BY_SECRET,
	VERIFIED_BY_KEY /* of the JWKS: whoever signs with it speaks for users, never for the service */
};

/* Whether there is such an algorithm ("HS256" …). */
bool keyring_knows(const char *algorithm);

/* Verifies a signature over len bytes of text. key_id: of the token's header, or NULL: any key of the algorithm's type. */
enum verified
keyring_verify(const struct keyring *keyring, const char *algorithm, const char *key_id,
			   const char *text, size_t len, const unsigned char *signature, size_t signature_len);

/* Whether there is such a role: anon, authenticated, service_role. */
bool keyring_role_exists(const char *role);

/* The role that an API key stands for, or NULL. Takes the same time for keys that differ at their end and at their beginning. */
const char *keyring_role(const struct keyring *keyring, const char *api_key);

/* The secret that new tokens are signed with. */
const char *keyring_secret(const struct keyring *keyring);

#endif
