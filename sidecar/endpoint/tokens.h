/*
 * Tokens that channels were joined with. Each is kept once, for however many channels of however many sockets: its claims may be
 * 12 KiB long, and a user has up to a hundred channels on each of a hundred sockets. No I/O.
 */
#ifndef SIDECAR_ENDPOINT_TOKENS_H
#define SIDECAR_ENDPOINT_TOKENS_H

#include <stdint.h>

#include "base/table.h"
#include "endpoint/jwt.h"

struct tokens
{
	struct table table; /* of those that somebody has */
};

struct token
{
	struct entry entry; /* key: the claims, which say all that is in jwt */
	struct jwt jwt;
	struct tokens *tokens; /* where it is */
	uint32_t users;
};

void tokens_init(struct tokens *tokens);
/* There must be none left. */
void tokens_clear(struct tokens *tokens);
/* Takes a verified token over: the one with its claims, which is there for as long as whoever asked has not released it. */
struct token *tokens_share(struct tokens *tokens, struct jwt *jwt);
/* NULL: there was none. */
void token_release(struct token *token);

#endif
