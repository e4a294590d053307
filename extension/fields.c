/*
 * Reading JSON of a caller's: which keys a message and the changes of a conversation have, and what each may hold.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "input.h"
#include "json_members.h"
#include "values.h"

#define NO_LIMIT 1073741823

typedef enum FieldType
{
	FIELD_STRING,
	FIELD_ID,
	FIELD_TIME,
	FIELD_INTEGER,
	FIELD_BOOLEAN,
	FIELD_OBJECT
} FieldType;

typedef struct Field
{
	const char *key;
	ChatRole role;
	FieldType type;
	int most_bytes; /* of a string */
} Field;

static const Field message_fields[] = {
	{"content", CHAT_M_CONTENT, FIELD_STRING, NO_LIMIT},
	{"messageType", CHAT_M_TYPE, FIELD_STRING, 64},
	{"type", CHAT_M_TYPE, FIELD_STRING, 64},
	{"direction", CHAT_M_DIRECTION, FIELD_STRING, 64},
	{"status", CHAT_M_STATUS, FIELD_STRING, 64},
	{"messageId", CHAT_M_EXTERNAL, FIELD_STRING, 255},
	{"replyToMessageId", CHAT_M_REPLY_TO, FIELD_ID, 0},
	{"metadata", CHAT_M_METADATA, FIELD_OBJECT, 0},
	{"timestamp", CHAT_M_TIME, FIELD_TIME, 0},
	{"isPrivateNote", CHAT_M_PRIVATE, FIELD_BOOLEAN, 0},
	{"senderType", CHAT_M_SENDER_TYPE, FIELD_STRING, 64},
	{"senderAgentId", CHAT_M_AGENT, FIELD_ID, 0},
	{"senderBotId", CHAT_M_BOT, FIELD_ID, 0},
	{"mediaUrl", CHAT_M_MEDIA_URL, FIELD_STRING, NO_LIMIT},
	{"mediaMimeType", CHAT_M_MIME, FIELD_STRING, 255},
	{"mediaFilename", CHAT_M_FILENAME, FIELD_STRING, 255},
	{"mediaSizeBytes", CHAT_M_SIZE, FIELD_INTEGER, 0},
	{"mediaDurationSeconds", CHAT_M_DURATION, FIELD_INTEGER, 0},
	{NULL},
};

static const Field conversation_fields[] = {
	{"status", CHAT_C_STATUS, FIELD_STRING, 64},
	{"assignedAgentId", CHAT_C_AGENT, FIELD_ID, 0},
	{"assignedBotId", CHAT_C_BOT, FIELD_ID, 0},
	{"isMuted", CHAT_C_MUTED, FIELD_BOOLEAN, 0},
	{"contactName", CHAT_C_NAME, FIELD_STRING, 1024},
	{"contactAvatarUrl", CHAT_C_AVATAR, FIELD_STRING, 2048},
	{NULL},
};

static const Field *
find_field(const Field *fields, const char *what, const char *given, int length)
{
	char *key = pnstrdup(given, length);
	StringInfoData keys;

	for (const Field *field = fields; field->key != NULL; field++)
	{
		if (strcmp(field->key, key) == 0)
			return field;
	}
	initStringInfo(&keys);
	for (const Field *field = fields; field->key != NULL; field++)
		appendStringInfo(&keys, "%s%s", keys.len > 0 ? ", " : "", field->key);
	key = chat_shown(key);
	chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, key,
				   psprintf("\"%s\" is no key of %s", key, what), psprintf("Keys: %s.", keys.data));
}

/* Skips up to most digits and returns how many there were. */
static int
digits(const char **text, int most)
{
	int count = 0;

	while (count < most && **text >= '0' && **text <= '9')
	{
		(*text)++;
		count++;
	}
	return count;
}

static bool
skip(const char **text, const char *any)
{
	if (**text == '\0' || strchr(any, **text) == NULL)
		return false;
	(*text)++;
	return true;
}

/* hh:mm, or with seconds and their fraction, which have up to 9 digits */
static bool
is_clock(const char **text)
{
	if (digits(text, 2) != 2 || !skip(text, ":") || digits(text, 2) != 2)
		return false;
	if (!skip(text, ":"))
		return true;
	return digits(text, 2) == 2 && (!skip(text, ".") || digits(text, 9) > 0);
}

