/*
 * Names of tables; see names.h.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "names.h"

static void
report_gone(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no table with oid %u", relid)));
}

char *
chat_schema_of(Oid relid)
{
	char *schema = get_namespace_name(get_rel_namespace(relid));

	if (schema == NULL)
		report_gone(relid);
	return schema;
}

char *
chat_name_of(Oid relid)
{
	char *schema = chat_schema_of(relid);
	char *name = get_rel_name(relid);

	if (name == NULL)
		report_gone(relid);
	return quote_qualified_identifier(schema, name);
}
