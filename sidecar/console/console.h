/*
 * A page on the health port that shows how deliveries do: its files are in the binary, what it shows is one JSON text.
 *
 * What can be counted is shown on loopback to whoever asks; webhooks' rows, which hold what users and receivers wrote, to
 * who has the token, and so is everything beyond loopback. What writes needs the token anywhere.
 */
#ifndef SIDECAR_CONSOLE_H
#define SIDECAR_CONSOLE_H

#include "app.h"

struct console;

/* A part of app->server, unless CONSOLE is off; then NULL. */
struct console *console_create(struct app *app);
/* When the server's connections are closed. Frees itself when its handles are. */
void console_destroy(struct console *console);

#endif
