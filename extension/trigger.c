/*
 * Trigger functions. BEFORE triggers keep single rows right; AFTER ROW triggers note what happened (pending.h);
 * the statement trigger settles it (flush.h).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "attachment.h"
#include "flush.h"
#include "payload.h"
#include "pending.h"
#include "plans.h"

PG_FUNCTION_INFO_V1(chat_message_before);
PG_FUNCTION_INFO_V1(chat_message_after);
PG_FUNCTION_INFO_V1(chat_message_truncate);
PG_FUNCTION_INFO_V1(chat_conversation_before);
PG_FUNCTION_INFO_V1(chat_conversation_after);
PG_FUNCTION_INFO_V1(chat_flush);

/* Checks the trigger protocol; returns the attachment that the trigger's argument names. */
static ChatAttachment *
attachment_of(FunctionCallInfo fcinfo, const char *name, TriggerEvent timing)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("chat.%s must be called as a trigger", name)));
	if ((trigdata->tg_event & (TRIGGER_EVENT_TIMINGMASK | TRIGGER_EVENT_ROW)) != timing ||
		trigdata->tg_trigger->tgnargs != 1)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("chat.%s is not fired as chat.attach makes its trigger", name),
						errhint("Triggers of chat_realtime are created by chat.attach only.")));
	return chat_attachment_get(pg_strtoint32(trigdata->tg_trigger->tgargs[0]));
}

/* A column's value as text, without copying more than needed; NULL for SQL NULL or a missing column. */
static char *
role_text(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role)
{
	bool isnull;
	Datum value;

	if (layout->att[role] == 0)
		return NULL;
	value = slot_getattr(slot, layout->att[role], &isnull);
	return chat_datum_text(value, isnull, layout->type[role]);
}

/* True when a text (or enum …) column has the given value. */
static bool
role_is(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role, const char *wanted)
{
	bool isnull;
	Datum value;

	if (layout->att[role] == 0)
		return false;
	value = slot_getattr(slot, layout->att[role], &isnull);
	if (isnull)
		return false;
	if (layout->type[role] == TEXTOID || layout->type[role] == VARCHAROID)
	{
		text *packed = DatumGetTextPP(value);
		size_t length = VARSIZE_ANY_EXHDR(packed);

		return length == strlen(wanted) && memcmp(VARDATA_ANY(packed), wanted, length) == 0;
	}
	return strcmp(chat_datum_text(value, false, layout->type[role]), wanted) == 0;
}

/* A flag column: boolean, or a time that is set. */
static bool
role_is_set(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role)
{
	bool isnull;
	Datum value;

	if (layout->att[role] == 0)
		return false;
	value = slot_getattr(slot, layout->att[role], &isnull);
	if (isnull)
		return false;
	return layout->type[role] == BOOLOID ? DatumGetBool(value) : true;
}

/* A time column; false for SQL NULL or a missing column. */
static bool
role_time(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role, TimestampTz *time)
{
	bool isnull;
	Datum value;

	if (layout->att[role] == 0)
		return false;
	value = slot_getattr(slot, layout->att[role], &isnull);
	if (isnull)
		return false;
	if (layout->type[role] == TIMESTAMPOID)
		value = DirectFunctionCall1(timestamp_timestamptz, value);
	*time = DatumGetTimestampTz(value);
	return true;
}

/* True when two versions of a row have the same value in a column. */
static bool
column_same(TupleTableSlot *old_slot, TupleTableSlot *new_slot, AttrNumber attnum)
{
	Form_pg_attribute attribute;
	bool old_null, new_null;
	Datum old_value, new_value;

	if (attnum == 0)
		return true;
	attribute = TupleDescAttr(new_slot->tts_tupleDescriptor, attnum - 1);
	old_value = slot_getattr(old_slot, attnum, &old_null);
	new_value = slot_getattr(new_slot, attnum, &new_null);
	if (old_null || new_null)
		return old_null == new_null;
	return datum_image_eq(old_value, new_value, attribute->attbyval, attribute->attlen);
}

/* --- messages ------------------------------------------------------------------------------------ */

typedef struct MessageFacts
{
	ChatKey conversation;
	bool incoming;
	bool deleted;
	bool visible; /* neither a private note nor deleted: may be the last message */
	bool unread;  /* counts by rule R1 */
	TimestampTz time;
} MessageFacts;

