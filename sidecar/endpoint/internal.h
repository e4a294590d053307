/*
 * What the parts of the embedded endpoint share.
 *
 * Ownership: a socket owns its subscriptions and the joins that wait; a channel lists the subscriptions of its topic and
 * goes with the last one. What else waits for the database names its socket, subscription or request by id, since any
 * may be gone when the answer comes.
 */
#ifndef SIDECAR_EMBEDDED_INTERNAL_H
#define SIDECAR_EMBEDDED_INTERNAL_H

#include <stdint.h>
#include <string.h>

#include "endpoint/delay.h"
#include "endpoint/embedded.h"
#include "endpoint/flow.h"
#include "endpoint/frame.h"
#include "endpoint/jwt.h"
#include "endpoint/outbox.h"
#include "endpoint/presence.h"
#include "endpoint/questions.h"
#include "endpoint/rate.h"
#include "endpoint/refusals.h"
#include "endpoint/relay.h"
#include "endpoint/seats.h"
#include "endpoint/tokens.h"
#include "endpoint/visitor.h"
#include "endpoint/replay.h"
#include "io/listener.h"
#include "base/log_pace.h"
#include "base/metrics.h"
#include "base/table.h"

#define TOPIC_PREFIX "realtime:"
#define MAX_TOPIC 246 /* bytes, without prefix */
#define ID_TEXT 24
#define MAX_PAYLOAD 3000500 /* bytes of a broadcast's, as a tenant of Realtime has them */
/* Bytes of messages that wait for the database to say whether they may be sent; what comes above is refused. */
#define MAX_WAITING_BYTES (16 * 1024 * 1024)

/* Those of a message, with its names. */
static inline size_t
broadcast_bytes(const struct broadcast *broadcast)
{
	return strlen(broadcast->topic) + strlen(broadcast->event) + broadcast->payload_len;
}

struct db;

/* Why something was refused, as the metric and the log say it. */
enum refusal
{
	REFUSED_UNAUTHORIZED,
	REFUSED_TOKEN,
	REFUSED_DATABASE,
	REFUSED_LIMIT,
	REFUSED_TOPIC,
	REFUSED_PUBLIC,
	REFUSED_MEMORY,
	REFUSALS
};

/* A WebSocket whose handshake is accepted, until libwebsockets has taken it. */
struct admission
{
	char *token;
	struct seat *address, *user; /* NULL: it counts for nobody */
	enum serializer serializer;
};

struct embedded_metrics
{
	struct metric *database; /* whether it can be asked */
	struct metric *connections;
	struct metric *messages;
	struct metric *deliveries;
	struct metric *refused_joins[REFUSALS];
	struct metric *refused_broadcasts;
	struct metric *refused_sockets;    /* no room */
	struct metric *refused_crowds;     /* too many of an address or a user */
	struct metric *refused_handshakes; /* no good token */
	struct metric *memory;             /* bytes in use */
	struct metric *refused_memory;     /* sockets, at its limit */
	struct metric *ended;              /* channels whose right to read was gone */
	struct metric *floods;             /* frames above what a socket may send */
	struct metric *slow_sockets;       /* closed since they did not read */
};

struct embedded
{
	struct app *app;
	struct websockets *websockets;
	struct keyring *keyring;
	struct feed *feed;   /* to the core; NULL before and after it is there */
	int most_sockets;    /* WebSockets that there may be: by the limit of descriptors */
	struct db *db;       /* answers who may join */
	bool fed;            /* the core reads the log: who joins from now on misses nothing */
	struct relay *relay; /* to other endpoints; NULL at the end */
	struct table channels;
	struct table sockets;
	struct table requests; /* HTTP requests */
	struct rates rates;    /* what users broadcast */
	struct presences presences;
	struct seats seats;   /* sockets of addresses and of users */
	struct tokens tokens; /* of channels and joins */
	struct address_rules *proxies;
	struct replays replays;
	struct delays delays;
	uint64_t next_id;
	uv_timer_t *timer;
	struct questions questions; /* to the database, that wait */
	int asking;                 /* that are under way */
	int rights_left;            /* rights that may be asked for again in this second */
	struct refusals refused;    /* by it, a moment ago */
	size_t waiting_bytes;       /* of messages that wait for it */
	struct socket *to_write;    /* at the end of this turn of the loop */
	uv_prepare_t *writer;
	size_t receiving;           /* bytes kept for frames that sockets send */
	struct admission *admitted; /* only while websockets_upgrade runs */
	struct log_pace refusals[REFUSALS];
	struct log_pace full;
	struct log_pace crowded; /* addresses and users */
	bool pressure;           /* it is at its memory limit */
	uint64_t looked_at;      /* at that; loop time */
	uv_check_t *turn;
	struct log_pace pressed;
	struct log_pace slow;
	struct log_pace too_many; /* messages of a user */
	struct log_pace floods;   /* of sockets */
	struct embedded_metrics metrics;
	struct log_pace handshakes;
};

