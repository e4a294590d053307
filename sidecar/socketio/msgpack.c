/*
 * See msgpack.h. One pass, and no recursion: of what is open, the place of its count is kept. Lengths are not known before
 * what they measure has been read, so they have four bytes each and are set afterwards.
 */
#include "socketio/msgpack.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define NIL 0xc0
#define FALSE 0xc2
#define TRUE 0xc3
#define DOUBLE 0xcb
#define UNSIGNED_64 0xcf
#define SIGNED_64 0xd3
#define TEXT_32 0xdb
#define ARRAY_32 0xdd
#define MAP_32 0xdf
#define SMALL_MAX 127
#define NUMBER_SIZE 512 /* bytes of one that is no plain integer */

/* An array or object that is open. */
struct level
{
	size_t count_at; /* in out */
	uint32_t count;  /* of values, or of pairs */
	bool map;
};

struct reader
{
	const char *at, *end;
	struct buffer *out;
	struct level *levels;
	int nlevels, room;
};

static void
put_byte(struct buffer *out, int byte)
{
	char c = (char) byte;

	buffer_bytes(out, &c, 1);
}

static void
set_number(char *at, uint64_t number, int size)
{
	while (size-- > 0)
	{
		at[size] = (char) (number & 0xff);
		number >>= 8;
	}
}

static void
put_number(struct buffer *out, int type, uint64_t number, int size)
{
	put_byte(out, type);
	set_number(buffer_reserve(out, (size_t) size), number, size);
	out->len += (size_t) size;
}

static void
skip_blanks(struct reader *in)
{
	while (in->at < in->end && strchr(" \t\r\n", *in->at) != NULL && *in->at != '\0')
		in->at++;
}

