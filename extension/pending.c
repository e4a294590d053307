/*
 * The accumulator between row triggers and statement triggers; see pending.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "pending.h"

typedef struct DeletedKey
{
	ChatKey conversation;
	int64 attachment; /* 64 bits wide, so that the key has no padding */
} DeletedKey;

typedef struct DeletedConversation
{
	DeletedKey key; /* hash key */
	char *owner;
} DeletedConversation;

/* All in TopTransactionContext. */
static ChatPending *rows = NULL;
static Size nrows = 0;
static Size capacity = 0;
static HTAB *deleted = NULL;

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

void
chat_pending_deleted(int32 attachment, ChatKey conversation, const char *owner)
{
	DeletedKey key = {conversation, attachment};
	DeletedConversation *entry;

	if (deleted == NULL)
	{
		HASHCTL ctl = {
			.keysize = sizeof(DeletedKey),
			.entrysize = sizeof(DeletedConversation),
			.hcxt = TopTransactionContext,
		};

		deleted = hash_create("chat_realtime deleted conversations", 16, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(deleted, &key, HASH_ENTER, NULL);
	entry->owner = owner ? MemoryContextStrdup(TopTransactionContext, owner) : NULL;
}

const char *
chat_pending_deleted_owner(int32 attachment, ChatKey conversation)
{
	DeletedKey key = {conversation, attachment};
	DeletedConversation *entry =
		deleted == NULL ? NULL : hash_search(deleted, &key, HASH_FIND, NULL);

	return entry == NULL ? NULL : entry->owner;
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
	if (rows == NULL && deleted == NULL)
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
			deleted = NULL;
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
