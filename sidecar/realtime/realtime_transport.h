/*
 * How events get to Realtime: a transport sends batches and says of each what came of it. The sink decides what that means
 * to the events, and knows neither HTTP nor the database.
 */
#ifndef SIDECAR_REALTIME_TRANSPORT_H
#define SIDECAR_REALTIME_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "base/pace.h"
#include "realtime/realtime_body.h"

enum verdict_kind
{
	VERDICT_ACCEPTED,
	VERDICT_VOID,     /* it never got there: the same again, at once, unless that was tried */
	VERDICT_WAIT,     /* nobody is there to take it: the same again, when the transport is ready */
	VERDICT_AGAIN,    /* an outage: the same again, later */
	VERDICT_LIMITED,  /* too much: less, later */
	VERDICT_POISONED, /* the messages that are flagged are refused */
	VERDICT_SPLIT,    /* something in it is refused, and nobody says what */
	VERDICT_STOP      /* all of it is refused, and only a person can mend that */
};

/* Texts are good until the callback returns; NULL or "": there is nothing to say. */
struct verdict
{
	enum verdict_kind kind;
	const bool *refused;  /* POISONED: which */
	uint64_t serial;      /* ACCEPTED: what will confirm it, in growing order; 0: nothing need */
	long status;          /* that it was answered with, over HTTP */
	const char *sqlstate; /* the same, of a database */
	const char *error;
	const char *location; /* it was sent elsewhere */
	const char *answer;   /* as it came, for the log */
	const char *hint;     /* what to look at */
};

struct transport_handlers
{
	/* What came of a batch. */
	void (*answered)(void *arg, void *batch, const struct verdict *verdict);
	/* What was accepted up to this serial went through. */
	void (*confirmed)(void *arg, uint64_t serial);
	/* What was accepted and not confirmed did not go through. error says of Realtime why. */
	void (*lost)(void *arg, const struct verdict *why);
	/* Too much was sent, this is no news of what was accepted. */
	void (*limited)(void *arg);
	/* Whether what was accepted went through could not be found out; that is tried again. */
	void (*unconfirmed)(void *arg);
	/* It may be ready now. */
	void (*ready)(void *arg);
	/* Asks for the time, in Unix seconds by the database's clock. */
	double (*now)(void *arg);
};

struct transport
{
	const char *name; /* as in REALTIME_TRANSPORT */

	/* most: batches at a time. What it sends of its own is taken from pace. */
	void *(*create)(struct app *app, int most, struct pace *pace,
					const struct transport_handlers *handlers, void *arg);
	/* Batches under way are answered, or nobody hears of them. It frees itself when its handles are closed. */
	void (*destroy)(void *transport);

	/*
	 * Sends a body, which is the caller's and stays as it is until the answer; one of no event asks whether a batch as
	 * such is accepted. batch: what handlers.answered is told, later from the loop, exactly once.
	 */
	void (*send)(void *transport, const struct body *body, void *batch);
	/* Whether anything may be sent. */
	bool (*is_ready)(const void *transport);
	/* What keeps events from arriving, as far as the transport knows by itself; NULL: nothing, or nothing yet. */
	const char *(*trouble)(const void *transport);
	/* Whether it has no client at all, and events wait for one. NULL: never. */
	bool (*is_deserted)(const void *transport);
	/* As a sink's. NULL: never. */
	const char *(*note)(const void *transport);
	/* Settings were read again, or somebody may have mended something. */
	void (*reload)(void *transport);
	/* Where events go, for people. */
	const char *(*where)(const void *transport);
};

extern const struct transport http_transport, database_transport;

#endif
