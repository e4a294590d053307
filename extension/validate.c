/*
 * Rule R6; see validate.h.
 *
 * Direction, status and type are words from a list. A table that has rules of its own for such a column (an
 * enum, a domain, a CHECK constraint on that column alone) is left to them; a word that its CHECK will refuse is
 * refused here, where the error names the column and shows nothing else of the row. The limits hold for outgoing
 * messages only: an incoming one has happened, and losing it would be worse than storing it.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "utils/relcache.h"
#include "utils/ruleutils.h"

#include "checks.h"
#include "compat.h"
#include "media_type.h"
#include "row.h"
#include "settings.h"
#include "validate.h"

/* What of a refused value an error shows. */
#define SHOWN_BYTES 64

const char *const chat_directions[] = {"incoming", "outgoing", NULL};
static const char *const statuses[] = {"pending", "sent", "delivered", "read", "failed", NULL};
const char *const chat_message_types[] = {
	"text",    "image", "video", "audio",         "document",        "location", "contact",
	"sticker", "poll",  "order", "list_response", "button_response", NULL};

const char *const chat_senders[] = {"user", "contact", "bot", "system", NULL};
const char *const chat_conversation_statuses[] = {"open", "pending", "resolved", "snoozed", NULL};

/* A row under examination. */
typedef struct Examined
{
	const ChatAttachment *attachment;
	const ChatLayout *layout;
	Relation relation;
	TupleTableSlot *old_slot;
	TupleTableSlot *new_slot;
} Examined;

/* True when the row brings a new value into the column. */
static bool
is_new(const Examined *row, ChatRole role)
{
	AttrNumber attnum = row->layout->att[role];

	return attnum != 0 &&
		   (row->old_slot == NULL || !chat_row_same(row->old_slot, row->new_slot, attnum));
}

/* A value cut to what an error can show. */
static char *
shown(const char *value)
{
	int length = strlen(value);

	if (length <= SHOWN_BYTES)
		return pstrdup(value);
	return psprintf("%.*s…", pg_mbcliplen(value, length, SHOWN_BYTES), value);
}

/* What a word is, such as "type of a message". */
static const char *
kind_of_word(const Examined *row, ChatRole role)
{
	if (!row->layout->messages)
		return "status of a conversation";
	return psprintf("%s of a message", chat_role_name(role));
}

/* A CHECK of the table made ready to run, where it is on this column alone; else NULL. desc: where they are not kept. */
static ExprState *
own_rule(const Examined *row, AttrNumber attnum, TupleDesc desc, int n, EState *estate)
{
	const ConstrCheck *check;
	Node *condition;

	if (desc == NULL)
		return chat_check_is_on(row->layout, n, attnum) ? chat_check_ready(row->layout, n) : NULL;
	check = &desc->constr->check[n];
	condition = stringToNode(check->ccbin);
	return chat_check_is_enforced(check) && chat_only_column(condition) == attnum
			   ? ExecPrepareExpr((Expr *) condition, estate)
			   : NULL;
}

/* The first CHECK on this column alone that refuses the row, or -1. */
static int
refusing_rule(const Examined *row, AttrNumber attnum)
{
	EState *estate = CreateExecutorState();
	ExprContext *context = GetPerTupleExprContext(estate);
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	int count = chat_checks_kept(row->layout);
	TupleDesc desc = NULL;
	int found = -1;

	context->ecxt_scantuple = row->new_slot;
	if (count == 0)
	{
		desc = CreateTupleDescCopyConstr(RelationGetDescr(row->relation));
		count = desc->constr == NULL ? 0 : desc->constr->num_check;
	}
	for (int i = 0; i < count && found < 0; i++)
	{
		ExprState *rule = own_rule(row, attnum, desc, i, estate);

		if (rule != NULL && !ExecCheck(rule, context))
			found = i;
	}
	MemoryContextSwitchTo(old);
	FreeExecutorState(estate);
	return found;
}

/* Refuses a word that a CHECK constraint on its column alone is about to refuse: ours is the last trigger before it. */
static void
check_own_rule(const Examined *row, ChatRole role, const char *value)
{
	AttrNumber attnum = row->layout->att[role];
	int refusing = refusing_rule(row, attnum);
	TupleDesc desc;
	const ConstrCheck *check;

	if (refusing < 0)
		return;
	desc = CreateTupleDescCopyConstr(RelationGetDescr(row->relation));
	check = &desc->constr->check[refusing];
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("\"%s\" is no %s", shown(value), kind_of_word(row, role)),
			 errhint("Constraint \"%s\" allows: %s.", check->ccname,
					 deparse_expression(stringToNode(check->ccbin),
										deparse_context_for(RelationGetRelationName(row->relation),
															RelationGetRelid(row->relation)),
										false, false)),
			 errtablecol(row->relation, attnum)));
}

/* Refuses a word that is not in the list; lenient: that the table's own rule refuses. */
static void
check_word(const Examined *row, ChatRole role, const char *const *words, bool lenient)
{
	char *value;
	StringInfoData list;

	if (!is_new(row, role))
		return;
	for (const char *const *word = words; *word != NULL; word++)
	{
		if (chat_row_is(row->new_slot, row->layout, role, *word))
			return;
	}
	value = chat_row_text(row->new_slot, row->layout, role);
	if (value == NULL)
		return; /* NOT NULL is the table's business */
	if (row->layout->own_rule[role])
		check_own_rule(row, role, value);
	if (row->layout->own_rule[role] || lenient)
		return;
	initStringInfo(&list);
	for (const char *const *word = words; *word != NULL; word++)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", *word);
	ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
					errmsg("\"%s\" is no %s", shown(value), kind_of_word(row, role)),
					errhint("Allowed: %s. A CHECK constraint on the column replaces this list.",
							list.data),
					errtablecol(row->relation, row->layout->att[role])));
}

