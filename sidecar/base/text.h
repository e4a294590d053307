/*
 * Text that came from somewhere else, made fit to be stored, logged and shown: well-formed UTF-8, and nothing in it
 * that moves, hides or reorders what stands around it. No I/O.
 */
#ifndef SIDECAR_TEXT_H
#define SIDECAR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum text_form
{
	TEXT_LINE, /* one line */
	TEXT_LINES /* line feeds and tabs stay */
};

/* The length in bytes of the well-formed character at the beginning of left bytes; 0: there is none. */
size_t text_character(const char *at, size_t left);

/* Whether a well-formed character of so many bytes is a control character, or one that ends a line or turns text round. */
bool text_is_control(const char *at, size_t len);

/*
 * Copies len bytes into out, at most size - 1 and whole characters, with a NUL behind them: a control character becomes a
 * blank, a byte that belongs to no character becomes "?". Answers the bytes written without the NUL.
 */
size_t text_clean(char *out, size_t size, const char *bytes, size_t len, enum text_form form);

/* The same into a new text of at most max bytes. */
char *text_copy(const char *bytes, size_t len, size_t max, enum text_form form);

#endif
