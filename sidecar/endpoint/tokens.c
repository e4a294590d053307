/*
 * See tokens.h.
 */
#include "endpoint/tokens.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void
tokens_init(struct tokens *tokens)
{
	table_init(&tokens->table);
}

static void
forget(struct entry *entry)
{
	free(entry);
}

void
tokens_clear(struct tokens *tokens)
{
	table_clear(&tokens->table, forget);
}

static struct token *
add(struct tokens *tokens, struct jwt *jwt)
{
	struct token *token = xcalloc(1, sizeof(*token));

	table_add(&tokens->table, &token->entry, jwt->claims);
	token->tokens = tokens;
	token->jwt = *jwt;
	free(jwt->claims);
	token->jwt.claims = token->entry.key;
	memset(jwt, 0, sizeof(*jwt));
	return token;
}

struct token *
tokens_share(struct tokens *tokens, struct jwt *jwt)
{
	struct token *token = (struct token *) table_find(&tokens->table, jwt->claims);

	if (token == NULL)
		token = add(tokens, jwt);
	else
		jwt_free(jwt);
	token->users++;
	return token;
}

void
token_release(struct token *token)
{
	if (token == NULL || --token->users > 0)
		return;
	table_remove(&token->tokens->table, &token->entry);
	token->jwt.claims = NULL; /* it was the key */
	jwt_free(&token->jwt);
	free(token);
}
