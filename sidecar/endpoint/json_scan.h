/*
 * A strict JSON reader that hands out slices of the text instead of building a tree: payloads go out as the bytes
 * that came in. Pure: no I/O, no state.
 *
 * json_validate accepts exactly one value of RFC 8259 in valid UTF-8, without lone surrogates, and no deeper than
 * JSON_MAX_DEPTH. Every other function expects a slice of a text that passed it.
 */
#ifndef SIDECAR_JSON_SCAN_H
#define SIDECAR_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_MAX_DEPTH 512

struct json
{
	const char *start; /* NULL: nothing */
	size_t len;
};

bool json_validate(const char *text, size_t len, struct json *value);

/* First character tells the type: { [ " t f n, or a number's. 0 for nothing. */
char json_type(struct json value);
bool json_is_true(struct json value); /* true, or the string "true" */

/* Iterates over members or elements: rest starts as the object or array; false at its end. */
bool json_next_member(struct json *rest, struct json *key, struct json *value);
bool json_next_element(struct json *rest, struct json *value);

/* A member of an object by a key without escapes; nothing when it is absent or object is none. The first one counts. */
struct json json_member(struct json object, const char *key);
/* Several members in one pass, in the order of the keys. */
void json_members(struct json object, const char *const *keys, size_t count, struct json *values);

/* Text of a string, malloc'ed and NUL terminated; NULL for any other value, and for a text with U+0000, which would be cut there. */
char *json_text(struct json value);

#endif
