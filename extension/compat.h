/*
 * Every test of PG_VERSION_NUM lives here.
 */
#ifndef CHAT_COMPAT_H
#define CHAT_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "PostgreSQL 15 or later is needed"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 160000
#define CHAT_EXPORT PGDLLEXPORT
#else
#define CHAT_EXPORT
#endif

#endif
