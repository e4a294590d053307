/*
 * The public key of an Ed25519 key (RFC 8032, 5.1.5), so that a key pair can be made where it is kept: PostgreSQL has no
 * function for it. Nothing is signed here. The time it takes does not depend on the key.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"

#include "compat.h"

#define KEY_BYTES 32

PG_FUNCTION_INFO_V1(chat_ed25519_public_key);

#ifdef HAVE_INT128

#define LIMBS 5
#define LIMB_BITS 51
#define LIMB_MASK ((UINT64CONST(1) << LIMB_BITS) - 1)

/*
 * A number modulo 2^255 - 19, in limbs of 51 bits. Those of a product are longer by a trifle at most; of products, those of a
 * sum have 53 bits, those of a difference 55, which may be multiplied, but not subtracted.
 */
typedef struct Field
{
	uint64 limb[LIMBS];
} Field;

/* Of the curve -x² + y² = 1 + dx²y², as X/Z, Y/Z, and T = XY/Z. */
typedef struct Point
{
	Field x, y, z, t;
} Point;

/* The x of the base point; its y is 4/5. */
static const uint8 base_x[KEY_BYTES] = {
	0x1a, 0xd5, 0x25, 0x8f, 0x60, 0x2d, 0x56, 0xc9, 0xb2, 0xa7, 0x25, 0x95, 0x60, 0xc7, 0x2c, 0x69,
	0x5c, 0xdc, 0xd6, 0xfd, 0x31, 0xe2, 0xa4, 0xc0, 0xfe, 0x53, 0x6e, 0xcd, 0xd3, 0x36, 0x69, 0x21};

static Field
small(uint64 value)
{
	return (Field){{value}};
}

static Field
sum(Field a, Field b)
{
	for (int i = 0; i < LIMBS; i++)
		a.limb[i] += b.limb[i];
	return a;
}

/* b: a product, or small. Eight times the modulus keeps every limb positive. */
static Field
difference(Field a, Field b)
{
	for (int i = 0; i < LIMBS; i++)
		a.limb[i] += 8 * (LIMB_MASK - (i == 0 ? 18 : 0)) - b.limb[i];
	return a;
}

/* Carries from limb to limb, and from the last one, as 19 times as much, to the first. */
static void
carry(Field *a)
{
	for (int i = 0; i < LIMBS - 1; i++)
	{
		a->limb[i + 1] += a->limb[i] >> LIMB_BITS;
		a->limb[i] &= LIMB_MASK;
	}
	a->limb[0] += 19 * (a->limb[LIMBS - 1] >> LIMB_BITS);
	a->limb[LIMBS - 1] &= LIMB_MASK;
}

static Field
product(Field a, Field b)
{
	uint128 wide[LIMBS] = {0};
	Field result;

	for (int i = 0; i < LIMBS; i++)
	{
		for (int j = 0; j < LIMBS; j++)
			wide[(i + j) % LIMBS] +=
				(uint128) a.limb[i] * (i + j < LIMBS ? b.limb[j] : 19 * b.limb[j]);
	}
	for (int i = 0; i < LIMBS - 1; i++)
	{
		wide[i + 1] += wide[i] >> LIMB_BITS;
		result.limb[i] = (uint64) wide[i] & LIMB_MASK;
	}
	result.limb[LIMBS - 1] = (uint64) wide[LIMBS - 1] & LIMB_MASK;
	wide[0] = result.limb[0] + 19 * (wide[LIMBS - 1] >> LIMB_BITS);
	result.limb[0] = (uint64) wide[0] & LIMB_MASK;
	result.limb[1] += (uint64) (wide[0] >> LIMB_BITS);
	return result;
}

/* a to the power of the modulus less two, 2^255 - 21: of its 255 bits two are zero. */
static Field
inverse(Field a)
{
	Field result = small(1);

	for (int bit = 254; bit >= 0; bit--)
	{
		result = product(result, result);
		if (bit != 2 && bit != 4)
			result = product(result, a);
	}
	return result;
}

static Field
from_bytes(const uint8 bytes[KEY_BYTES])
{
	Field result = {{0}};

	for (int bit = 0; bit < 255; bit++)
		result.limb[bit / LIMB_BITS] |= (uint64) (bytes[bit / 8] >> bit % 8 & 1) << bit % LIMB_BITS;
	return result;
}

