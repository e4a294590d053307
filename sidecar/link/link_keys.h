/*
 * What the endpoint verifies tokens with beside its secrets, as the core reads it from files and asks for it: the JWKS, and
 * the API keys. Each is checked here; what is not good is left where it is, with a line in the log.
 */
#ifndef SIDECAR_LINK_KEYS_H
#define SIDECAR_LINK_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "app.h"

struct link_keys;

/* Reads the files, and asks for the JWKS if it is at a URL: at once, every 5 minutes, sooner where it fails. changed: there are other ones; never called from within these functions. */
struct link_keys *link_keys_create(struct app *app, void (*changed)(void *arg), void *arg);
/* Frees itself when its timer is closed. */
void link_keys_destroy(struct link_keys *keys);

/* Reads and asks again. */
void link_keys_reload(struct link_keys *keys);

/* Never NULL; "": there are none, or none yet. */
const char *link_keys_jwks(const struct link_keys *keys);
const char *link_keys_api_keys(const struct link_keys *keys);

/* Says what is wrong with a value of EMBEDDED_JWKS or EMBEDDED_API_KEYS as far as that can be said without a network. */
bool link_keys_check_jwks(const char *where, char *error, size_t size);
bool link_keys_check_api_keys(const char *path, char *error, size_t size);

/* The text of a file, malloc'ed; "" for NULL, for a URL, and for a file that cannot be read. */
char *link_keys_read(const char *where);

#endif
