/*
 * Parts that the builders of statements share. What is returned lives in the current memory context.
 */
#ifndef CHAT_STATEMENT_PARTS_H
#define CHAT_STATEMENT_PARTS_H

#include "postgres.h"

#include "statements.h"

/* Operators and functions are qualified: some statements run with the search_path of the table's owner. */
#define EQUALS " OPERATOR(pg_catalog.=) "

/* A role's column of the table known as alias; error 42703 when the table has none. */
extern const char *chat_sql_column_of(const ChatSql *sql, const char *alias, ChatRole role);
/* The same as text; NULL where the table has none. */
extern const char *chat_sql_text_of(const ChatSql *sql, const char *alias, ChatRole role);
/* The type of a role's column, by oid and by name; length: as the column declares it. */
extern Oid chat_sql_type_of(const ChatSql *sql, ChatRole role);
extern const char *chat_sql_type_name(const ChatSql *sql, ChatRole role, bool length);
/* Whether the column declares a length, or the like. */
extern bool chat_sql_has_length(const ChatSql *sql, ChatRole role);
/* The tables' names. */
extern const char *chat_sql_conversations(const ChatSql *sql);
extern const char *chat_sql_messages(const ChatSql *sql);
/* A new parameter, $1, $2 …: of a type, of a column's type, an array of a column's type. One in a call: they are counted. */
extern const char *chat_sql_parameter(ChatSql *sql, Oid type);
extern const char *chat_sql_value_of(ChatSql *sql, ChatRole role);
extern const char *chat_sql_values_of(ChatSql *sql, ChatRole role);
/* Whether the user owns conversation c, or is assigned to it; for NULL: true. */
extern const char *chat_sql_ownership(const ChatSql *sql, const char *user);
/* Whether a user of whom that is true is so as the agent alone. */
extern const char *chat_sql_agency(const ChatSql *sql, const char *user);
/* The user behind the agent's column of conversation c; NULL where there is none. */
extern const char *chat_sql_agent_of(const ChatSql *sql);
/* By which of the owner's numbers conversation c is answered: {instance, inboxId} as text, as far as the table keeps it. */
extern const char *chat_sql_route_of(const ChatSql *sql);

/* The builders, by file. Of the triggers, and what else is about counters: */
extern void chat_build_set(ChatSql *sql);
extern void chat_build_open(ChatSql *sql);
extern void chat_build_newest(ChatSql *sql);
extern void chat_build_unread(ChatSql *sql);
extern void chat_build_counted(ChatSql *sql);
extern void chat_build_owner(ChatSql *sql);
extern void chat_build_agent(ChatSql *sql);
extern void chat_build_drifted(ChatSql *sql);
extern void chat_build_conversations_after(ChatSql *sql);
/* Of lists: */
extern void chat_build_list_conversations(ChatSql *sql);
extern void chat_build_count_conversations(ChatSql *sql);
extern void chat_build_list_messages(ChatSql *sql);
extern void chat_build_search_messages(ChatSql *sql);
extern void chat_build_inboxes(ChatSql *sql);
/* Of users: */
extern void chat_build_owner_keys(ChatSql *sql);
extern void chat_build_agent_keys(ChatSql *sql);
extern void chat_build_owns(ChatSql *sql);
extern void chat_build_is_agent(ChatSql *sql);
extern void chat_build_owners_after(ChatSql *sql);
extern void chat_build_agents_after(ChatSql *sql);
/* Of contacts and of what WUZAPI tells: */
extern void chat_build_contact_rows(ChatSql *sql);
extern void chat_build_contact(ChatSql *sql);
extern void chat_build_lock_contact(ChatSql *sql);
extern void chat_build_lock_conversations(ChatSql *sql);
extern void chat_build_other_address(ChatSql *sql);
extern void chat_build_conversations_of(ChatSql *sql);
extern void chat_build_find_among(ChatSql *sql);
extern void chat_build_lock_due(ChatSql *sql);
extern void chat_build_latest_among(ChatSql *sql);
extern void chat_build_type_is_allowed(ChatSql *sql);
extern void chat_build_new_rows(ChatSql *sql);
extern void chat_build_name_contacts(ChatSql *sql);
/* Of what is to be sent: */
extern void chat_build_pending_conversations(ChatSql *sql);
extern void chat_build_lock_if_free(ChatSql *sql);
extern void chat_build_pending_of(ChatSql *sql);
extern void chat_build_recipient(ChatSql *sql);
extern void chat_build_sending_target(ChatSql *sql);
extern void chat_build_external_ids(ChatSql *sql);
/* Of merging: */
extern void chat_build_merge_sides(ChatSql *sql);
extern void chat_build_free_address(ChatSql *sql);
extern void chat_build_lock_movable(ChatSql *sql);
extern void chat_build_drop_doubles(ChatSql *sql);
extern void chat_build_move_messages(ChatSql *sql);
extern void chat_build_with_messages(ChatSql *sql);
extern void chat_build_by_age(ChatSql *sql);
extern void chat_build_unmark_merged(ChatSql *sql);
/* Of tables beside a pair: */
extern void chat_build_insert_row(ChatSql *sql);
extern void chat_build_update_row(ChatSql *sql);
extern void chat_build_lock_key(ChatSql *sql);
extern void chat_build_list_keys(ChatSql *sql);
extern void chat_build_find_webhook(ChatSql *sql);
extern void chat_build_lock_webhook(ChatSql *sql);
extern void chat_build_list_webhooks(ChatSql *sql);
extern void chat_build_count_webhooks(ChatSql *sql);
extern void chat_build_insert_webhook(ChatSql *sql);
extern void chat_build_delete_webhook(ChatSql *sql);
extern void chat_build_webhooks_by_id(ChatSql *sql);
extern void chat_build_webhooks_of(ChatSql *sql);
extern void chat_build_webhooks_there(ChatSql *sql);
extern void chat_build_show_webhooks(ChatSql *sql);
extern void chat_build_webhook_origins(ChatSql *sql);
extern void chat_build_note_webhooks(ChatSql *sql);
extern void chat_build_disable_webhooks(ChatSql *sql);
extern void chat_build_count_unsigned(ChatSql *sql);
extern void chat_build_sign_webhooks(ChatSql *sql);

#endif
