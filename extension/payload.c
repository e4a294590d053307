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

#include "json_text.h"
#include "owner.h"
#include "payload.h"
#include "row.h"
#include "settings.h"

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
		chat_append_literal(buf, "null");
	else
		append_jsonb(buf, value);
}

/* Appends "<name>Truncated":true after a field. */
static void
append_truncated(StringInfo buf, const ChatField *field)
{
	chat_append(buf, field->key, field->key_length - 2);
	chat_append_literal(buf, "Truncated\":true");
}

/* Appends a text column; the content is cut to its limit. */
static void
append_text(StringInfo buf, const ChatField *field, Datum value, int content_limit)
{
	text *packed = DatumGetTextPP(value);
	const char *data = VARDATA_ANY(packed);
	int length = VARSIZE_ANY_EXHDR(packed);

	if (!field->content || length <= content_limit)
		chat_append_string(buf, data, length);
	else
	{
		chat_append_string(buf, data, pg_mbcliplen(data, length, content_limit));
		append_truncated(buf, field);
	}
	if ((Pointer) packed != DatumGetPointer(value))
		pfree(packed);
}

/* A value as its type prints it. */
static char *
output_text(const ChatField *field, Datum value)
{
	return OutputFunctionCall(unconstify(FmgrInfo *, &field->output), value);
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
	if (OidIsValid(field->element))
	{
		/* A type of a user's may have a cast to json of the user's. */
		if (field->element >= FirstNormalObjectId)
			chat_as_owner(field->relid, true, convert_array, &value);
		else
			convert_array(&value);
		append_json(buf, TextDatumGetCString(value));
	}
	else
	{
		char *printed = output_text(field, value);

		chat_append_string(buf, printed, strlen(printed));
	}
}

/* Appends one value that is not NULL. */
static void
append_value(StringInfo buf, const ChatField *field, Datum value, int content_limit)
{
	switch (field->type)
	{
		case BOOLOID:
			if (DatumGetBool(value))
				chat_append_literal(buf, "true");
			else
				chat_append_literal(buf, "false");
			break;
		case INT2OID:
			chat_append_integer(buf, DatumGetInt16(value));
			break;
		case INT4OID:
			chat_append_integer(buf, DatumGetInt32(value));
			break;
		case INT8OID:
			chat_append_integer(buf, DatumGetInt64(value));
			break;
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			append_number(buf, output_text(field, value));
			break;
		case UUIDOID:
			chat_append_uuid(buf, DatumGetUUIDP(value));
			break;
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
			chat_append_time(buf, DatumGetTimestamp(value));
			break;
		case DATEOID:
			chat_append_date(buf, DatumGetDateADT(value));
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
	chat_append_literal(buf, "null");
	append_truncated(buf, field);
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
	int start = buf->len;
	int end = start + chat_max_payload_bytes;
	int limit = chat_max_field_bytes();
	int level = layout->by_settings ? set_output() : 0;

	slot_getallattrs(slot);
	for (int i = 0; i < layout->nfields; i++)
	{
		const ChatField *field = limited ? &layout->fields[i] : layout->by_key[i];
		Datum value = slot->tts_values[field->attnum - 1];
		bool isnull = slot->tts_isnull[field->attnum - 1];

		chat_append(buf, field->key, isnull ? field->null_length : field->key_length);
		if (isnull)
			continue;
		if (limited && !field->content)
			append_limited(buf, field, value, limit, end);
		else
			append_value(buf, field, value, content_limit);
	}
	buf->data[start] = '{'; /* in place of the first comma */
	chat_append_literal(buf, "}");
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
	ChatField field = {.relid = layout->relid};
	bool isnull;
	Datum value = slot_getattr(slot, layout->att[role], &isnull);

	appendStringInfoString(buf, key);
	if (isnull)
	{
		chat_append_literal(buf, "null");
		return;
	}
	chat_field_type(&field, layout->type[role], CurrentMemoryContext);
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
		chat_append_time(buf, GetCurrentTransactionStartTimestamp());
	}
	appendStringInfoChar(buf, '}');
}

void
chat_payload_id(StringInfo buf, const ChatLayout *layout, TupleTableSlot *slot)
{
	append_attribute(buf, "{\"id\":", layout, slot, layout->messages ? CHAT_M_ID : CHAT_C_ID);
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