/* The least of its representations. */
static void
to_bytes(Field a, uint8 bytes[KEY_BYTES])
{
	uint64 over = 19;

	carry(&a);
	carry(&a);
	for (int i = 0; i < LIMBS; i++)
		over = (a.limb[i] + over) >> LIMB_BITS;
	a.limb[0] += 19 * over;
	for (int i = 0; i < LIMBS - 1; i++)
		a.limb[i + 1] += a.limb[i] >> LIMB_BITS;
	memset(bytes, 0, KEY_BYTES);
	for (int bit = 0; bit < 255; bit++)
		bytes[bit / 8] |= (a.limb[bit / LIMB_BITS] >> bit % LIMB_BITS & 1) << bit % 8;
}

/* Twice the curve's d: -121665/121666. */
static Field
double_d(void)
{
	Field d = product(difference(small(0), small(121665)), inverse(small(121666)));

	return product(d, small(2));
}

/* Any two points, the same one twice, too. */
static Point
add_points(const Point *p, const Point *q, Field d2)
{
	Field a = product(difference(p->y, p->x), difference(q->y, q->x));
	Field b = product(sum(p->y, p->x), sum(q->y, q->x));
	Field c = product(product(p->t, d2), q->t);
	Field d = product(product(p->z, small(2)), q->z);
	Field e = difference(b, a), f = difference(d, c), g = sum(d, c), h = sum(b, a);

	return (Point){product(e, f), product(g, h), product(f, g), product(e, h)};
}

/* Takes the other point where bit is 1, without a branch. */
static void
choose(Point *point, const Point *other, uint64 bit)
{
	uint64 *into = (uint64 *) point;
	const uint64 *from = (const uint64 *) other;

	for (size_t i = 0; i < sizeof(*point) / sizeof(*into); i++)
		into[i] ^= (into[i] ^ from[i]) & -bit;
}

static Point
base_point(void)
{
	Point base = {.x = from_bytes(base_x), .z = small(1)};

	base.y = product(small(4), inverse(small(5)));
	base.t = product(base.x, base.y);
	return base;
}

static void
encode_point(const Point *point, uint8 bytes[KEY_BYTES])
{
	Field inverse_z = inverse(point->z);
	uint8 x[KEY_BYTES];

	to_bytes(product(point->x, inverse_z), x);
	to_bytes(product(point->y, inverse_z), bytes);
	bytes[KEY_BYTES - 1] |= (x[0] & 1) << 7;
}

static void
multiply_base(const uint8 scalar[KEY_BYTES], uint8 bytes[KEY_BYTES])
{
	const Point base = base_point();
	const Field d2 = double_d();
	Point point = {.y = small(1), .z = small(1)};

	for (int bit = 255; bit >= 0; bit--)
	{
		Point other;

		point = add_points(&point, &point, d2);
		other = add_points(&point, &base, d2);
		choose(&point, &other, scalar[bit / 8] >> bit % 8 & 1);
	}
	encode_point(&point, bytes);
	explicit_bzero(&point, sizeof(point));
}

static void
hash_key(const uint8 *key, uint8 hash[PG_SHA512_DIGEST_LENGTH])
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA512);

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, key, KEY_BYTES) < 0 ||
		pg_cryptohash_final(context, hash, PG_SHA512_DIGEST_LENGTH) < 0)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("the key could not be hashed: %s", pg_cryptohash_error(context))));
	pg_cryptohash_free(context);
}

static void
public_key(const uint8 *key, uint8 bytes[KEY_BYTES])
{
	uint8 hash[PG_SHA512_DIGEST_LENGTH];

	hash_key(key, hash);
	hash[0] &= 248;
	hash[31] &= 127;
	hash[31] |= 64;
	multiply_base(hash, bytes);
	explicit_bzero(hash, sizeof(hash));
}

#else

static void
public_key(const uint8 *key, uint8 bytes[KEY_BYTES])
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("Ed25519 keys need integers of 128 bits, which this platform does not have")));
}

#endif

/* SQL: chat.ed25519_public_key(key) */
Datum
chat_ed25519_public_key(PG_FUNCTION_ARGS)
{
	bytea *key = PG_GETARG_BYTEA_PP(0);
	bytea *result;

	if (VARSIZE_ANY_EXHDR(key) != KEY_BYTES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("an Ed25519 key has %d bytes", KEY_BYTES)));
	result = palloc(VARHDRSZ + KEY_BYTES);
	SET_VARSIZE(result, VARHDRSZ + KEY_BYTES);
	public_key((const uint8 *) VARDATA_ANY(key), (uint8 *) VARDATA(result));
	PG_RETURN_BYTEA_P(result);
}
