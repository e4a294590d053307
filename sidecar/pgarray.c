/*
 * Array literals and clean text. Every text element is quoted, so that only quotes and backslashes matter.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pgarray.h"

static char *
reserve(struct pgarray *array, size_t more)
{
	if (array->len + more + 1 > array->size)
	{
		array->size = (array->len + more + 1) * 2;
		array->data = realloc(array->data, array->size);
		if (array->data == NULL)
			abort();
	}
	return array->data + array->len;
}

void
pgarray_begin(struct pgarray *array)
{
	array->len = 0;
	*reserve(array, 1) = '{';
	array->len = 1;
}

/* Makes room for an element of at most size bytes, behind a comma where one belongs. */
static char *
begin_element(struct pgarray *array, size_t size)
{
	char *at = reserve(array, size + 1);

	if (array->len > 1)
	{
		*at++ = ',';
		array->len++;
	}
	return at;
}

void
pgarray_text(struct pgarray *array, const char *text)
{
	char *start;
	char *at;

	if (text == NULL)
	{
		pgarray_null(array);
		return;
	}
	start = at = begin_element(array, 2 * strlen(text) + 2);
	*at++ = '"';
	for (; *text != '\0'; text++)
	{
		if (*text == '"' || *text == '\\')
			*at++ = '\\';
		*at++ = *text;
	}
	*at++ = '"';
	array->len += (size_t) (at - start);
}

void
pgarray_number(struct pgarray *array, int64_t number)
{
	char *at = begin_element(array, 24);

	array->len += (size_t) sprintf(at, "%" PRId64, number);
}

void
pgarray_null(struct pgarray *array)
{
	memcpy(begin_element(array, 4), "NULL", 4);
	array->len += 4;
}

const char *
pgarray_end(struct pgarray *array)
{
	char *at = reserve(array, 2);

	at[0] = '}';
	at[1] = '\0';
	return array->data;
}

/* Length of the character that starts here, 0 when it is not valid UTF-8. */
static size_t
character_length(const unsigned char *at, size_t left)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	unsigned code;

	if (len == 1)
		return at[0] != 0 ? 1 : 0;
	if (len == 0 || at[0] > 0xf4 || len > left)
		return 0;
	code = at[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++)
	{
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	return code >= least[len] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? len : 0;
}

char *
pgtext_copy(const char *bytes, size_t len, size_t max)
{
	char *text = malloc(max + 1);
	size_t used = 0;

	if (text == NULL)
		abort();
	for (size_t at = 0; at < len;)
	{
		size_t valid = character_length((const unsigned char *) bytes + at, len - at);

		if (used + (valid > 0 ? valid : 1) > max)
			break;
		if (valid > 0)
			memcpy(text + used, bytes + at, valid);
		else
			text[used] = '?';
		used += valid > 0 ? valid : 1;
		at += valid > 0 ? valid : 1;
	}
	text[used] = '\0';
	return text;
}
