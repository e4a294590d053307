/*
 * Writing JSON values into a StringInfo, without a call for each character.
 */
#ifndef CHAT_JSON_TEXT_H
#define CHAT_JSON_TEXT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/date.h"
#include "utils/uuid.h"

#define CHAT_UUID_TEXT_LENGTH 36

/* Appends bytes as they are. */
static inline void
chat_append(StringInfo buf, const char *bytes, int length)
{
	if (buf->maxlen - buf->len <= length)
		enlargeStringInfo(buf, length);
	memcpy(buf->data + buf->len, bytes, length);
	buf->len += length;
	buf->data[buf->len] = '\0';
}

#define chat_append_literal(buf, literal) chat_append(buf, literal, sizeof(literal) - 1)

extern void chat_append_integer(StringInfo buf, int64 value);
/* A time as ISO 8601 in UTC; infinity is null. A time without zone counts as UTC. */
extern void chat_append_time(StringInfo buf, Timestamp value);
/* A date as ISO 8601, whatever DateStyle the session has; one that this cannot say is null. */
extern void chat_append_date(StringInfo buf, DateADT value);
extern void chat_append_uuid(StringInfo buf, const pg_uuid_t *uuid);
/* A quoted string of the given bytes, among which is no NUL. */
extern void chat_append_string(StringInfo buf, const char *text, int length);
/* Writes a uuid's 36 characters, and no more. */
extern void chat_write_uuid(char *out, const pg_uuid_t *uuid);

#endif
