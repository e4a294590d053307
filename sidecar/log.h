/*
 * Logs: one JSON object a line on stderr, or text for people. Never secrets, keys or bodies.
 */
#ifndef SIDECAR_LOG_H
#define SIDECAR_LOG_H

#include <stdbool.h>

enum log_level
{
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARN,
	LOG_ERROR
};

void log_setup(bool json, enum log_level least);

/*
 * log_event(LOG_WARN, "delivery failed", "event_id", "%lld", id, "status", "%d", status, NULL);
 * After the message come triples (key, format of one value, value); the list ends with NULL. A format of
 * an integer or %.3f conversion is written as a JSON number, any other as a string. A value is exactly one
 * argument of the type its format names: %s, %d, %ld, %lld, %zu or %.Nf.
 */
void log_event(enum log_level level, const char *message, ...) __attribute__((sentinel));

#endif
