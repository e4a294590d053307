/*
 * Where a connection goes: DATABASE_URL taken apart and completed. The name in it is resolved by the caller
 * (without blocking), and put back as addresses; the name itself stays for the verification of TLS.
 */
#ifndef SIDECAR_DB_TARGET_H
#define SIDECAR_DB_TARGET_H

#include <libpq-fe.h>
#include <netdb.h>

struct db_target;

/* NULL: the URL cannot be parsed. */
struct db_target *db_target_create(const char *url, const char *application_name);
void db_target_destroy(struct db_target *target);

/*
 * The host name that must be resolved first. NULL: none, because it is a socket directory, an address, or
 * several hosts (these libpq resolves itself, which can block).
 */
const char *db_target_name(const struct db_target *target);

/* Starts to connect; addresses of the name in the order to try, or NULL. */
PGconn *db_target_connect(const struct db_target *target, const struct addrinfo *addresses);

/* Starts another connection to the very server that one is connected to. */
PGconn *db_target_connect_beside(const struct db_target *target, const PGconn *conn);

#endif
