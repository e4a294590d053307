/*
 * What the parts of the embedded endpoint share.
 *
 * Ownership: a socket owns its subscriptions; a channel lists those of its topic and goes with the last one. What waits
 * for the database names its socket or request by id, since either may be gone when the answer comes.
 */
#ifndef SIDECAR_EMBEDDED_INTERNAL_H
#define SIDECAR_EMBEDDED_INTERNAL_H

#include <stdint.h>

#include "embedded/embedded.h"
#include "embedded/frame.h"
#include "embedded/jwt.h"
#include "metrics.h"
#include "table.h"

#define TOPIC_PREFIX "realtime:"
#define ID_TEXT 24

struct db;

struct embedded
{
	struct app *app;
	struct db *db; /* answers who may join */
	struct table channels;
	struct table sockets;
	struct table requests; /* HTTP requests that wait for the database */
	uint64_t next_id;
	uv_timer_t *timer;
	struct metric *connections;
	struct metric *messages;
	struct metric *deliveries;
};

struct channel
{
	struct entry entry; /* key: channel_key */
	struct subscription *first;
};

struct subscription
{
	struct subscription *next_on_channel;
	struct subscription *next_on_socket;
	struct channel *channel;
	struct socket *socket;
	char *topic;    /* without prefix */
	char *join_ref; /* JSON text */
	bool is_private;
	bool ack;
	bool self;
	bool may_write; /* known; until then every push asks */
	int checks;     /* pushes that wait for the answer */
	struct jwt token;
};

struct outgoing
{
	struct outgoing *next;
	struct message *message;
};

struct socket
{
	struct entry entry; /* key: id */
	struct embedded *embedded;
	struct lws *wsi;
	uint64_t id;
	enum serializer serializer;
	char *token; /* as given in the URL */
	struct subscription *subscriptions;
	unsigned char *in; /* frame being received */
	size_t in_len;
	size_t in_size;
	struct outgoing *out;
	struct outgoing **out_end;
	size_t queued;     /* bytes in out */
	uint64_t heard_at; /* loop time of the last frame */
	int close_code;    /* not 0: to be closed */
};

/* channel.c */
void channel_subscribe(struct embedded *embedded, struct subscription *subscription);
void channel_unsubscribe(struct embedded *embedded, struct subscription *subscription);
/* Sends to every subscriber of the topic but one. */
void channel_broadcast(struct embedded *embedded, bool is_private,
					   const struct broadcast *broadcast, const struct subscription *except);

/* socket.c */
void socket_send(struct socket *socket, struct message *message); /* takes over one reference */
void socket_close(struct socket *socket, int code);
struct socket *socket_find(struct embedded *embedded, uint64_t id);
void socket_check(struct socket *socket); /* once a second */
int socket_callback(struct embedded *embedded, struct lws *wsi, enum lws_callback_reasons reason,
					struct socket **socket, void *in, size_t len);

/* protocol.c */
/* Handles one frame; false: the connection is to be closed. */
bool protocol_frame(struct socket *socket, const unsigned char *data, size_t len, bool binary);
void protocol_drop(struct socket *socket); /* forgets all subscriptions, at the connection's end */
void protocol_check_tokens(struct socket *socket);

/* access.c */
typedef void (*access_answer)(void *arg, struct embedded *embedded, bool allowed, bool known);
/* Asks chat.can_join; known is false when the database cannot be asked. */
void access_ask(struct embedded *embedded, const char *topic, const char *claims, bool write,
				access_answer answer, void *arg);
bool access_is_service(const struct jwt *token);

/* request.c */
struct request;
int request_callback(struct embedded *embedded, struct lws *wsi, enum lws_callback_reasons reason,
					 struct request **request, void *in, size_t len);

/* broadcast.c: an HTTP request that is read completely */
struct reply
{
	int status;       /* 0: comes later, by request_answer */
	const char *type; /* static */
	char *body;       /* malloc'ed or NULL */
	size_t body_len;
};

struct reply broadcast_request(struct embedded *embedded, uint64_t request_id, const char *method,
							   const char *path, const char *token, const char *content_type,
							   bool is_private, const char *body, size_t len);
/* Answers a request that waited, if it is still there; takes over reply.body. */
void request_answer(struct embedded *embedded, uint64_t request_id, struct reply reply);

#endif
