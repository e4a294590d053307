/*
 * The files of the page (console/page/), as they are in the binary.
 */
#ifndef SIDECAR_CONSOLE_FILES_H
#define SIDECAR_CONSOLE_FILES_H

#include <stdbool.h>

#include "io/listener.h"

/* The answer with a file; false: the path is none. */
bool console_file(struct slice path, struct reply *reply);

#endif
