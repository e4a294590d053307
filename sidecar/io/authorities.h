/*
 * Files of certificates of authorities.
 */
#ifndef SIDECAR_AUTHORITIES_H
#define SIDECAR_AUTHORITIES_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a file can be read and has certificates, PEM, all of them good. false: error says what is wrong. */
bool authorities_check(const char *path, char *error, size_t size);

#endif
