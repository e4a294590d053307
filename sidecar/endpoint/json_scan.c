/*
 * The strict JSON reader; see json_scan.h.
 */
#include "endpoint/json_scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct scanner
{
	const char *p;
	const char *end;
	int depth;
};

static bool scan_value(struct scanner *s);

static void
skip_space(struct scanner *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static bool
accept(struct scanner *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads the four digits of a \u escape; -1: there are none. */
static int
hex4(const char *p, const char *end)
{
	int value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* After the backslash. A high surrogate must be followed by a low one. */
static bool
scan_escape(struct scanner *s)
{
	int unit;

	if (s->p == s->end)
		return false;
	if (*s->p != 'u')
		return *s->p != '\0' && strchr("\"\\/bfnrt", *s->p++) != NULL;
	unit = hex4(s->p + 1, s->end);
	if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
		return false;
	s->p += 5;
	if (unit < 0xd800 || unit > 0xdbff)
		return true;
	if (s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u')
		return false;
	unit = hex4(s->p + 2, s->end);
	s->p += 6;
	return unit >= 0xdc00 && unit <= 0xdfff;
}

/* One character of two to four bytes; overlong forms, surrogates and what is above U+10FFFF are refused. */
static bool
scan_utf8(struct scanner *s)
{
	const unsigned char *p = (const unsigned char *) s->p;
	int more = p[0] >= 0xc2 && p[0] <= 0xdf   ? 1
			   : (p[0] & 0xf0) == 0xe0        ? 2
			   : p[0] >= 0xf0 && p[0] <= 0xf4 ? 3
											  : 0;

	if (more == 0 || s->end - s->p <= more)
		return false;
	for (int i = 1; i <= more; i++)
	{
		if ((p[i] & 0xc0) != 0x80)
			return false;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return false;
	s->p += more + 1;
	return true;
}

static bool
scan_string(struct scanner *s)
{
	if (!accept(s, '"'))
		return false;
	while (s->p < s->end)
	{
		unsigned char c = *s->p;

		if (c >= 0x80)
		{
			if (!scan_utf8(s))
				return false;
			continue;
		}
		s->p++;
		if (c == '"')
			return true;
		if (c < 0x20 || (c == '\\' && !scan_escape(s)))
			return false;
	}
	return false;
}

static bool
scan_digits(struct scanner *s)
{
	const char *start = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > start;
}

/* A number must be finite as a double where it has an exponent: others could not read it. */
static bool
scan_number(struct scanner *s)
{
	const char *start = s->p;
	bool exponent = false;
	char copy[64];

	accept(s, '-');
	if (!accept(s, '0') && !scan_digits(s))
		return false;
	if (accept(s, '.') && !scan_digits(s))
		return false;
	if (s->p < s->end && (*s->p | 0x20) == 'e')
	{
		s->p++;
		exponent = true;
		if (!accept(s, '+'))
			accept(s, '-');
		if (!scan_digits(s))
			return false;
	}
	if (!exponent)
		return true;
	if ((size_t) (s->p - start) >= sizeof(copy))
		return false;
	memcpy(copy, start, s->p - start);
	copy[s->p - start] = '\0';
	return isfinite(strtod(copy, NULL));
}

static bool
scan_word(struct scanner *s, const char *word)
{
	size_t len = strlen(word);

	if ((size_t) (s->end - s->p) < len || memcmp(s->p, word, len) != 0)
		return false;
	s->p += len;
	return true;
}

/* Members or elements up to the closing bracket. */
static bool
scan_container(struct scanner *s, char close)
{
	s->p++;
	if (++s->depth > JSON_MAX_DEPTH)
		return false;
	skip_space(s);
	if (!accept(s, close))
	{
		do
		{
			skip_space(s);
			if (close == '}')
			{
				if (!scan_string(s))
					return false;
				skip_space(s);
				if (!accept(s, ':'))
					return false;
			}
			if (!scan_value(s))
				return false;
			skip_space(s);
		} while (accept(s, ','));
		if (!accept(s, close))
			return false;
	}
	s->depth--;
	return true;
}

static bool
scan_value(struct scanner *s)
{
	skip_space(s);
	if (s->p == s->end)
		return false;
	switch (*s->p)
	{
		case '{':
			return scan_container(s, '}');
		case '[':
			return scan_container(s, ']');
		case '"':
			return scan_string(s);
		case 't':
			return scan_word(s, "true");
		case 'f':
			return scan_word(s, "false");
		case 'n':
			return scan_word(s, "null");
		default:
			return scan_number(s);
	}
}

bool
json_validate(const char *text, size_t len, struct json *value)
{
	struct scanner s = {.p = text, .end = text + len};

	skip_space(&s);
	value->start = s.p;
	if (!scan_value(&s))
		return false;
	value->len = s.p - value->start;
	skip_space(&s);
	return s.p == s.end;
}

char
json_type(struct json value)
{
	return value.start == NULL || value.len == 0 ? 0 : *value.start;
}

bool
json_is_true(struct json value)
{
	return (value.len == 4 && memcmp(value.start, "true", 4) == 0) ||
		   (value.len == 6 && memcmp(value.start, "\"true\"", 6) == 0);
}

static const char *
skip_text(const char *p)
{
	for (p++; *p != '"'; p++)
	{
		if (*p == '\\')
			p++;
	}
	return p + 1;
}

/* The end of a value in a text that is known to be valid. */
static const char *
skip_value(const char *p, const char *end)
{
	int depth = 0;

	if (*p == '"')
		return skip_text(p);
	if (*p != '{' && *p != '[')
	{
		while (p < end && *p != ',' && *p != '}' && *p != ']' && (unsigned char) *p > ' ')
			p++;
		return p;
	}
	do
	{
		if (*p == '"')
		{
			p = skip_text(p);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		p++;
	} while (depth > 0);
	return p;
}

static void
take(struct scanner *s, struct json *value)
{
	skip_space(s);
	value->start = s->p;
	s->p = skip_value(s->p, s->end);
	value->len = s->p - value->start;
}

/* Moves behind the opening bracket or the comma; false at the closing bracket. */
static bool
advance(struct json *rest, struct scanner *s)
{
	s->p = rest->start;
	s->end = rest->start + rest->len;
	skip_space(s);
	if (s->p == s->end || *s->p == '}' || *s->p == ']')
		return false;
	s->p++; /* the opening bracket, or the comma */
	skip_space(s);
	return s->p < s->end && *s->p != '}' && *s->p != ']';
}

static void
remember(struct json *rest, const struct scanner *s)
{
	rest->len -= s->p - rest->start;
	rest->start = s->p;
}

bool
json_next_member(struct json *rest, struct json *key, struct json *value)
{
	struct scanner s = {0};

	if (!advance(rest, &s))
		return false;
	take(&s, key);
	skip_space(&s);
	s.p++; /* the colon */
	take(&s, value);
	remember(rest, &s);
	return true;
}

bool
json_next_element(struct json *rest, struct json *value)
{
	struct scanner s = {0};

	if (!advance(rest, &s))
		return false;
	take(&s, value);
	remember(rest, &s);
	return true;
}

static bool
is_key(struct json name, const char *key)
{
	size_t len = strlen(key);

	return name.len == len + 2 && memcmp(name.start + 1, key, len) == 0;
}

void
json_members(struct json object, const char *const *keys, size_t count, struct json *values)
{
	struct json name;
	struct json value;
	size_t left = count;

	memset(values, 0, count * sizeof(*values));
	while (left > 0 && json_next_member(&object, &name, &value))
	{
		for (size_t i = 0; i < count; i++)
		{
			if (values[i].start != NULL || !is_key(name, keys[i]))
				continue;
			values[i] = value;
			left--;
		}
	}
}

struct json
json_member(struct json object, const char *key)
{
	struct json value = {NULL, 0};

	if (json_type(object) == '{')
		json_members(object, &key, 1, &value);
	return value;
}

static char *
put_utf8(char *out, unsigned int c)
{
	if (c < 0x80)
		*out++ = c;
	else if (c < 0x800)
	{
		*out++ = 0xc0 | (c >> 6);
		*out++ = 0x80 | (c & 0x3f);
	}
	else if (c < 0x10000)
	{
		*out++ = 0xe0 | (c >> 12);
		*out++ = 0x80 | ((c >> 6) & 0x3f);
		*out++ = 0x80 | (c & 0x3f);
	}
	else
	{
		*out++ = 0xf0 | (c >> 18);
		*out++ = 0x80 | ((c >> 12) & 0x3f);
		*out++ = 0x80 | ((c >> 6) & 0x3f);
		*out++ = 0x80 | (c & 0x3f);
	}
	return out;
}

/* One escape, from behind the backslash; returns what follows it. */
static const char *
unescape(const char *p, const char *end, char **out)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	unsigned int c;

	if (*p != 'u')
	{
		*(*out)++ = to[strchr(from, *p) - from];
		return p + 1;
	}
	c = hex4(p + 1, end);
	p += 5;
	if (c >= 0xd800 && c <= 0xdbff)
	{
		c = 0x10000 + ((c - 0xd800) << 10) + (hex4(p + 2, end) - 0xdc00);
		p += 6;
	}
	*out = put_utf8(*out, c);
	return p;
}

char *
json_text(struct json value)
{
	const char *p;
	const char *end;
	char *text;
	char *out;

	if (json_type(value) != '"')
		return NULL;
	p = value.start + 1;
	end = value.start + value.len - 1;
	text = out = xmalloc(value.len);
	while (p < end)
	{
		if (*p != '\\')
			*out++ = *p++;
		else
			p = unescape(p + 1, end, &out);
	}
	*out = '\0';
	if (memchr(text, '\0', out - text) == NULL)
		return text;
	free(text);
	return NULL;
}
