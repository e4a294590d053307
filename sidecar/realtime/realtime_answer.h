/*
 * What an answer of Realtime over HTTP means. No I/O.
 */
#ifndef SIDECAR_REALTIME_ANSWER_H
#define SIDECAR_REALTIME_ANSWER_H

#include "io/http.h"
#include "realtime/realtime_transport.h"

/* Judges an answer to count messages, of which refused has room for flags. What is said of serials is the caller's. */
struct verdict answer_judge(const struct http_response *response, int count, bool *refused);
/* Whether it is the key that is refused. */
bool answer_refuses_key(const struct http_response *response);
/* Whether the host names no tenant, which is told like a refused key. */
bool answer_knows_no_tenant(const struct http_response *response);

/* What the answer to a private message alone says of what was accepted before it was sent. */
enum confirmation
{
	CONFIRMED,
	CONFIRMED_LOST,      /* it did not go through */
	CONFIRMS_LATER,      /* nothing: ask again */
	CONFIRMS_NOTHING,    /* this Realtime has no such route */
	CONFIRMATION_REFUSED /* the key may not send private messages */
};

enum confirmation answer_confirms(const struct http_response *response);

#endif
