/*
 * Which pair of tables a call of the API is about; see place.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "claims.h"
#include "input.h"
#include "merged.h"
#include "names.h"
#include "owner.h"
#include "place.h"
#include "plans.h"

#define MAX_DIGITS 19

PG_FUNCTION_INFO_V1(chat_key_fits_sql);
PG_FUNCTION_INFO_V1(chat_caller_scope_sql);
PG_FUNCTION_INFO_V1(chat_require_attached_sql);
PG_FUNCTION_INFO_V1(chat_require_owner);

char *
chat_caller_scope(char *owner)
{
	char *caller;

	if (chat_is_service(chat_acting_role()))
		return owner;
	caller = chat_caller_user();
	if (caller == NULL || (owner != NULL && strcmp(owner, caller) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only a user itself or a service caller may do this"),
				 errhint("A backend's role becomes a service caller with chat.grant_backend.")));
	return caller;
}

void
chat_require_agents_write(const ChatAttachment *attachment)
{
	if (!attachment->settings.agents_read_only)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("agents only read the conversations of %s",
					chat_name_of(attachment->conversations)),
			 errhint("SELECT chat.configure(%s, '{\"agents_write\": true}') lets them write.",
					 quote_literal_cstr(chat_name_of(attachment->messages)))));
}

void
chat_require_attached(void)
{
	int count;

	pfree(chat_attachment_ids(&count));
	if (count == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("no tables are attached"),
						errhint("Call chat.setup() or chat.attach() first.")));
}

void
chat_require_id(const char *name, const char *id, bool known)
{
	if (id == NULL)
		chat_bad_input(ERRCODE_NULL_VALUE_NOT_ALLOWED, name, psprintf("%s must not be NULL", name),
					   NULL);
	if (known)
		return;
	chat_require_attached();
	chat_bad_input(ERRCODE_INVALID_TEXT_REPRESENTATION, name,
				   psprintf("%s \"%s\" is not valid", name, chat_shown(id)),
				   "Ids are those of the attached tables, as text.");
}

static bool
is_hexadecimal(const char **text, int count)
{
	for (int i = 0; i < count; i++, (*text)++)
	{
		if (!isxdigit((unsigned char) **text))
			return false;
	}
	return true;
}

/* With or without dashes behind each group of four digits but the first. */
static bool
is_uuid(const char *text)
{
	if (!is_hexadecimal(&text, 8))
		return false;
	for (int group = 0; group < 4; group++)
	{
		text += *text == '-';
		if (!is_hexadecimal(&text, 4))
			return false;
	}
	text += *text == '-';
	return is_hexadecimal(&text, 8) && *text == '\0';
}

/* An integer of so many bits. */
static bool
is_integer(const char *text, int bits)
{
	const char *digits = text + (*text == '-');
	size_t length = strspn(digits, "0123456789");

	if (length < 1 || length > MAX_DIGITS || digits[length] != '\0')
		return false;
	return strtoull(digits, NULL, 10) <= ((UINT64CONST(1) << (bits - 1)) - (*text != '-'));
}

bool
chat_key_fits(Oid relid, const char *column, const char *value)
{
	AttrNumber attnum = column != NULL ? get_attnum(relid, column) : InvalidAttrNumber;

	if (attnum == InvalidAttrNumber || value == NULL)
		return false;
	switch (getBaseType(get_atttype(relid, attnum)))
	{
		case UUIDOID:
			return is_uuid(value);
		case INT8OID:
			return is_integer(value, 64);
		case INT4OID:
			return is_integer(value, 32);
		case INT2OID:
			return is_integer(value, 16);
		default:
			return true;
	}
}

/* A statement that finds a row by id and user. */
typedef struct Search
{
	ChatPlan plan;
	ChatRole role;
	const char *name; /* of the argument that is the id */
	bool follows;     /* a merged conversation to the one it was merged into */
	char *id;         /* of the row that is found */
	char *user;
} Search;

static bool
finds(ChatAttachment *attachment, const Search *search, const char *id)
{
	ChatArgument args[2] = {chat_text_given(id), chat_text_given(search->user)};

	return chat_plan_run_given(attachment, search->plan, 0, 2, args) > 0;
}

/*
 * The same of the conversation that one was merged into. That is looked for before anything is locked, since who locks two must do
 * so in the order of their ids, and again afterwards: it may have been merged, or the other one deleted, while we waited.
 */
