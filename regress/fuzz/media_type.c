/* Lists of media types: a list, a line feed, a type. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "media_type.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *list = malloc(size + 1);
	char *type;
	size_t length;

	memcpy(list, data, size);
	list[size] = '\0';
	type = strchr(list, '\n');
	if (type != NULL)
		*type++ = '\0';
	if (chat_media_types_check(list, &length) == NULL)
		(void) chat_media_type_allowed(list, type ? type : "image/png");
	free(list);
	return 0;
}