static MessageFacts
message_facts(TupleTableSlot *slot, const ChatLayout *layout)
{
	MessageFacts facts = {0};
	bool isnull;
	Datum conversation = slot_getattr(slot, layout->att[CHAT_M_CONVERSATION], &isnull);

	if (!isnull)
		facts.conversation = chat_key_from_datum(conversation, layout->type[CHAT_M_CONVERSATION]);
	facts.incoming = role_is(slot, layout, CHAT_M_DIRECTION, "incoming");
	facts.deleted = role_is_set(slot, layout, CHAT_M_DELETED);
	facts.visible = !facts.deleted && !role_is_set(slot, layout, CHAT_M_PRIVATE);
	facts.unread = facts.visible && facts.incoming && !role_is(slot, layout, CHAT_M_STATUS, "read");
	if (!role_time(slot, layout, CHAT_M_TIME, &facts.time))
		(void) role_time(slot, layout, CHAT_M_CREATED, &facts.time);
	return facts;
}

/* Place of a status in pending < sent < delivered < read; -1: none of these. */
static int
status_rank(const char *status)
{
	static const char *const order[] = {"pending", "sent", "delivered", "read"};

	for (int i = 0; status != NULL && i < (int) lengthof(order); i++)
	{
		if (strcmp(status, order[i]) == 0)
			return i;
	}
	return -1;
}

/* Rule R3: forward only; failed is reached from pending or sent and left for sent, delivered or read. */
static bool
status_step_allowed(const char *old_status, const char *new_status)
{
	int old_rank = status_rank(old_status);
	int new_rank = status_rank(new_status);

	if (old_status == NULL || new_status == NULL)
		return true;
	if (strcmp(new_status, "failed") == 0)
		return old_rank < 0 || old_rank <= 1;
	if (strcmp(old_status, "failed") == 0)
		return new_rank != 0;
	if (old_rank < 0 || new_rank < 0)
		return true; /* a status of the table's own */
	return new_rank > old_rank;
}

/* Notes one row for the flush. */
static ChatPending *
note_row(const ChatAttachment *attachment, Relation relation, TupleTableSlot *slot, ChatKey key)
{
	ChatPending *row = chat_pending_add();

	row->attachment = attachment->id;
	row->conversation = key;
	row->relid = RelationGetRelid(relation);
	row->tid = slot->tts_tid;
	return row;
}

static void
note_message_new(const ChatAttachment *attachment, Relation relation, TupleTableSlot *slot,
				 const MessageFacts *facts)
{
	ChatPending *row = note_row(attachment, relation, slot, facts->conversation);

	row->flags = CHAT_MESSAGE_NEW | (facts->incoming ? CHAT_INCOMING : 0) |
				 (facts->visible ? CHAT_IS_CANDIDATE : 0);
	row->unread = facts->unread ? 1 : 0;
	row->time = facts->time;
}

static void
note_message_gone(const ChatAttachment *attachment, Relation relation, TupleTableSlot *slot,
				  const MessageFacts *facts)
{
	ChatPending *row;

	if (facts->deleted)
		return; /* said and counted when it was marked */
	row = note_row(attachment, relation, slot, facts->conversation);
	row->flags = CHAT_MESSAGE_DELETED | (facts->visible ? CHAT_WAS_NEWEST : 0);
	row->unread = facts->unread ? -1 : 0;
	row->time = facts->time;
}

/* Which events an update of a message is. */
static uint16
message_update_flags(const ChatLayout *layout, TupleTableSlot *old_slot, TupleTableSlot *new_slot,
					 const MessageFacts *before, const MessageFacts *after)
{
	static const ChatRole content[] = {CHAT_M_CONTENT, CHAT_M_TYPE, CHAT_M_METADATA};
	uint16 flags = 0;

	if (after->deleted)
		return before->deleted ? 0 : CHAT_MESSAGE_DELETED;
	for (int i = 0; i < (int) lengthof(content); i++)
	{
		if (!column_same(old_slot, new_slot, layout->att[content[i]]))
			flags |= CHAT_MESSAGE_UPDATED;
	}
	if (before->deleted)
		flags |= CHAT_MESSAGE_UPDATED; /* it is back */
	if (!column_same(old_slot, new_slot, layout->att[CHAT_M_STATUS]))
		flags |= CHAT_MESSAGE_STATUS;
	return flags;
}

/* True when an update may change which message is the newest, or its preview. */
static bool
newest_may_change(const ChatLayout *layout, TupleTableSlot *old_slot, TupleTableSlot *new_slot,
				  const MessageFacts *before, const MessageFacts *after)
{
	if (!before->visible && !after->visible)
		return false;
	return before->visible != after->visible || before->time != after->time ||
		   !column_same(old_slot, new_slot, layout->att[CHAT_M_CONTENT]) ||
		   !column_same(old_slot, new_slot, layout->att[CHAT_M_TYPE]) ||
		   !column_same(old_slot, new_slot, layout->att[CHAT_M_FILENAME]);
}

