/*
 * The environment that the endpoint is started with: settings that are no secrets, and the little that libraries want.
 * No I/O.
 */
#ifndef SIDECAR_LINK_ENVIRONMENT_H
#define SIDECAR_LINK_ENVIRONMENT_H

#include "config.h"

/* own: what this process has (environ). The list and its texts are malloc'ed. */
char **link_environment_create(const struct config *config, char *const *own);
void link_environment_free(char **environment);

#endif
