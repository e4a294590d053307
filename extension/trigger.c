/*
 * AFTER triggers: row triggers note what happened (pending.h), the statement trigger settles it (flush.h). The
 * BEFORE triggers are in before.c.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "attachment.h"
#include "checks.h"
#include "flush.h"
#include "merged.h"
#include "payload.h"
#include "pending.h"
#include "plans.h"
#include "quiet.h"
#include "row.h"
#include "settings.h"
#include "trigger.h"

/* A row's note that it causes an event. */
#define NOTE(kind) CHAT_EVENT_BIT(CHAT_EVENT_##kind)

PG_FUNCTION_INFO_V1(chat_message_after);
PG_FUNCTION_INFO_V1(chat_message_truncate);
PG_FUNCTION_INFO_V1(chat_conversation_after);
PG_FUNCTION_INFO_V1(chat_flush);

/* Checks the trigger protocol; returns the attachment that the trigger's argument names. */
ChatAttachment *
chat_trigger_attachment(FunctionCallInfo fcinfo, const char *name, TriggerEvent timing)
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

ChatKey
chat_trigger_conversation(TupleTableSlot *slot, const ChatLayout *layout)
{
	bool isnull;
	Datum id = slot_getattr(slot, layout->att[CHAT_C_ID], &isnull);

	return chat_key_from_datum(id, layout->type[CHAT_C_ID]);
}

/* --- messages ------------------------------------------------------------------------------------ */

typedef struct MessageFacts
{
	ChatKey conversation;
	bool incoming;
	bool deleted;
	bool visible;     /* neither a private note nor deleted: may be the last message */
	bool unread;      /* counts by rule R1 */
	TimestampTz time; /* -infinity: none */
} MessageFacts;

static MessageFacts
message_facts(TupleTableSlot *slot, const ChatLayout *layout)
{
	MessageFacts facts = {0};
	bool isnull;
	Datum conversation = slot_getattr(slot, layout->att[CHAT_M_CONVERSATION], &isnull);

	if (!isnull)
		facts.conversation = chat_key_from_datum(conversation, layout->type[CHAT_M_CONVERSATION]);
	facts.incoming = chat_row_is(slot, layout, CHAT_M_DIRECTION, "incoming");
	facts.deleted = chat_row_is_set(slot, layout, CHAT_M_DELETED);
	facts.visible = !facts.deleted && !chat_row_is_set(slot, layout, CHAT_M_PRIVATE);
	facts.unread =
		facts.visible && facts.incoming && !chat_row_is(slot, layout, CHAT_M_STATUS, "read");
	if (!chat_row_time(slot, layout, CHAT_M_TIME, &facts.time) &&
		!chat_row_time(slot, layout, CHAT_M_CREATED, &facts.time))
		facts.time = DT_NOBEGIN;
	return facts;
}

/* Notes one row for the flush. */
static ChatPending *
note_row(const ChatAttachment *attachment, Relation relation, TupleTableSlot *slot, ChatKey key,
		 uint32 flags)
{
	ChatPending *row = chat_pending_add();

	if (chat_is_quiet())
		flags &= ~(CHAT_MESSAGE_EVENTS | CHAT_CONVERSATION_EVENTS | CHAT_RIGHTS);
	row->flags = flags | (chat_pending_is_renamed(attachment->id, key) ? CHAT_RECOUNT : 0);
	row->attachment = attachment->id;
	row->conversation = key;
	row->relid = RelationGetRelid(relation);
	row->tid = slot->tts_tid;
	return row;
}

/* Id of a partition's message; zero elsewhere. */
static ChatKey
partition_message(Relation relation, const ChatLayout *layout, TupleTableSlot *slot)
{
	ChatKey none = {0, 0};
	bool isnull;
	Datum id;

	if (!relation->rd_rel->relispartition)
		return none;
	id = slot_getattr(slot, layout->att[CHAT_M_ID], &isnull);
	return chat_key_from_datum(id, layout->type[CHAT_M_ID]);
}

/*
 * True when the row noted before is the same message, which an UPDATE took out of another partition: that comes as a
 * DELETE and an INSERT.
 */
static bool
comes_from_partition(Relation relation, const ChatPending *before, ChatKey message,
					 const MessageFacts *facts)
{
	return relation->rd_rel->relispartition && before != NULL &&
		   (before->flags & NOTE(MESSAGE_DELETED)) != 0 &&
		   before->relid != RelationGetRelid(relation) &&
		   chat_key_compare(&before->message, &message) == 0 &&
		   chat_key_compare(&before->conversation, &facts->conversation) == 0;
}

