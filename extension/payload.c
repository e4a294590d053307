/*
 * Building payloads; see payload.h.
 *
 * Strings of the database hold neither NUL nor invalid text, so escaping is enough; json columns go through jsonb,
 * since json can hold what other parsers refuse (lone surrogates, numbers out of range), and then are null; so are numbers
 * and times that JSON or ISO 8601 cannot say (NaN, infinity).
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "access/detoast.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "pgtime.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "owner.h"
#include "payload.h"
#include "settings.h"

#define PREVIEW_CHARACTERS 100

/* Appends a number with leading zeros. */
static void
append_digits(StringInfo buf, int value, int digits)
{
	char text[8];

	for (int i = digits - 1; i >= 0; i--)
	{
		text[i] = '0' + value % 10;
		value /= 10;
	}
	appendBinaryStringInfo(buf, text, digits);
}

/* Appends a time as ISO 8601 in UTC; infinity is null. A time without zone counts as UTC. */
static void
append_time(StringInfo buf, Timestamp value)
{
	static const char before[] = "\"--T::.";
	struct pg_tm tm;
	fsec_t fsec;
	int parts[7];

	if (TIMESTAMP_NOT_FINITE(value) || timestamp2tm(value, NULL, &tm, &fsec, NULL, NULL) != 0 ||
		tm.tm_year < 0 || tm.tm_year > 9999)
	{
		appendStringInfoString(buf, "null");
		return;
	}
	parts[0] = tm.tm_year;
	parts[1] = tm.tm_mon;
	parts[2] = tm.tm_mday;
	parts[3] = tm.tm_hour;
	parts[4] = tm.tm_min;
	parts[5] = tm.tm_sec;
	parts[6] = fsec;
	for (int i = 0; i < (int) lengthof(parts); i++)
	{
		appendStringInfoChar(buf, before[i]);
		append_digits(buf, parts[i], i == 0 ? 4 : i == 6 ? 6 : 2);
	}
	appendStringInfoString(buf, "+00:00\"");
}