static bool
take(struct reader *in, char c)
{
	skip_blanks(in);
	if (in->at == in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

static bool
take_word(struct reader *in, const char *word, int byte)
{
	size_t len = strlen(word);

	if ((size_t) (in->end - in->at) < len || memcmp(in->at, word, len) != 0)
		return false;
	in->at += len;
	put_byte(in->out, byte);
	return true;
}

/* --- texts ---------------------------------------------------------------------------------------- */

static bool
take_hex(struct reader *in, uint32_t *code)
{
	*code = 0;
	if (in->end - in->at < 4)
		return false;
	for (int i = 0; i < 4; i++)
	{
		static const char digits[] = "0123456789abcdef";
		unsigned char digit = (unsigned char) *in->at++;

		if (!isxdigit(digit))
			return false;
		*code = *code << 4 | (uint32_t) (strchr(digits, tolower(digit)) - digits);
	}
	return true;
}

static void
put_character(struct buffer *out, uint32_t code)
{
	if (code < 0x80)
		put_byte(out, (int) code);
	else if (code < 0x800)
	{
		put_byte(out, (int) (0xc0 | code >> 6));
		put_byte(out, (int) (0x80 | (code & 0x3f)));
	}
	else if (code < 0x10000)
	{
		put_byte(out, (int) (0xe0 | code >> 12));
		put_byte(out, (int) (0x80 | (code >> 6 & 0x3f)));
		put_byte(out, (int) (0x80 | (code & 0x3f)));
	}
	else
	{
		put_byte(out, (int) (0xf0 | code >> 18));
		put_byte(out, (int) (0x80 | (code >> 12 & 0x3f)));
		put_byte(out, (int) (0x80 | (code >> 6 & 0x3f)));
		put_byte(out, (int) (0x80 | (code & 0x3f)));
	}
}

/* Behind \u. Half of a pair that stands alone is no character: U+FFFD. */
static bool
take_unicode(struct reader *in)
{
	uint32_t code, low;

	if (!take_hex(in, &code))
		return false;
	if (code >= 0xd800 && code < 0xdc00 && in->end - in->at >= 6 && in->at[0] == '\\' &&
		in->at[1] == 'u')
	{
		const char *behind = in->at;

		in->at += 2;
		if (!take_hex(in, &low))
			return false;
		if (low >= 0xdc00 && low < 0xe000)
			code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		else
			in->at = behind;
	}
	put_character(in->out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
	return true;
}

/* Behind a backslash. */
static bool
take_escape(struct reader *in)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	if (in->at == in->end || *in->at == '\0')
		return false;
	if (*in->at == 'u')
	{
		in->at++;
		return take_unicode(in);
	}
	letter = strchr(letters, *in->at);
	if (letter == NULL)
		return false;
	put_byte(in->out, meant[letter - letters]);
	in->at++;
	return true;
}

static bool
take_text(struct reader *in)
{
	size_t start;

	if (!take(in, '"'))
		return false;
	put_number(in->out, TEXT_32, 0, 4);
	start = in->out->len;
	while (in->at < in->end && *in->at != '"')
	{
		const char *from = in->at;

		while (in->at < in->end && *in->at != '"' && *in->at != '\\')
			in->at++;
		buffer_bytes(in->out, from, (size_t) (in->at - from));
		if (in->at == in->end || *in->at == '"')
			break;
		in->at++;
		if (!take_escape(in))
			return false;
	}
	if (in->at == in->end)
		return false;
	in->at++;
	set_number(in->out->data + start - 4, in->out->len - start, 4);
	return true;
}

/* --- numbers -------------------------------------------------------------------------------------- */

static void
put_integer(struct buffer *out, int64_t number)
{
	if (number >= 0 && number <= SMALL_MAX)
		put_byte(out, (int) number);
	else
		put_number(out, SIGNED_64, (uint64_t) number, 8);
}

static bool
put_double(struct buffer *out, const char *digits)
{
	double number;
	uint64_t bits;
	char *end;

	number = strtod(digits, &end);
	if (end == digits || *end != '\0')
		return false;
	memcpy(&bits, &number, sizeof(bits));
	put_number(out, DOUBLE, bits, 8);
	return true;
}

/* -0 is a double. */
static bool
put_digits(struct buffer *out, const char *digits)
{
	char *end;
	int64_t number;
	uint64_t large;

	if (digits[strspn(digits, "-0123456789")] != '\0' || strcmp(digits, "-0") == 0)
		return put_double(out, digits);
	errno = 0;
	number = strtoll(digits, &end, 10);
	if (errno == 0 && end != digits && *end == '\0')
	{
		put_integer(out, number);
		return true;
	}
	errno = 0;
	large = strtoull(digits, &end, 10);
	if (*digits == '-' || errno != 0 || end == digits || *end != '\0')
		return put_double(out, digits);
	put_number(out, UNSIGNED_64, large, 8);
	return true;
}

/* Of one with more digits the last ones say nothing: a double has 17. */
static bool
take_number(struct reader *in)
{
	char digits[NUMBER_SIZE];
	size_t len = 0;
	bool good;

	while (in->at + len < in->end && in->at[len] != '\0' &&
		   strchr("+-.0123456789Ee", in->at[len]) != NULL)
		len++;
	if (len == 0)
		return false;
	if (len < sizeof(digits))
	{
		memcpy(digits, in->at, len);
		digits[len] = '\0';
		good = put_digits(in->out, digits);
	}
	else
	{
		char *copy = xstrndup(in->at, len);

		good = put_double(in->out, copy);
		free(copy);
	}
	in->at += len;
	return good;
}

/* --- values --------------------------------------------------------------------------------------- */

static void
open_level(struct reader *in, bool map)
{
	if (in->nlevels == in->room)
	{
		in->room = in->room == 0 ? 16 : in->room * 2;
		in->levels = xrealloc(in->levels, (size_t) in->room * sizeof(*in->levels));
	}
	put_number(in->out, map ? MAP_32 : ARRAY_32, 0, 4);
	in->levels[in->nlevels++] = (struct level){in->out->len - 4, 0, map};
}

static void
close_level(struct reader *in)
{
	const struct level *level = &in->levels[--in->nlevels];

	set_number(in->out->data + level->count_at, level->count, 4);
}

/* A value, or the beginning of one. */
static bool
take_value(struct reader *in)
{
	skip_blanks(in);
	if (in->at == in->end)
		return false;
	switch (*in->at)
	{
		case '{':
		case '[':
			open_level(in, *in->at++ == '{');
			return true;
		case '"':
			return take_text(in);
		case 't':
			return take_word(in, "true", TRUE);
		case 'f':
			return take_word(in, "false", FALSE);
		case 'n':
			return take_word(in, "null", NIL);
		default:
			return take_number(in);
	}
}

/* What is inside of the innermost level: its next value, or its end. */
static bool
take_next(struct reader *in)
{
	struct level *level = &in->levels[in->nlevels - 1];

	if (take(in, level->map ? '}' : ']'))
	{
		close_level(in);
		return true;
	}
	if (level->count > 0 && !take(in, ','))
		return false;
	level->count++;
	if (level->map && (!take_text(in) || !take(in, ':')))
		return false;
	return take_value(in);
}

bool
msgpack_from_json(struct buffer *out, const char *json, size_t len)
{
	struct reader in = {.at = json, .end = json + len, .out = out};
	bool good = take_value(&in);

	while (good && in.nlevels > 0)
		good = take_next(&in);
	free(in.levels);
	skip_blanks(&in);
	return good && in.at == in.end;
}
