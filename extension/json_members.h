/*
 * Members of JSON objects as text.
 */
#ifndef CHAT_JSON_MEMBERS_H
#define CHAT_JSON_MEMBERS_H

#include "postgres.h"

#include "utils/jsonb.h"

/* A value as ->> gives it, in the current memory context; NULL for null. */
extern char *chat_json_text(const JsonbValue *value);
/* The same of an object's member; NULL also where it has none. */
extern char *chat_json_member(Jsonb *object, const char *key);

#endif