static bool
finds_followed(ChatAttachment *attachment, Search *search)
{
	char *id = search->id;
	char *last = NULL;
	bool found = false;

	for (;;)
	{
		char *into = chat_merged_into(attachment, id);

		search->id = into != NULL ? into : id;
		if (last != NULL && strcmp(search->id, last) == 0)
			break;
		last = search->id;
		found = finds(attachment, search, last);
	}
	search->id = found ? last : id;
	return found;
}

/*
 * Searches each pair of tables that could have the row, until one has; the pair, or NULL. One whose tables are gone has nothing; it
 * is asked for, and raises, where none other has the row.
 */
static ChatAttachment *
run_search(Search *search)
{
	int count;
	int32 *ids = chat_attachment_ids(&count);
	bool known = false;
	int32 broken = 0;

	for (int i = 0; i < count; i++)
	{
		ChatAttachment *attachment = chat_attachment_peek(ids[i]);
		Oid relid =
			chat_role_is_message(search->role) ? attachment->messages : attachment->conversations;

		if (!chat_key_fits(relid, attachment->column[search->role], search->id))
			continue;
		known = true;
		if (attachment->missing != CHAT_ROLES)
			broken = ids[i];
		else if (search->follows ? finds_followed(attachment, search)
								 : finds(attachment, search, search->id))
			return attachment;
	}
	chat_require_id(search->name, search->id, known);
	if (broken != 0)
		(void) chat_attachment_get(broken);
	return NULL;
}

static bool
result_flag(int column)
{
	bool isnull;
	Datum value = chat_plan_result(column, &isnull);

	return !isnull && DatumGetBool(value);
}

static ChatPlace
lock(char *id, char *user, bool follows)
{
	Search search = {CHAT_PLAN_LOCK_CONVERSATION, CHAT_C_ID, "conversation_id", follows, id, user};
	ChatPlace place = {.attachment = run_search(&search)};

	if (place.attachment == NULL)
		return place;
	place.id = search.id;
	place.status = chat_plan_text(1);
	place.agent = chat_plan_text(2);
	place.as_agent = result_flag(3);
	place.route = chat_plan_text(4);
	if (place.as_agent)
		chat_require_agents_write(place.attachment);
	return place;
}

ChatPlace
chat_place_lock(char *id, char *user)
{
	return lock(id, user, false);
}

ChatPlace
chat_place_lock_followed(char *id, char *user)
{
	return lock(id, user, true);
}

ChatAttachment *
chat_place_lock_of(char *message, char *user)
{
	Search search = {CHAT_PLAN_LOCK_CONVERSATION_OF, CHAT_M_ID, "message_id", false, message, user};
	ChatAttachment *attachment = run_search(&search);

	if (attachment != NULL && result_flag(1))
		chat_require_agents_write(attachment);
	return attachment;
}

char *
chat_place_message(ChatAttachment *attachment, const char *conversation, const char *external)
{
	ChatArgument args[2] = {chat_text_given(conversation), chat_text_given(external)};

	return chat_plan_run_given(attachment, CHAT_PLAN_FIND_EXTERNAL, 0, 2, args) > 0
			   ? chat_plan_text(2)
			   : NULL;
}

/* SQL: chat.caller_scope(owner) */
Datum
chat_caller_scope_sql(PG_FUNCTION_ARGS)
{
	char *scope = chat_caller_scope(chat_text_argument(fcinfo, 0));

	if (scope == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(scope));
}

/* SQL: chat.key_fits(relation, name, value) */
Datum
chat_key_fits_sql(PG_FUNCTION_ARGS)
{
	char *column = text_to_cstring(PG_GETARG_TEXT_PP(1));

	if (get_attnum(PG_GETARG_OID(0), column) == InvalidAttrNumber)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(chat_key_fits(PG_GETARG_OID(0), column, text_to_cstring(PG_GETARG_TEXT_PP(2))));
}

/* SQL: chat.require_attached() */
Datum
chat_require_attached_sql(PG_FUNCTION_ARGS)
{
	chat_require_attached();
	PG_RETURN_VOID();
}

/* SQL: chat.require_owner(owner) */
Datum
chat_require_owner(PG_FUNCTION_ARGS)
{
	char *owner = chat_text_argument(fcinfo, 0);
	char *caller;

	if (owner == NULL)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("owner must not be NULL"),
						errhint("Pass the user id that owns the conversations.")));
	if (!chat_is_service(chat_acting_role()))
	{
		caller = chat_caller_user();
		if (caller == NULL || strcmp(caller, owner) != 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only the owner itself or a service caller may do this"),
				 errhint("A backend's role becomes a service caller with chat.grant_backend.")));
	}
	chat_require_attached();
	PG_RETURN_VOID();
}
