// Random columns of the common types, values for them, and conditions on them for CHECK constraints.

/** What a table of the proof may have, and a few values of each, as SQL. */
export const types = {
  smallint: ['0', '7', '-3'],
  integer: ['0', '1', '5', '42', '-7'],
  bigint: ['0', '3', '9007199254740993'],
  numeric: ['0', '1.50', '-2.25', '100'],
  'numeric(8,2)': ['0', '1.5', '99.99'],
  real: ['0', '1.5', '-0.1'],
  'double precision': ['0', '0.1', '1e10', "'NaN'"],
  boolean: ['true', 'false'],
  text: ["'a'", "'bad'", "'Olá'", "''", "'a b'", "'12'"],
  'varchar(12)': ["'a'", "'bad'", "'x%'", "'13'"],
  'char(4)': ["'a'", "'ab'", "'13'"],
  date: ["'2026-01-01'", "'1999-12-31'"],
  timestamptz: ["'2026-01-01 12:00+00'", "'2001-02-03 04:05:06+02'"],
  timestamp: ["'2026-01-01 12:00'", "'2001-02-03'"],
  time: ["'12:00'", "'23:59:59'"],
  interval: ["'1 day'", "'-2 hours'", "'1 month 3 days 04:05:06'"],
  uuid: ["'aaaaaaaa-0000-4000-8000-000000000001'", "'bbbbbbbb-0000-4000-8000-000000000002'"],
  jsonb: ["'{}'", `'{"a": 1, "b": "x"}'`, "'[1, 2]'", "'null'"],
  bytea: ["'\\x00'", "'\\x6162'"],
  inet: ["'10.0.0.1'", "'::1'"],
  int4range: ["'[1,5)'", "'empty'"],
  'integer[]': ["'{}'", "'{1,2}'", "'{5,NULL}'"],
  'text[]': ["'{}'", "'{a,b}'"],
  mood: ["'ok'", "'so so'"],
  positive: ['1', '50'],
  pair: ["'(1,a)'", "'(,)'"],
};

const numbers = ['smallint', 'integer', 'bigint', 'numeric', 'numeric(8,2)', 'real', 'double precision', 'positive'];
const words = ['text', 'varchar(12)', 'char(4)'];
const times = ['date', 'timestamptz', 'timestamp'];

