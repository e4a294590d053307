/*
 * The statements of the triggers: built once per attachment from quoted names, kept as plans, run as the owner of
 * the table they touch (as foreign keys do), with row security off for it and a safe search_path. Every value
 * is a parameter; every operator and function is schema-qualified.
 *
 * Callers are connected to SPI. Results are in SPI_processed and SPI_tuptable.
 */
#ifndef CHAT_PLANS_H
#define CHAT_PLANS_H

#include "postgres.h"

#include "attachment.h"

/* Result columns of CHAT_PLAN_NEWEST. */
#define CHAT_COL_TIME 1
#define CHAT_COL_TYPE 2
#define CHAT_COL_CONTENT 3
#define CHAT_COL_FILENAME 4

/* Runs a plan; values and nulls in SPI's form. Returns the number of rows. */
extern uint64
chat_plan_run(ChatAttachment *attachment, ChatPlan plan, Datum *values, const char *nulls);
/* A result's column in row 0. */
extern Datum chat_plan_result(int column, bool *isnull);
/* The same as text in the current memory context, or NULL. */
extern char *chat_plan_text(int column);
/* Prepares a statement and keeps its plan. */
extern SPIPlanPtr chat_plan_keep(const char *statement, int nargs, Oid *types);
/* Keeps a plan that finds the user ($1: the column's value, of this type) behind a mapping: one row, one text. */
extern SPIPlanPtr chat_plan_user(const ChatUserMapping *mapping, Oid type);
/* True while the extension's own UPDATE of a conversation fires that table's triggers. */
extern bool chat_plan_is_own_update(void);

#endif
