/*
 * A webhook message as an HTTP request: its body, made once, and the headers of one attempt.
 */
#ifndef SIDECAR_WEBHOOK_REQUEST_H
#define SIDECAR_WEBHOOK_REQUEST_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "webhook/sign.h"
#include "webhook/webhook_queue.h"

#define WEBHOOK_HEADERS 10
#define WEBHOOK_HEADER_SIZE 384

/* Columns that chat.webhook_read and chat.webhook_due have in common, and those only the latter has. */
enum
{
	ROW_ID,
	ROW_MESSAGE_ID,
	ROW_TYPE,
	ROW_WEBHOOK,
	ROW_URL,
	ROW_SECRET,
	ROW_OLD_SECRET,
	ROW_CONVERSATION,
	ROW_CREATED_AT,
	ROW_BLOCKED,
	ROW_PAYLOAD,
	ROW_DELIVERY,
	ROW_ATTEMPTS
};

struct request_headers
{
	char lines[WEBHOOK_HEADERS][WEBHOOK_HEADER_SIZE];
	const char *list[WEBHOOK_HEADERS + 1];
	int count;
};

/* Makes a message from a row; the payload's bytes go into its body as they are. */
struct message *request_message(PGresult *rows, int row);

/*
 * Writes the headers of an attempt that starts now (Unix seconds). False: the message could not be signed.
 */
bool
request_headers(struct request_headers *headers, struct signer *signer,
				const struct message *message, int64_t now) __attribute__((warn_unused_result));

#endif