static void
note_message_update(const ChatAttachment *attachment, Relation relation, const ChatLayout *layout,
					TupleTableSlot *old_slot, TupleTableSlot *new_slot)
{
	MessageFacts before = message_facts(old_slot, layout);
	MessageFacts after = message_facts(new_slot, layout);
	uint16 flags;
	int unread = (int) after.unread - (int) before.unread;
	ChatPending *row;

	if (chat_key_compare(&before.conversation, &after.conversation) != 0)
	{
		note_message_gone(attachment, relation, old_slot, &before);
		note_message_new(attachment, relation, new_slot, &after);
		return;
	}
	flags = message_update_flags(layout, old_slot, new_slot, &before, &after);
	if (newest_may_change(layout, old_slot, new_slot, &before, &after))
		flags |= CHAT_WAS_NEWEST;
	if (flags == 0 && unread == 0)
		return;
	row = note_row(attachment, relation, new_slot, after.conversation);
	row->flags = flags;
	row->unread = unread;
	row->time = Max(before.time, after.time);
}

Datum
chat_message_after(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = attachment_of(fcinfo, "message_after", TRIGGER_EVENT_ROW);
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	ChatLayout *layout = chat_layout_get(attachment, trigdata->tg_relation, true);
	MessageFacts facts;

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		note_message_update(attachment, trigdata->tg_relation, layout, trigdata->tg_trigslot,
							trigdata->tg_newslot);
	else
	{
		facts = message_facts(trigdata->tg_trigslot, layout);
		if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
			note_message_new(attachment, trigdata->tg_relation, trigdata->tg_trigslot, &facts);
		else
			note_message_gone(attachment, trigdata->tg_relation, trigdata->tg_trigslot, &facts);
	}
	return PointerGetDatum(NULL);
}

/* --- changing a row before it is stored ----------------------------------------------------------- */

#define MAX_REPLACED 6

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
	Datum now = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());

	if (layout->att[role] == 0 || !column_same(old_slot, new_slot, layout->att[role]))
		return;
	if (layout->type[role] == TIMESTAMPOID)
		now = DirectFunctionCall1(timestamptz_timestamp, now);
	else if (layout->type[role] != TIMESTAMPTZOID)
		return;
	replace(replacement, layout->att[role], now, false);
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

Datum
chat_message_before(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment =
		attachment_of(fcinfo, "message_before", TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE);
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleTableSlot *old_slot = trigdata->tg_trigslot;
	TupleTableSlot *new_slot = trigdata->tg_newslot;
	ChatLayout *layout;
	Replacement replacement = {0};
	bool status_same;

	if (!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		return PointerGetDatum(trigdata->tg_trigtuple);
	layout = chat_layout_get(attachment, trigdata->tg_relation, true);
	status_same = column_same(old_slot, new_slot, layout->att[CHAT_M_STATUS]);
	if (!status_same && !status_step_allowed(role_text(old_slot, layout, CHAT_M_STATUS),
											 role_text(new_slot, layout, CHAT_M_STATUS)))
	{
		put_back(&replacement, old_slot, layout->att[CHAT_M_STATUS]);
		if (layout->att[CHAT_M_STATUS_UPDATED] != 0)
			put_back(&replacement, old_slot, layout->att[CHAT_M_STATUS_UPDATED]);
	}
	else if (!status_same)
		touch(&replacement, layout, CHAT_M_STATUS_UPDATED, old_slot, new_slot);
	touch(&replacement, layout, CHAT_M_UPDATED, old_slot, new_slot);
	return finish(trigdata, &replacement);
}

/* --- conversations -------------------------------------------------------------------------------- */

static const ChatRole kept_columns[] = {CHAT_C_UNREAD, CHAT_C_LAST_AT, CHAT_C_PREVIEW};

static ChatKey
conversation_key(TupleTableSlot *slot, const ChatLayout *layout)
{
	bool isnull;
	Datum id = slot_getattr(slot, layout->att[CHAT_C_ID], &isnull);

	return chat_key_from_datum(id, layout->type[CHAT_C_ID]);
}

/* A new conversation has no messages, so nothing unread and no last message. */
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
		else if (!counter && !isnull)
			replace(replacement, attnum, (Datum) 0, true);
	}
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
		chat_pending_deleted(attachment->id, conversation_key(slot, layout), owner);
		SPI_finish();
		return;
	}
	chat_pending_deleted(attachment->id, conversation_key(slot, layout), owner);
}

