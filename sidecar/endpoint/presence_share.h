/*
 * Presences between endpoints: tells the others what this endpoint's clients track, and keeps what theirs do where it is looked for
 * (presence_channel.h). relay.h has the connection, and says who takes part.
 *
 * The table has the newest state of each presence: what was missed is read later, and nothing is lost for long. An endpoint that
 * was away begins anew, as somebody else with the same presences.
 */
#ifndef SIDECAR_PRESENCE_SHARE_H
#define SIDECAR_PRESENCE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

struct db;
struct embedded;
struct metrics;
struct presence_share;
struct shared_presence;

/* An endpoint that nobody has heard of for as long is gone, as chat.relay_join has it. */
#define ENDPOINT_GONE_MS 6000

struct presence_share *presence_share_create(struct embedded *embedded);
/* Forgets the others' presences without a word. */
void presence_share_destroy(struct presence_share *share);
void presence_share_register_metrics(struct metrics *metrics);

/* The endpoint takes part, under this name. peers: an array of the others' names, as a text. newest: the version that there is. */
void presence_share_joined(struct presence_share *share, struct db *db, const char *name,
						   const char *peers, int64_t newest);
/* There may be something to be read. */
void presence_share_rung(struct presence_share *share);
void presence_share_lost(struct presence_share *share);
/* From time to time: without a connection the others are gone at last. */
void presence_share_tick(struct presence_share *share);
/* Whether anything of it may have reached the others. */
bool presence_share_is_public(const struct presence_share *share);
/* A presence of this endpoint's has changed; NULL: it left. */
void presence_share_changed(struct presence_share *share, uint64_t number,
							const struct shared_presence *presence);

#endif
