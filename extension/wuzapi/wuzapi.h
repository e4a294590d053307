/*
 * Normalising WUZAPI's webhook bodies. json.c reads and writes JSON and addresses, wuzapi.c knows the envelopes
 * and events, source.c whom they are about, history.c the history, content.c and kinds.c what a message holds.
 *
 * All of it is pure: no catalog, no SPI, no settings, no recursion over the input. Values read point into
 * the payload, which must outlive them; memory is the caller's current context and is not freed piecemeal.
 */
#ifndef CHAT_WUZAPI_H
#define CHAT_WUZAPI_H

#include "postgres.h"

#include "utils/jsonb.h"

/* Longest id or address; they are keys of indexes. */
#define WUZAPI_MAX_IDENTIFIER_BYTES 255

/* --- reading ----------------------------------------------------------------------------------- */

/* Reads a field, whatever the case of its key; false when the object is NULL or the field missing or null. */
extern bool wuzapi_find(JsonbContainer *object, const char *key, JsonbValue *value);
/* The same for optional fields of one type: a field of another type counts as missing. */
extern bool wuzapi_find_string(JsonbContainer *object, const char *key, JsonbValue *value);
extern bool wuzapi_find_number(JsonbContainer *object, const char *key, JsonbValue *value);
extern JsonbContainer *wuzapi_find_object(JsonbContainer *object, const char *key);
extern JsonbContainer *wuzapi_find_array(JsonbContainer *object, const char *key);
extern bool wuzapi_is_true(JsonbContainer *object, const char *key);

/* A number, or one that came as a string of digits; 0 when there is none. */
extern double wuzapi_number(JsonbContainer *object, const char *key);
/* Where a field of a one-of stands: in the object itself, or in its group; NULL: nowhere. */
extern JsonbContainer *wuzapi_holder(JsonbContainer *object, const char *group, const char *key);
/* The object that a string holds as JSON, if it is short; NULL when it does not. Never an error. */
extern JsonbContainer *wuzapi_find_json(JsonbContainer *object, const char *key);

/* The container of a value, or NULL when it is no object. */
extern JsonbContainer *wuzapi_as_object(const JsonbValue *value);
/* The value equals a word of ASCII letters and signs, in whatever case. */
extern bool wuzapi_is(const JsonbValue *value, const char *word);
/* A copy that ends in NUL, at most limit bytes of whole characters. */
extern char *wuzapi_cstring(const JsonbValue *value, int limit);

/*
 * Essential fields; path is the field's name in errors. Error 22004 when it is missing, null or empty, 22023
 * when it is of another type or longer than an identifier can be.
 */
extern JsonbValue
wuzapi_require_string(JsonbContainer *object, const char *const *keys, const char *path);
extern JsonbContainer *
wuzapi_require_object(JsonbContainer *object, const char *key, const char *path);
extern void wuzapi_missing(const char *path) __attribute__((noreturn));
extern void wuzapi_wrong_type(const char *path, const char *wanted) __attribute__((noreturn));

/* --- addresses --------------------------------------------------------------------------------- */

typedef enum WuzapiServer
{
	WUZAPI_NOWHERE, /* no address */
	WUZAPI_PHONE,
	WUZAPI_LID,
	WUZAPI_GROUP,
	WUZAPI_BROADCAST,
	WUZAPI_NEWSLETTER,
	WUZAPI_OTHER
} WuzapiServer;

typedef struct WuzapiJid
{
	char *text; /* user@server without agent and device; NULL: no address */
	WuzapiServer server;
} WuzapiJid;

/* Reads an address; false, and no address, when the value is no string of the form user@server. */
extern bool wuzapi_jid(const JsonbValue *value, WuzapiJid *jid);
/* The address in a field that may be missing, empty or none. */
extern WuzapiJid wuzapi_find_jid(JsonbContainer *object, const char *key);

/* True for a time of RFC 3339 that PostgreSQL can take. */
extern bool wuzapi_is_timestamp(const char *text);
/* Seconds since 1970 as chat.iso_time writes them; NULL when they are none, or beyond what PostgreSQL can take. */
extern char *wuzapi_time(double seconds);

