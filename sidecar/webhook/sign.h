/*
 * Signatures of webhooks: Standard Webhooks (HMAC-SHA256 over id, time and body, keyed with the decoded
 * secret, and Ed25519 over the same), and the older form over the body alone, keyed with the secret's text.
 */
#ifndef SIDECAR_SIGN_H
#define SIDECAR_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct signer;

/* "v1," and 32 bytes in base64, "v1a," and 64 bytes, "sha256=" and 32 bytes in hexadecimal; with their NUL. */
#define SIGN_STANDARD_SIZE (3 + 44 + 1)
#define SIGN_PUBLIC_SIZE (4 + 88 + 1)
#define SIGN_BODY_SIZE (7 + 64 + 1)

/* A signer holds the state of the algorithm between signatures. NULL: the library lacks it. */
struct signer *signer_create(void);
void signer_destroy(struct signer *signer);

/*
 * Writes the webhook-signature of a message. A secret "whsec_…" is decoded from base64; any other one, or
 * one whose base64 is damaged, is used as the bytes it is. False: the library failed.
 */
bool sign_standard(struct signer *signer, const char *secret, const char *id, int64_t timestamp,
				   const char *body, size_t body_len, char out[SIGN_STANDARD_SIZE])
	__attribute__((warn_unused_result));

/*
 * Writes the other webhook-signature of a message. key: the base64 of an Ed25519 key of 32 bytes. False: it is none, or the
 * library failed.
 */
bool sign_public(const char *key, const char *id, int64_t timestamp, const char *body,
				 size_t body_len, char out[SIGN_PUBLIC_SIZE]) __attribute__((warn_unused_result));

/* Writes the X-Webhook-Signature of a body. */
bool sign_body(struct signer *signer, const char *secret, const char *body, size_t body_len,
			   char out[SIGN_BODY_SIZE]) __attribute__((warn_unused_result));

#endif
