/*
 * What it means that a batch could not be inserted into realtime.messages. No I/O.
 */
#ifndef SIDECAR_REALTIME_INSERTION_H
#define SIDECAR_REALTIME_INSERTION_H

#include "realtime/realtime_transport.h"

/* sqlstate: "" where the connection was lost. has_constraint: the error names a constraint that was violated. */
enum verdict_kind insertion_judge(const char *sqlstate, bool has_constraint);

/* Whether there is no partition for the rows, of which an error says no more than that a check failed. */
bool insertion_lacks_partition(const char *sqlstate, bool has_constraint);

/* What to look at; otherwise: where there is nothing to be said of realtime.messages. */
const char *insertion_hint(const char *sqlstate, bool of_function, const char *otherwise);

#endif
