/*
 * Addresses of contacts: the one form they are stored in, the spellings they may have been stored in, and which two phone
 * numbers are one.
 *
 * A number's rule is of its country and is asked for by the setting chat_realtime.phone_rules. It tells where a conversation is
 * looked for, never that two that exist are one: only WhatsApp itself tells that.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "settings.h"
#include "wuzapi/address.h"
#include "wuzapi/wuzapi.h"

PG_FUNCTION_INFO_V1(chat_contact_address);
PG_FUNCTION_INFO_V1(chat_contact_variant);
PG_FUNCTION_INFO_V1(chat_contact_spellings);

#define PHONE_SERVER "@s.whatsapp.net"
/* A phone number with its country's code, as E.164 has it. */
#define MIN_DIGITS 7
#define MAX_DIGITS 15
/* Devices of an account, which addresses that were stored as they came may name. */
#define MAX_DEVICES 99
#define DIGITS "0123456789"

/* --- the one form ---------------------------------------------------------------------------------- */

/* Copies a number without what people write between its digits; -1 when it is none. */
static int
copy_number(char *number, const char *text, int length)
{
	int n = 0;

	for (int i = 0; i < length; i++)
	{
		if (strchr(DIGITS, text[i]) != NULL && text[i] != '\0')
		{
			if (n == MAX_DIGITS)
				return -1;
			number[n++] = text[i];
		}
		else if (text[i] == '\0' || strchr(" -().", text[i]) == NULL)
		{
			if (text[i] != '+' || n > 0)
				return -1;
		}
	}
	number[n] = '\0';
	return n < MIN_DIGITS ? -1 : n;
}

/* The part of an address in front of its @, or all of it; what follows a colon names a device. */
static int
user_length(const char *text, int length)
{
	const char *at = memchr(text, '@', length);
	int user = at == NULL ? length : (int) (at - text);
	const char *colon = memchr(text, ':', user);

	return colon == NULL ? user : (int) (colon - text);
}

char *
chat_contact_one_form(const char *text, int length)
{
	JsonbValue value = {.type = jbvString};
	char number[MAX_DIGITS + 1];
	WuzapiJid jid;
	bool has_server;

	for (; length > 0 && *text == ' '; length--)
		text++;
	while (length > 0 && text[length - 1] == ' ')
		length--;
	has_server = memchr(text, '@', length) != NULL;
	if (!has_server)
		return copy_number(number, text, length) < 0 ? NULL : psprintf("%s" PHONE_SERVER, number);
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = length;
	if (wuzapi_jid(&value, &jid) && jid.server != WUZAPI_PHONE)
		return jid.text;
	/* A number may be written as people do, also in front of a server. */
	if (copy_number(number, text, user_length(text, length)) >= 0)
	{
		const char *at = memchr(text, '@', length);
		char *plain = psprintf("%s%.*s", number, (int) (text + length - at), at);

		value.val.string.val = plain;
		value.val.string.len = strlen(plain);
		if (wuzapi_jid(&value, &jid))
			return jid.text;
	}
	return jid.text;
}

/* --- numbers that are one -------------------------------------------------------------------------- */

/* The digits of a phone's address in its one form; NULL for another address. */
static char *
digits_of(const char *address)
{
	size_t length = strspn(address, DIGITS);

	return length > 0 && strcmp(address + length, PHONE_SERVER) == 0 ? pnstrdup(address, length)
																	 : NULL;
}

/*
 * Brazil: mobile numbers got a ninth digit in front, a 9, and WhatsApp knows some with and some without it. 55, an area from
 * 11 to 99, and eight digits that begin with 6 to 9.
 */
static char *
brazilian_variant(const char *digits)
{
	size_t length = strlen(digits);
	const char *number = digits + 4;

	if (strncmp(digits, "55", 2) != 0 || (length != 12 && length != 13) || digits[2] == '0' ||
		digits[3] == '0')
		return NULL;
	if (length == 12)
		return number[0] >= '6' ? psprintf("%.4s9%s", digits, number) : NULL;
	return number[0] == '9' && number[1] >= '6' ? psprintf("%.4s%s", digits, number + 1) : NULL;
}

char *
chat_contact_other_number(const char *address)
{
	char *digits = chat_phone_rules == CHAT_PHONE_RULES_BR ? digits_of(address) : NULL;
	char *other = digits == NULL ? NULL : brazilian_variant(digits);

	return other == NULL ? NULL : psprintf("%s" PHONE_SERVER, other);
}

/* --- spellings ------------------------------------------------------------------------------------- */

int
chat_contact_spell(const char *address, bool devices, Datum *texts)
{
	static const char *const usual[] = {"%s" PHONE_SERVER, "%s@c.us", "+%s", "%s"};
	char *digits = digits_of(address);
	int n = 0;

	StaticAssertStmt(lengthof(usual) + MAX_DEVICES <= CHAT_MAX_SPELLINGS, "spellings do not fit");
	if (digits == NULL)
		texts[n++] = CStringGetTextDatum(address);
	for (int i = 0; digits != NULL && i < (int) lengthof(usual); i++)
		texts[n++] = CStringGetTextDatum(psprintf(usual[i], digits));
	for (int i = 1; digits != NULL && devices && i <= MAX_DEVICES; i++)
		texts[n++] = CStringGetTextDatum(psprintf("%s:%d" PHONE_SERVER, digits, i));
	return n;
}

/* --- SQL ------------------------------------------------------------------------------------------- */

/* SQL: chat.contact_address(text) */
Datum
chat_contact_address(PG_FUNCTION_ARGS)
{
	text *given = PG_GETARG_TEXT_PP(0);
	char *address = chat_contact_one_form(VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given));

	if (address == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(address));
}

/* SQL: chat.contact_variant(address) */
Datum
chat_contact_variant(PG_FUNCTION_ARGS)
{
	char *other = chat_contact_other_number(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (other == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(other));
}

/* SQL: chat.contact_spellings(address, devices) */
Datum
chat_contact_spellings(PG_FUNCTION_ARGS)
{
	Datum texts[CHAT_MAX_SPELLINGS];
	int count = chat_contact_spell(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_BOOL(1), texts);

	PG_RETURN_ARRAYTYPE_P(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
}
