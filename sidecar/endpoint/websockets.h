/*
 * WebSockets by libwebsockets, a guest on the event loop: it is handed connections whose handshake is accepted.
 */
#ifndef SIDECAR_WEBSOCKETS_H
#define SIDECAR_WEBSOCKETS_H

#include "app.h"
#include "io/request_head.h"

struct websockets;

/* NULL: libwebsockets does not work here, and stderr says what is missing. */
struct websockets *websockets_create(struct app *app);
/* Ends connections, after a moment for the reasons that they are told; the loop runs on until handles are gone. */
void websockets_close(struct websockets *websockets);
/* When the loop has ended. */
void websockets_free(struct websockets *websockets);

/* Makes a WebSocket of a connection whose handshake, of which key is a part, is accepted; takes over the descriptor. embedded_callback hears of it before this returns. */
void websockets_upgrade(struct websockets *websockets, int fd, struct slice key);

#endif
