/*
 * BEFORE triggers: they keep single rows right. Messages are validated and sanitised (R6), their status goes forward
 * only (R3); conversations keep the counters that the flush wrote.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "list_key.h"
#include "message_limit.h"
#include "pending.h"
#include "plans.h"
#include "quiet.h"
#include "row.h"
#include "sanitize.h"
#include "settings.h"
#include "status.h"
#include "trigger.h"
#include "validate.h"

PG_FUNCTION_INFO_V1(chat_message_before);
PG_FUNCTION_INFO_V1(chat_conversation_before);
PG_FUNCTION_INFO_V1(chat_sanitize_text);

/* --- changing a row before it is stored ----------------------------------------------------------- */

#define MAX_REPLACED 8

typedef struct Replacement
{
	int count;
	int columns[MAX_REPLACED];
	Datum values[MAX_REPLACED];
	bool nulls[MAX_REPLACED];
} Replacement;

static void
replace(Replacement *replacement, AttrNumber column, Datum value, bool isnull)
{
	Assert(replacement->count < MAX_REPLACED);
	replacement->columns[replacement->count] = column;
	replacement->values[replacement->count] = value;
	replacement->nulls[replacement->count] = isnull;
	replacement->count++;
}

/* Puts a column back to its old value. */
static void
put_back(Replacement *replacement, TupleTableSlot *old_slot, AttrNumber column)
{
	bool isnull;
	Datum value = slot_getattr(old_slot, column, &isnull);

	replace(replacement, column, value, isnull);
}

/* Sets a time column to now(), unless the statement itself changed it. */
static void
touch(Replacement *replacement, const ChatLayout *layout, ChatRole role, TupleTableSlot *old_slot,
	  TupleTableSlot *new_slot)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	if (layout->att[role] == 0 || !chat_row_same(old_slot, new_slot, layout->att[role]) ||
		chat_is_quiet())
		return;
	/* a timestamp in UTC has the same bits */
	replace(replacement, layout->att[role], TimestampTzGetDatum(chat_time_held(layout, role, now)),
			false);
}

/* The tuple that a BEFORE trigger returns. */
static Datum
finish(TriggerData *trigdata, const Replacement *replacement)
{
	HeapTuple tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple
																  : trigdata->tg_trigtuple;

	if (replacement->count > 0)
		tuple =
			heap_modify_tuple_by_cols(tuple, RelationGetDescr(trigdata->tg_relation),
									  replacement->count, (int *) replacement->columns,
									  (Datum *) replacement->values, (bool *) replacement->nulls);
	return PointerGetDatum(tuple);
}

/* --- messages ------------------------------------------------------------------------------------ */

/* Makes a text that the row brings in inert; see sanitize.h. */
static void
sanitize(Replacement *replacement, const ChatLayout *layout, ChatRole role,
		 TupleTableSlot *old_slot, TupleTableSlot *new_slot)
{
	AttrNumber attnum = layout->att[role];
	Oid type = layout->type[role];
	bool utf8 = GetDatabaseEncoding() == PG_UTF8;
	bool isnull;
	Datum value;
	text *given, *inert;
	size_t length;

	if ((type != TEXTOID && type != VARCHAROID && type != BPCHAROID) ||
		(old_slot != NULL && chat_row_same(old_slot, new_slot, attnum)))
		return;
	value = slot_getattr(new_slot, attnum, &isnull);
	if (isnull)
		return;
	given = DatumGetTextPP(value);
	length = VARSIZE_ANY_EXHDR(given);
	if (chat_text_is_inert(VARDATA_ANY(given), length, utf8))
		return;
	inert = palloc(VARHDRSZ + length);
	SET_VARSIZE(inert, VARHDRSZ + chat_sanitize(VARDATA(inert), VARDATA_ANY(given), length, utf8));
	replace(replacement, attnum, PointerGetDatum(inert), false);
}

/* Rule R3, and the times that go with an update. */
static void
keep_status(Replacement *replacement, const ChatLayout *layout, TupleTableSlot *old_slot,
			TupleTableSlot *new_slot)
{
	if (chat_row_same(old_slot, new_slot, layout->att[CHAT_M_STATUS]))
		return;
	if (chat_status_step_allowed(chat_row_text(old_slot, layout, CHAT_M_STATUS),
								 chat_row_text(new_slot, layout, CHAT_M_STATUS)))
	{
		touch(replacement, layout, CHAT_M_STATUS_UPDATED, old_slot, new_slot);
		return;
	}
	put_back(replacement, old_slot, layout->att[CHAT_M_STATUS]);
	if (layout->att[CHAT_M_STATUS_UPDATED] != 0)
		put_back(replacement, old_slot, layout->att[CHAT_M_STATUS_UPDATED]);
}

Datum
chat_message_before(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment =
		chat_trigger_attachment(fcinfo, "message_before", TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE);
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	bool update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	TupleTableSlot *old_slot = update ? trigdata->tg_trigslot : NULL;
	TupleTableSlot *new_slot = update ? trigdata->tg_newslot : trigdata->tg_trigslot;
	ChatLayout *layout = chat_layout_get(attachment, trigdata->tg_relation, true);
	Replacement replacement;

	replacement.count = 0;
	if (!update)
		chat_message_limit(fcinfo->flinfo);
	chat_validate_message(attachment, layout, trigdata->tg_relation, old_slot, new_slot);
	if (chat_sanitizes(&attachment->settings))
	{
		sanitize(&replacement, layout, CHAT_M_CONTENT, old_slot, new_slot);
		sanitize(&replacement, layout, CHAT_M_FILENAME, old_slot, new_slot);
	}
	if (update)
	{
		keep_status(&replacement, layout, old_slot, new_slot);
		touch(&replacement, layout, CHAT_M_UPDATED, old_slot, new_slot);
	}
	return finish(trigdata, &replacement);
}

