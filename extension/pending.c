/*
 * The accumulator between row triggers and statement triggers; see pending.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "pending.h"

typedef struct ConversationKey
{
	ChatKey conversation;
	int64 attachment; /* 64 bits wide, so that the key has no padding */
} ConversationKey;

typedef struct DeletedConversation
{
	ConversationKey key; /* hash key */
	char *owner;
} DeletedConversation;

/* All in TopTransactionContext. */
static ChatPending *rows = NULL;
static Size nrows = 0;
static Size capacity = 0;
static HTAB *deleted = NULL;        /* of DeletedConversation */
static HTAB *awaited = NULL;        /* of ConversationKey */
static HTAB *renamed = NULL;        /* of ConversationKey */
static HTAB *status_written = NULL; /* of ConversationKey */

ChatPending *
chat_pending_add(void)
{
	ChatPending *row;

	if (rows == NULL)
	{
		capacity = 8;
		rows = MemoryContextAllocHuge(TopTransactionContext, capacity * sizeof(ChatPending));
	}
	else if (nrows == capacity)
	{
		capacity *= 2;
		rows = repalloc_huge(rows, capacity * sizeof(ChatPending));
	}
	row = &rows[nrows++];
	memset(row, 0, sizeof(*row));
	row->level = GetCurrentTransactionNestLevel();
	return row;
}

ChatPending *
chat_pending_last(void)
{
	if (nrows == 0 || rows[nrows - 1].level != GetCurrentTransactionNestLevel())
		return NULL;
	return &rows[nrows - 1];
}

ChatPending *
chat_pending_take(int *count)
{
	int level = GetCurrentTransactionNestLevel();
	Size first = nrows;
	ChatPending *taken;

	while (first > 0 && rows[first - 1].level == level)
		first--;
	*count = (int) (nrows - first);
	if (nrows == first)
		return NULL;
	taken = MemoryContextAllocHuge(CurrentMemoryContext, (nrows - first) * sizeof(ChatPending));
	memcpy(taken, &rows[first], (nrows - first) * sizeof(ChatPending));
	nrows = first;
	return taken;
}

/* Makes a set of conversations that lives until the end of the transaction. */
static HTAB *
make_set(const char *name, Size entrysize)
{
	HASHCTL ctl = {
		.keysize = sizeof(ConversationKey),
		.entrysize = entrysize,
		.hcxt = TopTransactionContext,
	};

	return hash_create(name, 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
chat_pending_deleted(int32 attachment, ChatKey conversation, const char *owner)
{
	ConversationKey key = {conversation, attachment};
	DeletedConversation *entry;

	if (deleted == NULL)
		deleted = make_set("chat_realtime deleted conversations", sizeof(DeletedConversation));
	entry = hash_search(deleted, &key, HASH_ENTER, NULL);
	entry->owner = owner ? MemoryContextStrdup(TopTransactionContext, owner) : NULL;
}

const char *
chat_pending_deleted_owner(int32 attachment, ChatKey conversation)
{
	ConversationKey key = {conversation, attachment};
	DeletedConversation *entry =
		deleted == NULL ? NULL : hash_search(deleted, &key, HASH_FIND, NULL);

	return entry == NULL ? NULL : entry->owner;
}

/* Adds a conversation to one of the sets of this transaction, which is made with its first member. */
static void
set_add(HTAB **set, const char *name, int32 attachment, ChatKey conversation)
{
	ConversationKey key = {conversation, attachment};

	if (*set == NULL)
		*set = make_set(name, sizeof(ConversationKey));
	(void) hash_search(*set, &key, HASH_ENTER, NULL);
}

static bool
set_has(HTAB *set, int32 attachment, ChatKey conversation)
{
	ConversationKey key = {conversation, attachment};

	return set != NULL && hash_search(set, &key, HASH_FIND, NULL) != NULL;
}

void
chat_pending_awaited(int32 attachment, ChatKey conversation)
{
	set_add(&awaited, "chat_realtime awaited conversations", attachment, conversation);
}

bool
chat_pending_is_awaited(int32 attachment, ChatKey conversation)
{
	return set_has(awaited, attachment, conversation);
}

void
chat_pending_renamed(int32 attachment, ChatKey conversation)
{
	set_add(&renamed, "chat_realtime renamed conversations", attachment, conversation);
}

bool
chat_pending_is_renamed(int32 attachment, ChatKey conversation)
{
	return set_has(renamed, attachment, conversation);
}

void
chat_pending_status_written(int32 attachment, ChatKey conversation)
{
	set_add(&status_written, "chat_realtime written statuses", attachment, conversation);
}

bool
chat_pending_is_status_written(int32 attachment, ChatKey conversation)
{
	return set_has(status_written, attachment, conversation);
}

/*
 * Fails a transaction that noted rows but never settled them, rather than miscount: statements that name a
 * partition without our statement trigger, and logical replication, fire row triggers only.
 */
static void
check_settled(void)
{
	if (nrows == 0)
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("changes of table \"%s\" were not counted", get_rel_name(rows[nrows - 1].relid)),
		 errdetail("Its row trigger fired, but no statement trigger after it."),
		 errhint(
			 "Call chat.attach for the table again, so that every partition has the statement trigger.")));
}

static void
transaction_ends(XactEvent event, void *arg)
{
	if (rows == NULL && deleted == NULL && awaited == NULL && renamed == NULL &&
		status_written == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			check_settled();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			rows = NULL;
			nrows = capacity = 0;
			deleted = awaited = renamed = status_written = NULL;
			break;
		default:
			break;
	}
}

static void
subtransaction_ends(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (nrows > 0 && rows[nrows - 1].level >= level)
			nrows--;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (Size i = nrows; i > 0 && rows[i - 1].level >= level; i--)
			rows[i - 1].level = level - 1;
	}
}

/* Registers the callbacks, once per backend. */
void
chat_pending_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
}
