/*
 * See websocket.h.
 *
 * libwebsockets may say that a connection failed within the call that begins it: that is told from a timer. It is told by
 * libwebsockets' own pointer which WebSocket a callback is about, and NULL there is one that nobody wants any more. Of a
 * handshake that takes too long libwebsockets says neither that it failed nor that it was closed, only that it is freed.
 *
 * No lws_close_reason: until it is sent libwebsockets 4.1 reads on, beyond the memory that it has for a message. For the
 * same reason it must not check that texts are UTF-8.
 */
#include "io/websocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "io/lws.h"

#define HEADER_MAX 4096 /* bytes, of requests and of answers */
#define PIECE 4096      /* of a message, that libwebsockets reads at once */
#define HANDSHAKE_S 20
#define WAITING_MAX 65536 /* bytes to be sent */
#define CLOSE_PROTOCOL 1002

struct websocket_client
{
	struct app *app;
	struct lws_context *context;
};

struct websocket
{
	struct websocket_client *client;
	struct lws *wsi; /* NULL: gone */
	const struct websocket_handlers *handlers;
	void *arg;
	uv_timer_t failure; /* to be told */
	char why[256];
	struct buffer out; /* texts, each with LWS_PRE bytes before it and a NUL behind it */
	size_t sent;
	size_t len;
	char message[WEBSOCKET_MAX + 1];
};

/* Its end ----------------------------------------------------------------------------------------- */

static void
on_timer_closed(uv_handle_t *timer)
{
	struct websocket *websocket = timer->data;

	buffer_free(&websocket->out);
	free(websocket);
}

static void
dispose(struct websocket *websocket)
{
	uv_close((uv_handle_t *) &websocket->failure, on_timer_closed);
}

/* libwebsockets ends it in its own time, and speaks of it no more. */
static void
let_go(struct websocket *websocket)
{
	if (websocket->wsi == NULL)
		return;
	lws_set_opaque_user_data(websocket->wsi, NULL);
	lws_set_timeout(websocket->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
	websocket->wsi = NULL;
}

void
websocket_close(struct websocket *websocket)
{
	let_go(websocket);
	dispose(websocket);
}

static void
tell_closed(struct websocket *websocket)
{
	websocket->handlers->closed(websocket->arg, websocket->why);
	dispose(websocket);
}

static void
on_failure(uv_timer_t *timer)
{
	tell_closed(timer->data);
}

/* Told from a timer: the call that began it may not have returned. What was said of it before counts. */
static void
gone(struct websocket *websocket, const char *why)
{
	websocket->wsi = NULL;
	if (websocket->why[0] == '\0')
		snprintf(websocket->why, sizeof(websocket->why), "%s", why != NULL ? why : "no connection");
	uv_timer_start(&websocket->failure, on_failure, 0, 0);
}

/* What libwebsockets does --------------------------------------------------------------------------- */

/* False: it is too long. */
static bool
add_piece(struct websocket *websocket, const char *bytes, size_t len)
{
	if (len > WEBSOCKET_MAX - websocket->len)
		return false;
	memcpy(websocket->message + websocket->len, bytes, len);
	websocket->len += len;
	return true;
}

static int
receive(struct websocket *websocket, struct lws *wsi, const char *bytes, size_t len)
{
	if (lws_is_first_fragment(wsi))
		websocket->len = 0;
	if (!add_piece(websocket, bytes, len) ||
		lws_remaining_packet_payload(wsi) > WEBSOCKET_MAX - websocket->len)
	{
		snprintf(websocket->why, sizeof(websocket->why), "a message has more than %d bytes",
				 WEBSOCKET_MAX);
		return -1;
	}
	if (!lws_is_final_fragment(wsi))
		return 0;
	websocket->message[websocket->len] = '\0';
	websocket->handlers->received(websocket->arg, websocket->message, websocket->len,
								  lws_frame_is_binary(wsi));
	return lws_get_opaque_user_data(wsi) != NULL ? 0 : -1;
}

/* One text at a time, as libwebsockets wants it. */
static int
write_next(struct websocket *websocket, struct lws *wsi)
{
	char *text = websocket->out.data + websocket->sent + LWS_PRE;
	size_t len;

	if (websocket->sent == websocket->out.len)
		return 0;
	len = strlen(text);
	if (lws_write(wsi, (unsigned char *) text, len, LWS_WRITE_TEXT) < (int) len)
		return -1;
	websocket->sent += LWS_PRE + len + 1;
	if (websocket->sent == websocket->out.len)
		websocket->sent = websocket->out.len = 0;
	else
		lws_callback_on_writable(wsi);
	return 0;
}

/* The code, and what the server said of it. For codes that it does not know libwebsockets says 1002. */
static void
note_close(struct websocket *websocket, const unsigned char *bytes, size_t len)
{
	int code = len >= 2 ? bytes[0] << 8 | bytes[1] : 0;
	int used;

	if (code == 0)
		return;
	used = code == CLOSE_PROTOCOL
			   ? snprintf(websocket->why, sizeof(websocket->why), "closed")
			   : snprintf(websocket->why, sizeof(websocket->why), "closed with %d", code);
	if (len > 2)
		snprintf(websocket->why + used, sizeof(websocket->why) - (size_t) used, ": %.*s",
				 (int) (len - 2), (const char *) bytes + 2);
}

/* What the server answered, if it was no WebSocket. */
static void
note_answer(struct websocket *websocket, struct lws *wsi)
{
	unsigned status = lws_http_client_http_response(wsi);

	if (websocket->why[0] == '\0' && status != 0)
		snprintf(websocket->why, sizeof(websocket->why), "it answers %u", status);
}

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct websocket *websocket;

	(void) user;
	switch (reason)
	{
		case LWS_CALLBACK_CLIENT_HTTP_REDIRECT:
		case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		case LWS_CALLBACK_CLIENT_ESTABLISHED:
		case LWS_CALLBACK_CLIENT_RECEIVE:
		case LWS_CALLBACK_CLIENT_WRITEABLE:
		case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		case LWS_CALLBACK_CLIENT_CLOSED:
		case LWS_CALLBACK_WSI_DESTROY:
			websocket = lws_get_opaque_user_data(wsi);
			break;
		default:
			return 0;
	}
	if (websocket == NULL)
		return -1;
	switch (reason)
	{
		case LWS_CALLBACK_CLIENT_HTTP_REDIRECT:
			snprintf(websocket->why, sizeof(websocket->why), "it redirects, which is not followed");
			return -1;
		case LWS_CALLBACK_CLIENT_ESTABLISHED:
			websocket->handlers->opened(websocket->arg);
			return lws_get_opaque_user_data(wsi) != NULL ? 0 : -1;
		case LWS_CALLBACK_CLIENT_RECEIVE:
			return receive(websocket, wsi, in, len);
		case LWS_CALLBACK_CLIENT_WRITEABLE:
			return write_next(websocket, wsi);
		case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
			note_close(websocket, in, len);
			return 0;
		case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
			note_answer(websocket, wsi);
			lws_set_opaque_user_data(wsi, NULL);
			gone(websocket, in);
			return 0;
		default:
			lws_set_opaque_user_data(wsi, NULL);
			gone(websocket, reason == LWS_CALLBACK_WSI_DESTROY ? "the handshake is not answered"
															   : "the connection has ended");
			return 0;
	}
}

