/*
 * chat-sidecar doctor: examines everything that the sidecar needs, with the settings that it would run with, and prints
 * what is wrong and the command that mends it. It changes nothing.
 */
#ifndef SIDECAR_DOCTOR_H
#define SIDECAR_DOCTOR_H

#define DOCTOR_COMMAND "doctor"

/* argv[1] is its name. Answers the process's exit status: 0, 1: an error was found, 2: bad options or settings. */
int doctor_command(int argc, char **argv);

#endif
