/*
 * Reading row versions; see reader.h.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "reader.h"

TupleTableSlot *
chat_reader_fetch(ChatReader *reader, ChatAttachment *attachment, Oid relid, ItemPointerData tid,
				  bool messages)
{
	if (reader->relation != NULL && RelationGetRelid(reader->relation) != relid)
		chat_reader_close(reader);
	if (reader->relation == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(reader->context);

		/* The statement that wrote the row holds the table's lock. */
		reader->relation = table_open(relid, NoLock);
		reader->slot = table_slot_create(reader->relation, NULL);
		reader->layout = chat_layout_get(attachment, reader->relation, messages);
		MemoryContextSwitchTo(old);
	}
	if (!TTS_EMPTY(reader->slot) && ItemPointerEquals(&reader->tid, &tid))
		return reader->slot;
	if (!table_tuple_fetch_row_version(reader->relation, &tid, SnapshotAny, reader->slot))
		elog(ERROR, "a row version of \"%s\" vanished before its statement ended",
			 RelationGetRelationName(reader->relation));
	reader->tid = tid;
	return reader->slot;
}

void
chat_reader_close(ChatReader *reader)
{
	if (reader->relation == NULL)
		return;
	ExecDropSingleTupleTableSlot(reader->slot);
	table_close(reader->relation, NoLock);
	reader->relation = NULL;
}
