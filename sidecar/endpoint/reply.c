/*
 * Answers to frames.
 */
#include <string.h>

#include "endpoint/internal.h"

void
reply_ok(struct socket *socket, const struct frame *frame, const char *response)
{
	socket_send(socket, frame_reply(socket->serializer, frame, true, response));
}

struct message *
reply_print_error(const struct socket *socket, const struct frame *frame, const char *reason,
				  const char *detail)
{
	struct message *reply;
	struct message *text = message_create(false);
	struct message *response = message_create(false);

	message_add(text, reason);
	message_bytes(text, detail, strlen(detail) + 1);
	message_add(response, "{\"reason\":");
	message_string(response, message_text(text));
	message_bytes(response, "}", 2);
	reply = frame_reply(socket->serializer, frame, false, message_text(response));
	message_release(text);
	message_release(response);
	return reply;
}

void
reply_error(struct socket *socket, const struct frame *frame, const char *reason,
			const char *detail)
{
	socket_send(socket, reply_print_error(socket, frame, reason, detail));
}

void
reply_unmatched(struct socket *socket, const struct frame *frame)
{
	reply_error(socket, frame, UNMATCHED, "");
}
