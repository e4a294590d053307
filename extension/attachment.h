/*
 * What this backend knows of the attached pairs of tables (chat.attachment): names, key type, plans.
 *
 * Invalidation only marks; the next chat_attachment_get builds anew, and what it replaces lives on until the end of the
 * transaction, so a pointer stays good for as long as a caller can hold it. The same holds for layouts (layout.h).
 *
 * Any look-up in a catalog, and any opening of a table or an index, may take in invalidations. So none of this points into
 * PostgreSQL's own caches, and what is being built is marked by whatever changes meanwhile.
 */
#ifndef CHAT_ATTACHMENT_H
#define CHAT_ATTACHMENT_H

#include "postgres.h"

#include "access/htup_details.h"
#include "lib/ilist.h"
#include "utils/jsonb.h"

#include "roles.h"
#include "settings.h"

/* The user behind an owner or agent column: the column itself, or found in another table. */
typedef struct ChatUserMapping
{
	char *column; /* NULL: the table has no such column */
	char *table;  /* qualified and quoted, NULL: the column is the user id */
	Oid relid;    /* of that table */
	char *key;
	char *user;
} ChatUserMapping;

/* The statements on a pair of tables; statements.c has a row for each. */
typedef enum ChatPlan
{
	/* of the triggers */
	CHAT_PLAN_SET,     /* write counters and last message */
	CHAT_PLAN_NEWEST,  /* newest message of a conversation */
	CHAT_PLAN_UNREAD,  /* count unread messages of a conversation */
	CHAT_PLAN_OPEN,    /* opens a conversation: $1 id */
	CHAT_PLAN_COUNTED, /* conversations whose counters are not empty */
	CHAT_PLAN_OWNER,   /* user id behind an owner column's value */
	CHAT_PLAN_AGENT,   /* user id behind an agent column's value */
	/* of recounting */
	CHAT_PLAN_DRIFTED,
	CHAT_PLAN_CONVERSATIONS_AFTER,
	/* of the API */
	CHAT_PLAN_LIST_CONVERSATIONS,
	CHAT_PLAN_COUNT_CONVERSATIONS,
	CHAT_PLAN_LIST_MESSAGES,
	CHAT_PLAN_SEARCH_MESSAGES,
	CHAT_PLAN_FIND_CONVERSATION,
	CHAT_PLAN_FIND_MESSAGE,
	CHAT_PLAN_LOCK_CONVERSATION,
	CHAT_PLAN_LOCK_CONVERSATION_OF,
	CHAT_PLAN_LOCK_MESSAGE,
	CHAT_PLAN_LOCK_STATUS,
	CHAT_PLAN_LOCK_UNREAD,
	CHAT_PLAN_LOCK_ALL,
	CHAT_PLAN_LOCK_ALL_MESSAGES,
	CHAT_PLAN_LOCK_ONE_MESSAGE,
	CHAT_PLAN_FIND_EXTERNAL,
	CHAT_PLAN_USERS_OF,
	CHAT_PLAN_TAKES_PART,
	CHAT_PLAN_CONVERSATION_JSON,
	CHAT_PLAN_MESSAGE_JSON,
	CHAT_PLAN_INSERT_CONVERSATION,
	CHAT_PLAN_INSERT_MESSAGE,
	CHAT_PLAN_UPDATE_CONVERSATIONS,
	CHAT_PLAN_WRITE_QUIETLY,
	CHAT_PLAN_UPDATE_MESSAGES,
	CHAT_PLAN_DELETE_MESSAGE,
	CHAT_PLAN_DELETE_MESSAGES_OF,
	CHAT_PLAN_DELETE_CONVERSATION,
	/* of users */
	CHAT_PLAN_OWNER_KEYS,
	CHAT_PLAN_AGENT_KEYS,
	CHAT_PLAN_OWNS,
	CHAT_PLAN_IS_AGENT,
	CHAT_PLAN_OWNERS_AFTER,
	CHAT_PLAN_AGENTS_AFTER,
	/* of contacts and of what WUZAPI tells */
	CHAT_PLAN_CONTACT_ROWS,
	CHAT_PLAN_CONTACT,
	CHAT_PLAN_LOCK_CONTACT,
	CHAT_PLAN_LOCK_CONVERSATIONS,
	CHAT_PLAN_OTHER_ADDRESS,
	CHAT_PLAN_CONVERSATIONS_OF,
	CHAT_PLAN_FIND_AMONG,
	CHAT_PLAN_LOCK_DUE,
	CHAT_PLAN_LATEST_AMONG,
	CHAT_PLAN_TYPE_IS_ALLOWED,
	CHAT_PLAN_NEW_ROWS,
	CHAT_PLAN_INSERT_MESSAGES,
	CHAT_PLAN_NAME_CONTACTS,
	CHAT_PLAN_PENDING_CONVERSATIONS,
	CHAT_PLAN_LOCK_IF_FREE,
	CHAT_PLAN_PENDING_OF,
	CHAT_PLAN_RECIPIENT,
	CHAT_PLAN_SENDING_TARGET,
	CHAT_PLAN_EXTERNAL_IDS,
	CHAT_PLAN_MERGE_SIDES,
	CHAT_PLAN_FREE_ADDRESS,
	CHAT_PLAN_LOCK_MOVABLE,
	CHAT_PLAN_DROP_DOUBLES,
	CHAT_PLAN_MOVE_MESSAGES,
	CHAT_PLAN_WITH_MESSAGES,
	CHAT_PLAN_BY_AGE,
	CHAT_PLAN_REMOVE_MERGED,
	CHAT_PLAN_UNMARK_MERGED,
	CHAT_PLAN_INBOXES,
	/* of a table of webhooks or keys, see chat_attachment_of_table */
	CHAT_PLAN_INSERT_ROW,
	CHAT_PLAN_UPDATE_ROW,
	CHAT_PLAN_LOCK_KEY,
	CHAT_PLAN_LIST_KEYS,
	CHAT_PLAN_FIND_WEBHOOK,
	CHAT_PLAN_LOCK_WEBHOOK,
	CHAT_PLAN_LIST_WEBHOOKS,
	CHAT_PLAN_COUNT_WEBHOOKS,
	CHAT_PLAN_INSERT_WEBHOOK,
	CHAT_PLAN_DELETE_WEBHOOK,
	CHAT_PLAN_WEBHOOKS_BY_ID,
	CHAT_PLAN_WEBHOOKS_OF,
	CHAT_PLAN_WEBHOOKS_THERE,
	CHAT_PLAN_SHOW_WEBHOOKS,
	CHAT_PLAN_WEBHOOK_ORIGINS,
	CHAT_PLAN_NOTE_WEBHOOKS,
	CHAT_PLAN_DISABLE_WEBHOOKS,
	CHAT_PLAN_COUNT_UNSIGNED,
	CHAT_PLAN_SIGN_WEBHOOKS,
	CHAT_PLANS
} ChatPlan;

