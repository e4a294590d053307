/*
 * What an answer of Realtime means. No I/O.
 */
#ifndef SIDECAR_REALTIME_ANSWER_H
#define SIDECAR_REALTIME_ANSWER_H

#include <stdbool.h>

#include "io/http.h"

enum answer
{
	ANSWER_ACCEPTED,
	ANSWER_AGAIN,    /* an outage: the same again, later */
	ANSWER_LIMITED,  /* too much: less, later */
	ANSWER_POISONED, /* the messages that are flagged are refused */
	ANSWER_SPLIT,    /* something in it is refused, and nobody says what */
	ANSWER_KEY,      /* the key is refused */
	ANSWER_REFUSED,  /* the request as such is refused: a setting is wrong */
	ANSWER_STRANGER /* whoever answers is not Realtime, which accepts with 202 alone and never redirects */
};

/* Judges an answer to count messages. With ANSWER_POISONED, flags those that are refused. */
enum answer answer_judge(const struct http_response *response, int count, bool *flags);

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

/* Says for people what to look at; "" when there is nothing to advise. */
const char *answer_hint(const struct http_response *response);

#endif