/* Appends a date as ISO 8601, whatever DateStyle the session has; one that this cannot say is null. */
static void
append_date(StringInfo buf, DateADT value)
{
	int year, month, day;

	j2date(DATE_NOT_FINITE(value) ? 0 : value + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	if (DATE_NOT_FINITE(value) || year < 0 || year > 9999)
		appendStringInfoString(buf, "null");
	else
		appendStringInfo(buf, "\"%04d-%02d-%02d\"", year, month, day);
}

/* Appends a number as its type prints it, or null where JSON has no word for it. */
static void
append_number(StringInfo buf, const char *text)
{
	bool finite =
		(*text >= '0' && *text <= '9') || (*text == '-' && text[1] >= '0' && text[1] <= '9');

	appendStringInfoString(buf, finite ? text : "null");
}

/* Appends jsonb as text. */
static void
append_jsonb(StringInfo buf, Datum value)
{
	Jsonb *jsonb = DatumGetJsonbP(value);

	JsonbToCString(buf, &jsonb->root, VARSIZE(jsonb));
}

/*
 * json as jsonb, or 0: json can hold what jsonb refuses (a NUL, half a surrogate pair, a number too large), and no row is
 * refused for its payload. The conversion touches memory only, so no subtransaction is needed to catch its error.
 */
static Datum
jsonb_of(char *text)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum value = (Datum) 0;

	PG_TRY();
	{
		value = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	return value;
}

/* Appends json by way of jsonb, or null where that cannot say it. */
static void
append_json(StringInfo buf, char *text)
{
	Datum value = jsonb_of(text);

	if (value == (Datum) 0)
		appendStringInfoString(buf, "null");
	else
		append_jsonb(buf, value);
}

/* Appends a quoted JSON string of the given bytes. */
static void
append_string(StringInfo buf, const char *text, int length)
{
	char *copy = pnstrdup(text, length);

	escape_json(buf, copy);
	pfree(copy);
}

/* Appends "<name>Truncated":true after a field whose quoted key is given. */
static void
append_truncated(StringInfo buf, const char *key)
{
	appendStringInfoChar(buf, ',');
	appendBinaryStringInfo(buf, key, strlen(key) - 2);
	appendStringInfoString(buf, "Truncated\":true");
}

/* Appends a text column; the content is cut to its limit. */
static void
append_text(StringInfo buf, const ChatField *field, Datum value, int content_limit)
{
	text *packed = DatumGetTextPP(value);
	const char *data = VARDATA_ANY(packed);
	int length = VARSIZE_ANY_EXHDR(packed);

	if (!field->content || length <= content_limit)
		append_string(buf, data, length);
	else
	{
		append_string(buf, data, pg_mbcliplen(data, length, content_limit));
		append_truncated(buf, field->key);
	}
	if ((Pointer) packed != DatumGetPointer(value))
		pfree(packed);
}

/* Turns an array into json. */
static void
convert_array(void *arg)
{
	Datum *value = arg;

	*value = DirectFunctionCall1(array_to_json, *value);
}

/* Appends a value of a type without a form of its own. */
static void
append_other(StringInfo buf, const ChatField *field, Datum value)
{
	Oid element = get_base_element_type(field->type);

	if (element != InvalidOid)
	{
		/* A type of a user's may have a cast to json of the user's. */
		if (element >= FirstNormalObjectId)
			chat_as_owner(field->relid, true, convert_array, &value);
		else
			convert_array(&value);
		append_json(buf, TextDatumGetCString(value));
	}
	else
		escape_json(buf, OidOutputFunctionCall(field->output, value));
}

/* Appends one value that is not NULL. */
static void
append_value(StringInfo buf, const ChatField *field, Datum value, int content_limit)
{
	switch (field->type)
	{
		case BOOLOID:
			appendStringInfoString(buf, DatumGetBool(value) ? "true" : "false");
			break;
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			append_number(buf, OidOutputFunctionCall(field->output, value));
			break;
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
			append_time(buf, DatumGetTimestamp(value));
			break;
		case DATEOID:
			append_date(buf, DatumGetDateADT(value));
			break;
		case JSONBOID:
			append_jsonb(buf, value);
			break;
		case JSONOID:
			append_json(buf, TextDatumGetCString(value));
			break;
		case TEXTOID:
		case VARCHAROID:
			append_text(buf, field, value, content_limit);
			break;
		case BPCHAROID:
			escape_json(buf, chat_datum_text(value, false, BPCHAROID));
			break;
		default:
			append_other(buf, field, value);
	}
}

/*
 * Appends a column that is no content within its limit and what is left of the row's; a larger one as null, with a
 * mark. What is stored in more bytes than that is not even read.
 */
static void
append_limited(StringInfo buf, const ChatField *field, Datum value, int limit, int end)
{
	int start = buf->len;

	if (!field->varlena || toast_raw_datum_size(value) - VARHDRSZ <= (Size) limit)
	{
		append_value(buf, field, value, 0);
		if (buf->len - start <= 2 * limit && buf->len <= end)
			return;
		buf->len = start;
	}
	appendStringInfoString(buf, "null");
	append_truncated(buf, field->key);
}

static void
set_for_now(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/* Sets what output functions look at, so that whoever writes makes the same payload; AtEOXact_GUC takes it back. */
static int
set_output(void)
{
	int level = NewGUCNestLevel();

	if (DateStyle != USE_ISO_DATES)
		set_for_now("datestyle", "ISO");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		set_for_now("intervalstyle", "postgres");
	if (extra_float_digits < 1)
		set_for_now("extra_float_digits", "1");
	if (bytea_output != BYTEA_OUTPUT_HEX)
		set_for_now("bytea_output", "hex");
	if (strcmp(pg_get_timezone_name(session_timezone), "UTC") != 0)
		set_for_now("timezone", "UTC");
	return level;
}

static void
append_row(StringInfo buf, const ChatLayout *layout, TupleTableSlot *slot, int content_limit,
		   bool limited)
{
	int end = buf->len + chat_max_payload_bytes;
	int level = layout->by_settings ? set_output() : 0;

	slot_getallattrs(slot);
	for (int i = 0; i < layout->nfields; i++)
	{
		const ChatField *field = &layout->fields[i];

		appendStringInfoChar(buf, i == 0 ? '{' : ',');
		appendStringInfoString(buf, field->key);
		if (slot->tts_isnull[field->attnum - 1])
			appendStringInfoString(buf, "null");
		else if (limited && !field->content)
			append_limited(buf, field, slot->tts_values[field->attnum - 1], chat_max_field_bytes(),
						   end);
		else
			append_value(buf, field, slot->tts_values[field->attnum - 1], content_limit);
	}
	appendStringInfoChar(buf, '}');
	if (layout->by_settings)
		AtEOXact_GUC(false, level);
}

void
chat_payload_row(StringInfo buf, const ChatLayout *layout, TupleTableSlot *slot)
{
	append_row(buf, layout, slot,
			   layout->max_content_bytes >= 0 ? layout->max_content_bytes
											  : chat_settings.max_content_bytes,
			   true);
}

void
chat_payload_whole_row(StringInfo buf, const ChatLayout *layout, TupleTableSlot *slot)
{
	append_row(buf, layout, slot, INT_MAX, false);
}

/* Appends the field of one attribute, with the given key in front. */
static void
append_attribute(StringInfo buf, const char *key, const ChatLayout *layout, TupleTableSlot *slot,
				 ChatRole role)
{
	ChatField field = {.type = layout->type[role]};
	bool isnull, varlena;
	Datum value = slot_getattr(slot, layout->att[role], &isnull);

	appendStringInfoString(buf, key);
	if (isnull)
	{
		appendStringInfoString(buf, "null");
		return;
	}
	getTypeOutputInfo(field.type, &field.output, &varlena);
	append_value(buf, &field, value, INT_MAX);
}

void
chat_payload_status(StringInfo buf, const ChatLayout *layout, TupleTableSlot *slot)
{
	AttrNumber stamp = layout->att[CHAT_M_STATUS_UPDATED];

	append_attribute(buf, "{\"id\":", layout, slot, CHAT_M_ID);
	append_attribute(buf, ",\"conversationId\":", layout, slot, CHAT_M_CONVERSATION);
	append_attribute(buf, ",\"status\":", layout, slot, CHAT_M_STATUS);
	if (stamp != 0 && !slot_attisnull(slot, stamp))
		append_attribute(buf, ",\"timestamp\":", layout, slot, CHAT_M_STATUS_UPDATED);
	else
	{
		appendStringInfoString(buf, ",\"timestamp\":");
		append_time(buf, GetCurrentTransactionStartTimestamp());
	}
	appendStringInfoChar(buf, '}');
}

void
chat_payload_changes(StringInfo buf, const char *old_status, const char *new_status, bool agent,
					 bool bot)
{
	const char *separator = "{";

	if (old_status != NULL || new_status != NULL)
	{
		appendStringInfoString(buf, "{\"status\":{\"old\":");
		escape_json(buf, old_status ? old_status : "");
		appendStringInfoString(buf, ",\"new\":");
		escape_json(buf, new_status ? new_status : "");
		appendStringInfoChar(buf, '}');
		separator = ",";
	}
	if (agent)
	{
		appendStringInfo(buf, "%s\"assignedAgentId\":true", separator);
		separator = ",";
	}
	if (bot)
	{
		appendStringInfo(buf, "%s\"assignedBotId\":true", separator);
		separator = ",";
	}
	if (*separator == ',')
		appendStringInfoChar(buf, '}');
}

char *
chat_datum_text(Datum value, bool isnull, Oid type)
{
	Oid output;
	bool varlena;

	if (isnull)
		return NULL;
	if (type == TEXTOID || type == VARCHAROID)
		return TextDatumGetCString(value);
	if (type == BPCHAROID) /* without the blanks at its end, which mean nothing */
		return TextDatumGetCString(DirectFunctionCall1(rtrim1, value));
	getTypeOutputInfo(type, &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

/* The label of a type among chat_realtime.preview_labels, with % replaced by the file's name; NULL: none. */
static char *
label_of(const char *labels, const char *type, const char *filename)
{
	size_t length = strlen(type);
	const char *entry = labels;

	while (*entry != '\0')
	{
		size_t entry_length = strcspn(entry, ";");
		StringInfoData label;

		if (entry_length > length && entry[length] == '=' && strncmp(entry, type, length) == 0)
		{
			initStringInfo(&label);
			for (size_t i = length + 1; i < entry_length; i++)
			{
				if (entry[i] == '%')
					appendStringInfoString(&label, filename ? filename : "");
				else
					appendStringInfoChar(&label, entry[i]);
			}
			return label.data;
		}
		entry += entry_length;
		if (*entry == ';')
			entry++;
	}
	return NULL;
}

/* Structured content (coordinates, a vCard) is for programs; a label is for people. */
static bool
content_is_for_people(const char *type, const char *content)
{
	if (content == NULL || *content == '\0')
		return false;
	return type == NULL || (strcmp(type, "location") != 0 && strcmp(type, "contact") != 0);
}

char *
chat_preview(const char *labels, const char *type, const char *content, const char *filename)
{
	const char *text = content;

	if (!content_is_for_people(type, content))
		text = type ? label_of(labels, type, filename) : NULL;
	if (text == NULL)
		text = type != NULL && strcmp(type, "text") == 0 ? "" : "[Media]";
	return pnstrdup(text, pg_mbcharcliplen(text, strlen(text), PREVIEW_CHARACTERS));
}

PG_FUNCTION_INFO_V1(chat_message_preview);

/* SQL: chat.message_preview(type, content, filename, labels) */
Datum
chat_message_preview(PG_FUNCTION_ARGS)
{
	char *arguments[4];

	for (int i = 0; i < 4; i++)
		arguments[i] = chat_datum_text(PG_GETARG_DATUM(i), PG_ARGISNULL(i), TEXTOID);
	PG_RETURN_TEXT_P(
		cstring_to_text(chat_preview(arguments[3] ? arguments[3] : chat_settings.preview_labels,
									 arguments[0], arguments[1], arguments[2])));
}
