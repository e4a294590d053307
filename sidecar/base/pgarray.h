/*
 * Array literals of PostgreSQL, such as {1,NULL,"a\"b"}, and literals of rows, such as (1,,"a\"b"), which are texts within an array.
 */
#ifndef SIDECAR_PGARRAY_H
#define SIDECAR_PGARRAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/* A growing literal. All zero before its first use; buffer_free(&array.text) when done with it. */
struct pgarray
{
	struct buffer text;
	bool is_row;
	bool has_elements;
};

/* Starts anew and keeps the memory. */
void pgarray_begin(struct pgarray *array);
/* The same for the literal of a row, whose elements are its columns. */
void pgarray_begin_row(struct pgarray *row);
/* Adds an element; the text may be anything without a NUL. NULL adds NULL. */
void pgarray_text(struct pgarray *array, const char *text);
void pgarray_number(struct pgarray *array, int64_t number);
/* The same of a bytea. */
void pgarray_bytes(struct pgarray *array, const void *bytes, size_t len);
void pgarray_null(struct pgarray *array);
/* Ends the literal and returns it; it lives until the array is begun again or freed. */
const char *pgarray_end(struct pgarray *array);

#endif
