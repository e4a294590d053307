/*
 * The least that hands messages to WebSockets with libwebsockets: one lws_write for each subscriber and message, when the
 * library says that the socket is writable. For comparison.
 *
 *   plain      prints its port
 *
 * Who sends a text that begins with "[" is a subscriber, and is answered. The lines behind a "+" are messages for all of
 * them, answered once they are written.
 */
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING 65536 /* messages */
#define MOST 1000  /* subscribers */

struct message
{
	size_t len;
	unsigned char *bytes; /* behind LWS_PRE */
};

struct session
{
	struct lws *wsi;
	bool subscriber;
	int answers;   /* to be given */
	uint64_t next; /* message to be written */
	char *in;
	size_t in_len;
};

static struct message ring[RING];
static uint64_t end;       /* of the messages that are known */
static uint64_t unwritten; /* of all subscribers */
static struct session *subscribers[MOST];
static int count;
static struct session *publisher;
static int batches; /* of it, that are not answered */

static void
tell_publisher(void)
{
	if (unwritten > 0 || publisher == NULL)
		return;
	publisher->answers += batches;
	batches = 0;
	lws_callback_on_writable(publisher->wsi);
}

static void
publish(const char *line, size_t len)
{
	struct message *message = &ring[end++ % RING];

	free(message->bytes);
	message->bytes = malloc(LWS_PRE + len);
	message->len = len;
	memcpy(message->bytes + LWS_PRE, line, len);
	for (int i = 0; i < count; i++)
	{
		unwritten++;
		lws_callback_on_writable(subscribers[i]->wsi);
	}
}

static void
take(struct session *session)
{
	char *at = session->in, *stop = at + session->in_len;

	if (at == stop)
		return;
	if (*at++ != '+')
	{
		if (count == MOST)
			return;
		session->subscriber = true;
		session->answers++;
		session->next = end;
		subscribers[count++] = session;
		lws_callback_on_writable(session->wsi);
		return;
	}
	publisher = session;
	batches++;
	while (at < stop)
	{
		char *line = memchr(at, '\n', (size_t) (stop - at));
		size_t len = (size_t) ((line != NULL ? line : stop) - at);

		publish(at, len);
		at += len + 1;
	}
	tell_publisher();
}

static int
on_writable(struct session *session)
{
	if (session->answers > 0)
	{
		unsigned char ok[LWS_PRE + 2];

		memcpy(ok + LWS_PRE, "ok", 2);
		session->answers--;
		if (lws_write(session->wsi, ok + LWS_PRE, 2, LWS_WRITE_TEXT) < 0)
			return -1;
	}
	else if (session->subscriber && session->next < end)
	{
		struct message *message = &ring[session->next++ % RING];

		unwritten--;
		if (lws_write(session->wsi, message->bytes + LWS_PRE, message->len, LWS_WRITE_TEXT) < 0)
			return -1;
		tell_publisher();
	}
	if (session->answers > 0 || (session->subscriber && session->next < end))
		lws_callback_on_writable(session->wsi);
	return 0;
}

static void
forget(struct session *session)
{
	for (int i = 0; i < count; i++)
	{
		if (subscribers[i] != session)
			continue;
		subscribers[i] = subscribers[--count];
		unwritten -= end - session->next;
		break;
	}
	if (publisher == session)
		publisher = NULL;
	free(session->in);
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct session *session = user;

	switch (reason)
	{
		case LWS_CALLBACK_ESTABLISHED:
			memset(session, 0, sizeof(*session));
			session->wsi = wsi;
			return 0;
		case LWS_CALLBACK_RECEIVE:
			session->in = realloc(session->in, session->in_len + len + 1);
			memcpy(session->in + session->in_len, in, len);
			session->in_len += len;
			if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
				return 0;
			take(session);
			session->in_len = 0;
			return 0;
		case LWS_CALLBACK_SERVER_WRITEABLE:
			return on_writable(session);
		case LWS_CALLBACK_CLOSED:
			forget(session);
			return 0;
		default:
			return 0;
	}
}

int
main(void)
{
	static const struct lws_protocols protocols[] = {
		{"plain", callback, sizeof(struct session), 65536, 0, NULL, 0}, {0}};
	struct lws_context_creation_info info = {0};
	struct lws_context *context;

	lws_set_log_level(LLL_ERR, NULL);
	info.port = 0;
	info.iface = "127.0.0.1";
	info.protocols = protocols;
	info.pt_serv_buf_size = 65536;
	context = lws_create_context(&info);
	if (context == NULL)
		return 1;
	printf("%d\n", lws_get_vhost_listen_port(lws_get_vhost_by_name(context, "default")));
	fflush(stdout);
	while (lws_service(context, 0) >= 0)
		;
	return 0;
}
