/*
 * The sanitiser and lists of media types: random texts against what the head comments promise.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/media_type.c"
#include "../../extension/sanitize.c"
#include "require.h"

#define TEXTS 1000000
#define MOST 24

static uint64_t state = 88172645463325252u;

static uint32_t
next_random(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t) (state >> 33) % below;
}

/* What HTML's tokenizer would take for markup, said in another way than the sanitiser says it. */
static int
starts_markup(const char *text, size_t length)
{
	for (size_t i = 0; i + 1 < length; i++)
	{
		if (text[i] == '<' && memchr("/!?abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
									 text[i + 1], 55) != NULL)
			return 1;
	}
	return 0;
}

/* Makes a text of bytes that matter, valid UTF-8 or not. */
static size_t
random_text(char *text)
{
	static const char bytes[] = "<<<<<<ab Zz/!?>3\x01\x7f\n\xc2\xc2\x80\x9f\xa0\xc3\xa9\xf0\x00";
	size_t length = next_random(MOST + 1);

	for (size_t i = 0; i < length; i++)
		text[i] = bytes[next_random(sizeof(bytes) - 1)];
	return length;
}

/* True when out is what is left of in after taking bytes away. */
static int
is_subsequence(const char *out, size_t out_length, const char *in, size_t in_length)
{
	size_t n = 0;

	for (size_t i = 0; i < in_length && n < out_length; i++)
	{
		if (in[i] == out[n])
			n++;
	}
	return n == out_length;
}

static void
random_texts(int utf8)
{
	char text[MOST], once[MOST], twice[MOST];
	int inert = 1, idempotent = 1, agrees = 1, shorter = 1, in_place = 1;

	for (int i = 0; i < TEXTS; i++)
	{
		size_t length = random_text(text);
		size_t once_length = chat_sanitize(once, text, length, utf8);
		size_t twice_length = chat_sanitize(twice, once, once_length, utf8);

		inert &= !starts_markup(once, once_length);
		idempotent &= twice_length == once_length && memcmp(once, twice, once_length) == 0;
		agrees &= chat_text_is_inert(once, once_length, utf8) &&
				  chat_text_is_inert(text, length, utf8) ==
					  (once_length == length && memcmp(once, text, length) == 0);
		shorter &= is_subsequence(once, once_length, text, length);
		memcpy(twice, text, length);
		in_place &= chat_sanitize(twice, twice, length, utf8) == once_length &&
					memcmp(once, twice, once_length) == 0;
	}
	require("random texts come out inert", inert);
	require("a second pass changes nothing", idempotent);
	require("a text is inert just when sanitising leaves it alone", agrees);
	require("bytes only go, none comes", shorter);
	require("sanitising in place gives the same", in_place);
}

static void
media_types(void)
{
	const char *list = "image/png, audio/*,application/vnd.oasis.opendocument.* ";
	size_t length;

	require("well-formed list", chat_media_types_check(list, &length) == NULL);
	require("empty list", chat_media_types_check(" ", &length) == NULL &&
							  !chat_media_type_allowed("", "image/png"));
	require("bad entries", chat_media_types_check("image", &length) != NULL &&
							   chat_media_types_check("a/b,", &length) != NULL &&
							   chat_media_types_check("*/*", &length) != NULL &&
							   chat_media_types_check("a/b c", &length) != NULL &&
							   chat_media_types_check("/b", &length) != NULL &&
							   chat_media_types_check("a/b/c", &length) != NULL &&
							   chat_media_types_check("a/**", &length) != NULL);
	require("exact type", chat_media_type_allowed(list, "image/png") &&
							  !chat_media_type_allowed(list, "image/pn") &&
							  !chat_media_type_allowed(list, "image/pngx"));
	require("case and parameters do not count",
			chat_media_type_allowed(list, " IMAGE/png ;charset=x") &&
				chat_media_type_allowed(list, "audio/ogg; codecs=opus"));
	require("star", chat_media_type_allowed(list, "application/vnd.oasis.opendocument.text") &&
						!chat_media_type_allowed(list, "application/vnd.oasis") &&
						!chat_media_type_allowed(list, "audio/") &&
						!chat_media_type_allowed(list, "video/mp4"));
}

int
main(void)
{
	random_texts(1);
	random_texts(0);
	media_types();
	return 0;
}