Datum
chat_conversation_before(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment =
		attachment_of(fcinfo, "conversation_before", TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE);
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	ChatLayout *layout = chat_layout_get(attachment, trigdata->tg_relation, false);
	Replacement replacement = {0};

	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		remember_owner(attachment, layout, trigdata->tg_trigslot);
		return PointerGetDatum(trigdata->tg_trigtuple);
	}
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		clear_kept_columns(&replacement, layout, trigdata->tg_trigslot);
	else if (!chat_plan_is_own_update())
	{
		for (int i = 0; i < (int) lengthof(kept_columns); i++)
		{
			AttrNumber attnum = layout->att[kept_columns[i]];

			if (!column_same(trigdata->tg_trigslot, trigdata->tg_newslot, attnum))
				put_back(&replacement, trigdata->tg_trigslot, attnum);
		}
		touch(&replacement, layout, CHAT_C_UPDATED, trigdata->tg_trigslot, trigdata->tg_newslot);
	}
	return finish(trigdata, &replacement);
}

/* True when something that clients see changed, updated_at alone not counted. */
static bool
visibly_changed(const ChatLayout *layout, TupleTableSlot *old_slot, TupleTableSlot *new_slot)
{
	for (int i = 0; i < layout->nfields; i++)
	{
		if (!layout->fields[i].quiet && !column_same(old_slot, new_slot, layout->fields[i].attnum))
			return true;
	}
	return false;
}

/* Notes what an update of a conversation changed. */
static void
note_conversation_update(const ChatAttachment *attachment, Relation relation,
						 const ChatLayout *layout, TupleTableSlot *old_slot,
						 TupleTableSlot *new_slot)
{
	bool status = !column_same(old_slot, new_slot, layout->att[CHAT_C_STATUS]);
	bool agent = !column_same(old_slot, new_slot, layout->att[CHAT_C_AGENT]);
	bool bot = !column_same(old_slot, new_slot, layout->att[CHAT_C_BOT]);
	ChatPending *row;
	StringInfoData changes;

	if (!visibly_changed(layout, old_slot, new_slot))
		return;
	row = note_row(attachment, relation, new_slot, conversation_key(new_slot, layout));
	row->flags = CHAT_CONVERSATION_UPDATED | (agent || bot ? CHAT_CONVERSATION_ASSIGNED : 0) |
				 (agent ? CHAT_CONVERSATION_AGENT : 0);
	if (!status && !agent && !bot)
		return;
	initStringInfo(&changes);
	chat_payload_changes(&changes, status ? role_text(old_slot, layout, CHAT_C_STATUS) : NULL,
						 status ? role_text(new_slot, layout, CHAT_C_STATUS) : NULL, agent, bot);
	row->changes = MemoryContextStrdup(TopTransactionContext, changes.data);
}

Datum
chat_conversation_after(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = attachment_of(fcinfo, "conversation_after", TRIGGER_EVENT_ROW);
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	ChatLayout *layout;
	ChatPending *row;

	if (chat_plan_is_own_update())
		return PointerGetDatum(NULL); /* the flush that made it tells */
	layout = chat_layout_get(attachment, trigdata->tg_relation, false);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		note_conversation_update(attachment, trigdata->tg_relation, layout, trigdata->tg_trigslot,
								 trigdata->tg_newslot);
		return PointerGetDatum(NULL);
	}
	row = note_row(attachment, trigdata->tg_relation, trigdata->tg_trigslot,
				   conversation_key(trigdata->tg_trigslot, layout));
	row->flags = CHAT_CONVERSATION_NEW;
	return PointerGetDatum(NULL);
}

/* --- statements ----------------------------------------------------------------------------------- */

Datum
chat_flush(PG_FUNCTION_ARGS)
{
	(void) attachment_of(fcinfo, "flush", 0);
	if (!chat_plan_is_own_update())
		(void) chat_flush_pending();
	return PointerGetDatum(NULL);
}

Datum
chat_message_truncate(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = attachment_of(fcinfo, "message_truncate", 0);

	SPI_connect();
	(void) chat_plan_run(attachment, CHAT_PLAN_COUNTED, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		Datum id = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		ChatPending *row = chat_pending_add();

		row->attachment = attachment->id;
		row->relid = attachment->messages;
		row->conversation = chat_key_from_datum(id, attachment->key_type);
		row->flags = CHAT_RECOUNT;
	}
	SPI_finish();
	(void) chat_flush_pending();
	return PointerGetDatum(NULL);
}
