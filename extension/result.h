/*
 * Rows that functions return.
 */
#ifndef CHAT_RESULT_H
#define CHAT_RESULT_H

#include "postgres.h"

#include "fmgr.h"

/* A row of the composite type that the called function returns, of count columns. */
extern Datum
chat_result_row(FunctionCallInfo fcinfo, const Datum *values, const bool *nulls, int count);

#endif
