/* The sanitiser: never longer, idempotent, inert, and in place the same as into another buffer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sanitize.h"

static void
check(const char *text, size_t size, bool utf8)
{
	char *once = malloc(size + 1);
	char *twice = malloc(size + 1);
	size_t length = chat_sanitize(once, text, size, utf8);

	if (length > size || chat_sanitize(twice, once, length, utf8) != length ||
		memcmp(once, twice, length) != 0 || !chat_text_is_inert(once, length, utf8) ||
		chat_text_is_inert(text, size, utf8) != (length == size))
		abort();
	memcpy(twice, text, size);
	if (chat_sanitize(twice, twice, size, utf8) != length || memcmp(once, twice, length) != 0)
		abort();
	for (size_t i = 0; i + 1 < length; i++)
	{
		if (once[i] == '<' && (memchr("/!?", once[i + 1], 3) != NULL || (once[i + 1] | 32) - 'a' + 0u < 26))
			abort();
	}
	free(once);
	free(twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check((const char *) data, size, true);
	check((const char *) data, size, false);
	return 0;
}
