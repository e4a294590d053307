/*
 * Pieces of SQL about a pair of tables: what is visible, when a message was, which user is behind a column, which types
 * are allowed. Each rule stands here alone: the triggers' plans and, through functions of the same names, the SQL API
 * build their statements of them. Types are looked up in the catalogs each time, never remembered.
 *
 * alias is the message's or conversation's table in the statement; "" for none. Results are in the current memory
 * context.
 */
#ifndef CHAT_FRAGMENTS_H
#define CHAT_FRAGMENTS_H

#include "postgres.h"

#include "attachment.h"

/* alias.column, quoted. */
extern char *chat_sql_column(const char *alias, const char *column);
/* The user id, as text, behind a value of a mapping's column. */
extern char *chat_sql_user(const ChatUserMapping *mapping, const char *value);
/* True for a column of timestamps without zone, which count as UTC. */
extern bool chat_lacks_zone(Oid relid, const char *column);
/* True for a column that must have a value. */
extern bool chat_is_not_null(Oid relid, const char *column);
/* A time with zone, in SQL, as a role's column holds it; or one as the column holds it, with zone. */
extern const char *chat_sql_time_for(const ChatAttachment *a, ChatRole role, const char *value);
/* A column's time as a time with zone. */
extern char *chat_sql_time_of(const ChatAttachment *a, ChatRole role, const char *alias);
/* ORDER BY list of conversations, the one with the newest message first, those without any last. */
extern char *chat_sql_conversation_order(const ChatAttachment *a, const char *alias);
/* A message's time as a time with zone: its own, else when it was stored. */
extern char *chat_sql_message_time(const ChatAttachment *a, const char *alias);
/* What gives a message its place: time (where it has one of its own), created_at, id; returns how many. */
extern int chat_sql_message_position(const ChatAttachment *a, const char *alias, char **position);
/* ORDER BY list of rule R2, newest first, those without a time last. */
extern char *chat_sql_message_order(const ChatAttachment *a, const char *alias);
/* " AND …": the message is not marked as deleted; and with visible, is no private note. "" where the table has neither. */
extern char *chat_sql_message_kept(const ChatAttachment *a, const char *alias, bool visible);
/* Rule R1: the message is unread. */
extern char *chat_sql_message_unread(const ChatAttachment *a, const char *alias);
/*
 * Whether the messages take a type, a text: by its column's enum, domain, length and CHECK constraints, or where it has no rule, by
 * the list of types. It raises, class 22 or 23, for what the column's type cannot hold.
 */
extern char *chat_sql_type_allowed(const ChatAttachment *a, const char *value);
/* The message is outgoing, to be seen by the contact, and not sent yet. */
extern char *chat_sql_message_pending(const ChatAttachment *a, const char *alias);

#endif
