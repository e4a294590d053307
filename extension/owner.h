/*
 * Working as the owner of a table.
 *
 * What the owner of a table has attached to it (triggers, defaults, constraints, casts, constants in indexes) is code of
 * that role: it must not run with the rights of the extension's owner, who is a superuser, nor act for whoever called.
 */
#ifndef CHAT_OWNER_H
#define CHAT_OWNER_H

#include "postgres.h"

/* Whose authority statements on a table use; error 42P01 when there is no such table. */
extern Oid chat_table_owner(Oid relid);

/*
 * Calls work(arg) with the identity of a table's owner, row security off for its own tables. What is set of settings
 * meanwhile is taken back. reads: nothing may be left behind either, such as temporary tables or deferred triggers.
 */
extern void chat_as_owner(Oid relid, bool reads, void (*work)(void *arg), void *arg);

/*
 * The role that calls the extension: the outer one, as set by SET ROLE; within chat_as_owner that owner, whose code
 * must not act with the rights of whoever called.
 */
extern Oid chat_acting_role(void);

#endif
