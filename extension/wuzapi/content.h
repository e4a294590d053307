/*
 * What a WhatsApp message holds: between wuzapi_content.c, which finds it, and wuzapi_kinds.c, which knows the kinds.
 */
#ifndef CHAT_WUZAPI_CONTENT_H
#define CHAT_WUZAPI_CONTENT_H

#include "postgres.h"

#include "wuzapi/wuzapi.h"

/* Longest text that goes into metadata: keys of media are short, and events carry the metadata. */
#define WUZAPI_MAX_METADATA_BYTES 4096

struct WuzapiContent
{
	JsonbContainer *outer; /* extras beside the event; NULL: none */
	JsonbContainer *event;
	JsonbContainer *body;      /* the kind's object; NULL for plain text */
	const char *type;          /* message type as it is stored */
	const char *whatsapp_type; /* what it is to WhatsApp, where the type does not say it */
	JsonbValue text;           /* jbvNull: none */
	WuzapiChange change;
	JsonbValue target; /* WhatsApp id of the message that is changed */
	/* Adds what is special about the kind to the metadata, or NULL. */
	void (*describe)(WuzapiOutput *out, const WuzapiContent *content);
	JsonbValue raw; /* what is not understood; jbvNull: nothing */
	bool media;
	bool edited; /* it was wrapped as an edit */
	bool view_once;
	bool ephemeral;
};

/* Lets the first kind that is there read the message; NULL, or why it cannot be stored. */
extern const char *wuzapi_read_kind(WuzapiContent *content, JsonbContainer *message);
/* Takes view-once, edit and other wrappers away, which may be nested. */
extern JsonbContainer *wuzapi_unwrap(JsonbContainer *message, WuzapiContent *content);

/* Copies a number, or a text that is neither empty nor overlong, under another name. */
extern void
wuzapi_copy_number(WuzapiOutput *out, const char *key, JsonbContainer *object, const char *field);
extern bool
wuzapi_copy_string(WuzapiOutput *out, const char *key, JsonbContainer *object, const char *field);

#endif
