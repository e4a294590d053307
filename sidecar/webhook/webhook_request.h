/*
 * A webhook message as an HTTP request: its body, made once, and the headers of one attempt.
 */
#ifndef SIDECAR_WEBHOOK_REQUEST_H
#define SIDECAR_WEBHOOK_REQUEST_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "webhook/sign.h"
#include "webhook/webhook_queue.h"

#define WEBHOOK_HEADER_SIZE 384

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

/* Columns that chat.webhook_read and chat.webhook_due have in common, and those only the latter has. */
enum
{
	ROW_ID,
	ROW_MESSAGE_ID,
	ROW_TYPE,
	ROW_WEBHOOK,
	ROW_OWNER,
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

/* The same, as a statement selects them and as struct db_statement names them. */
#define ROW_COLUMNS                                                                                \
	"id, message_id, type, webhook, owner, url, secret, old_secret, conversation, COALESCE("       \
	"created_at, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.text) "   \
	"AS created_at, blocked, payload"
#define ROW_NAMES                                                                                  \
	"id message_id^ type^ webhook^ owner^ url? secret? old_secret? conversation^ created_at "      \
	"blocked^ payload"

struct request_headers
{
	char lines[WEBHOOK_HEADERS][WEBHOOK_HEADER_SIZE];
	const char *list[WEBHOOK_HEADERS + 1];
	int count;
};

/* Makes what a row's event says, without a reference yet; the payload's bytes go into its body as they are. */
struct parcel *request_parcel(PGresult *rows, int row);
/* Makes the message of a row. */
struct message *request_message(struct parcel *parcel, PGresult *rows, int row);

/*
 * Writes the headers of an attempt that starts now (Unix seconds). False: the message could not be signed.
 */
bool
request_headers(struct request_headers *headers, struct signer *signer,
				const struct message *message, int64_t now) __attribute__((warn_unused_result));

#endif
