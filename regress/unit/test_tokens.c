/*
 * Tokens of channels: each is kept once, and for as long as somebody has it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sidecar/base/memory.h"
#include "../../sidecar/endpoint/tokens.h"
#include "require.h"

#define CHANNELS 100
#define LONG 12000 /* bytes of claims */

/* A verified one whose claims are these, filled up to a length. */
static struct jwt
verified(const char *sub, int length)
{
	return (struct jwt){.claims = xasprintf("{\"sub\":\"%s\",\"x\":\"%0*d\"}", sub, length, 0),
						.role = xstrdup("authenticated"),
						.sub = xstrdup(sub),
						.expires = 1700000000};
}

static struct token *
share(struct tokens *tokens, const char *sub, int length)
{
	struct jwt jwt = verified(sub, length);

	return tokens_share(tokens, &jwt);
}

static void
check_one(struct tokens *tokens)
{
	struct token *first = share(tokens, "ana", 1), *second = share(tokens, "ana", 1);
	struct token *other = share(tokens, "ana", 2), *another = share(tokens, "bia", 1);

	require("the same one is there once", second == first && first->users == 2);
	require("other claims are another one", other != first && tokens->table.count == 3);
	require("it says what it said",
			strcmp(another->jwt.claims, "{\"sub\":\"bia\",\"x\":\"0\"}") == 0 &&
				strcmp(another->jwt.role, "authenticated") == 0 &&
				strcmp(another->jwt.sub, "bia") == 0 && another->jwt.expires == 1700000000);
	token_release(first);
	require("it is there while somebody has it", tokens->table.count == 3 &&
													 strcmp(second->jwt.sub, "ana") == 0 &&
													 share(tokens, "ana", 1) == second);
	token_release(second);
	token_release(second);
	token_release(other);
	token_release(another);
	token_release(NULL);
	require("and no longer", tokens->table.count == 0);
}

static void
check_memory(struct tokens *tokens)
{
	struct token *held[CHANNELS];
	size_t before = memory_in_use(), used;

	for (int i = 0; i < CHANNELS; i++)
		held[i] = share(tokens, "ana", LONG);
	used = memory_in_use() - before;
	require("a hundred channels keep the claims of one", used > LONG && used < 2 * LONG);
	for (int i = 0; i < CHANNELS; i++)
		token_release(held[i]);
	require("which go with the last", tokens->table.count == 0 && memory_in_use() < before + LONG);
}

int
main(void)
{
	struct tokens tokens;

	tokens_init(&tokens);
	check_one(&tokens);
	check_memory(&tokens);
	tokens_clear(&tokens);
	return 0;
}
