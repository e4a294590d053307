/*
 * See replay_wish.h.
 */
#include "endpoint/replay_wish.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_LIMIT 10 /* Realtime's */
#define MAX_DIGITS 18

/* An integer without fraction or exponent; false: it is none, or too long. */
static bool
read_digits(const char *text, size_t len, int64_t *number)
{
	size_t sign = len > 0 && *text == '-';
	char digits[MAX_DIGITS + 2] = "";

	if (len == sign || len - sign > MAX_DIGITS)
		return false;
	for (size_t i = sign; i < len; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	memcpy(digits, text, len);
	*number = strtoll(digits, NULL, 10);
	return true;
}

/* A number that may be left out, or be null. */
static bool
read_number(struct json value, int64_t missing, int64_t *number)
{
	*number = missing;
	return json_type(value) == 0 || json_type(value) == 'n' ||
		   read_digits(value.start, value.len, number);
}

/* Ids are texts where they are delivered, and may be numbers, too. */
static bool
read_id(struct json value, int64_t *id)
{
	bool quoted = json_type(value) == '"';

	return quoted ? read_digits(value.start + 1, value.len - 2, id)
				  : read_digits(value.start, value.len, id);
}

struct replay_wish
replay_wish_read(struct json broadcast)
{
	struct json replay = json_member(broadcast, "replay");
	struct json since_id = json_member(replay, "since_id");
	bool by_id = json_type(since_id) != 0 && json_type(since_id) != 'n';
	struct replay_wish wish = {.kind = by_id ? REPLAY_BY_ID : REPLAY_BY_TIME};
	bool good;

	if (json_type(replay) == 0 || json_type(replay) == 'n')
		return (struct replay_wish){.kind = REPLAY_NONE};
	good = json_type(replay) == '{' &&
		   read_number(json_member(replay, "limit"), DEFAULT_LIMIT, &wish.limit) &&
		   (by_id ? read_id(since_id, &wish.since)
				  : read_number(json_member(replay, "since"), 0, &wish.since));
	return good ? wish : (struct replay_wish){.kind = REPLAY_BAD};
}
