/*
 * Who calls: the user that the request's claims name, and whether a role acts for every user.
 */
#ifndef CHAT_CLAIMS_H
#define CHAT_CLAIMS_H

#include "postgres.h"

/* True when the request has claims, whatever they say. */
extern bool chat_has_claims(void);

/* The user of the request's claims, in the current memory context; NULL: nobody. Errors: 22P02 for claims that are no JSON. */
extern char *chat_caller_user(void);

/* True for a superuser, a role with BYPASSRLS, and one that chat.grant_backend was given, or a member of it. */
extern bool chat_is_service(Oid role);

#endif
