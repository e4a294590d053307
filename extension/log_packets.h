/*
 * Events as the existing Socket.IO server tells them: what of them goes, under its names, in its payloads, and to which
 * rooms. chat.socketio_options (sql/socketio.sql) says who is served so.
 */
#ifndef CHAT_LOG_PACKETS_H
#define CHAT_LOG_PACKETS_H

#include "postgres.h"

#include "log_answer.h"
#include "log_scan.h"

/* For all events of an answer; in the current memory context. */
extern ChatPackets *chat_packets_create(void);

/* Puts one event of a row; nothing where nobody is served so, or the server has no such event. */
extern void
chat_packets_put(ChatLogAnswer *answer, const ChatLogRow *row, int64 id,
				 const struct varlena *topic, const char *name, const struct varlena *payload);

#endif
