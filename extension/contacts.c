/*
 * Conversations of a contact.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "input.h"
#include "plans.h"
#include "wuzapi/address.h"

PG_FUNCTION_INFO_V1(chat_contact_is_unique);
PG_FUNCTION_INFO_V1(chat_contact_rows);

/* A contact has a phone, a hidden address, and those it had before. */
#define MAX_ADDRESSES 8

/* --- one conversation for each contact --------------------------------------------------------------- */

/* An index is unique on exactly these two columns, for all rows and at once. */
static bool
is_unique_on(Oid oid, AttrNumber one, AttrNumber other)
{
	Relation index = index_open(oid, AccessShareLock);
	Form_pg_index form = index->rd_index;
	bool unique = form->indisunique && form->indisvalid && form->indimmediate &&
				  form->indnkeyatts == 2 &&
				  heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL) &&
				  heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL) &&
				  ((form->indkey.values[0] == one && form->indkey.values[1] == other) ||
				   (form->indkey.values[0] == other && form->indkey.values[1] == one));

	index_close(index, AccessShareLock);
	return unique;
}

/* The conversations have a unique index on exactly the owner and the contact's address. */
static bool
contact_is_unique(const ChatAttachment *attachment)
{
	Relation relation = table_open(attachment->conversations, AccessShareLock);
	List *indexes = RelationGetIndexList(relation);
	AttrNumber owner = get_attnum(attachment->conversations, attachment->column[CHAT_C_OWNER]);
	AttrNumber jid = attachment->column[CHAT_C_JID] == NULL
						 ? InvalidAttrNumber
						 : get_attnum(attachment->conversations, attachment->column[CHAT_C_JID]);
	bool unique = false;
	ListCell *cell;

	foreach (cell, indexes)
		unique = unique || is_unique_on(lfirst_oid(cell), owner, jid);
	table_close(relation, AccessShareLock);
	return unique;
}

/* SQL: chat.contact_is_unique(attachment) */
Datum
chat_contact_is_unique(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(contact_is_unique(chat_attachment_get(PG_GETARG_INT32(0))));
}

/* --- finding them ------------------------------------------------------------------------------------ */

/* As what a contact's address may be stored. */
typedef struct Spellings
{
	int count;
	int exact; /* the first ones are the contact's by more than a rule */
	Datum texts[2 * MAX_ADDRESSES * CHAT_MAX_SPELLINGS];
} Spellings;

static Spellings *
spell(ArrayType *addresses, bool thorough)
{
	Spellings *spellings = palloc(sizeof(Spellings));
	Datum *given;
	bool *nulls;
	int count;

	deconstruct_array(addresses, TEXTOID, -1, false, TYPALIGN_INT, &given, &nulls, &count);
	if (count > MAX_ADDRESSES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a contact has at most %d addresses", MAX_ADDRESSES)));
	spellings->count = 0;
	for (int i = 0; i < count; i++)
		spellings->count += chat_contact_spell(TextDatumGetCString(given[i]), thorough,
											   spellings->texts + spellings->count);
	spellings->exact = spellings->count;
	for (int i = 0; i < count; i++)
	{
		char *other = chat_contact_other_number(TextDatumGetCString(given[i]));

		if (other != NULL)
			spellings->count +=
				chat_contact_spell(other, thorough, spellings->texts + spellings->count);
	}
	return spellings;
}

/* SQL: chat.contact_rows(attachment, owner_keys, addresses, inbox, thorough) */
Datum
chat_contact_rows(PG_FUNCTION_ARGS)
{
	ChatAttachment *attachment = chat_attachment_get(PG_GETARG_INT32(0));
	Spellings *spellings = spell(PG_GETARG_ARRAYTYPE_P(2), PG_GETARG_BOOL(4));
	Datum texts = PointerGetDatum(
		construct_array(spellings->texts, spellings->count, TEXTOID, -1, false, TYPALIGN_INT));
	/* In an inbox of its own, unless the table has but one conversation for each contact. */
	bool within = !PG_ARGISNULL(3) && attachment->column[CHAT_C_INBOX] != NULL &&
				  !contact_is_unique(attachment);
	ChatArgument args[] = {{TEXTARRAYOID, PG_GETARG_DATUM(1), PG_ARGISNULL(1)},
						   {TEXTARRAYOID, texts, false},
						   {TEXTARRAYOID, texts, false},
						   {INT4OID, Int32GetDatum(spellings->exact), false},
						   {TEXTOID, PG_GETARG_DATUM(3), PG_ARGISNULL(3)},
						   {BOOLOID, BoolGetDatum(within), false}};
	Datum rows;
	bool isnull;

	SPI_connect();
	(void) chat_plan_run_given(attachment, CHAT_PLAN_CONTACT_ROWS, 0, lengthof(args), args);
	rows = chat_plan_first(JSONBOID, &isnull);
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(rows);
}
