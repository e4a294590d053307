/*
 * Who calls; see claims.h. In C, since each API call asks, and each message that a user writes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "attachment.h"
#include "claims.h"
#include "json_members.h"
#include "owner.h"

PG_FUNCTION_INFO_V1(chat_current_user_id);
PG_FUNCTION_INFO_V1(chat_is_service_caller);

/* A setting of PostgREST's; NULL: it is not set. */
static const char *
request_setting(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value == NULL || *value == '\0' ? NULL : value;
}

bool
chat_has_claims(void)
{
	return request_setting("request.jwt.claim.sub") != NULL ||
		   request_setting("request.jwt.claims") != NULL;
}

char *
chat_caller_user(void)
{
	const char *user = request_setting("request.jwt.claim.sub");
	const char *claims;
	char *member;

	if (user != NULL)
		return pstrdup(user);
	claims = request_setting("request.jwt.claims");
	if (claims == NULL)
		return NULL;
	member = chat_json_member(
		DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(claims))), "sub");
	return member == NULL || *member == '\0' ? NULL : member;
}

/* True when a role may use the rights of one that is named in chat.backend_role. A plain scan checks no privilege. */
static bool
is_backend(Oid role)
{
	Relation relation = table_open(chat_own_table("backend_role"), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple row;
	bool found = false;

	while (!found && (row = systable_getnext(scan)) != NULL)
	{
		bool isnull;
		Oid backend = get_role_oid(
			NameStr(*DatumGetName(SPI_getbinval(row, RelationGetDescr(relation), 1, &isnull))),
			true);

		found = OidIsValid(backend) && has_privs_of_role(role, backend);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return found;
}

bool
chat_is_service(Oid role)
{
	return has_bypassrls_privilege(role) || is_backend(role);
}

/* SQL: chat.current_user_id() */
Datum
chat_current_user_id(PG_FUNCTION_ARGS)
{
	char *user = chat_caller_user();

	if (user == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(user));
}

/* SQL: chat.is_service_caller() */
Datum
chat_is_service_caller(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(chat_is_service(chat_acting_role()));
}