struct ChatPrepared;

typedef struct ChatAttachment
{
	int32 id;
	Oid conversations;
	Oid messages;
	Oid table;                /* of webhooks or keys, then it is no pair; else InvalidOid */
	Oid key_type;             /* of a conversation's id */
	char *column[CHAT_ROLES]; /* names, NULL where the table has none */
	ChatUserMapping owner;
	ChatUserMapping agent;
	ChatSettings settings; /* overrides */
	char *search_path;     /* for statements on these tables: pg_catalog and their schema */
	ChatRole missing;      /* an essential column that is gone, or CHAT_ROLES */
	struct ChatPrepared *plans[CHAT_PLANS]; /* kept; NULL until first used; see plans.c */
	dlist_head variants; /* of statements that have such, the most recent first */
	int nvariants;
	MemoryContext context;
} ChatAttachment;

extern void chat_attachment_init(void);

/* Errors: 55000 when there is no such attachment, 42703 when an essential column is gone. */
extern ChatAttachment *chat_attachment_get(int32 id);
/* The same; of one whose tables or essential columns are gone what is left: see missing. */
extern ChatAttachment *chat_attachment_peek(int32 id);
/*
 * Not a pair, but a table beside it, of webhooks or of keys. It is kept apart from the pairs, which may be broken, or name the same
 * one.
 */
extern ChatAttachment *chat_attachment_of_table(Oid relid);
/* One of a row of chat.attachment, which need not be there, for use within the current memory context. */
extern ChatAttachment *chat_attachment_from(HeapTupleHeader row);
/* Ids of all attachments, in order, in the current memory context. */
extern int32 *chat_attachment_ids(int *count);
/*
 * Reads a mapping of users of chat.attachment.columns: {"column": …, "table": …, "key": …, "user": …}. Error 42P01 when
 * that table is gone.
 */
extern void chat_user_mapping_read(Jsonb *columns, const char *role, ChatUserMapping *mapping);
/* The same for the object itself. */
extern void chat_user_mapping_from(Jsonb *object, ChatUserMapping *mapping);
/* Reads the names of columns by role; owner and agent, which are objects, are left out. */
extern void chat_columns_read(ChatAttachment *attachment, Jsonb *columns);
/* Oid of a table of schema chat; error 55000 when it is missing. */
extern Oid chat_own_table(const char *name);
/* Lets what a rebuilt cache entry replaces live until the end of the transaction. */
extern void chat_attachment_retire(MemoryContext context);

#endif
