/*
 * The one allocator. Memory that cannot be had ends the process with a line on stderr, status 1: what runs it starts it
 * again, and nothing that was committed is lost. So no caller has a branch for it. Freed with free().
 */
#ifndef SIDECAR_MEMORY_H
#define SIDECAR_MEMORY_H

#include <stddef.h>

/* Of size 0 as well: something that can be freed. */
void *xmalloc(size_t size);
/* All zero. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *memory, size_t size);
/* Bytes that are allocated now, of all in the process. */
size_t memory_in_use(void);

char *xstrdup(const char *text);
/* At most len bytes of text, with a NUL behind them. */
char *xstrndup(const char *text, size_t len);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the process as if memory had run out: for libraries that say no for no other reason. what: of what, for the line. */
void memory_gone(const char *what) __attribute__((noreturn));

#endif