/* Z, or an offset in hours, or in hours and minutes */
static bool
is_offset(const char **text)
{
	if (skip(text, "Zz"))
		return true;
	if (!skip(text, "+-") || digits(text, 2) != 2)
		return false;
	if (skip(text, ":"))
		return digits(text, 2) == 2;
	return **text == '\0' || digits(text, 2) == 2;
}

/* ISO 8601 with an offset */
static bool
is_time(const char *text)
{
	return digits(&text, 4) == 4 && skip(&text, "-") && digits(&text, 2) == 2 && skip(&text, "-") &&
		   digits(&text, 2) == 2 && skip(&text, "Tt ") && is_clock(&text) && is_offset(&text) &&
		   *text == '\0';
}

static bool
is_integer(const char *text)
{
	const char *end = text;

	return digits(&end, 10) > 0 && *end == '\0' && strtoll(text, NULL, 10) <= PG_INT32_MAX;
}

/* What is wrong with a value that is not null, or NULL. */
static const char *
problem(const Field *field, const JsonbValue *value, const char *text)
{
	bool string = value->type == jbvString;
	int characters;

	switch (field->type)
	{
		case FIELD_STRING:
			if (!string)
				return "must be a string";
			return value->val.string.len > field->most_bytes
					   ? psprintf("is longer than %d bytes", field->most_bytes)
					   : NULL;
		case FIELD_ID:
			characters = pg_mbstrlen(text);
			return (string || value->type == jbvNumeric) && characters >= 1 && characters <= 64
					   ? NULL
					   : "must be an id";
		case FIELD_TIME:
			return string && is_time(text)
					   ? NULL
					   : "must be a time with its offset, such as 2026-06-18T13:19:38+02:00";
		case FIELD_INTEGER:
			return value->type == jbvNumeric && is_integer(text)
					   ? NULL
					   : "must be an integer from 0 to 2147483647";
		case FIELD_BOOLEAN:
			return value->type == jbvBool ? NULL : "must be true or false";
		case FIELD_OBJECT:
			return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data)
					   ? NULL
					   : "must be an object";
	}
	pg_unreachable();
}

static void
refuse_without_column(const Field *field, const char *what)
{
	char *column =
		pstrdup(chat_roles[field->role].candidates + 1); /* of "{name}" or "{name,other}" */

	column[strcspn(column, ",}")] = '\0';
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("\"%s\" of %s has no place in this table", field->key, what),
					errhint("Add a column %s, or map another one as \"%s\", with chat.attach.",
							column, chat_role_name(field->role)),
					chat_errfield(column)));
}

static void
read_field(ChatValues *values, const Field *field, const char *what, const JsonbValue *value,
		   const ChatAttachment *attachment)
{
	char *text = chat_json_text(value);
	const char *wrong = text != NULL ? problem(field, value, text) : NULL;

	if (wrong != NULL)
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, field->key,
					   psprintf("\"%s\" of %s %s", field->key, what, wrong), NULL);
	if (text != NULL && attachment->column[field->role] == NULL)
		refuse_without_column(field, what);
	chat_values_set(values, field->role, text);
}

void
chat_values_from_caller(ChatValues *values, const char *what, Jsonb *given,
						const ChatAttachment *attachment)
{
	const Field *fields = strcmp(what, "message") == 0 ? message_fields : conversation_fields;
	const Field *field = NULL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue item;

	if (given == NULL)
		chat_bad_input(ERRCODE_NULL_VALUE_NOT_ALLOWED, NULL, psprintf("%s must not be NULL", what),
					   NULL);
	if (!JB_ROOT_IS_OBJECT(given))
		chat_bad_input(ERRCODE_INVALID_PARAMETER_VALUE, NULL,
					   psprintf("%s must be a JSON object", what), NULL);
	memset(values, 0, sizeof(*values));
	it = JsonbIteratorInit(&given->root);
	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			field = find_field(fields, what, item.val.string.val, item.val.string.len);
		else if (token == WJB_VALUE)
			read_field(values, field, what, &item, attachment);
	}
}
