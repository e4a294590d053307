/*
 * What a conversation shows of a message; see preview.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "preview.h"
#include "row.h"
#include "settings.h"

#define PREVIEW_CHARACTERS 100

/* The label of a type among chat_realtime.preview_labels, with % replaced by the file's name; NULL: none. */
static char *
label_of(const char *labels, const char *type, const char *filename)
{
	size_t length = strlen(type);
	const char *entry = labels;

	while (*entry != '\0')
	{
		size_t entry_length = strcspn(entry, ";");
		StringInfoData label;

		if (entry_length > length && entry[length] == '=' && strncmp(entry, type, length) == 0)
		{
			initStringInfo(&label);
			for (size_t i = length + 1; i < entry_length; i++)
			{
				if (entry[i] == '%')
					appendStringInfoString(&label, filename ? filename : "");
				else
					appendStringInfoChar(&label, entry[i]);
			}
			return label.data;
		}
		entry += entry_length;
		if (*entry == ';')
			entry++;
	}
	return NULL;
}

/* Structured content (coordinates, a vCard) is for programs; a label is for people. */
static bool
content_is_for_people(const char *type, const char *content)
{
	if (content == NULL || *content == '\0')
		return false;
	return type == NULL || (strcmp(type, "location") != 0 && strcmp(type, "contact") != 0);
}

char *
chat_preview(const char *labels, const char *type, const char *content, const char *filename)
{
	const char *text = content;

	if (!content_is_for_people(type, content))
		text = type ? label_of(labels, type, filename) : NULL;
	if (text == NULL)
		text = type != NULL && strcmp(type, "text") == 0 ? "" : "[Media]";
	return pnstrdup(text, pg_mbcharcliplen(text, strlen(text), PREVIEW_CHARACTERS));
}

PG_FUNCTION_INFO_V1(chat_message_preview);

/* SQL: chat.message_preview(type, content, filename, labels) */
Datum
chat_message_preview(PG_FUNCTION_ARGS)
{
	char *arguments[4];

	for (int i = 0; i < 4; i++)
		arguments[i] = chat_datum_text(PG_GETARG_DATUM(i), PG_ARGISNULL(i), TEXTOID);
	PG_RETURN_TEXT_P(
		cstring_to_text(chat_preview(arguments[3] ? arguments[3] : chat_settings.preview_labels,
									 arguments[0], arguments[1], arguments[2])));
}
