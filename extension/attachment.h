/*
 * What this backend knows of the attached pairs of tables (chat.attachment) and of their columns.
 *
 * Two caches. ChatAttachment, by attachment id: names, key type, plans. ChatLayout, by table: where each role's
 * column is and which JSON field each column becomes; a partition has its own, since its columns may be in
 * another order. Invalidation only marks; the next chat_*_get builds anew, and what it replaces lives on
 * until the end of the transaction, so a pointer stays good for as long as a caller can hold it.
 *
 * Any look-up in a catalog, and any opening of a table or an index, may take in invalidations. So none of this points into
 * PostgreSQL's own caches, and what is being built is marked by whatever changes meanwhile.
 */
#ifndef CHAT_ATTACHMENT_H
#define CHAT_ATTACHMENT_H

#include "postgres.h"

#include "executor/spi.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

#include "settings.h"

/* Roles of columns. A table that lacks a role's column has attribute number 0 for it. */
typedef enum ChatRole
{
	/* conversations */
	CHAT_C_ID,
	CHAT_C_OWNER,
	CHAT_C_AGENT,
	CHAT_C_BOT,
	CHAT_C_STATUS,
	CHAT_C_UNREAD,
	CHAT_C_LAST_AT,
	CHAT_C_PREVIEW,
	CHAT_C_CREATED,
	CHAT_C_UPDATED,
	CHAT_C_JID,
	CHAT_C_NAME,
	/* messages */
	CHAT_M_ID,
	CHAT_M_CONVERSATION,
	CHAT_M_DIRECTION,
	CHAT_M_STATUS,
	CHAT_M_TYPE,
	CHAT_M_CONTENT,
	CHAT_M_METADATA,
	CHAT_M_TIME,
	CHAT_M_CREATED,
	CHAT_M_UPDATED,
	CHAT_M_STATUS_UPDATED,
	CHAT_M_PRIVATE,
	CHAT_M_DELETED,
	CHAT_M_FILENAME,
	CHAT_M_MIME,
	CHAT_M_SIZE,
	CHAT_M_SENDER_TYPE,
	CHAT_ROLES
} ChatRole;

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

typedef struct ChatField
{
	char *key;       /* ,"unreadCount":null */
	int key_length;  /* of that without null */
	int null_length; /* … with it */
	Oid relid;
	AttrNumber attnum;
	Oid type;
	Oid element; /* of an array, what it is of */
	bool varlena;
	bool content;    /* the message's content */
	bool quiet;      /* a change of it alone is no event */
	FmgrInfo output; /* type's output function */
} ChatField;

typedef struct ChatLayout
{
	int32 attachment;
	bool messages; /* else conversations */
	Oid relid;
	AttrNumber att[CHAT_ROLES];
	Oid type[CHAT_ROLES];      /* of a domain, its base type */
	bool own_rule[CHAT_ROLES]; /* of a word: the table itself says what is allowed */
	int max_content_bytes;     /* of the pair's own, or -1 */
	int nfields;
	ChatField *fields;
	bool by_settings; /* how some field prints depends on settings of the session */
	/* conversations only */
	Oid key_index;      /* unique index on the id alone */
	bool plain;         /* an UPDATE of the counters would reach nothing of the user's */
	bool last_not_null; /* a last-message column is declared NOT NULL */
	int preview_chars;  /* most characters of a preview, -1: no limit of the table's */
	MemoryContext context;
} ChatLayout;

extern void chat_attachment_init(void);

/* Error 55000 when there is no such attachment. */
extern ChatAttachment *chat_attachment_get(int32 id);
/*
 * messages: the table (or partition) holds messages, else conversations. Error 55000 for a table that is neither of the
 * attachment's, nor a partition of its messages.
 */
extern ChatLayout *chat_layout_get(ChatAttachment *attachment, Relation relation, bool messages);
/* Builds a layout in the current memory context; chat_layout_get keeps it. */
extern ChatLayout *chat_layout_build(const ChatAttachment *attachment, Relation relation,
									 bool messages, MemoryContext context);
/*
 * Reads a mapping of users of chat.attachment.columns: {"column": …, "table": …, "key": …, "user": …}. Error 42P01 when
 * that table is gone.
 */
extern void chat_user_mapping_read(Jsonb *columns, const char *role, ChatUserMapping *mapping);
/* The same for the object itself. */
extern void chat_user_mapping_from(Jsonb *object, ChatUserMapping *mapping);
/* Reads the names of columns by role; owner and agent, which are objects, are left out. */
extern void chat_columns_read(ChatAttachment *attachment, Jsonb *columns);
/* Fills what depends on a field's type. */
extern void chat_field_type(ChatField *field, Oid type, MemoryContext context);
/* True when a condition reads this column of its table and no other. */
extern bool chat_reads_only(Node *condition, AttrNumber attnum);
/* True when the table itself says which words a column may hold: an enum, a domain's rule, a CHECK on it alone. */
extern bool chat_word_is_ruled(TupleDesc desc, AttrNumber attnum);
/* The role's name in chat.attachment.columns. */
extern const char *chat_role_name(ChatRole role);
/* Oid of a table of schema chat; error 55000 when it is missing. */
extern Oid chat_own_table(const char *name);

#endif