struct channel
{
	struct entry entry; /* key: channel_key */
	struct subscription *first;
};

enum may_write
{
	WRITE_UNKNOWN, /* until the answer to the first push */
	WRITE_YES,
	WRITE_NO
};

struct subscription
{
	uint64_t id;
	struct subscription *next_on_channel;
	struct subscription *
		*link_on_channel; /* what points here, so that it leaves a long list at once */
	struct subscription *next_on_socket;
	struct channel *channel;
	struct socket *socket;
	char *topic;    /* without prefix */
	char *join_ref; /* JSON text */
	bool is_private;
	bool ack;
	bool self;
	enum may_write may_write; /* by the token of this number */
	int token_number;         /* counts the tokens that it had, and changes of rights */
	int checks;               /* pushes and tokens that wait for the answer */
	uint64_t rights_at; /* loop time at which it was asked for; 0: to be asked for again soon */
	struct presence_member *presence; /* NULL: it has nothing to do with it (yet) */
	struct replay *replay;            /* NULL: nothing was replayed, or is to be */
	struct token *token;              /* NULL: none is verified yet */
};

struct join;

struct socket
{
	struct entry entry; /* key: id */
	struct embedded *embedded;
	struct lws *wsi;
	uint64_t id;
	enum serializer serializer;
	char *token; /* as given in the URL */
	struct seat *address_seat, *user_seat;
	struct subscription *subscriptions;
	struct join *joins; /* that wait for the database */
	uint64_t second;    /* loop time at which the second began that joins are counted in */
	int joins_asked;    /* in it */
	int delayed;        /* refusals that it will be told */
	unsigned char *in;  /* frame being received */
	size_t in_len;
	size_t in_size;
	struct outbox out;
	size_t behind;       /* bytes in out before this turn of the loop */
	uint64_t slow_since; /* loop time; 0: it keeps up, or nobody has looked */
	bool waits;          /* for the kernel to take more */
	bool unheeded;       /* not read from, for it does not read */
	bool to_write;       /* in the list of those to be written to */
	struct socket *next_to_write;
	uint64_t heard_at; /* loop time of the last frame */
	struct flow flow;
	bool trusted;   /* it has brought a token of the service: what it sends is not bounded */
	int close_code; /* not 0: to be closed */
};

/* embedded.c */
void embedded_refused_join(struct embedded *embedded, enum refusal refusal, const char *topic);
/* Counts and logs a message that its user may not send now. */
void embedded_refused_rate(struct embedded *embedded, const char *topic);

/* channel.c */
#define CHANNEL_KEY (MAX_TOPIC + 2)
/* Public and private channels of one name are two channels. False: the topic is longer than one may be. */
bool channel_key(char key[CHANNEL_KEY], const char *topic, bool is_private);
/* NULL: nobody is on it. */
struct channel *channel_find(struct embedded *embedded, const char *topic, bool is_private);
void channel_subscribe(struct embedded *embedded, struct subscription *subscription);
void channel_unsubscribe(struct embedded *embedded, struct subscription *subscription);
/* Sends to every subscriber of the topic but one. */
void channel_broadcast(struct embedded *embedded, bool is_private,
					   const struct broadcast *broadcast, const struct subscription *except);

/* The same, and to the clients of other endpoints. Events of the log reach these by themselves. */
void channel_publish(struct embedded *embedded, bool is_private, const struct broadcast *broadcast,
					 const struct subscription *except);

/* admission.c */
/* Decides on a handshake: 101, and *admission is filled, or a refusal. */
struct reply socket_admit(struct embedded *embedded, const struct exchange *exchange,
						  struct admission **admission);
