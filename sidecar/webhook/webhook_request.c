/*
 * Bodies and headers of webhooks.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"

#include "webhook/webhook_request.h"

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

static int64_t
unix_time(const char *timestamp)
{
	struct tm when = {0};

	return strptime(timestamp, "%Y-%m-%dT%H:%M:%S", &when) != NULL ? timegm(&when) : 0;
}

/* Writes the body around the payload. */
static void
write_body(struct message *message, char *at, const char *payload, size_t payload_len)
{
	char *end = at;

	end += sprintf(end,
				   "{\"id\":\"%s\",\"type\":\"%s\",\"event\":\"%s\",\"timestamp\":\"%s\",\"data\":",
				   message->id, message->type, message->type, message->timestamp);
	memcpy(end, payload, payload_len);
	end += payload_len;
	*end++ = '}';
	message->body = at;
	message->body_len = (size_t) (end - at);
}

struct message *
request_message(PGresult *rows, int row)
{
	size_t id_len = (size_t) PQgetlength(rows, row, ROW_MESSAGE_ID);
	size_t type_len = (size_t) PQgetlength(rows, row, ROW_TYPE);
	size_t time_len = (size_t) PQgetlength(rows, row, ROW_CREATED_AT);
	size_t payload_len = (size_t) PQgetlength(rows, row, ROW_PAYLOAD);
	struct message *message =
		xcalloc(1, sizeof(*message) + 2 * id_len + 3 * type_len + 2 * time_len + payload_len + 96);
	char *at;

	at = message->text;
	at = append(at, PQgetvalue(rows, row, ROW_MESSAGE_ID), id_len, &message->id);
	at = append(at, PQgetvalue(rows, row, ROW_TYPE), type_len, &message->type);
	at = append(at, PQgetvalue(rows, row, ROW_CREATED_AT), time_len, &message->timestamp);
	write_body(message, at, PQgetvalue(rows, row, ROW_PAYLOAD), payload_len);
	message->event_id = strtoll(PQgetvalue(rows, row, ROW_ID), NULL, 10);
	message->created_at = unix_time(message->timestamp);
	if (PQnfields(rows) > ROW_DELIVERY)
	{
		message->stored = true;
		message->delivery = strtoll(PQgetvalue(rows, row, ROW_DELIVERY), NULL, 10);
		message->attempts = atoi(PQgetvalue(rows, row, ROW_ATTEMPTS));
	}
	return message;
}

static void __attribute__((format(printf, 2, 3)))
add(struct request_headers *headers, const char *format, ...)
{
	char *line = headers->lines[headers->count];
	va_list args;

	va_start(args, format);
	vsnprintf(line, WEBHOOK_HEADER_SIZE, format, args);
	va_end(args);
	headers->list[headers->count++] = line;
	headers->list[headers->count] = NULL;
}

/* While a secret is being replaced, the message carries a signature with each of both. */
static bool
add_signatures(struct request_headers *headers, struct signer *signer,
			   const struct message *message, int64_t now)
{
	const struct endpoint *endpoint = message->pair->endpoint;
	char current[SIGN_STANDARD_SIZE];
	char old[SIGN_STANDARD_SIZE] = "";
	char body[SIGN_BODY_SIZE];

	if (!sign_standard(signer, endpoint->secret, message->id, now, message->body, message->body_len,
					   current))
		return false;
	if (endpoint->old_secret != NULL && !sign_standard(signer, endpoint->old_secret, message->id,
													   now, message->body, message->body_len, old))
		return false;
	if (!sign_body(signer, endpoint->secret, message->body, message->body_len, body))
		return false;
	add(headers, "webhook-signature: %s%s%s", current, old[0] != '\0' ? " " : "", old);
	add(headers, "X-Webhook-Signature: %s", body);
	return true;
}

bool
request_headers(struct request_headers *headers, struct signer *signer,
				const struct message *message, int64_t now)
{
	const char *secret = message->pair->endpoint->secret;

	headers->count = 0;
	add(headers, "Content-Type: application/json");
	add(headers, "User-Agent: " USER_AGENT);
	add(headers, "webhook-id: %s", message->id);
	add(headers, "webhook-timestamp: %lld", (long long) now);
	add(headers, "X-Webhook-Event: %s", message->type);
	add(headers, "X-Webhook-Delivery: %s", message->id);
	add(headers, "X-Webhook-Timestamp: %s", message->timestamp);
	if (secret == NULL || secret[0] == '\0')
		return true;
	return add_signatures(headers, signer, message, now);
}
