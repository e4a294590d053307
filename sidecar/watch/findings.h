/*
 * What an examination found: each with a severity, what it is about, a sentence, and the command that mends it. No I/O but
 * printing.
 */
#ifndef SIDECAR_FINDINGS_H
#define SIDECAR_FINDINGS_H

#include <stdbool.h>
#include <stdio.h>

enum severity
{
	FOUND_GOOD,
	FOUND_INFO,
	FOUND_WARNING,
	FOUND_ERROR
};

struct findings;

struct findings *findings_create(void);
void findings_free(struct findings *findings);

/* All are copied and made fit for a terminal; mend: NULL or "" where there is no command. */
void findings_add(struct findings *findings, enum severity severity, const char *subject,
				  const char *mend, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The severity of a word of the database: error, warning, info. */
enum severity findings_severity(const char *word);

enum severity findings_worst(const struct findings *findings);

/* Lines of at most 80 columns where words allow it. */
void findings_print(const struct findings *findings, FILE *out);
/* An array of {severity, subject, text, mend}. */
void findings_print_json(const struct findings *findings, FILE *out);

#endif
