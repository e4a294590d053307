/*
 * See text.h.
 */
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* The code point of a well-formed character. */
static unsigned
code_point(const char *at, size_t len)
{
	const unsigned char *bytes = (const unsigned char *) at;
	unsigned code = len == 1 ? bytes[0] : bytes[0] & (0xffu >> (len + 1));

	for (size_t i = 1; i < len; i++)
		code = code << 6 | (bytes[i] & 0x3f);
	return code;
}

size_t
text_character(const char *at, size_t left)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *bytes = (const unsigned char *) at;
	unsigned char lead = left > 0 ? bytes[0] : 0x80;
	size_t len = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	unsigned code;

	if (len == 0 || lead > 0xf4 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++)
	{
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
	}
	code = code_point(at, len);
	return code >= least[len] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? len : 0;
}

bool
text_is_control(const char *at, size_t len)
{
	unsigned code = code_point(at, len);

	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
		   (code >= 0x2066 && code <= 0x2069);
}

size_t
text_clean(char *out, size_t size, const char *bytes, size_t len, enum text_form form)
{
	size_t used = 0;

	for (size_t at = 0; at < len;)
	{
		size_t valid = text_character(bytes + at, len - at);
		bool kept = valid > 0 && (!text_is_control(bytes + at, valid) ||
								  (form == TEXT_LINES && (bytes[at] == '\n' || bytes[at] == '\t')));

		if (used + (kept ? valid : 1) >= size)
			break;
		if (kept)
			memcpy(out + used, bytes + at, valid);
		else
			out[used] = valid > 0 ? ' ' : '?';
		used += kept ? valid : 1;
		at += valid > 0 ? valid : 1;
	}
	out[used] = '\0';
	return used;
}

char *
text_copy(const char *bytes, size_t len, size_t max, enum text_form form)
{
	char *text = xmalloc(max + 1);

	text_clean(text, max + 1, bytes, len, form);
	return text;
}
