/*
 * Literals of arrays and rows. Every text element is quoted, so that only quotes and backslashes matter.
 */
#include <stdlib.h>
#include <string.h>

#include "base/pgarray.h"

#define NUMBER_SIZE 20 /* digits of the largest, and a sign */

static void
begin(struct pgarray *array, bool is_row)
{
	array->is_row = is_row;
	array->has_elements = false;
	array->text.len = 0;
	buffer_bytes(&array->text, is_row ? "(" : "{", 1);
}

void
pgarray_begin(struct pgarray *array)
{
	begin(array, false);
}

void
pgarray_begin_row(struct pgarray *row)
{
	begin(row, true);
}

/* Makes room for an element of at most size bytes, behind a comma where one belongs. */
static char *
begin_element(struct pgarray *array, size_t size)
{
	char *at = buffer_reserve(&array->text, size + 1);

	if (array->has_elements)
	{
		*at++ = ',';
		array->text.len++;
	}
	array->has_elements = true;
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
	array->text.len += (size_t) (at - start);
}

void
pgarray_bytes(struct pgarray *array, const void *bytes, size_t len)
{
	(void) begin_element(array, 2 * len + 5);
	buffer_text(&array->text, "\"\\\\x");
	buffer_hex(&array->text, bytes, len);
	buffer_text(&array->text, "\"");
}

void
pgarray_number(struct pgarray *array, int64_t number)
{
	char digits[NUMBER_SIZE], *end = digits + sizeof(digits), *start = end;
	uint64_t rest = number < 0 ? -(uint64_t) number : (uint64_t) number;
	size_t len;

	do
		*--start = (char) ('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (number < 0)
		*--start = '-';
	len = (size_t) (end - start);
	memcpy(begin_element(array, len), start, len);
	array->text.len += len;
}

void
pgarray_null(struct pgarray *array)
{
	size_t len = array->is_row ? 0 : 4; /* in a row it is nothing at all */

	memcpy(begin_element(array, len), "NULL", len);
	array->text.len += len;
}

const char *
pgarray_end(struct pgarray *array)
{
	char *at = buffer_reserve(&array->text, 2);

	at[0] = array->is_row ? ')' : '}';
	at[1] = '\0';
	return array->text.data;
}
