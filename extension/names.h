/*
 * Names of tables as statements have them. A table whose lock is not held may go at any moment, and its schema with it.
 */
#ifndef CHAT_NAMES_H
#define CHAT_NAMES_H

#include "postgres.h"

/* A table's schema, and its qualified and quoted name, in the current memory context; error 42P01 when it is gone. */
extern char *chat_schema_of(Oid relid);
extern char *chat_name_of(Oid relid);

#endif
