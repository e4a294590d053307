/*
 * Values by role: what callers of the API give, and what is written into a row of an attached table.
 */
#ifndef CHAT_VALUES_H
#define CHAT_VALUES_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "attachment.h"
#include "plans.h"

/* Each as text, in the memory of whoever made it. */
typedef struct ChatValues
{
	uint64 given; /* CHAT_ROLE_BIT of roles that have a value, NULL included */
	char *text[CHAT_ROLES];
} ChatValues;

static inline bool
chat_values_has(const ChatValues *values, ChatRole role)
{
	return (values->given & (UINT64CONST(1) << role)) != 0;
}

/* text: NULL for SQL NULL; not copied */
extern void chat_values_set(ChatValues *values, ChatRole role, char *text);
extern void chat_values_unset(ChatValues *values, ChatRole role);
/* True when the role has this very text. */
extern bool chat_values_is(const ChatValues *values, ChatRole role, const char *text);

/* Reads a JSON object whose keys are names of roles, as SQL of the extension's gives it. */
extern void chat_values_from_roles(ChatValues *values, Jsonb *given);
/*
 * Reads a JSON object of a caller's. what: "message" or "changes" (of a conversation), which have the keys of fields.c. Errors:
 * 22004 for NULL, 22023 naming a key that is unknown or holds what it must not, 55000 naming the column that the table lacks for one.
 */
extern void chat_values_from_caller(ChatValues *values, const char *what, Jsonb *given,
									const ChatAttachment *attachment);

/*
 * Inserts a row: what has a value and a column. The key's text, in the current memory context; NULL when a conversation of the
 * same owner and contact was there (unless_there). The row's key as JSON is left in SPI's result. Callers are connected to SPI.
 */
extern char *chat_values_insert(ChatAttachment *attachment, const ChatValues *values, bool messages,
								bool unless_there);
/* Writes into the rows with these keys, an array of texts or of the key's type: what has a column; returns how many there were. */
extern uint64 chat_values_update(ChatAttachment *attachment, const ChatValues *values,
								 bool messages, const ChatArgument *keys);

#endif
