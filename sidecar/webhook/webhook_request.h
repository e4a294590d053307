/*
 * A webhook message as an HTTP request: its body, kept once, and the headers of one attempt.
 */
#ifndef SIDECAR_WEBHOOK_REQUEST_H
#define SIDECAR_WEBHOOK_REQUEST_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "consumer/log_answer.h"
#include "webhook/sign.h"
#include "webhook/webhook_queue.h"

#define WEBHOOK_HEADER_SIZE 384
/* What chat.check_webhook_headers lets through has fewer bytes, colons, spaces and ends of lines included. */
#define WEBHOOK_OWN_HEADERS 10
#define WEBHOOK_OWN_SIZE 4224

/* Each is there once at most. */
enum webhook_header
{
	HEADER_CONTENT_TYPE,
	HEADER_USER_AGENT,
	HEADER_ID,
	HEADER_TIME,
	HEADER_EVENT,
	HEADER_DELIVERY,
	HEADER_TIMESTAMP,
	HEADER_SIGNATURE,
	HEADER_BODY_SIGNATURE,
	WEBHOOK_HEADERS
};

/* Columns of chat.webhook_due. */
enum
{
	ROW_ID,
	ROW_TYPE,
	ROW_BODY,
	ROW_CREATED_AT,
	ROW_WEBHOOK,
	ROW_OWNER,
	ROW_URL,
	ROW_SECRET,
	ROW_OLD_SECRET,
	ROW_CONVERSATION,
	ROW_DELIVERY,
	ROW_ATTEMPTS,
	ROW_HEADERS,
	ROW_SIGNING_KEY,
	ROW_RATE_LIMIT
};

struct request_headers
{
	char lines[WEBHOOK_HEADERS][WEBHOOK_HEADER_SIZE];
	char own[WEBHOOK_OWN_SIZE]; /* of the endpoint's owner */
	const char *list[WEBHOOK_HEADERS + WEBHOOK_OWN_HEADERS + 1];
	int count;
};

/* Makes what an event says, whose message is a body, without a reference yet. Bodies are sent as they come. */
struct parcel *request_parcel(const struct log_event *event);
/* Makes the message of a stored delivery. NULL: its body is none. */
struct message *request_message(PGresult *rows, int row);

/*
 * Writes the headers of an attempt that starts now (Unix seconds). False: the message could not be signed.
 */
bool
request_headers(struct request_headers *headers, struct signer *signer,
				const struct message *message, int64_t now) __attribute__((warn_unused_result));

#endif
