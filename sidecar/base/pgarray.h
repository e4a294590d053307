/*
 * Array literals of PostgreSQL, such as {1,NULL,"a\"b"}.
 */
#ifndef SIDECAR_PGARRAY_H
#define SIDECAR_PGARRAY_H

#include <stdint.h>

#include "base/buffer.h"

/* A growing literal. All zero before its first use; buffer_free(&array.text) when done with it. */
struct pgarray
{
	struct buffer text;
};

/* Starts anew and keeps the memory. */
void pgarray_begin(struct pgarray *array);
/* Adds an element; the text may be anything without a NUL. NULL adds NULL. */
void pgarray_text(struct pgarray *array, const char *text);
void pgarray_number(struct pgarray *array, int64_t number);
/* The same of a bytea. */
void pgarray_bytes(struct pgarray *array, const void *bytes, size_t len);
void pgarray_null(struct pgarray *array);
/* Ends the literal and returns it; it lives until the array is begun again or freed. */
const char *pgarray_end(struct pgarray *array);

#endif
