/*
 * What this backend knows of an attached table's columns: where each role's column is and which JSON field each column
 * becomes. By table; a partition has its own, since its columns may be in another order. Lives as attachments do (attachment.h).
 */
#ifndef CHAT_LAYOUT_H
#define CHAT_LAYOUT_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/rel.h"

#include "attachment.h"

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

typedef struct ChatChecks ChatChecks; /* see checks.h */

typedef struct ChatLayout
{
	int32 attachment;
	bool messages; /* else conversations */
	Oid relid;
	AttrNumber att[CHAT_ROLES];
	Oid type[CHAT_ROLES];      /* of a domain, its base type */
	int32 typmod[CHAT_ROLES];  /* likewise; -1: none */
	bool own_rule[CHAT_ROLES]; /* of a word: the table itself says what is allowed */
	int max_content_bytes;     /* of the pair's own, or -1 */
	int nfields;
	ChatField *fields;
	const ChatField **by_key; /* the same in the order that jsonb has of keys */
	bool by_settings;         /* how some field prints depends on settings of the session */
	List *types;        /* that are not the server's own: their hashes in the cache of types */
	bool domains;       /* some column's type has to do with one */
	ChatChecks *checks; /* NULL until a row was stored */
	/* conversations only */
	Oid key_index;             /* unique index on the id alone */
	Oid list_index;            /* on owner, list key and id, where there is such */
	bool plain;                /* an UPDATE of the counters would reach nothing of the user's */
	bool not_null[CHAT_ROLES]; /* of the last-message columns: has to have a value */
	int preview_chars;         /* most characters of a preview, -1: no limit of the table's */
	MemoryContext context;
} ChatLayout;

/*
 * messages: the table (or partition) holds messages, else conversations. Error 55000 for a table that is neither of the
 * attachment's, nor a partition of its messages.
 */
extern ChatLayout *chat_layout_get(ChatAttachment *attachment, Relation relation, bool messages);
/* The same where it is kept and nothing has changed since, else NULL. */
extern ChatLayout *chat_layout_kept(Oid relid);
/* Marks the cached layouts of a table as stale; InvalidOid means all tables. */
extern void chat_layout_forget(Oid relid);
extern void chat_layout_init(void);
/* Fills what depends on a field's type. */
extern void chat_field_type(ChatField *field, Oid type, MemoryContext context);
/* The column of its table that a condition reads, where that is one alone; else 0. */
extern AttrNumber chat_only_column(Node *condition);
/* True when the table itself says which words a column may hold: an enum, a domain's rule, a CHECK on it alone. */
extern bool chat_word_is_ruled(TupleDesc desc, AttrNumber attnum);

#endif
