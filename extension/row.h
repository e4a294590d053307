/*
 * Reading rows, and their columns by role.
 */
#ifndef CHAT_ROW_H
#define CHAT_ROW_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"

#include "layout.h"

/* A datum as text, by its type's output function, in the current memory context; NULL for SQL NULL. */
extern char *chat_datum_text(Datum value, bool isnull, Oid type);
/* A column as text; NULL for SQL NULL and for a column that the table lacks. */
extern char *chat_row_text(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role);
/* True when a text (or enum …) column, which the table has, has the given value. */
extern bool
chat_row_is(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role, const char *wanted);
/* A flag column: boolean, or a time that is set. */
extern bool chat_row_is_set(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role);
/* A time column, without zone in UTC; false for SQL NULL and for a column that the table lacks. */
extern bool
chat_row_time(TupleTableSlot *slot, const ChatLayout *layout, ChatRole role, TimestampTz *time);
/* A time as the column of a role holds it, which may keep fewer digits of the seconds. */
extern TimestampTz chat_time_held(const ChatLayout *layout, ChatRole role, TimestampTz time);
/* True when two versions of a row have the same value in a column; attnum 0: true. */
extern bool chat_row_same(TupleTableSlot *old_slot, TupleTableSlot *new_slot, AttrNumber attnum);
/*
 * Fails where the transaction keeps one snapshot and that does not show the row that a scan left in a slot, but an older version
 * or none: what others wrote is known, what statements do would miss it. An UPDATE by hand fails in the same way.
 */
extern void chat_row_require_seen(Relation relation, TupleTableSlot *slot, const char *detail);

#endif
