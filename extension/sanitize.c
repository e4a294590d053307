/*
 * The sanitiser; see sanitize.h.
 *
 * In HTML's data state (WHATWG 13.2.5.1, 13.2.5.6) only "<" leaves plain text, and only where a letter (start
 * tag), "/" (end tag or bogus comment), "!" (comment, doctype, CDATA) or "?" (bogus comment, the processing
 * instruction of old) follows it; any other "<" is text. So a text is inert when no "<" is followed by one of
 * these openers, and it is enough to drop the "<": what was inside the markup stays readable, `a < b`, `<3` and
 * `<<` stay as they are, and character references never start markup. Dropping must not make new markup of the
 * neighbours (`<<b>`, `<\x01b>`), so what counts is the neighbour in the output:
 *
 *   Invariant: the output holds no invalid control character, and no "<" before an opener.
 *   A byte is appended after what it may not follow has been taken off the end: before an opener the whole
 *   run of "<", before the second byte of a C1 control character (C2 80 … C2 9F in UTF-8) its C2. Taking
 *   off keeps the invariant, since it speaks of neighbours and a prefix has no new ones.
 *
 * Idempotent: on a text that fulfils the invariant nothing is skipped or taken off, so f(f(x)) = f(x); and such texts are
 * just those that f leaves alone, which is what chat_text_is_inert tests. Linear: each byte is appended at most
 * once and taken off at most once. Line feed, tab and carriage return are valid and stay.
 */
#include "sanitize.h"
#include "words.h"

static bool
is_opener(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' || c == '!' || c == '?';
}

static bool
is_invalid_control(unsigned char c)
{
	return (c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f;
}

/* True for the second byte of a control character U+0080 … U+009F, if the first, C2, is before it. */
static bool
ends_c1_control(unsigned char before, unsigned char c)
{
	return before == 0xc2 && c >= 0x80 && c <= 0x9f;
}

/* The place, from i on, of the next byte that may have to go, by itself or with its neighbour; length: none. */
static size_t
next_suspect(const char *text, size_t length, size_t i)
{
	for (; i + CHAT_WORD_BYTES <= length; i += CHAT_WORD_BYTES)
	{
		uint64_t word = chat_word(text + i);

		if (chat_word_has_below(word, 0x20) || chat_word_has(word, '<') ||
			chat_word_has(word, 0x7f) || chat_word_has(word, 0xc2))
			break;
	}
	while (i < length && !is_invalid_control(text[i]) && text[i] != '<' &&
		   (unsigned char) text[i] != 0xc2)
		i++;
	return i;
}

bool
chat_text_is_inert(const char *text, size_t length, bool utf8)
{
	for (size_t i = next_suspect(text, length, 0); i < length;
		 i = next_suspect(text, length, i + 1))
	{
		unsigned char c = text[i];
		unsigned char next = i + 1 < length ? text[i + 1] : ' ';

		if (is_invalid_control(c) || (c == '<' && is_opener(next)) ||
			(utf8 && ends_c1_control(c, next)))
			return false;
	}
	return true;
}

size_t
chat_sanitize(char *out, const char *in, size_t length, bool utf8)
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = in[i];

		if (is_invalid_control(c))
			continue;
		if (utf8 && used > 0 && ends_c1_control(out[used - 1], c))
		{
			used--;
			continue;
		}
		if (is_opener(c))
		{
			while (used > 0 && out[used - 1] == '<')
				used--;
		}
		out[used++] = (char) c;
	}
	return used;
}
