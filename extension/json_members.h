/*
 * Members of JSON objects, and their texts.
 */
#ifndef CHAT_JSON_MEMBERS_H
#define CHAT_JSON_MEMBERS_H

#include "postgres.h"

#include "utils/jsonb.h"

/* A value as ->> gives it, in the current memory context; NULL for null. */
extern char *chat_json_text(const JsonbValue *value);
/* Finds a member; false where there is none, or no object but an array or a scalar: what users give may be any. */
extern bool chat_json_find(Jsonb *object, const char *key, JsonbValue *value);
/* Its text; NULL also where it has none. */
extern char *chat_json_member(Jsonb *object, const char *key);

#endif
