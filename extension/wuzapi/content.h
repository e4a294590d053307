/*
 * What a WhatsApp message holds: content.c finds it, kinds.c knows the kinds and who reads each, context.c what a message says of
 * others. Readers: plain.c, polls.c, calls.c, trade.c, choices.c, changes.c.
 */
#ifndef CHAT_WUZAPI_CONTENT_H
#define CHAT_WUZAPI_CONTENT_H

#include "postgres.h"

#include "wuzapi/wuzapi.h"

/* Longest text that goes into metadata: keys of media are short, and events carry the metadata. */
#define WUZAPI_MAX_METADATA_BYTES 4096
/* Longest reaction: an emoji of several characters. */
#define WUZAPI_MAX_EMOJI_BYTES 64
/* Elements of a list that go into metadata or into a text. */
#define WUZAPI_MAX_ELEMENTS 100

struct WuzapiContent
{
	JsonbContainer *outer; /* extras beside the event; NULL: none */
	JsonbContainer *event;
	JsonbContainer *body;        /* the kind's object; NULL for plain text */
	JsonbContainer *media;       /* the object that describes a file; NULL: there is none */
	JsonbContainer *association; /* how it belongs to another message; NULL: by itself */
	const char *type;            /* message type as it is stored */
	const char *whatsapp_type;   /* what it is to WhatsApp, where the type does not say it */
	JsonbValue text;             /* jbvNull: none */
	WuzapiChange change;
	JsonbValue target;   /* WhatsApp id of the message that is changed */
	const char *variant; /* WUZAPI_VARIANT: of which kind */
	double sent_at;      /* reactions and votes: milliseconds by the sender's clock; 0: not told */
	/* Adds what is special about the kind to the metadata, or NULL. */
	void (*describe)(WuzapiOutput *out, const WuzapiContent *content);
	JsonbValue raw;  /* what is not understood; jbvNull: nothing */
	bool media_type; /* the message is a file, and its row says so */
	bool quoted;     /* it stands in another one's context: what is wrong with it is no error */
	bool edited;     /* it was wrapped as an edit */
	bool view_once;
	bool ephemeral;
	bool spoiler;
	bool video; /* of a call */
};

struct WuzapiKind;

/* Reads what a kind's key holds; returns NULL, or why the content cannot be stored. */
typedef const char *
WuzapiReader(WuzapiContent *content, const struct WuzapiKind *kind, const JsonbValue *value);

/* A kind of content; the table of them is in kinds.c. */
typedef struct WuzapiKind
{
	const char *key;
	WuzapiReader *read;
	const char *type;          /* message type, or for ignored kinds the reason */
	const char *text;          /* field that becomes the content */
	const char *whatsapp_type; /* where the type does not say it */
	const char *placeholder;   /* content where there is none */
} WuzapiKind;

/* Lets the first kind that is there read the message; NULL, or why it cannot be stored. */
extern const char *wuzapi_read_kind(WuzapiContent *content, JsonbContainer *message);
/* Takes view-once, edit and other wrappers away, which may be nested. */
extern JsonbContainer *wuzapi_unwrap(JsonbContainer *message, WuzapiContent *content);

/* Makes it a call that nobody took, or something that is shown once and not here. */
extern void wuzapi_set_missed_call(WuzapiContent *content, bool video);
extern void wuzapi_set_view_once(WuzapiContent *content);

/* plain.c: an object of which one field is the content, as most kinds are; a word and a name; texts, files, places, contacts. */
extern WuzapiReader wuzapi_read_object, wuzapi_read_named;
extern WuzapiReader wuzapi_read_text, wuzapi_read_extended, wuzapi_read_comment, wuzapi_read_media;
extern WuzapiReader wuzapi_read_location, wuzapi_read_contact, wuzapi_read_contacts;
/* polls.c */
extern WuzapiReader wuzapi_read_poll, wuzapi_read_result, wuzapi_read_event;
/* calls.c */
extern WuzapiReader wuzapi_read_call;
/* trade.c */
extern WuzapiReader wuzapi_read_order, wuzapi_read_product, wuzapi_read_payment;
/* changes.c */
extern WuzapiReader wuzapi_read_protocol, wuzapi_read_reaction, wuzapi_read_secret,
	wuzapi_read_vote;
/* choices.c: what can be chosen, and what was. */
extern WuzapiReader wuzapi_read_buttons, wuzapi_read_list, wuzapi_read_template;
extern WuzapiReader wuzapi_read_structured, wuzapi_read_interactive;
extern WuzapiReader wuzapi_read_answer, wuzapi_read_flow_answer;

extern void wuzapi_set_text(WuzapiContent *content, const char *text);
/* A text that is not empty, or NULL. */
extern char *wuzapi_text_of(JsonbContainer *object, const char *field);
/* Takes the text of a message that stands inside; of one inside that, nothing. */
extern void wuzapi_take_inner_text(WuzapiContent *content, const char *field);
/* Elements of a list that are looked at. */
extern uint32 wuzapi_count(JsonbContainer *list);
/* The object at a place of a list, or NULL. */
extern JsonbContainer *wuzapi_element(JsonbContainer *list, uint32 i);
/* Notes which message is meant by the key in a field; false when it does not say. */
extern bool wuzapi_read_target(WuzapiContent *content, JsonbContainer *body, const char *field);

/* context.c: adds what a message says of the one it answers, where it was forwarded from, whom it mentions, which ad. */
extern void wuzapi_put_context(WuzapiOutput *out, const WuzapiContent *content);
/* The message it answers, unless that is a status; false when it answers none. */
extern bool wuzapi_answers(const WuzapiContent *content, JsonbValue *id);

/* Copies a number, or a text that is neither empty nor overlong, under another name. */
extern void
wuzapi_copy_number(WuzapiOutput *out, const char *key, JsonbContainer *object, const char *field);
extern bool
wuzapi_copy_string(WuzapiOutput *out, const char *key, JsonbContainer *object, const char *field);

#endif
