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
	LOG_ERROR,
	LOG_OFF /* nothing is logged */
};

void log_setup(bool json, enum log_level least);

/*
 * log_event(LOG_WARN, "delivery failed", "event_id", "%lld", id, "status", "%d", status, NULL);
 * After the message come up to seven triples (key, format of one value, value); the list ends with NULL. A format that
 * is an integer or %.3f conversion is written as a JSON number, any other as a string. A value is exactly one argument
 * of the type its format names: %s, %d, %ld, %lld, %zu or %.Nf. The compiler sees to it.
 */
void log_event(enum log_level level, const char *message, ...) __attribute__((sentinel));

#define log_event(level, ...)                                                                      \
	do                                                                                             \
	{                                                                                              \
		if (0)                                                                                     \
		{                                                                                          \
			LOG_FITS(__VA_ARGS__)                                                                  \
		}                                                                                          \
		(log_event)(level, __VA_ARGS__);                                                           \
	} while (0)

/* Never called. */
int log_fits(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define LOG_FITS(message, ...)                                                                     \
	LOG_NTH(__VA_ARGS__, LOG_7, , , LOG_6, , , LOG_5, , , LOG_4, , , LOG_3, , , LOG_2, , , LOG_1,  \
			, , LOG_0, )                                                                           \
	(__VA_ARGS__)
#define LOG_NTH(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, name, ...) name
#define LOG_0(end)
#define LOG_1(key, format, value, ...)                                                             \
	(void) log_fits("" format "", value);                                                          \
	LOG_0(__VA_ARGS__)
#define LOG_2(key, format, value, ...)                                                             \
	(void) log_fits("" format "", value);                                                          \
	LOG_1(__VA_ARGS__)
#define LOG_3(key, format, value, ...)                                                             \
	(void) log_fits("" format "", value);                                                          \
	LOG_2(__VA_ARGS__)
#define LOG_4(key, format, value, ...)                                                             \
	(void) log_fits("" format "", value);                                                          \
	LOG_3(__VA_ARGS__)
#define LOG_5(key, format, value, ...)                                                             \
	(void) log_fits("" format "", value);                                                          \
	LOG_4(__VA_ARGS__)
#define LOG_6(key, format, value, ...)                                                             \
	(void) log_fits("" format "", value);                                                          \
	LOG_5(__VA_ARGS__)
#define LOG_7(key, format, value, ...)                                                             \
	(void) log_fits("" format "", value);                                                          \
	LOG_6(__VA_ARGS__)

#endif
