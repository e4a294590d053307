/*
 * Reading and writing JSON and WhatsApp addresses for the WUZAPI normaliser; see wuzapi.h.
 *
 * WUZAPI's keys changed case over time (URL and url, stanzaID and stanzaId), so an exact look-up is tried first
 * and then any case. Letters are compared as ASCII, whatever the locale.
 */
#include "postgres.h"

#include <math.h>

#include "common/jsonapi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "pgtime.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "compat.h"
#include "wuzapi/wuzapi.h"

/* JSON in a string: longest text and deepest nesting that are read. */
#define MAX_JSON_BYTES 4096
#define MAX_JSON_DEPTH 32
#define YEAR_10000 253402300800.0 /* seconds */

/* --- reading ------------------------------------------------------------------------------------ */

/* Compares bytes with a word, ignoring the case of ASCII letters. */
static bool
same_word(const char *bytes, int length, const char *word)
{
	if (length != (int) strlen(word))
		return false;
	for (int i = 0; i < length; i++)
	{
		if (pg_ascii_tolower((unsigned char) bytes[i]) != pg_ascii_tolower((unsigned char) word[i]))
			return false;
	}
	return true;
}

/* Looks a field up in any case. */
static bool
find_any_case(JsonbContainer *object, const char *key, JsonbValue *value)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue item;
	bool found = false;

	(void) JsonbIteratorNext(&it, &item, true);
	while (!found && JsonbIteratorNext(&it, &item, true) == WJB_KEY)
	{
		found = same_word(item.val.string.val, item.val.string.len, key);
		(void) JsonbIteratorNext(&it, &item, true);
	}
	if (found)
		*value = item;
	return found;
}

bool
wuzapi_find(JsonbContainer *object, const char *key, JsonbValue *value)
{
	if (object == NULL)
		return false;
	if (getKeyJsonValueFromContainer(object, key, strlen(key), value) == NULL &&
		!find_any_case(object, key, value))
		return false;
	return value->type != jbvNull;
}

bool
wuzapi_find_string(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return wuzapi_find(object, key, value) && value->type == jbvString;
}

bool
wuzapi_find_number(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return wuzapi_find(object, key, value) && value->type == jbvNumeric;
}

JsonbContainer *
wuzapi_as_object(const JsonbValue *value)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return NULL;
	return value->val.binary.data;
}

JsonbContainer *
wuzapi_find_object(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	return wuzapi_find(object, key, &value) ? wuzapi_as_object(&value) : NULL;
}

JsonbContainer *
wuzapi_find_array(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	if (!wuzapi_find(object, key, &value) || value.type != jbvBinary ||
		!JsonContainerIsArray(value.val.binary.data))
		return NULL;
	return value.val.binary.data;
}

bool
wuzapi_is_true(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	return wuzapi_find(object, key, &value) && value.type == jbvBool && value.val.boolean;
}

double
wuzapi_number(JsonbContainer *object, const char *key)
{
	JsonbValue value;
	char *text;
	size_t digits;

	if (!wuzapi_find(object, key, &value))
		return 0;
	if (value.type == jbvNumeric)
		return strtod(numeric_normalize(value.val.numeric), NULL);
	if (value.type != jbvString || value.val.string.len > 20)
		return 0;
	text = wuzapi_cstring(&value, 20);
	digits = strspn(text, "0123456789");
	return digits == strlen(text) ? strtod(text, NULL) : 0;
}

/* Protobuf's one-of: Go's structs hold {Group: {Key: …}} where older bodies have the key itself. */
JsonbContainer *
wuzapi_holder(JsonbContainer *object, const char *group, const char *key)
{
	JsonbValue value;

	return wuzapi_find(object, key, &value) ? object : wuzapi_find_object(object, group);
}

bool
wuzapi_is(const JsonbValue *value, const char *word)
{
	return value->type == jbvString &&
		   same_word(value->val.string.val, value->val.string.len, word);
}

char *
wuzapi_cstring(const JsonbValue *value, int limit)
{
	int length = value->val.string.len;

	if (length > limit)
		length = pg_mbcliplen(value->val.string.val, length, limit);
	return pnstrdup(value->val.string.val, length);
}

/* --- JSON in a string ----------------------------------------------------------------------------- */

/*
 * Whether a text may be given to the parsers of PostgreSQL, which raise an error for some of what is JSON: nothing nested deep,
 * no number with an exponent, no escapes that this database cannot hold.
 */
static bool
is_modest(const char *text)
{
	int depth = 0;
	bool quoted = false;

	for (const char *at = text; *at != '\0'; at++)
	{
		if (*at == '\\' && (at[1] == '\0' || (at[1] == 'u' && GetDatabaseEncoding() != PG_UTF8)))
			return false;
		if (*at == '\\')
			at++;
		else if (*at == '"')
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (*at == '{' || *at == '[')
			depth++;
		else if (*at == '}' || *at == ']')
			depth--;
		else if ((*at == 'e' || *at == 'E') && at > text && at[-1] >= '0' && at[-1] <= '9')
			return false;
		if (depth > MAX_JSON_DEPTH)
			return false;
	}
	return true;
}

