/*
 * Bodies and headers of webhooks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#include "webhook/webhook_request.h"

#define MICROSECONDS 1000000
#define USER_AGENT "chat-sidecar/" SIDECAR_VERSION

/* Appends a text and its NUL; returns where the next one begins. */
static char *
append(char *at, const char *text, size_t len, char **kept)
{
	*kept = at;
	memcpy(at, text, len);
	at[len] = '\0';
	return at + len + 1;
}

struct parcel *
request_parcel(const struct log_event *event)
{
	size_t bytes = sizeof(struct parcel) + event->id_length + event->name_length + LOG_TIME_LENGTH +
				   event->message_length + 3;
	struct parcel *parcel = xmalloc(bytes);
	char *at = parcel->text;

	*parcel = (struct parcel){.bytes = bytes,
							  .event_id = event->id,
							  .created_at = event->created_at / MICROSECONDS,
							  .body_len = event->message_length};
	at = append(at, log_body_id(event), event->id_length, &parcel->id);
	at = append(at, log_body_type(event), event->name_length, &parcel->type);
	at = append(at, log_body_time(event), LOG_TIME_LENGTH, &parcel->timestamp);
	parcel->body = at;
	memcpy(at, event->message, event->message_length);
	return parcel;
}

struct message *
request_message(PGresult *rows, int row)
{
	struct log_event event;
	struct message *message;

	if (!log_body_read(&event, PQgetvalue(rows, row, ROW_BODY),
					   (size_t) PQgetlength(rows, row, ROW_BODY),
					   (size_t) PQgetlength(rows, row, ROW_TYPE)))
		return NULL;
	event.id = strtoll(PQgetvalue(rows, row, ROW_ID), NULL, 10);
	event.created_at = strtoll(PQgetvalue(rows, row, ROW_CREATED_AT), NULL, 10);
	message = message_make(request_parcel(&event));
	message->stored = true;
	message->delivery = strtoll(PQgetvalue(rows, row, ROW_DELIVERY), NULL, 10);
	message->attempts = atoi(PQgetvalue(rows, row, ROW_ATTEMPTS));
	return message;
}

/* Adds a header of the name, which ends in ": ", and of both parts of its value, cut off at what a line may be. */
static void
add(struct request_headers *headers, enum webhook_header header, const char *name,
	const char *value, const char *more)
{
	const char *const parts[] = {name, value, more};
	char *line = headers->lines[header], *at = line;
	size_t room = WEBHOOK_HEADER_SIZE - 1;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
	{
		size_t len = strnlen(parts[i], room);

		memcpy(at, parts[i], len);
		at += len;
		room -= len;
	}
	*at = '\0';
	headers->list[headers->count++] = line;
	headers->list[headers->count] = NULL;
}

/* Adds a line that is in the structure. False: there is no room. */
static bool
add_own(struct request_headers *headers, const char *line)
{
	if (headers->count >= WEBHOOK_HEADERS + WEBHOOK_OWN_HEADERS)
		return false;
	headers->list[headers->count++] = line;
	headers->list[headers->count] = NULL;
	return true;
}

/* Adds what the owner wants to be sent, a line each. False: it is more than there may be. */
static bool
add_owners(struct request_headers *headers, const char *lines)
{
	char *line = headers->own, *end;

	if (lines == NULL)
		return true;
	if (strlen(lines) >= sizeof(headers->own))
		return false;
	strcpy(headers->own, lines);
	while ((end = strchr(line, '\n')) != NULL)
	{
		*end = '\0';
		if (!add_own(headers, line))
			return false;
		line = end + 1;
	}
	return add_own(headers, line);
}

/* While a secret is being replaced, the message carries a signature with each of both. */
static bool
add_signatures(struct request_headers *headers, struct signer *signer,
			   const struct message *message, int64_t now)
{
	const struct endpoint *endpoint = message->pair->endpoint;
	const struct parcel *parcel = message->parcel;
	char current[SIGN_STANDARD_SIZE];
	char old[1 + SIGN_STANDARD_SIZE] = " ";
	char public[1 + SIGN_PUBLIC_SIZE] = " ";
	char both[sizeof(old) + sizeof(public)];
	char body[SIGN_BODY_SIZE];

	if (!sign_standard(signer, endpoint->secret, parcel->id, now, parcel->body, parcel->body_len,
					   current))
		return false;
	if (endpoint->old_secret == NULL)
		old[0] = '\0';
	else if (!sign_standard(signer, endpoint->old_secret, parcel->id, now, parcel->body,
							parcel->body_len, old + 1))
		return false;
	if (endpoint->signing_key == NULL)
	public[0] = '\0';
	else if (!sign_public(endpoint->signing_key, parcel->id, now, parcel->body, parcel->body_len,
						  public + 1)) return false;
	if (!sign_body(signer, endpoint->secret, parcel->body, parcel->body_len, body))
		return false;
	snprintf(both, sizeof(both), "%s%s", old, public);
	add(headers, HEADER_SIGNATURE, "webhook-signature: ", current, both);
	add(headers, HEADER_BODY_SIGNATURE, "X-Webhook-Signature: ", body, "");
	return true;
}

bool
request_headers(struct request_headers *headers, struct signer *signer,
				const struct message *message, int64_t now)
{
	const struct endpoint *endpoint = message->pair->endpoint;
	const char *secret = endpoint->secret;
	const struct parcel *parcel = message->parcel;
	char time[24];

	snprintf(time, sizeof(time), "%lld", (long long) now);
	headers->count = 0;
	add(headers, HEADER_CONTENT_TYPE, "Content-Type: ", "application/json", "");
	add(headers, HEADER_USER_AGENT, "User-Agent: ", USER_AGENT, "");
	add(headers, HEADER_ID, "webhook-id: ", parcel->id, "");
	add(headers, HEADER_TIME, "webhook-timestamp: ", time, "");
	add(headers, HEADER_EVENT, "X-Webhook-Event: ", parcel->type, "");
	add(headers, HEADER_DELIVERY, "X-Webhook-Delivery: ", parcel->id, "");
	add(headers, HEADER_TIMESTAMP, "X-Webhook-Timestamp: ", parcel->timestamp, "");
	if (!add_owners(headers, endpoint->headers))
		return false;
	if (secret == NULL || secret[0] == '\0')
		return true;
	return add_signatures(headers, signer, message, now);
}
