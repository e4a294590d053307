/*
 * JSON Web Tokens (RFC 7519) of the embedded endpoint, and the API keys that stand for one. No I/O.
 */
#ifndef SIDECAR_JWT_H
#define SIDECAR_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "endpoint/keyring.h"

#define JWT_EXPIRED "Token has expired"

struct jwt
{
	char *claims; /* the payload as JSON text, malloc'ed */
	char *role;
	char *sub;       /* NULL: there is none */
	int64_t expires; /* Unix seconds */
};

/* Checks signature (whose algorithm must be that of a key in the ring), role, exp and nbf; a header with crit, or a claim of ours that is there twice, makes no token. NULL: good, and *jwt is filled; else what is wrong, in Realtime's words; of an expired one only expires is filled. now: Unix seconds. */
const char *
jwt_verify(const char *token, const struct keyring *keyring, int64_t now, struct jwt *jwt);
void jwt_free(struct jwt *jwt);

/* An HS256 token with the given claims (a JSON object), malloc'ed. */
char *jwt_mint(const char *claims, const char *secret);

#endif
