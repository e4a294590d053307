/*
 * What a REALTIME_KEY says of itself. Realtime takes messages with a key that may not send them, answers that they are
 * accepted, and gives them to nobody: so the key is looked at before anything is sent. No I/O.
 */
#ifndef SIDECAR_REALTIME_KEY_H
#define SIDECAR_REALTIME_KEY_H

#include <stdbool.h>
#include <stdint.h>

/* What is wrong with a key, static; NULL: nothing that shows. now: Unix seconds. Its signature only Realtime can check. */
const char *realtime_key_fault(const char *key, int64_t now);

/* Whether it is a secret key of a gateway, which says nothing of itself. */
bool realtime_key_is_opaque(const char *key);

#endif
