/*
 * Members of JSON objects as text; see json_members.h.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "json_members.h"

char *
chat_json_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvBinary:
			return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
		default:
			return NULL;
	}
}

bool
chat_json_find(Jsonb *object, const char *key, JsonbValue *value)
{
	return JB_ROOT_IS_OBJECT(object) &&
		   getKeyJsonValueFromContainer(&object->root, key, strlen(key), value) != NULL;
}

char *
chat_json_member(Jsonb *object, const char *key)
{
	JsonbValue value;

	return chat_json_find(object, key, &value) ? chat_json_text(&value) : NULL;
}