/* --- conversations -------------------------------------------------------------------------------- */

static const ChatRole kept_columns[] = {CHAT_C_UNREAD, CHAT_C_LAST_AT, CHAT_C_PREVIEW};

/* A new conversation has no messages, so nothing unread and, where the column allows it, no last message. */
static void
clear_kept_columns(Replacement *replacement, const ChatLayout *layout, TupleTableSlot *slot)
{
	for (int i = 0; i < (int) lengthof(kept_columns); i++)
	{
		AttrNumber attnum = layout->att[kept_columns[i]];
		bool counter = kept_columns[i] == CHAT_C_UNREAD;
		bool isnull;
		Datum value;

		if (attnum == 0)
			continue;
		value = slot_getattr(slot, attnum, &isnull);
		if (counter && (isnull || value != (Datum) 0))
			replace(replacement, attnum, (Datum) 0, false);
		else if (!counter && !isnull &&
				 !TupleDescAttr(slot->tts_tupleDescriptor, attnum - 1)->attnotnull)
			replace(replacement, attnum, (Datum) 0, true);
	}
}

/* The list key of a new conversation: that of no last message, or of the one that its column has to have. */
static void
set_list_key(Replacement *replacement, const ChatLayout *layout, TupleTableSlot *slot)
{
	AttrNumber last_at = layout->att[CHAT_C_LAST_AT];
	int64 key = CHAT_LIST_NEVER;
	bool isnull;
	Datum value;

	if (layout->att[CHAT_C_LIST_KEY] == 0)
		return;
	if (last_at != 0 && TupleDescAttr(slot->tts_tupleDescriptor, last_at - 1)->attnotnull)
	{
		value = slot_getattr(slot, last_at, &isnull);
		if (!isnull)
			key = chat_list_key_exact(DatumGetTimestampTz(value));
	}
	value = slot_getattr(slot, layout->att[CHAT_C_LIST_KEY], &isnull);
	if (isnull || DatumGetInt64(value) != key)
		replace(replacement, layout->att[CHAT_C_LIST_KEY], Int64GetDatum(key), false);
}

/* Puts back what an update writes into a column that only the flush writes. */
static void
keep_column(Replacement *replacement, AttrNumber attnum, const TriggerData *trigdata)
{
	if (!chat_row_same(trigdata->tg_trigslot, trigdata->tg_newslot, attnum))
		put_back(replacement, trigdata->tg_trigslot, attnum);
}

/* Remembers whose conversation goes, for the events of the messages that go with it. */
static void
remember_owner(ChatAttachment *attachment, const ChatLayout *layout, TupleTableSlot *slot)
{
	bool isnull;
	Datum value = slot_getattr(slot, layout->att[CHAT_C_OWNER], &isnull);
	char *owner = chat_datum_text(value, isnull, layout->type[CHAT_C_OWNER]);

	if (owner != NULL && attachment->owner.table != NULL)
	{
		SPI_connect();
		(void) chat_plan_run(attachment, CHAT_PLAN_OWNER, &value, NULL);
		owner = chat_plan_text(1);
		chat_pending_deleted(attachment->id, chat_trigger_conversation(slot, layout), owner);
		SPI_finish();
		return;
	}
	chat_pending_deleted(attachment->id, chat_trigger_conversation(slot, layout), owner);
}

Datum
chat_conversation_before(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = chat_trigger_attachment(fcinfo, "conversation_before",
														 TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE);
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	ChatLayout *layout = chat_layout_get(attachment, trigdata->tg_relation, false);
	Replacement replacement;

	replacement.count = 0;
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		remember_owner(attachment, layout, trigdata->tg_trigslot);
		return PointerGetDatum(trigdata->tg_trigtuple);
	}
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		chat_validate_conversation(layout, trigdata->tg_relation, NULL, trigdata->tg_trigslot);
		clear_kept_columns(&replacement, layout, trigdata->tg_trigslot);
		set_list_key(&replacement, layout, trigdata->tg_trigslot);
	}
	else if (!chat_plan_is_own_update())
	{
		chat_validate_conversation(layout, trigdata->tg_relation, trigdata->tg_trigslot,
								   trigdata->tg_newslot);
		for (int i = 0; i < (int) lengthof(kept_columns); i++)
			keep_column(&replacement, layout->att[kept_columns[i]], trigdata);
		keep_column(&replacement, layout->att[CHAT_C_LIST_KEY], trigdata);
		touch(&replacement, layout, CHAT_C_UPDATED, trigdata->tg_trigslot, trigdata->tg_newslot);
	}
	return finish(trigdata, &replacement);
}

/* SQL: chat.sanitize(content) */
Datum
chat_sanitize_text(PG_FUNCTION_ARGS)
{
	text *given = PG_GETARG_TEXT_PP(0);
	size_t length = VARSIZE_ANY_EXHDR(given);
	text *inert = palloc(VARHDRSZ + length);

	SET_VARSIZE(inert, VARHDRSZ + chat_sanitize(VARDATA(inert), VARDATA_ANY(given), length,
												GetDatabaseEncoding() == PG_UTF8));
	PG_RETURN_TEXT_P(inert);
}
