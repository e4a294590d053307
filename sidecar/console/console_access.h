/*
 * Who may see what of the console, by the head of the request alone. Pure.
 */
#ifndef SIDECAR_CONSOLE_ACCESS_H
#define SIDECAR_CONSOLE_ACCESS_H

#include <stdbool.h>

#include "config.h"
#include "io/request_head.h"

enum console_access
{
	CONSOLE_REFUSED, /* a wrong token, or none where one is needed */
	CONSOLE_COUNTS,  /* what can be counted */
	CONSOLE_ALL      /* it has the token */
};

/* Whether there is one for this request at all: beyond loopback none without a token. */
bool console_is_open(const struct config *config, const struct request_head *head);
/*
 * Whether Host is one of the console's own names, whatever the port (tunnels have others), and Origin, where there is one, the
 * same as Host: a name that a stranger lets point to this machine is none, and neither is a page of another site.
 */
bool console_is_addressed(const struct config *config, const struct request_head *head);
enum console_access console_access(const struct config *config, const struct request_head *head);

#endif
