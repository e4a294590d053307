/*
 * Where the canary's WebSocket goes, and with which key: to Realtime as it is configured, or to the embedded endpoint with a
 * token that is made for it. No I/O.
 */
#ifndef SIDECAR_CANARY_TARGET_H
#define SIDECAR_CANARY_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CANARY_TOKEN_S 3600 /* that a token of ours is good for */

struct config;

struct canary_target
{
	char *name; /* of the host, or its address */
	int port;
	bool tls;
	char *host;   /* header */
	char *path;   /* with the key */
	char *token;  /* that is said at the join; NULL: the key is none */
	char *shown;  /* for people, without the key */
	bool expires; /* the token is ours, and must be renewed */
};

/* now: Unix seconds. False: error says why there can be none. */
bool canary_target_make(struct canary_target *target, const struct config *config, int64_t now,
						char *error, size_t size);
void canary_target_free(struct canary_target *target);

#endif
