/* The JSON reader: what it accepts can be walked to the last member and element. */
#include <stdint.h>
#include <stdlib.h>

#include "endpoint/json_scan.h"

static void
walk(struct json value)
{
	struct json rest = value;
	struct json key, member;

	(void) json_is_true(value);
	free(json_text(value));
	if (json_type(value) == '{')
	{
		while (json_next_member(&rest, &key, &member))
		{
			walk(key);
			walk(member);
		}
		(void) json_member(value, "payload");
	}
	else if (json_type(value) == '[')
	{
		while (json_next_element(&rest, &member))
			walk(member);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json value;

	if (json_validate((const char *) data, size, &value))
		walk(value);
	return 0;
}
