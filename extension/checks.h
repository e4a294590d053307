/*
 * CHECK constraints of attached tables, planned once a session.
 *
 * The executor reads the text of a table's CHECKs and plans it anew in each statement that stores a row: half of what
 * the INSERT of one message costs. For attached tables a session keeps the planned trees with the table's layout, and a
 * hook at the start of the executor makes from them, in the query's own memory, what the executor would make at the
 * first row. What such a tree is, is the same in every session and for every role, or it is not kept.
 */
#ifndef CHAT_CHECKS_H
#define CHAT_CHECKS_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "utils/rel.h"

#include "layout.h"

/* Registers the hook, once per backend. */
extern void chat_checks_init(void);
/*
 * Keeps a table's CHECKs as they are planned, for the statements to come. To be called after a row of the table was
 * stored: the executor has then planned them itself, so that an error in that was its own.
 */
extern void chat_checks_keep(ChatLayout *layout, Relation relation);
/*
 * The number of CHECKs that are kept of a table, and that the current role may use; 0: the table has none, they are not kept (yet), or
 * the role may not execute all of their functions, of which the executor has to complain.
 */
extern int chat_checks_kept(const ChatLayout *layout);
/* True when the n-th of them, in the order of the table's descriptor, reads this column and no other. */
extern bool chat_check_is_on(const ChatLayout *layout, int n, AttrNumber attnum);
/* Makes the n-th ready to run, in the current memory context. */
extern ExprState *chat_check_ready(const ChatLayout *layout, int n);

#endif
