/*
 * API keys: "csk_", 6 characters that name the key, 43 that are its 256 random bits, 6 of CRC-32 over what precedes; all
 * but the first four are base62 (0-9, A-Z, a-z). Stored is the hash in hexadecimal: SHA-256, or HMAC-SHA-256 with a
 * pepper that the database does not hold.
 */
#ifndef CHAT_APIKEY_H
#define CHAT_APIKEY_H

#include "postgres.h"

#define CHAT_KEY_LENGTH 59
#define CHAT_KEY_HASH_LENGTH 64

extern char *chat_key_pepper;     /* empty: none */
extern char *chat_key_pepper_old; /* keys hashed with it are good still; empty: plain SHA-256 are */
extern uint64 chat_key_peppers;   /* changes when one of them does */

/* Defines the settings of the peppers. */
extern void chat_apikey_init(void);

/* Form and checksum; key: CHAT_KEY_LENGTH bytes. */
extern bool chat_key_is_well_formed(const char *key);
/* The hash of a well-formed key, CHAT_KEY_HASH_LENGTH characters and a terminating zero. */
extern void chat_key_hash(const char *key, const char *pepper, char *hash);

#endif