/* Refuses an outgoing content that is too long. */
static void
check_content(const Examined *row)
{
	Oid type = row->layout->type[CHAT_M_CONTENT];
	int limit = chat_max_content_bytes(&row->attachment->settings);
	bool isnull;
	Datum value;
	Size size;

	if (type != TEXTOID && type != VARCHAROID && type != BPCHAROID)
		return;
	value = slot_getattr(row->new_slot, row->layout->att[CHAT_M_CONTENT], &isnull);
	size = isnull ? 0 : toast_raw_datum_size(value) - VARHDRSZ;
	if (size <= (Size) limit)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
			 errmsg("content of an outgoing message is %zu bytes long, more than %d", size, limit),
			 errhint("Shorten it, or raise chat_realtime.max_content_bytes, or the "
					 "table's own limit with chat.configure."),
			 errtablecol(row->relation, row->layout->att[CHAT_M_CONTENT])));
}

/* Refuses an outgoing message with a column that is too large for events. */
static void
check_columns(const Examined *row)
{
	Size limit = chat_max_field_bytes();
	const ChatLayout *layout = row->layout;

	for (int i = 0; i < layout->nfields; i++)
	{
		const ChatField *field = &layout->fields[i];
		bool isnull;
		Datum value = slot_getattr(row->new_slot, field->attnum, &isnull);
		Size size = isnull || !field->varlena || field->content
						? 0
						: toast_raw_datum_size(value) - VARHDRSZ;

		if (size <= limit ||
			(row->old_slot != NULL && chat_row_same(row->old_slot, row->new_slot, field->attnum)))
			continue;
		ereport(
			ERROR,
			(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
			 errmsg("column \"%s\" of an outgoing message is %zu bytes large, more than %zu",
					NameStr(
						TupleDescAttr(RelationGetDescr(row->relation), field->attnum - 1)->attname),
					size, limit),
			 errhint("Store large data elsewhere, or raise "
					 "chat_realtime.max_payload_bytes, of which this is a quarter."),
			 errtablecol(row->relation, field->attnum)));
	}
}

/* Refuses an outgoing media type that is not allowed. */
static void
check_media_type(const Examined *row)
{
	char *type = chat_row_text(row->new_slot, row->layout, CHAT_M_MIME);

	if (type == NULL || *type == '\0' ||
		chat_media_type_allowed(chat_allowed_media_types(&row->attachment->settings), type))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("media type \"%s\" is not allowed in outgoing messages", shown(type)),
			 errhint("Allowed types are in chat_realtime.allowed_media_types, and a table's own "
					 "in chat.attachment.settings."),
			 errtablecol(row->relation, row->layout->att[CHAT_M_MIME])));
}

/* Refuses outgoing media that are too large. */
static void
check_media_size(const Examined *row)
{
	char *text = chat_row_text(row->new_slot, row->layout, CHAT_M_SIZE);
	int limit = chat_max_media_bytes(&row->attachment->settings);
	double size = text == NULL ? 0 : strtod(text, NULL);

	if (size <= limit)
		return;
	ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
					errmsg("media of an outgoing message are %s bytes large, more than %d",
						   shown(text), limit),
					errhint("Send a smaller file, or raise chat_realtime.max_media_bytes, or the "
							"table's own limit with chat.configure."),
					errtablecol(row->relation, row->layout->att[CHAT_M_SIZE])));
}

/* False for most rows, at a glance. */
static bool
row_may_be_large(TupleTableSlot *slot)
{
	bool should_free;
	HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);
	bool large = tuple->t_len > (uint32) chat_max_field_bytes() || HeapTupleHasExternal(tuple);

	if (should_free)
		heap_freetuple(tuple);
	return large;
}

void
chat_validate_message(const ChatAttachment *attachment, const ChatLayout *layout, Relation relation,
					  TupleTableSlot *old_slot, TupleTableSlot *new_slot)
{
	Examined row = {attachment, layout, relation, old_slot, new_slot};
	bool turned;

	check_word(&row, CHAT_M_DIRECTION, chat_directions, false);
	check_word(&row, CHAT_M_STATUS, statuses, false);
	check_word(&row, CHAT_M_TYPE, chat_message_types, false);
	check_word(&row, CHAT_M_SENDER_TYPE, chat_senders, true);
	if (!chat_check_outgoing || !chat_row_is(new_slot, layout, CHAT_M_DIRECTION, "outgoing"))
		return;
	turned = is_new(&row, CHAT_M_DIRECTION);
	if (turned || is_new(&row, CHAT_M_CONTENT))
		check_content(&row);
	if (row_may_be_large(new_slot))
		check_columns(&row);
	if (turned || is_new(&row, CHAT_M_MIME))
		check_media_type(&row);
	if (turned || is_new(&row, CHAT_M_SIZE))
		check_media_size(&row);
}

void
chat_validate_conversation(const ChatLayout *layout, Relation relation, TupleTableSlot *old_slot,
						   TupleTableSlot *new_slot)
{
	Examined row = {NULL, layout, relation, old_slot, new_slot};

	check_word(&row, CHAT_C_STATUS, chat_conversation_statuses, false);
}
