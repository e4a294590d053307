/*
 * Conversation keys: smallint, integer, bigint or uuid, in one comparable form.
 *
 * chat_key_compare orders as the SQL types do, so "in id order" means the same in C and in SQL: the lock
 * order of conversations depends on it.
 */
#ifndef CHAT_KEY_H
#define CHAT_KEY_H

#include "postgres.h"

#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/uuid.h"

typedef struct ChatKey
{
	uint64 high;
	uint64 low;
} ChatKey;

#define CHAT_SIGN_BIT (UINT64CONST(1) << 63)

static inline bool
chat_key_type_ok(Oid type)
{
	return type == INT8OID || type == INT4OID || type == INT2OID || type == UUIDOID;
}

static inline ChatKey
chat_key_from_datum(Datum value, Oid type)
{
	ChatKey key = {0, 0};

	if (type == UUIDOID)
	{
		const pg_uuid_t *uuid = DatumGetUUIDP(value);

		memcpy(&key.high, uuid->data, 8);
		memcpy(&key.low, uuid->data + 8, 8);
		key.high = pg_ntoh64(key.high);
		key.low = pg_ntoh64(key.low);
	}
	else
	{
		int64 number = type == INT8OID   ? DatumGetInt64(value)
					   : type == INT4OID ? DatumGetInt32(value)
										 : DatumGetInt16(value);

		key.low = ((uint64) number) ^ CHAT_SIGN_BIT;
	}
	return key;
}

static inline Datum
chat_key_to_datum(ChatKey key, Oid type)
{
	int64 number;

	if (type == UUIDOID)
	{
		pg_uuid_t *uuid = palloc(sizeof(pg_uuid_t));

		key.high = pg_hton64(key.high);
		key.low = pg_hton64(key.low);
		memcpy(uuid->data, &key.high, 8);
		memcpy(uuid->data + 8, &key.low, 8);
		return UUIDPGetDatum(uuid);
	}
	number = (int64) (key.low ^ CHAT_SIGN_BIT);
	return type == INT8OID   ? Int64GetDatum(number)
		   : type == INT4OID ? Int32GetDatum((int32) number)
							 : Int16GetDatum((int16) number);
}

static inline int
chat_key_compare(const ChatKey *a, const ChatKey *b)
{
	if (a->high != b->high)
		return a->high < b->high ? -1 : 1;
	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return 0;
}

#endif