JsonbContainer *
wuzapi_find_json(JsonbContainer *object, const char *key)
{
	JsonbValue value;
	char *text;
	Jsonb *json;

	if (!wuzapi_find_string(object, key, &value) || value.val.string.len > MAX_JSON_BYTES)
		return NULL;
	text = wuzapi_cstring(&value, MAX_JSON_BYTES);
	if (!is_modest(text) ||
		pg_parse_json(chat_json_lexer(text, strlen(text)), &nullSemAction) != JSON_SUCCESS)
		return NULL;
	json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	return JB_ROOT_IS_OBJECT(json) ? &json->root : NULL;
}

/* --- essential fields ---------------------------------------------------------------------------- */

void
wuzapi_missing(const char *path)
{
	ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("field \"%s\" of the WUZAPI event is missing", path),
					errhint("Pass the body of WUZAPI's webhook as it was received.")));
}

void
wuzapi_wrong_type(const char *path, const char *wanted)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("field \"%s\" of the WUZAPI event must be %s", path, wanted),
					errhint("Pass the body of WUZAPI's webhook as it was received.")));
}

JsonbValue
wuzapi_require_string(JsonbContainer *object, const char *const *keys, const char *path)
{
	JsonbValue value;
	bool found = false;

	for (; !found && *keys != NULL; keys++)
		found = wuzapi_find(object, *keys, &value);
	if (!found)
		wuzapi_missing(path);
	if (value.type != jbvString)
		wuzapi_wrong_type(path, "a string");
	if (value.val.string.len == 0)
		wuzapi_missing(path);
	if (value.val.string.len > WUZAPI_MAX_IDENTIFIER_BYTES)
		wuzapi_wrong_type(path, "at most 255 bytes long");
	return value;
}

JsonbContainer *
wuzapi_require_object(JsonbContainer *object, const char *key, const char *path)
{
	JsonbValue value;
	JsonbContainer *found;

	if (!wuzapi_find(object, key, &value))
		wuzapi_missing(path);
	found = wuzapi_as_object(&value);
	if (found == NULL)
		wuzapi_wrong_type(path, "an object");
	return found;
}

/* --- addresses ----------------------------------------------------------------------------------- */

/* Servers by name; people who share a phone number's identity get one name. */
static const struct
{
	const char *name;
	WuzapiServer server;
	const char *canonical;
} servers[] = {
	{"s.whatsapp.net", WUZAPI_PHONE, "s.whatsapp.net"},
	{"c.us", WUZAPI_PHONE, "s.whatsapp.net"},
	{"hosted", WUZAPI_PHONE, "s.whatsapp.net"},
	{"lid", WUZAPI_LID, "lid"},
	{"hosted.lid", WUZAPI_LID, "lid"},
	{"g.us", WUZAPI_GROUP, "g.us"},
	{"broadcast", WUZAPI_BROADCAST, "broadcast"},
	{"newsletter", WUZAPI_NEWSLETTER, "newsletter"},
	{"bot", WUZAPI_OTHER, "bot"},
	{"msgr", WUZAPI_OTHER, "msgr"},
	{"interop", WUZAPI_OTHER, "interop"},
};

/* Bytes of an address that can stand in one: nothing that ends a word or a line. */
static bool
is_plain(const char *bytes, int length)
{
	for (int i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) bytes[i];

		if (c <= ' ' || c == 0x7f || c == '@')
			return false;
	}
	return length > 0;
}

bool
wuzapi_jid(const JsonbValue *value, WuzapiJid *jid)
{
	const char *user;
	const char *at;
	int user_length;
	int server_length;

	*jid = (WuzapiJid){NULL, WUZAPI_NOWHERE};
	if (value->type != jbvString || value->val.string.len > WUZAPI_MAX_IDENTIFIER_BYTES)
		return false;
	user = value->val.string.val;
	at = memchr(user, '@', value->val.string.len);
	if (at == NULL || !is_plain(user, (int) (at - user)))
		return false;
	server_length = value->val.string.len - (int) (at + 1 - user);
	for (int i = 0; i < (int) lengthof(servers); i++)
	{
		if (!same_word(at + 1, server_length, servers[i].name))
			continue;
		user_length = 0;
		while (user + user_length < at && user[user_length] != '.' && user[user_length] != ':')
			user_length++;
		if (user_length == 0)
			return false;
		jid->server = servers[i].server;
		jid->text = psprintf("%.*s@%s", user_length, user, servers[i].canonical);
		return true;
	}
	return false;
}

