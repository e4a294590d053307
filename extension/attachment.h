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

#include "executor/spi.h"
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

typedef enum ChatPlan
{
	CHAT_PLAN_SET,     /* write counters and last message */
	CHAT_PLAN_NEWEST,  /* newest message of a conversation */
	CHAT_PLAN_UNREAD,  /* count unread messages of a conversation */
	CHAT_PLAN_COUNTED, /* conversations whose counters are not empty */
	CHAT_PLAN_OWNER,   /* user id behind an owner column's value */
	CHAT_PLAN_AGENT,   /* user id behind an agent column's value */
	CHAT_PLANS
} ChatPlan;

typedef struct ChatAttachment
{
	int32 id;
	Oid conversations;
	Oid messages;
	Oid key_type;             /* of a conversation's id */
	char *column[CHAT_ROLES]; /* names, NULL where the table has none */
	ChatUserMapping owner;
	ChatUserMapping agent;
	ChatSettings settings;        /* overrides */
	char *search_path;            /* for statements on these tables: pg_catalog and their schema */
	SPIPlanPtr plans[CHAT_PLANS]; /* kept; NULL until first used */
	MemoryContext context;
} ChatAttachment;

extern void chat_attachment_init(void);

/* Error 55000 when there is no such attachment. */
extern ChatAttachment *chat_attachment_get(int32 id);
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
