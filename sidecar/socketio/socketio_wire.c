/*
 * See socketio_wire.h. Anyone may send a NOTIFY: what is heard is taken for a server's word on itself, and no more.
 */
#include "socketio/socketio_wire.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN "{\"uid\":\"emitter\""
#define NOBODY "chat_realtime:nobody" /* a room that has no members */

/* Types of messages. */
#define BROADCAST "3"
#define FETCH_SOCKETS "7"
#define FETCH_SOCKETS_RESPONSE 8
#define ADAPTER_CLOSE 13

/* Around what is sent. */
#define NAMESPACE OWN ",\"nsp\":\""
#define TYPE "\",\"type\":"
#define DATA ",\"data\":"

static void
begin(struct buffer *out, const char *namespace, const char *type)
{
	buffer_text(out, NAMESPACE);
	buffer_text(out, namespace);
	buffer_text(out, TYPE);
	buffer_text(out, type);
	buffer_text(out, DATA);
}

void
wire_broadcast(struct buffer *out, const char *namespace, const struct log_event *event)
{
	begin(out, namespace, BROADCAST);
	buffer_bytes(out, event->message, event->message_length);
	buffer_text(out, "}");
}

size_t
wire_broadcast_length(const char *namespace, const struct log_event *event)
{
	return strlen(NAMESPACE TYPE BROADCAST DATA "}") + strlen(namespace) + event->message_length;
}

void
wire_ask(struct buffer *out, const char *namespace, const char *token, uint64_t number)
{
	char id[96];

	snprintf(id, sizeof(id), "\"%s-%" PRIu64 "\"", token, number);
	begin(out, namespace, FETCH_SOCKETS);
	buffer_text(out,
				"{\"opts\":{\"rooms\":[\"" NOBODY "\"],\"except\":[],\"flags\":{}},\"requestId\":");
	buffer_text(out, id);
	buffer_text(out, "}}");
}

/* What is in the id of a question of ours; false: it is somebody else's. */
static bool
read_id(const json_t *message, const char *token, struct wire_heard *heard)
{
	const char *id =
		json_string_value(json_object_get(json_object_get(message, "data"), "requestId"));
	size_t len = strlen(token);
	char *end;

	if (id == NULL || strncmp(id, token, len) != 0 || id[len] != '-')
		return false;
	heard->number = strtoull(id + len + 1, &end, 10);
	return *end == '\0';
}

static bool
read_message(const json_t *message, const char *token, struct wire_heard *heard)
{
	const char *uid = json_string_value(json_object_get(message, "uid"));
	json_int_t type = json_integer_value(json_object_get(message, "type"));

	if (uid == NULL || strlen(uid) >= sizeof(heard->uid) || strcmp(uid, "emitter") == 0)
		return false;
	strcpy(heard->uid, uid);
	heard->kind = type == ADAPTER_CLOSE ? WIRE_LEAVES : WIRE_OTHER;
	if (type == FETCH_SOCKETS_RESPONSE && read_id(message, token, heard))
		heard->kind = WIRE_ANSWER;
	return true;
}

bool
wire_read(const char *payload, const char *token, struct wire_heard *heard)
{
	json_t *message;
	bool good;

	if (strncmp(payload, OWN, strlen(OWN)) == 0)
		return false; /* most that is heard, and known without reading it */
	message = json_loads(payload, JSON_REJECT_DUPLICATES, NULL);
	good = message != NULL && read_message(message, token, heard);
	json_decref(message);
	return good;
}
