/*
 * See findings.h.
 */
#include "watch/findings.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define SUBJECT_COLUMNS 18
#define INDENT 27 /* of the lines after the first */
#define COLUMNS 80
#define TEXT_MAX 2048

static const char *const words[] = {"good", "info", "warning", "error"};

struct finding
{
	struct finding *next;
	enum severity severity;
	char *subject, *text, *mend;
};

struct findings
{
	struct finding *first, **last;
	enum severity worst;
};

struct findings *
findings_create(void)
{
	struct findings *findings = xcalloc(1, sizeof(*findings));

	findings->last = &findings->first;
	return findings;
}

void
findings_free(struct findings *findings)
{
	for (struct finding *finding = findings->first, *next; finding != NULL; finding = next)
	{
		next = finding->next;
		free(finding->subject);
		free(finding->text);
		free(finding->mend);
		free(finding);
	}
	free(findings);
}

static char *
clean(const char *text)
{
	return text_copy(text, strlen(text), TEXT_MAX, TEXT_LINE);
}

void
findings_add(struct findings *findings, enum severity severity, const char *subject,
			 const char *mend, const char *format, ...)
{
	struct finding *finding = xcalloc(1, sizeof(*finding));
	char text[TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	finding->severity = severity;
	finding->subject = clean(subject);
	finding->text = clean(text);
	finding->mend = mend != NULL && *mend != '\0' ? clean(mend) : NULL;
	if (severity > findings->worst)
		findings->worst = severity;
	*findings->last = finding;
	findings->last = &finding->next;
}

enum severity
findings_severity(const char *word)
{
	for (enum severity severity = FOUND_ERROR; severity > FOUND_GOOD; severity--)
	{
		if (strcmp(words[severity], word) == 0)
			return severity;
	}
	return FOUND_INFO;
}

enum severity
findings_worst(const struct findings *findings)
{
	return findings->worst;
}

/* Prints words until the line is full, and goes on in the next one; a word that is longer than a line stays whole. */
static void
print_wrapped(FILE *out, const char *text)
{
	int column = INDENT;

	while (*text != '\0')
	{
		int len = (int) strcspn(text, " ");

		if (column > INDENT && column + 1 + len > COLUMNS)
		{
			fprintf(out, "\n%*s", INDENT, "");
			column = INDENT;
		}
		column += fprintf(out, "%s%.*s", column > INDENT ? " " : "", len, text);
		text += len + (text[len] == ' ');
	}
	fputc('\n', out);
}

void
findings_print(const struct findings *findings, FILE *out)
{
	for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next)
	{
		if (fprintf(out, "%-7s %-*s ", words[finding->severity], SUBJECT_COLUMNS,
					finding->subject) > INDENT)
			fprintf(out, "\n%*s", INDENT, "");
		print_wrapped(out, finding->text);
		/* Whole, to be copied. */
		if (finding->mend != NULL)
			fprintf(out, "%*s→ %s\n", INDENT, "", finding->mend);
	}
}

void
findings_print_json(const struct findings *findings, FILE *out)
{
	json_t *list = json_array();

	for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next)
		json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s?}", "severity",
											  words[finding->severity], "subject", finding->subject,
											  "text", finding->text, "mend", finding->mend));
	json_dumpf(list, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(list);
}
