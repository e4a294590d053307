/*
 * A public key of a JWKS (RFC 7517, 7518, 8037): RSA for RS256, P-256 for ES256, Ed25519 for EdDSA. No I/O.
 */
#ifndef SIDECAR_PUBLIC_KEY_H
#define SIDECAR_PUBLIC_KEY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct public_key;

/* NULL: it is none of these, is not for signatures, or is too short. */
struct public_key *public_key_create(const json_t *jwk);
void public_key_free(struct public_key *key);

bool public_key_algorithm_exists(const char *algorithm);

/* Whether a token with this algorithm and key id (NULL: none) can be signed with it. */
bool public_key_is_meant(const struct public_key *key, const char *algorithm, const char *key_id);

bool public_key_verify(const struct public_key *key, const char *text, size_t len,
					   const unsigned char *signature, size_t signature_len);

#endif
