/* Tokens as they come, and claims of any shape under a good signature. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/jwt.h"

static void
verify(const char *token)
{
	static struct keyring *keyring;
	struct jwt jwt = {0};

	if (keyring == NULL)
	{
		keyring = keyring_create();
		keyring_set_secrets(keyring, "secret");
	}
	(void) keyring_set_api_keys(keyring, token);
	if (jwt_verify(token, keyring, 1700000000, &jwt) == NULL)
		jwt_free(&jwt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *token;

	memcpy(text, data, size);
	text[size] = '\0';
	verify(text);
	token = jwt_mint(text, "secret");
	if (token != NULL)
		verify(token);
	free(token);
	free(text);
	return 0;
}