/* --- writing ----------------------------------------------------------------------------------- */

/* An object being built; fields go to the innermost open one. */
typedef struct WuzapiOutput
{
	JsonbParseState *state;
} WuzapiOutput;

extern void wuzapi_open(WuzapiOutput *out, const char *key);
extern JsonbValue *wuzapi_close(WuzapiOutput *out);
extern void wuzapi_open_array(WuzapiOutput *out, const char *key);
/* An array that is an element of the open one. */
extern void wuzapi_open_element_array(WuzapiOutput *out);
extern void wuzapi_add_element(WuzapiOutput *out, const char *text);
extern void wuzapi_close_array(WuzapiOutput *out);
extern void wuzapi_put(WuzapiOutput *out, const char *key, const JsonbValue *value);
extern void wuzapi_put_object(WuzapiOutput *out, const char *key, JsonbContainer *object);
/* Does nothing when text is NULL. */
extern void wuzapi_put_text(WuzapiOutput *out, const char *key, const char *text);
extern void wuzapi_put_bool(WuzapiOutput *out, const char *key, bool value);

/* --- who is concerned --------------------------------------------------------------------------- */

/* Who a message, receipt or typing notice is about. */
typedef struct WuzapiSource
{
	bool from_me; /* by the owner of the WhatsApp account, on whatever device */
	bool group;
	WuzapiJid chat;        /* key of the conversation: a phone's address where it is known */
	WuzapiJid lid;         /* the contact's hidden address, where it is known */
	WuzapiJid alternate;   /* the contact's other address, as this body tells it */
	WuzapiJid participant; /* groups: who it comes from */
} WuzapiSource;

/* Reads the addresses of a message, receipt or typing notice; false and *reason when it has no conversation. */
extern bool wuzapi_read_source(JsonbContainer *info, const char *path, WuzapiSource *source,
							   const char **reason);
extern void wuzapi_put_source(WuzapiOutput *out, const WuzapiSource *source);
/* Adds addresses: [[hidden, phone], …], the pairs that an event of any kind tells to be one person's; nothing for none. */
extern void wuzapi_put_pairs(WuzapiOutput *out, JsonbContainer *event);

/* --- message content --------------------------------------------------------------------------- */

typedef struct WuzapiEnvelope
{
	JsonbContainer *outer; /* where the extras beside the event are: state, mimeType, s3 … */
	JsonbContainer *event; /* NULL: there is none */
	JsonbValue type;       /* the event's name; jbvNull: there is none */
} WuzapiEnvelope;

typedef struct WuzapiContent WuzapiContent;

/* What a message does: most are new, some change an earlier one. */
typedef enum WuzapiChange
{
	WUZAPI_NEW,
	WUZAPI_EDIT,
	WUZAPI_REVOKE,
	WUZAPI_REACTION,
	WUZAPI_VOTE,
	WUZAPI_PENDING_EDIT, /* to a text that is encrypted */
	WUZAPI_VARIANT       /* the same picture or video in another form */
} WuzapiChange;

/* Reads what a message holds; NULL and *reason when it is nothing that can be stored. */
extern WuzapiContent *wuzapi_content_read(const WuzapiEnvelope *envelope, const char **reason);
/* A message that is shown once, on the phone alone. */
extern WuzapiContent *wuzapi_content_unavailable(const WuzapiEnvelope *envelope);
/* A call that nobody took. */
extern WuzapiContent *wuzapi_content_missed_call(bool video);
extern bool wuzapi_content_is_call(const WuzapiContent *content);
extern WuzapiChange wuzapi_content_change(const WuzapiContent *content);
extern const JsonbValue *wuzapi_content_target(const WuzapiContent *content);
/* Adds type, content, media and replyTo; for changes target, and emoji, options or variant. */
extern void wuzapi_content_write(WuzapiOutput *out, const WuzapiContent *content);
/* Adds what goes into the metadata of the message. */
extern void wuzapi_content_write_metadata(WuzapiOutput *out, const WuzapiContent *content);

/* --- history ----------------------------------------------------------------------------------- */

extern void wuzapi_handle_history(WuzapiOutput *out, const WuzapiEnvelope *envelope);

#endif