/** A random generator of conditions on columns, each {name, type}; r: of program.mjs. */
export function conditions(r, columns) {
  const of = (list) => columns.filter(({ type }) => list.includes(type));
  const value = (type) => (r.chance(0.05) ? 'NULL' : r.pick(types[type]));
  const column = (list, otherwise) => {
    const found = of(list);
    return found.length && r.chance(0.95) ? r.pick(found).name : otherwise();
  };
  const typed = (type) => `${r.pick(types[type])}::${type}`;

  const number = (depth) => {
    const leaf = () => r.chance(0.3) ? r.pick(['0', '1', '2', '10', '1.5']) : column(numbers, () => r.pick(['0', '1', '2', '10', '1.5', '-1', '100::bigint', '2::smallint', '0.1::float8']));
    if (depth <= 0 || r.chance(0.3)) return leaf();
    const n = () => number(depth - 1);
    return r.pick([
      () => `(${n()} ${r.pick(['+', '-', '*', '+', '-', '/'])} ${n()})`,
      () => `abs(${n()})`,
      () => `(- ${n()})`,
      () => `length(${word(depth - 1)})`,
      () => `octet_length(${word(depth - 1)})`,
      () => `coalesce(${n()}, ${n()})`,
      () => `CASE WHEN ${truth(depth - 1)} THEN ${n()} ELSE ${n()} END`,
      () => `CASE ${n()} WHEN ${n()} THEN ${n()} END`,
      () => `(${n()})::${r.pick(['numeric', 'integer', 'bigint', 'float8', 'numeric(6,1)'])}`,
      () => `round((${n()})::numeric, 1)`,
      () => `cardinality(${column(['integer[]'], () => "'{1,2}'::integer[]")})`,
      () => `extract(year FROM ${column(times, () => typed('timestamp'))})`,
      () => `coalesce((${column(['jsonb'], () => typed('jsonb'))} ->> 'a')::integer, 0)`,
    ])();
  };

  const word = (depth) => {
    const leaf = () => column(words, () => r.pick(["'a'", "'bad'", "'x%'", "'a'::varchar", "'12'::text"]));
    if (depth <= 0 || r.chance(0.3)) return `(${leaf()})::text`;
    const w = () => word(depth - 1);
    return r.pick([
      () => `(${w()} || ${w()})`,
      () => `${r.pick(['upper', 'lower', 'md5', 'btrim', 'initcap'])}(${w()})`,
      () => `left(${w()}, ${r.below(4)})`,
      () => `substr(${w()}, 1, ${r.below(4)})`,
      () => `replace(${w()}, 'a', 'b')`,
      () => `coalesce(${w()}, ${w()})`,
      () => `CASE WHEN ${truth(depth - 1)} THEN ${w()} ELSE ${w()} END`,
      () => `(${number(depth - 1)})::text`,
      () => `(${column(Object.keys(types), () => typed(r.pick(Object.keys(types))))})::text`,
      () => `(${w()})::varchar(${1 + r.below(6)})::text`,
      () => `(${w()} COLLATE "C")`,
      () => `to_char(${column(times, () => typed('timestamp'))}, 'YYYY')`,
      () => `coalesce(${column(['jsonb'], () => typed('jsonb'))} ->> 'b', 'none')`,
    ])();
  };

  /** What is left to the executor. */
  const odd = (depth) => r.pick([
    () => `own((${number(depth)})::numeric)`,
    () => `GREATEST(${number(depth)}, 1) >= 1`,
    () => `${word(depth)} IS DISTINCT FROM 'bad'`,
    () => `(${truth(depth)}) IS NOT FALSE`,
    () => `NULLIF(${number(depth)}, 0) IS NOT NULL`,
    () => `coalesce((${number(depth)})::integer, 1)::positive > 0`,
    () => `ROW(${number(depth)}, 1) >= ROW(0, 0)`,
    () => 'tableoid > 0::oid',
    () => "CURRENT_USER <> 'nobody'",
    () => `(${column(['integer[]'], () => "'{1,2}'::integer[]")})[1] > 0`,
    () => `(${column(['pair'], () => "'(1,a)'::pair")}).a > 0`,
    () => `ARRAY[${number(depth)}, 1] <> '{}'`,
    () => `(quote_ident('ab') = 'ab' OR part < ${r.below(5)})`, // quote_all_identifiers
    () => `(length((1::float8 / 3)::text) > 17 OR part < ${r.below(5)})`, // extra_float_digits
    () => `lpad(${word(depth)}, 3) <> 'xxx'`,
    () => `current_setting('IntervalStyle') <> ${word(0)}`,
  ])();

  const comparison = (depth) => {
    const operator = () => r.pick(['=', '<>', '<', '<=', '>', '>=']);
    return r.pick([
      () => `${number(depth)} ${operator()} ${number(depth)}`,
      () => `${number(depth)} ${r.pick(['IN', 'NOT IN'])} (${number(0)}, ${r.below(9)}, ${r.below(99)})`,
      () => `${number(depth)} BETWEEN ${number(0)} AND ${number(0)}`,
      () => `${word(depth)} ${operator()} ${word(depth)}`,
      () => `${word(depth)} ${r.pick(['LIKE', 'NOT LIKE', 'ILIKE', '~', '!~*'])} ${r.pick(["'a%'", "'%b_'", "'x'"])}`,
      () => `${word(depth)} ${r.pick(['IN', 'NOT IN'])} ('bad', 'a', 'x')`,
      () => `${column(['varchar(12)', 'text'], () => "'a'::varchar")} ${r.pick(['= ANY', '<> ALL'])} (ARRAY['bad', 'a'])`,
      () => `${column(['jsonb'], () => typed('jsonb'))} ${r.pick(["? 'a'", "@> '{\"a\": 1}'", "<> '{}'"])}`,
      () => `jsonb_typeof(${column(['jsonb'], () => typed('jsonb'))}) <> 'array'`,
      () => `${r.below(9)} = ANY (${column(['integer[]'], () => "'{1,2}'::integer[]")})`,
      () => `${column(['int4range'], () => typed('int4range'))} @> ${r.below(9)}`,
      () => {
        const { name, type } = r.pick(columns);
        return ['pair', 'jsonb'].includes(type) ? `${name} IS NOT NULL` : `${name} ${operator()} ${value(type)}`;
      },
    ])();
  };

  const truth = (depth) => {
    if (r.chance(0.03)) return odd(depth - 1);
    if (r.chance(0.03)) return r.pick([`100 / (part - ${r.below(12)}) > -200`, `${word(0)} = (1 / 0)::text`, '32767::smallint + part::smallint > 0', `(${word(0)})::integer > 0`]);
    if (depth <= 0) return comparison(0);
    const t = () => truth(depth - 1);
    return r.pick([
      () => comparison(depth - 1),
      () => comparison(depth - 1),
      () => `(${t()} ${r.pick(['AND', 'OR'])} ${t()})`,
      () => `(NOT (${t()}))`,
      () => `${r.pick(columns).name} IS ${r.pick(['', 'NOT '])}NULL`,
      () => column(['boolean'], () => 'true'),
      () => `${column(['boolean'], () => '(1 < 2)')} ${r.pick(['=', '<>'])} ${r.pick(['true', 'false'])}`,
      () => `CASE WHEN ${t()} THEN ${t()} ELSE ${t()} END`,
      () => `coalesce(${t()}, ${r.pick(['true', 'false'])})`,
    ])();
  };

  return {
    value,
    /** A condition; most let most rows pass. */
    condition: () => {
      const main = truth(1 + r.below(3));
      return r.chance(0.7) ? `ok OR ${main}` : main;
    },
  };
}

