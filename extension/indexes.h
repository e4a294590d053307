/*
 * Index entries of rows that are written without the executor: those of the event log, and the new versions of
 * conversations.
 *
 * What the executor would work out for each statement (BuildIndexInfo, expressions and predicates) is kept per table
 * until the table's relcache entry is invalidated, which every change of its indexes does.
 */
#ifndef CHAT_INDEXES_H
#define CHAT_INDEXES_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/relcache.h"

typedef struct ChatIndexes ChatIndexes;

extern void chat_indexes_init(void);

/*
 * True when entries can be made here: every index is a b-tree on plain columns, its uniqueness is checked at once, and
 * a predicate calls only functions of the server's own.
 */
extern bool chat_indexes_plain(Relation heap);

/* Opens the indexes of a table whose lock is held, in the current memory context. */
extern ChatIndexes *chat_indexes_open(Relation heap);
/*
 * Makes the entries of the rows in the slots, by their tts_tid. changed: the columns in which they differ from their
 * versions before, ended by 0, so that entries alike are known as such; NULL for new rows.
 */
extern void chat_indexes_insert(ChatIndexes *indexes, TupleTableSlot **slots, int nslots,
								const AttrNumber *changed);
extern void chat_indexes_close(ChatIndexes *indexes);

#endif
