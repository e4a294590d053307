/*
 * Writing JSON values; see json_text.h.
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "json_text.h"
#include "words.h"

void
chat_append_time(StringInfo buf, Timestamp value)
{
	struct pg_tm tm;
	fsec_t fsec;
	char text[] = "\"YYYY-MM-DDTHH:MM:SS.ffffff+00:00\"";

	if (TIMESTAMP_NOT_FINITE(value) || timestamp2tm(value, NULL, &tm, &fsec, NULL, NULL) != 0 ||
		tm.tm_year < 0 || tm.tm_year > 9999)
	{
		chat_append_literal(buf, "null");
		return;
	}
	(void) pg_ultostr_zeropad(text + 1, tm.tm_year, 4);
	(void) pg_ultostr_zeropad(text + 6, tm.tm_mon, 2);
	(void) pg_ultostr_zeropad(text + 9, tm.tm_mday, 2);
	(void) pg_ultostr_zeropad(text + 12, tm.tm_hour, 2);
	(void) pg_ultostr_zeropad(text + 15, tm.tm_min, 2);
	(void) pg_ultostr_zeropad(text + 18, tm.tm_sec, 2);
	(void) pg_ultostr_zeropad(text + 21, fsec, 6);
	chat_append_literal(buf, text);
}

void
chat_append_date(StringInfo buf, DateADT value)
{
	int year, month, day;

	j2date(DATE_NOT_FINITE(value) ? 0 : value + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	if (DATE_NOT_FINITE(value) || year < 0 || year > 9999)
		chat_append_literal(buf, "null");
	else
		appendStringInfo(buf, "\"%04d-%02d-%02d\"", year, month, day);
}

void
chat_append_integer(StringInfo buf, int64 value)
{
	char text[MAXINT8LEN + 1];

	chat_append(buf, text, pg_lltoa(value, text));
}

void
chat_write_uuid(char *out, const pg_uuid_t *uuid)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[uuid->data[i] >> 4];
		*out++ = digits[uuid->data[i] & 0x0f];
	}
}

void
chat_append_uuid(StringInfo buf, const pg_uuid_t *uuid)
{
	char text[CHAT_UUID_TEXT_LENGTH + 2];

	text[0] = text[CHAT_UUID_TEXT_LENGTH + 1] = '"';
	chat_write_uuid(text + 1, uuid);
	chat_append(buf, text, sizeof(text));
}

static inline bool
needs_escape(unsigned char c)
{
	return c < ' ' || c == '"' || c == '\\';
}

/* Appends a character that JSON strings hold in another form. */
static void
append_escaped(StringInfo buf, char c)
{
	static const char plain[] = "\"\\\b\f\n\r\t";
	static const char letters[] = "\"\\bfnrt";
	const char *found = strchr(plain, c);

	if (found == NULL)
		appendStringInfo(buf, "\\u%04x", (unsigned char) c);
	else
	{
		appendStringInfoCharMacro(buf, '\\');
		appendStringInfoCharMacro(buf, letters[found - plain]);
	}
}

/* The place, from i on, of the next byte that needs an escape; length: none. */
static int
next_escape(const char *text, int length, int i)
{
	for (; i + (int) CHAT_WORD_BYTES <= length; i += CHAT_WORD_BYTES)
	{
		uint64 word = chat_word(text + i);

		if (chat_word_has_below(word, ' ') || chat_word_has(word, '"') || chat_word_has(word, '\\'))
			break;
	}
	while (i < length && !needs_escape(text[i]))
		i++;
	return i;
}

void
chat_append_string(StringInfo buf, const char *text, int length)
{
	int from = 0;

	chat_append_literal(buf, "\"");
	for (int to = next_escape(text, length, 0); to < length; to = next_escape(text, length, from))
	{
		chat_append(buf, text + from, to - from);
		append_escaped(buf, text[to]);
		from = to + 1;
	}
	chat_append(buf, text + from, length - from);
	chat_append_literal(buf, "\"");
}
