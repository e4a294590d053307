/*
 * What changes an earlier message: edits, revokes, reactions and votes; see content.h.
 */
#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

bool
wuzapi_read_target(WuzapiContent *content, JsonbContainer *body, const char *field)
{
	return wuzapi_find_string(wuzapi_find_object(body, field), "ID", &content->target) &&
		   content->target.val.string.len > 0 &&
		   content->target.val.string.len <= WUZAPI_MAX_IDENTIFIER_BYTES;
}

static const char *
read_edit(WuzapiContent *content, JsonbContainer *body)
{
	JsonbContainer *edited = wuzapi_find_object(body, "editedMessage");

	if (content->change == WUZAPI_EDIT)
		return "edit of an edit";
	if (!wuzapi_read_target(content, body, "key"))
		return "edit without a target";
	if (edited == NULL)
		return "edit without content";
	content->change = WUZAPI_EDIT;
	return wuzapi_read_kind(content, wuzapi_unwrap(edited, content));
}

const char *
wuzapi_read_protocol(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbContainer *body = wuzapi_as_object(value);
	JsonbValue type;
	const char *number = "0"; /* which may be left out */

	if (wuzapi_find_number(body, "type", &type))
		number = numeric_normalize(type.val.numeric);
	if (strcmp(number, "14") == 0)
		return read_edit(content, body);
	if (strcmp(number, "0") != 0)
		return kind->type;
	content->change = WUZAPI_REVOKE;
	return wuzapi_read_target(content, body, "key") ? NULL : "revoke without a target";
}

const char *
wuzapi_read_reaction(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	JsonbContainer *body = wuzapi_as_object(value);

	content->change = WUZAPI_REACTION;
	content->sent_at = wuzapi_number(body, "senderTimestampMS");
	if (!wuzapi_find_string(body, "text", &content->text) ||
		content->text.val.string.len > WUZAPI_MAX_EMOJI_BYTES)
		wuzapi_set_text(content, "");
	return wuzapi_read_target(content, body, "key") ? NULL : "reaction without a target";
}

/*
 * A change that only the phones can read, with the key of what it changes. WhatsApp's numbers: edits of an event, of a message
 * and of a poll. Who the key calls "me" is who edits.
 */
const char *
wuzapi_read_secret(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	static const double edits[] = {1, 2, 4};
	JsonbContainer *body = wuzapi_as_object(value);
	double type = wuzapi_number(body, "secretEncType");

	content->change = WUZAPI_PENDING_EDIT;
	for (int i = 0; i < (int) lengthof(edits); i++)
	{
		if (type == edits[i] && wuzapi_read_target(content, body, "targetMessageKey"))
			return NULL;
	}
	return kind->type;
}

/* A vote is encrypted; WUZAPI tells beside the event what it decrypted. */
const char *
wuzapi_read_vote(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	content->body = wuzapi_find_object(content->outer, "pollVote");
	if (content->body == NULL)
		return "poll vote that was not decrypted";
	content->change = WUZAPI_VOTE;
	content->sent_at = wuzapi_number(wuzapi_as_object(value), "senderTimestampMS");
	if (wuzapi_find_string(content->body, "pollCreationMsgID", &content->target) &&
		content->target.val.string.len > 0 && content->target.val.string.len <= 255)
		return NULL;
	return wuzapi_read_target(content, wuzapi_as_object(value), "pollCreationMessageKey")
			   ? NULL
			   : "poll vote without a target";
}
