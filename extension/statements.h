/*
 * The text of every statement on a pair of tables, by name. Each is built of fragments (fragments.h) at an attachment's first
 * use of it in a session; plans.c keeps and runs it.
 *
 * A parameter has the type of the column it is for, so there is no type to be named, and nothing is cast. A statement that
 * takes part of the roles has a variant for each set of them.
 */
#ifndef CHAT_STATEMENTS_H
#define CHAT_STATEMENTS_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "attachment.h"

/* Most parameters of a statement: a value for each role of a table, and what finds the row. */
#define CHAT_MAX_PARAMETERS 48

/* How a statement is run. All run as the owner of the table they are on. */
typedef enum ChatMode
{
	CHAT_NOW,   /* of the triggers: on what is committed now, whatever the transaction's snapshot */
	CHAT_READ,  /* sees what the calling statement sees; leaves nothing behind */
	CHAT_FIND,  /* likewise; what indexes find, planned once for all values */
	CHAT_LIST,  /* likewise, and is planned for its values each time */
	CHAT_LOCK,  /* sees what was committed before it, and locks rows; leaves nothing else behind */
	CHAT_WRITE, /* fires triggers and defaults of the table's */
	CHAT_QUIET, /* likewise, but our triggers tell nobody of the rows that it writes itself (quiet.h) */
} ChatMode;

/* A bit for each role that a variant has. */
#define CHAT_ROLE_BIT(role) (UINT64CONST(1) << (role))
/* Of an insert of a conversation: the one that is there is left, and nothing returned. */
#define CHAT_UNLESS_THERE (UINT64CONST(1) << 63)
/* The text is as long as somebody's list is: it is built for one call. */
#define CHAT_NOT_KEPT (UINT64CONST(1) << 62)
/* Of a list of messages: after a place, all of whose elements have values; after one whose element n has none. */
#define CHAT_PLACE UINT64CONST(1)
#define CHAT_PLACE_WHOLE UINT64CONST(2)
#define CHAT_PLACE_NULL(n) (UINT64CONST(4) << (n))

typedef struct ChatSql
{
	const ChatAttachment *attachment;
	uint64 variant;
	StringInfoData text;
	int nparameters;
	Oid types[CHAT_MAX_PARAMETERS];
} ChatSql;

/* Builds a statement in the current memory context. */
extern void
chat_statement_build(ChatSql *sql, const ChatAttachment *attachment, ChatPlan plan, uint64 variant);
extern ChatMode chat_statement_mode(ChatPlan plan);
/* The table that a statement is on. */
extern Oid chat_statement_table(const ChatAttachment *attachment, ChatPlan plan);
/* The statement that SQL calls by this name; error 22023 when there is none. */
extern ChatPlan chat_statement_named(const char *name);

#endif
