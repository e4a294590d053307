/*
 * chat-sidecar token: prints a token that the embedded endpoint takes, or says what is wrong with one.
 */
#ifndef SIDECAR_TOKEN_COMMAND_H
#define SIDECAR_TOKEN_COMMAND_H

#define TOKEN_COMMAND "token"

/* argv[1] is its name. Answers the process's exit status: 0, 1: the token that was to be checked is not good, 2: bad options or settings. */
int token_command(int argc, char **argv);

#endif
