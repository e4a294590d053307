/*
 * For which address a connection counts. No I/O.
 *
 * This machine's own programs and the proxies that are trusted count for nobody: where they forward somebody, the last
 * address of X-Forwarded-For that is none of theirs does. What comes before that one anybody may have written.
 */
#ifndef SIDECAR_ENDPOINT_VISITOR_H
#define SIDECAR_ENDPOINT_VISITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "io/address.h"
#include "io/request_head.h"

#define VISITOR_SIZE 64

/* Writes the address; of IPv6, where one has many, the network of 64 bits. False: it counts for nobody. */
bool visitor_address(const struct address_rules *proxies, const struct sockaddr *peer,
					 struct slice forwarded, char text[VISITOR_SIZE]);

#endif
