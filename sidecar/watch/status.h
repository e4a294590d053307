/*
 * chat-sidecar status: what the database and the sidecar on this machine say of themselves, in a table of 80 columns.
 */
#ifndef SIDECAR_STATUS_H
#define SIDECAR_STATUS_H

#define STATUS_COMMAND "status"

/* argv[1] is its name. Answers the process's exit status: 0, 1: the database cannot be asked, 2: bad options or settings. */
int status_command(int argc, char **argv);

#endif