static void
note_message_new(const ChatAttachment *attachment, Relation relation, const ChatLayout *layout,
				 TupleTableSlot *slot, const MessageFacts *facts, bool inserted)
{
	ChatKey message = partition_message(relation, layout, slot);
	ChatPending *before = chat_pending_last();
	uint32 event = facts->incoming ? NOTE(MESSAGE_RECEIVED) : NOTE(MESSAGE_SENT);
	ChatPending *row;

	if (facts->deleted)
		return; /* nobody hears of it, and its deletion will not be told */
	if (comes_from_partition(relation, before, message, facts))
	{
		before->flags &= ~NOTE(MESSAGE_DELETED);
		event = NOTE(MESSAGE_UPDATED);
	}
	else if (inserted && facts->incoming)
		event |= CHAT_OPENS;
	row = note_row(attachment, relation, slot, facts->conversation, event);
	row->message = message;
	row->flags |= facts->visible && !TIMESTAMP_IS_NOBEGIN(facts->time) ? CHAT_IS_CANDIDATE : 0;
	row->unread = facts->unread ? 1 : 0;
	row->time = facts->time;
}

static void
note_message_gone(const ChatAttachment *attachment, Relation relation, const ChatLayout *layout,
				  TupleTableSlot *slot, const MessageFacts *facts)
{
	ChatPending *row;

	if (facts->deleted)
		return; /* said and counted when it was marked */
	row = note_row(attachment, relation, slot, facts->conversation,
				   NOTE(MESSAGE_DELETED) | (facts->visible ? CHAT_WAS_NEWEST : 0));
	row->message = partition_message(relation, layout, slot);
	row->unread = facts->unread ? -1 : 0;
	row->time = facts->time;
}

/* Which events an update of a message is. */
static uint32
message_update_flags(const ChatLayout *layout, TupleTableSlot *old_slot, TupleTableSlot *new_slot,
					 const MessageFacts *before, const MessageFacts *after)
{
	static const ChatRole content[] = {CHAT_M_CONTENT, CHAT_M_TYPE, CHAT_M_METADATA};
	uint32 flags = 0;

	if (after->deleted)
		return before->deleted ? 0 : NOTE(MESSAGE_DELETED);
	for (int i = 0; i < (int) lengthof(content); i++)
	{
		if (!chat_row_same(old_slot, new_slot, layout->att[content[i]]))
			flags |= NOTE(MESSAGE_UPDATED);
	}
	if (before->deleted)
		flags |= NOTE(MESSAGE_UPDATED); /* it is back */
	if (!chat_row_same(old_slot, new_slot, layout->att[CHAT_M_STATUS]))
		flags |= NOTE(MESSAGE_STATUS);
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
		   !chat_row_same(old_slot, new_slot, layout->att[CHAT_M_CONTENT]) ||
		   !chat_row_same(old_slot, new_slot, layout->att[CHAT_M_TYPE]) ||
		   !chat_row_same(old_slot, new_slot, layout->att[CHAT_M_FILENAME]);
}

static void
note_message_update(const ChatAttachment *attachment, Relation relation, const ChatLayout *layout,
					TupleTableSlot *old_slot, TupleTableSlot *new_slot)
{
	MessageFacts before = message_facts(old_slot, layout);
	MessageFacts after = message_facts(new_slot, layout);
	uint32 flags;
	int unread = (int) after.unread - (int) before.unread;
	ChatPending *row;

	if (chat_key_compare(&before.conversation, &after.conversation) != 0)
	{
		note_message_gone(attachment, relation, layout, old_slot, &before);
		note_message_new(attachment, relation, layout, new_slot, &after, false);
		return;
	}
	flags = message_update_flags(layout, old_slot, new_slot, &before, &after);
	if (newest_may_change(layout, old_slot, new_slot, &before, &after))
		flags |= CHAT_WAS_NEWEST;
	if (flags == 0 && unread == 0)
		return;
	row = note_row(attachment, relation, new_slot, after.conversation, flags);
	row->unread = unread;
	row->time = Max(before.time, after.time);
}

