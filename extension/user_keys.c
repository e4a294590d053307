/*
 * What the owner's and the agent's column of a pair of tables hold for a user; see user_keys.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "input.h"
#include "place.h"
#include "plans.h"
#include "user_keys.h"

PG_FUNCTION_INFO_V1(chat_user_keys_sql);
PG_FUNCTION_INFO_V1(chat_user_is_unknown);
PG_FUNCTION_INFO_V1(chat_user_has_conversations);
PG_FUNCTION_INFO_V1(chat_pair_of_user);

static const ChatUserMapping *
mapping_of(const ChatAttachment *attachment, ChatRole role)
{
	return role == CHAT_C_OWNER ? &attachment->owner : &attachment->agent;
}

/* A text could be a user's id there. */
static bool
fits(const ChatAttachment *attachment, ChatRole role, const char *user)
{
	const ChatUserMapping *mapping = mapping_of(attachment, role);

	return mapping->table == NULL ? chat_key_fits(attachment->conversations, mapping->column, user)
								  : chat_key_fits(mapping->relid, mapping->user, user);
}

ArrayType *
chat_user_keys(ChatAttachment *attachment, ChatRole role, const char *user)
{
	ChatArgument given = chat_text_given(user);
	Datum keys;
	bool isnull;

	if (!fits(attachment, role, user))
		return NULL;
	if (mapping_of(attachment, role)->table == NULL)
	{
		Datum key = CStringGetTextDatum(user);

		return construct_array(&key, 1, TEXTOID, -1, false, TYPALIGN_INT);
	}
	SPI_connect();
	(void) chat_plan_run_given(attachment,
							   role == CHAT_C_OWNER ? CHAT_PLAN_OWNER_KEYS : CHAT_PLAN_AGENT_KEYS,
							   0, 1, &given);
	keys = chat_plan_first(TEXTARRAYOID, &isnull);
	SPI_finish();
	return isnull ? NULL : DatumGetArrayTypeP(keys);
}

/* A conversation of the pair has the user in a role. */
static bool
has_conversations(ChatAttachment *attachment, ChatRole role, const char *user)
{
	ArrayType *keys = chat_user_keys(attachment, role, user);
	ChatArgument given = {TEXTARRAYOID, PointerGetDatum(keys), false};
	Datum has;
	bool isnull;

	if (keys == NULL || attachment->missing != CHAT_ROLES)
		return false;
	SPI_connect();
	(void) chat_plan_run_given(
		attachment, role == CHAT_C_OWNER ? CHAT_PLAN_OWNS : CHAT_PLAN_IS_AGENT, 0, 1, &given);
	has = chat_plan_first(BOOLOID, &isnull);
	SPI_finish();
	return !isnull && DatumGetBool(has);
}

/* --- SQL ------------------------------------------------------------------------------------------- */

/* The role of a name: owner or agent. */
static ChatRole
role_named(text *name)
{
	ChatRole role = chat_role_named(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));

	if (role != CHAT_C_OWNER && role != CHAT_C_AGENT)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a user is owner or agent, not \"%s\"", text_to_cstring(name))));
	return role;
}

/* SQL: chat.user_keys(attachment, role, user_id) */
Datum
chat_user_keys_sql(PG_FUNCTION_ARGS)
{
	ArrayType *keys =
		chat_user_keys(chat_attachment_peek(PG_GETARG_INT32(0)), role_named(PG_GETARG_TEXT_PP(1)),
					   text_to_cstring(PG_GETARG_TEXT_PP(2)));

	if (keys == NULL)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(keys);
}

/* SQL: chat.user_has_conversations(attachment, role, user_id) */
Datum
chat_user_has_conversations(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(has_conversations(chat_attachment_peek(PG_GETARG_INT32(0)),
									 role_named(PG_GETARG_TEXT_PP(1)),
									 text_to_cstring(PG_GETARG_TEXT_PP(2))));
}

/* SQL: chat.user_is_unknown(user_id) */
Datum
chat_user_is_unknown(PG_FUNCTION_ARGS)
{
	char *user = text_to_cstring(PG_GETARG_TEXT_PP(0));
	static const ChatRole roles[] = {CHAT_C_OWNER, CHAT_C_AGENT};
	bool could_be = false;
	int count;
	int32 *ids = chat_attachment_ids(&count);

	for (int i = 0; i < 2 * count; i++)
	{
		ChatAttachment *attachment = chat_attachment_peek(ids[i / 2]);

		could_be |= fits(attachment, roles[i % 2], user);
		if (chat_user_keys(attachment, roles[i % 2], user) != NULL)
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(could_be);
}

typedef bool (*Test)(ChatAttachment *attachment, ChatRole role, const char *user);

static bool
has_keys(ChatAttachment *attachment, ChatRole role, const char *user)
{
	return chat_user_keys(attachment, role, user) != NULL;
}

/* The pairs, of so many, of which a test is true in one of the roles: they come first, in order; returns how many. */
static int
choose(int32 *ids, int count, Test test, const char *user, bool agents)
{
	int chosen = 0;

	for (int i = 0; i < count; i++)
	{
		ChatAttachment *attachment = chat_attachment_peek(ids[i]);

		if (test(attachment, CHAT_C_OWNER, user) ||
			(agents && test(attachment, CHAT_C_AGENT, user)))
			ids[chosen++] = ids[i];
	}
	return chosen;
}

/* SQL: chat.pair_of_user(user_id, agents) */
Datum
chat_pair_of_user(PG_FUNCTION_ARGS)
{
	char *user = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool agents = PG_GETARG_BOOL(1);
	int count, known;
	int32 *ids = chat_attachment_ids(&count);

	chat_require_attached();
	known = choose(ids, count, has_keys, user, agents);
	if (known == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no attached table knows the owner \"%s\"", chat_shown(user)),
				 errhint("The owner is a user id of the kind that owns the conversations.")));
	if (known > 1)
		(void) choose(ids, known, has_conversations, user, agents);
	PG_RETURN_INT32(ids[0]);
}
