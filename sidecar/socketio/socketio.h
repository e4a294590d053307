/*
 * Socket.IO: events go to the existing server, whose nodes hear them through @socket.io/postgres-adapter, as NOTIFY on the
 * adapter's channel. The server is unchanged; this process is no node of it.
 */
#ifndef SIDECAR_SOCKETIO_H
#define SIDECAR_SOCKETIO_H

#include "sink.h"

extern const struct sink socketio_sink;

#endif
