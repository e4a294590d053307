/*
 * See websockets.h.
 *
 * WebSockets are told 1012 before the context is taken off the loop.
 */
#include "endpoint/websockets.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "endpoint/embedded.h"
#include "io/lws.h"

#define GOODBYE_MS 100
#define PIECE 2048
#define WRITTEN_AT_ONCE 65536 /* bytes, by libwebsockets itself */

struct websockets
{
	struct lws_context *context;
	struct lws_vhost *vhost;
	uv_timer_t goodbye;
};

/* Listens on nothing: gets its connections from websockets_upgrade. */
static bool
create_context(struct websockets *websockets, struct app *app)
{
	static struct lws_protocols realtime[] = {
		/* Frames are put together from pieces of this size, for which each socket has memory of its own. */
		{"realtime", embedded_callback, sizeof(void *), PIECE, 0, NULL, WRITTEN_AT_ONCE},
		{0}};
	struct lws_context_creation_info info = {0};

	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info.max_http_header_data = 1024; /* of the handshake that websockets_upgrade writes */
	info.max_http_header_pool = 16;
	info.pt_serv_buf_size = 65536;
	if (!lws_on_loop(app, &info, &websockets->context))
		return false;
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = realtime;
	info.vhost_name = "websockets";
	info.timeout_secs = 20;
	websockets->vhost = lws_create_vhost(websockets->context, &info);
	return websockets->vhost != NULL;
}

struct websockets *
websockets_create(struct app *app)
{
	struct websockets *websockets = xcalloc(1, sizeof(*websockets));

	if (!create_context(websockets, app))
		return NULL; /* the process ends: nothing is taken apart */
	uv_timer_init(app->loop, &websockets->goodbye);
	websockets->goodbye.data = websockets;
	return websockets;
}

static void
goodbye(uv_timer_t *timer)
{
	struct websockets *websockets = timer->data;

	lws_context_destroy(websockets->context);
	uv_close((uv_handle_t *) timer, NULL);
}

void
websockets_close(struct websockets *websockets)
{
	uv_timer_start(&websockets->goodbye, goodbye, GOODBYE_MS, 0);
}

void
websockets_free(struct websockets *websockets)
{
	lws_off_loop(&websockets->context);
	free(websockets);
}

void
websockets_upgrade(struct websockets *websockets, int fd, struct slice key)
{
	char handshake[256];
	int len = snprintf(handshake, sizeof(handshake),
					   "GET / HTTP/1.1\r\nHost: realtime\r\nUpgrade: websocket\r\n"
					   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
					   "Sec-WebSocket-Key: %.*s\r\n\r\n",
					   (int) key.len, key.start);

	/* What strangers wrote was read by listener.c: nothing but their key is read again. */
	lws_adopt_socket_vhost_readbuf(websockets->vhost, fd, handshake, len);
}
