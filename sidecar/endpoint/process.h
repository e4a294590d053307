/*
 * The endpoint's process: what main does when the core has started it.
 */
#ifndef SIDECAR_ENDPOINT_PROCESS_H
#define SIDECAR_ENDPOINT_PROCESS_H

/* parent: the id of the core's process, as text. Answers the status to end with. */
int endpoint_process(char **argv, const char *parent);

#endif