WuzapiJid
wuzapi_find_jid(JsonbContainer *object, const char *key)
{
	JsonbValue value;
	WuzapiJid jid = {NULL, WUZAPI_NOWHERE};

	if (wuzapi_find(object, key, &value))
		(void) wuzapi_jid(&value, &jid);
	return jid;
}

/* --- times -------------------------------------------------------------------------------------- */

/* Reads count digits; -1 when there are other bytes. */
static int
digits(const char *text, int count)
{
	int value = 0;

	for (int i = 0; i < count; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

static bool
within(int value, int low, int high)
{
	return value >= low && value <= high;
}

static bool
is_date(const char *text)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = digits(text, 4);
	int month = digits(text + 5, 2);
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (text[4] != '-' || text[7] != '-' || year < 1 || !within(month, 1, 12))
		return false;
	return within(digits(text + 8, 2), 1, days[month - 1] + (leap && month == 2 ? 1 : 0));
}

static bool
is_time(const char *text)
{
	return within(digits(text, 2), 0, 23) && text[2] == ':' && within(digits(text + 3, 2), 0, 59) &&
		   text[5] == ':' && within(digits(text + 6, 2), 0, 60);
}

/* Z, or an offset that PostgreSQL can take. */
static bool
is_zone(const char *text)
{
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return true;
	return (*text == '+' || *text == '-') && strlen(text) == 6 && text[3] == ':' &&
		   within(digits(text + 1, 2), 0, 15) && within(digits(text + 4, 2), 0, 59);
}

bool
wuzapi_is_timestamp(const char *text)
{
	size_t zone = strlen("2026-06-18T13:19:38");

	if (strlen(text) <= zone || !is_date(text) || (text[10] != 'T' && text[10] != 't') ||
		!is_time(text + 11))
		return false;
	if (text[zone] == '.')
	{
		size_t fraction = strspn(text + zone + 1, "0123456789");

		if (!within((int) fraction, 1, 9))
			return false;
		zone += 1 + fraction;
	}
	return is_zone(text + zone);
}

char *
wuzapi_time(double seconds)
{
	pg_time_t whole;
	struct pg_tm *tm;

	if (!(seconds > 0 && seconds < YEAR_10000))
		return NULL;
	whole = (pg_time_t) seconds;
	tm = pg_gmtime(&whole);
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06d+00:00", tm->tm_year + 1900, tm->tm_mon + 1,
					tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec,
					(int) rint((seconds - (double) whole) * 1000) * 1000);
}

/* --- writing ------------------------------------------------------------------------------------- */

static JsonbValue
string_value(const char *text)
{
	JsonbValue value = {.type = jbvString};

	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	return value;
}

static void
push_key(WuzapiOutput *out, const char *key)
{
	JsonbValue value = string_value(key);

	(void) pushJsonbValue(&out->state, WJB_KEY, &value);
}

void
wuzapi_open(WuzapiOutput *out, const char *key)
{
	if (key != NULL)
		push_key(out, key);
	(void) pushJsonbValue(&out->state, WJB_BEGIN_OBJECT, NULL);
}

JsonbValue *
wuzapi_close(WuzapiOutput *out)
{
	return pushJsonbValue(&out->state, WJB_END_OBJECT, NULL);
}

void
wuzapi_open_array(WuzapiOutput *out, const char *key)
{
	push_key(out, key);
	(void) pushJsonbValue(&out->state, WJB_BEGIN_ARRAY, NULL);
}

void
wuzapi_open_element_array(WuzapiOutput *out)
{
	(void) pushJsonbValue(&out->state, WJB_BEGIN_ARRAY, NULL);
}

void
wuzapi_add_element(WuzapiOutput *out, const char *text)
{
	JsonbValue value = string_value(text);

	(void) pushJsonbValue(&out->state, WJB_ELEM, &value);
}

void
wuzapi_close_array(WuzapiOutput *out)
{
	(void) pushJsonbValue(&out->state, WJB_END_ARRAY, NULL);
}

void
wuzapi_put(WuzapiOutput *out, const char *key, const JsonbValue *value)
{
	JsonbValue copy = *value;

	push_key(out, key);
	(void) pushJsonbValue(&out->state, WJB_VALUE, &copy);
}

void
wuzapi_put_object(WuzapiOutput *out, const char *key, JsonbContainer *object)
{
	JsonbValue value = {.type = jbvBinary};

	value.val.binary.data = object;
	value.val.binary.len = 0; /* which is not looked at */
	wuzapi_put(out, key, &value);
}

void
wuzapi_put_text(WuzapiOutput *out, const char *key, const char *text)
{
	JsonbValue value;

	if (text == NULL)
		return;
	value = string_value(text);
	wuzapi_put(out, key, &value);
}

void
wuzapi_put_bool(WuzapiOutput *out, const char *key, bool value)
{
	JsonbValue boolean = {.type = jbvBool};

	boolean.val.boolean = value;
	wuzapi_put(out, key, &boolean);
}
