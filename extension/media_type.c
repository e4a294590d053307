/*
 * Lists of media types; see media_type.h. An entry is type/subtype with the characters of RFC 6838, and may end in a
 * star somewhere after its slash, which then stands for any characters: application/vnd.oasis.opendocument.*
 */
#include "media_type.h"

#include <string.h>
#include <strings.h>

#define SPACES " \t\r\n"

/* Moves *list past the next entry and returns that, without the spaces around it; NULL at the end. */
static const char *
next_entry(const char **list, size_t *length)
{
	const char *entry = *list;

	if (entry == NULL)
		return NULL;
	*length = strcspn(entry, ",");
	*list = entry[*length] == ',' ? entry + *length + 1 : NULL;
	while (*length > 0 && strchr(SPACES, *entry) != NULL)
	{
		entry++;
		(*length)--;
	}
	while (*length > 0 && strchr(SPACES, entry[*length - 1]) != NULL)
		(*length)--;
	return entry;
}

/* Length of the name (type or subtype) at the start of a text. */
static size_t
name_length(const char *text, size_t length)
{
	static const char others[] = "!#$&-^_.+";
	size_t n = 0;

	while (n < length &&
		   ((text[n] >= '0' && text[n] <= '9') || (text[n] >= 'a' && text[n] <= 'z') ||
			(text[n] >= 'A' && text[n] <= 'Z') ||
			memchr(others, text[n], sizeof(others) - 1) != NULL))
		n++;
	return n;
}

static bool
entry_is_valid(const char *entry, size_t length)
{
	size_t type = name_length(entry, length);
	size_t subtype;

	if (type == 0 || type == length || entry[type] != '/')
		return false;
	subtype = type + 1 + name_length(entry + type + 1, length - type - 1);
	if (subtype < length && entry[subtype] == '*')
		return subtype + 1 == length;
	return subtype == length && subtype > type + 1;
}

const char *
chat_media_types_check(const char *list, size_t *length)
{
	const char *entry;

	if (strspn(list, SPACES) == strlen(list))
		return NULL; /* none is allowed */
	while ((entry = next_entry(&list, length)) != NULL)
	{
		if (!entry_is_valid(entry, *length))
			return entry;
	}
	return NULL;
}

bool
chat_media_type_allowed(const char *list, const char *type)
{
	size_t length, type_length;
	const char *entry;

	type += strspn(type, SPACES);
	type_length = strcspn(type, ";");
	while (type_length > 0 && strchr(SPACES, type[type_length - 1]) != NULL)
		type_length--;
	while ((entry = next_entry(&list, &length)) != NULL)
	{
		if (length > 0 && entry[length - 1] == '*')
		{
			if (type_length > length - 1 && strncasecmp(entry, type, length - 1) == 0)
				return true;
		}
		else if (length > 0 && length == type_length && strncasecmp(entry, type, length) == 0)
			return true;
	}
	return false;
}