Datum
chat_message_after(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment =
		chat_trigger_attachment(fcinfo, "message_after", TRIGGER_EVENT_ROW);
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	ChatLayout *layout = chat_layout_get(attachment, trigdata->tg_relation, true);
	MessageFacts facts;

	if (!TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		chat_checks_keep(layout, trigdata->tg_relation);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		note_message_update(attachment, trigdata->tg_relation, layout, trigdata->tg_trigslot,
							trigdata->tg_newslot);
	else
	{
		facts = message_facts(trigdata->tg_trigslot, layout);
		if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
			note_message_new(attachment, trigdata->tg_relation, layout, trigdata->tg_trigslot,
							 &facts, true);
		else
			note_message_gone(attachment, trigdata->tg_relation, layout, trigdata->tg_trigslot,
							  &facts);
	}
	return PointerGetDatum(NULL);
}

/* --- conversations -------------------------------------------------------------------------------- */

/* True when something that clients see changed, updated_at alone not counted. */
static bool
visibly_changed(const ChatLayout *layout, TupleTableSlot *old_slot, TupleTableSlot *new_slot)
{
	for (int i = 0; i < layout->nfields; i++)
	{
		if (!layout->fields[i].quiet &&
			!chat_row_same(old_slot, new_slot, layout->fields[i].attnum))
			return true;
	}
	return false;
}

/* What an update changed of status, agent and bot, or NULL. */
static ChatChanges *
note_changes(const ChatLayout *layout, TupleTableSlot *old_slot, TupleTableSlot *new_slot,
			 bool agent, bool bot)
{
	bool status = !chat_row_same(old_slot, new_slot, layout->att[CHAT_C_STATUS]);
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	ChatChanges *changes = NULL;
	StringInfoData json;
	bool isnull = true;

	if (status || agent || bot)
	{
		changes = palloc0(sizeof(ChatChanges));
		initStringInfo(&json);
		chat_payload_changes(&json, status ? chat_row_text(old_slot, layout, CHAT_C_STATUS) : NULL,
							 status ? chat_row_text(new_slot, layout, CHAT_C_STATUS) : NULL, agent,
							 bot);
		changes->json = json.data;
	}
	if (agent)
	{
		AttrNumber attnum = layout->att[CHAT_C_AGENT];
		Form_pg_attribute attribute = TupleDescAttr(old_slot->tts_tupleDescriptor, attnum - 1);
		Datum value = slot_getattr(old_slot, attnum, &isnull);

		changes->had_agent = !isnull;
		if (!isnull)
			changes->old_agent = datumCopy(value, attribute->attbyval, attribute->attlen);
	}
	MemoryContextSwitchTo(old);
	return changes;
}

/* Notes what an update of a conversation changed. */
static void
note_conversation_update(const ChatAttachment *attachment, Relation relation,
						 const ChatLayout *layout, TupleTableSlot *old_slot,
						 TupleTableSlot *new_slot)
{
	bool agent = !chat_row_same(old_slot, new_slot, layout->att[CHAT_C_AGENT]);
	bool bot = !chat_row_same(old_slot, new_slot, layout->att[CHAT_C_BOT]);
	bool owner = !chat_row_same(old_slot, new_slot, layout->att[CHAT_C_OWNER]);
	ChatPending *row;

	if (!visibly_changed(layout, old_slot, new_slot))
		return;
	/* Its counters came along; its messages follow, by a cascade or another statement, and are no new ones. */
	if (!chat_row_same(old_slot, new_slot, layout->att[CHAT_C_ID]))
		chat_pending_renamed(attachment->id, chat_trigger_conversation(new_slot, layout));
	if (!chat_row_same(old_slot, new_slot, layout->att[CHAT_C_STATUS]))
		chat_pending_status_written(attachment->id, chat_trigger_conversation(new_slot, layout));
	row = note_row(attachment, relation, new_slot, chat_trigger_conversation(new_slot, layout),
				   NOTE(CONVERSATION_UPDATED) | (agent || bot ? NOTE(CONVERSATION_ASSIGNED) : 0) |
					   (agent ? CHAT_NEW_AGENT : 0) | (agent || owner ? CHAT_RIGHTS : 0));
	row->changes = note_changes(layout, old_slot, new_slot, agent, bot);
}

Datum
chat_conversation_after(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment =
		chat_trigger_attachment(fcinfo, "conversation_after", TRIGGER_EVENT_ROW);
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	ChatLayout *layout = chat_layout_get(attachment, trigdata->tg_relation, false);
	ChatPending *row;
	ChatKey key;

	if (!TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		chat_checks_keep(layout, trigdata->tg_relation);
	if (chat_plan_is_own_update() || chat_is_quiet())
		return PointerGetDatum(NULL); /* the flush or function that made it tells */
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		note_conversation_update(attachment, trigdata->tg_relation, layout, trigdata->tg_trigslot,
								 trigdata->tg_newslot);
		return PointerGetDatum(NULL);
	}
	key = chat_trigger_conversation(trigdata->tg_trigslot, layout);
	row = note_row(attachment, trigdata->tg_relation, trigdata->tg_trigslot, key,
				   CHAT_RIGHTS |
					   (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) ? NOTE(CONVERSATION_DELETED)
																	: NOTE(CONVERSATION_NEW)));
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
		chat_reopens(&attachment->settings,
					 chat_row_text(trigdata->tg_trigslot, layout, CHAT_C_STATUS)))
		chat_pending_status_written(row->attachment, row->conversation);
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
		chat_pending_is_awaited(row->attachment, row->conversation))
		row->flags |= CHAT_RECOUNT; /* a deferred foreign key let messages come first */
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		chat_merged_new(attachment, key);
	else
		chat_merged_gone(attachment, key, chat_pending_deleted_owner(attachment->id, key),
						 chat_row_text(trigdata->tg_trigslot, layout, CHAT_C_JID));
	return PointerGetDatum(NULL);
}

/* --- statements ----------------------------------------------------------------------------------- */

Datum
chat_flush(PG_FUNCTION_ARGS)
{
	(void) chat_trigger_attachment(fcinfo, "flush", 0);
	if (!chat_plan_is_own_update())
		(void) chat_flush_pending();
	return PointerGetDatum(NULL);
}

Datum
chat_message_truncate(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = chat_trigger_attachment(fcinfo, "message_truncate", 0);

	(void) chat_layout_get(attachment, ((TriggerData *) fcinfo->context)->tg_relation, true);
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
