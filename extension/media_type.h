/*
 * Lists of media types, separated by commas; an entry may end in a star. Plain C.
 */
#ifndef CHAT_MEDIA_TYPE_H
#define CHAT_MEDIA_TYPE_H

#include <stdbool.h>
#include <stddef.h>

/* NULL when the list is well formed; else its first bad entry, of *length bytes. */
extern const char *chat_media_types_check(const char *list, size_t *length);
/* True when a list that is well formed holds the type; case and parameters (";…") of the type do not count. */
extern bool chat_media_type_allowed(const char *list, const char *type);

#endif
