/*
 * Working as the owner of a table; see owner.h.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "owner.h"

PG_FUNCTION_INFO_V1(chat_outer_role);
PG_FUNCTION_INFO_V1(chat_acting_role_sql);

/* The owner as whom we work, if we do. */
static Oid acting = InvalidOid;

Oid
chat_acting_role(void)
{
	return OidIsValid(acting) ? acting : GetOuterUserId();
}

Oid
chat_table_owner(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no table with oid %u", relid)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* After an error the identity is put back by whatever ends the transaction or its part, as are settings. */
void
chat_as_owner(Oid relid, bool reads, void (*work)(void *arg), void *arg)
{
	Oid owner = chat_table_owner(relid);
	Oid user, outer = acting;
	int context, guc_level;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS |
									  (reads ? SECURITY_RESTRICTED_OPERATION : 0));
	guc_level = NewGUCNestLevel();
	acting = owner;
	PG_TRY();
	{
		work(arg);
	}
	PG_FINALLY();
	{
		acting = outer;
	}
	PG_END_TRY();
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(user, context);
}

/* SQL: chat.outer_role() */
Datum
chat_outer_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(GetOuterUserId());
}

/* SQL: chat.acting_role() */
Datum
chat_acting_role_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(chat_acting_role());
}