void admission_free(struct embedded *embedded, struct admission *admission);
/* Counts a socket for the user of a good token that it brings; false: the user has as many as it may. */
bool socket_count_user(struct socket *socket, const struct jwt *token);

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
void
protocol_drop(struct socket *socket); /* forgets subscriptions and joins, at the connection's end */
void protocol_check_tokens(struct socket *socket);

/* Ends it at once, in the middle of what it does not take. */
void socket_give_up(struct socket *socket);

/* pressure.c */
void pressure_start(struct embedded *embedded);
/* Judges how much memory there is, and closes readers where there is none left. */
void pressure_look(struct embedded *embedded);
/* What one part may have: so many bytes, and no more than a quarter of the limit. */
size_t pressure_share(const struct embedded *embedded, size_t most);

/* subscription.c */
#define ALONE_TEXT (ID_TEXT + 8)
/* Who it is whose rates are kept: the token's sub or, in the text given, the socket alone. */
const char *subscription_user(const struct subscription *subscription, char alone[ALONE_TEXT]);
struct subscription *subscription_find(struct socket *socket, const char *topic);
/* By the ids of both; NULL: one is gone. */
struct subscription *
subscription_find_by_id(struct embedded *embedded, uint64_t socket_id, uint64_t id);
void subscription_free(struct subscription *subscription);
/* Takes it off its channel and its socket, and frees it. */
void subscription_remove(struct subscription *subscription);
/* The same, with phx_close. */
void subscription_close(struct subscription *subscription);
/* The same, with a system error of two parts before it. */
void subscription_fail(struct subscription *subscription, const char *text, const char *detail);
/* Sends a system event that is no error. */
void subscription_tell(struct subscription *subscription, const char *text);
/* What is wrong with a token, as channels are told it. */
void token_error(char *text, size_t size, const char *error, const struct jwt *jwt);

/* reply.c */
#define UNMATCHED "unmatched topic"
void reply_ok(struct socket *socket, const struct frame *frame, const char *response);
/* {"reason": both parts}, as a message. */
struct message *reply_print_error(const struct socket *socket, const struct frame *frame,
								  const char *reason, const char *detail);
void reply_error(struct socket *socket, const struct frame *frame, const char *reason,
				 const char *detail);
void reply_unmatched(struct socket *socket, const struct frame *frame);

/* join.c */
void join_begin(struct socket *socket, struct frame *frame); /* takes over the frame */
/* A leave that came before the answer to the join that it is about; takes over the frame if so. */
bool join_leave(struct socket *socket, struct frame *frame);
void join_forget(struct socket *socket);

/* rights.c */
/* Asks again whether a subscription's token may read its private channel, and closes it if not; too many at a time do so, too. */
void rights_renew(struct subscription *subscription);
/* A conversation has another owner or agent, or is gone: asks for whoever has joined its topics. */
void rights_changed(struct embedded *embedded, const char *conversation);
/* Begins a second, in which so many are asked for. */
void rights_tick(struct embedded *embedded);
/* Asks for those of a socket that nobody has asked for in five minutes. */
void rights_check(struct socket *socket);

/* push.c */
void push_handle(struct subscription *subscription, struct frame *frame);

/* access.c */
typedef void (*access_answer)(void *arg, struct embedded *embedded, bool allowed, bool known);
/* Asks chat.can_join; known is false when the database cannot be asked. */
void access_ask(struct embedded *embedded, const char *topic, const struct jwt *token, bool write,
				access_answer answer, void *arg);
bool access_is_service(const struct jwt *token);
/* Whether events or presence of the database come on it. */
bool access_is_ours(const char *topic);
/* A topic on which nobody but the service broadcasts: what arrives there is an event. */
bool access_is_reserved(const char *topic);

/* request.c */
/* Answers a request that waited, if it is still there; takes over reply.body. */
void request_answer(struct embedded *embedded, uint64_t request_id, struct reply reply);

/* broadcast.c */
/* Broadcasts events that the core read, in the form of link_batch.h. False: they are none. */
bool broadcast_events(struct embedded *embedded, const char *body, size_t len);
/* HTTP requests that are read completely. Status 0: comes later, by request_answer. */
struct reply
broadcast_batch(struct embedded *embedded, const struct jwt *token, const char *body, size_t len);
struct reply broadcast_single(struct embedded *embedded, uint64_t request_id,
							  const struct jwt *token, const char *topic, const char *event,
							  bool octets, bool is_private, const char *body, size_t len);

#endif
