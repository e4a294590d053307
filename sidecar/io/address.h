/*
 * Which addresses a webhook may be delivered to: rules without any I/O.
 *
 * An address is judged when it is about to be connected to, so that no name can point elsewhere between the
 * check and the connection. Everything that is not plainly a public unicast address is refused, in every
 * form that can wrap one (v4-mapped, NAT64, 6to4, Teredo), and so are the addresses of this host itself.
 * Networks in the list of exemptions are allowed in any case.
 */
#ifndef SIDECAR_ADDRESS_H
#define SIDECAR_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct address_rules;

/*
 * Makes rules with exemptions from a comma separated list such as "10.0.0.0/8, fd00::/8, 127.0.0.1" (NULL:
 * none). When an entry is no address or network, returns NULL and says in error which one.
 */
struct address_rules *address_rules_create(const char *allow_cidrs, char *error, size_t error_size);
void address_rules_destroy(struct address_rules *rules);

/* Replaces what is known of this host's own addresses. */
void address_rules_forget_own(struct address_rules *rules);
void address_rules_add_own(struct address_rules *rules, const struct sockaddr *address);

/* Whether an address is one of the list. */
bool address_exempt(const struct address_rules *rules, const struct sockaddr *address);
/* Answers whether the address may be connected to. Anything but IPv4 and IPv6 may not. */
bool address_allowed(const struct address_rules *rules, const struct sockaddr *address);

#endif
