/*
 * Keeping and running the statements on a pair of tables (statements.h): prepared once per attachment, run as the owner of
 * the table they are on (as foreign keys do), with row security off for it. Every value is a parameter.
 *
 * Callers are connected to SPI. Results are in SPI_processed and SPI_tuptable.
 */
#ifndef CHAT_PLANS_H
#define CHAT_PLANS_H

#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "attachment.h"

/* Result columns of CHAT_PLAN_NEWEST. */
#define CHAT_COL_TIME 1
#define CHAT_COL_TYPE 2
#define CHAT_COL_CONTENT 3
#define CHAT_COL_FILENAME 4

/* A value as somebody gives it: of the parameter's type, or as text (CSTRINGOID, TEXTOID, an array of text) that is read as such. */
typedef struct ChatArgument
{
	Oid type;
	Datum value;
	bool isnull;
} ChatArgument;

static inline ChatArgument
chat_text_given(const char *text)
{
	ChatArgument argument = {CSTRINGOID, CStringGetDatum(text), text == NULL};

	return argument;
}

/* An array of one text, in the current memory context. */
extern ChatArgument chat_key_given(const char *text);

/* Runs a plan; values and nulls in SPI's form, of the parameters' types. Returns the number of rows. */
extern uint64
chat_plan_run(ChatAttachment *attachment, ChatPlan plan, Datum *values, const char *nulls);
/* The same of a variant, with values as they are given. Errors: those of reading a value (class 22, 23). */
extern uint64 chat_plan_run_given(ChatAttachment *attachment, ChatPlan plan, uint64 variant,
								  int nargs, const ChatArgument *args);
/* A result's column in row 0. */
extern Datum chat_plan_result(int column, bool *isnull);
/* The same as text in the current memory context, or NULL. */
extern char *chat_plan_text(int column);
/*
 * The first value of row 0, in the memory that SPI was entered from; NULL also where there is no row. Error 42804 when it is not of
 * the wanted type.
 */
extern Datum chat_plan_first(Oid wanted, bool *isnull);
/* Prepares a statement and keeps its plan. */
extern SPIPlanPtr chat_plan_keep(const char *statement, int nargs, Oid *types);
/* Keeps a plan that finds the user ($1: the column's value, of this type) behind a mapping: one row, one text. */
extern SPIPlanPtr chat_plan_user(const ChatUserMapping *mapping, Oid type);
/* True while the extension's own UPDATE of a conversation fires that table's triggers. */
extern bool chat_plan_is_own_update(void);
/* Frees what is kept of an attachment that goes away. */
extern void chat_plans_free(ChatAttachment *attachment);

#endif