/* Its beginning ------------------------------------------------------------------------------------ */

struct websocket *
websocket_open(struct websocket_client *client, const struct websocket_target *target,
			   const struct websocket_handlers *handlers, void *arg)
{
	struct websocket *websocket = xcalloc(1, sizeof(*websocket));
	struct lws_client_connect_info info = {
		.context = client->context,
		.address = target->address,
		.port = target->port,
		.ssl_connection = target->tls ? LCCSCF_USE_SSL : 0,
		.path = target->path,
		.host = target->host,
		.local_protocol_name = "client",
		.pwsi = &websocket->wsi,
		.opaque_user_data = websocket,
	};

	websocket->client = client;
	websocket->handlers = handlers;
	websocket->arg = arg;
	uv_timer_init(client->app->loop, &websocket->failure);
	websocket->failure.data = websocket;
	if (lws_client_connect_via_info(&info) == NULL)
		gone(websocket, NULL);
	return websocket;
}

bool
websocket_send(struct websocket *websocket, const char *text)
{
	static const char room[LWS_PRE];

	if (websocket->wsi == NULL)
		return true; /* that it is gone will be told */
	if (websocket->out.len + LWS_PRE + strlen(text) + 1 > WAITING_MAX)
		return false;
	buffer_bytes(&websocket->out, room, sizeof(room));
	buffer_bytes(&websocket->out, text, strlen(text) + 1);
	lws_callback_on_writable(websocket->wsi);
	return true;
}

/* The context -------------------------------------------------------------------------------------- */

struct websocket_client *
websocket_client_create(struct app *app)
{
	static struct lws_protocols protocols[] = {{"client", on_event, 0, PIECE, 0, NULL, 0}, {0}};
	struct websocket_client *client = xcalloc(1, sizeof(*client));
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.max_http_header_data = HEADER_MAX,
		.max_http_header_pool = 2,
		.timeout_secs = HANDSHAKE_S,
		.connect_timeout_secs = HANDSHAKE_S,
		.fd_limit_per_thread = 16, /* else it has room for all that the process may have */
	};

	client->app = app;
	if (lws_on_loop(app, &info, &client->context))
		return client;
	free(client);
	return NULL;
}

void
websocket_client_close(struct websocket_client *client)
{
	lws_context_destroy(client->context);
}

void
websocket_client_free(struct websocket_client *client)
{
	lws_off_loop(&client->context);
	free(client);
}
