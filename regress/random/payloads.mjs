// Tables with random columns of any type and name, and rows of odd values: the payload of each event must be what to_jsonb
// says of the row, in the words of the design (4.3), whatever the settings of the session that wrote it.
//
//   node regress/random/payloads.mjs        ROUNDS (pairs of tables: 60), SEED
import { randomInt } from 'node:crypto';
import { connect, rows } from '../lib/db.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { generator } from './program.mjs';

const rounds = Number(process.env.ROUNDS || 60);
const seed = Number(process.env.SEED || randomInt(1, 2 ** 31));
const r = generator(seed);
const user = '00000000-0000-4000-8000-000000000001';

const letters = ['é', 'ß', '日本', '\u{1f600}', '\u{1f468}\u200d\u{1f469}', 'e\u0301', '\u202e', '\ufeff', '\u2028', '\u00a0'];
const ascii = ['', ' ', 'x', '"', '\\', '\\u0041', "'", '\n', '\t', '\u0001', '\u001f', '\u007f', '/', '</script>', 'a b', '%s%n', '{}', '$1', '<3'];

const quoteName = (name) => `"${name.replaceAll('"', '""')}"`;
const literal = (text) => (text === null ? 'NULL' : `'${text.replaceAll("'", "''")}'`);

/** Types, and SQL of a value. */
function types(word) {
  const text = (n = 12) => Array.from({ length: r.below(n) }, word).join('');
  const json = (depth = 0) => {
    switch (r.below(depth > 3 ? 5 : 7)) {
      case 0: return 'null';
      case 1: return r.pick(['1e3', '-0', '0.10', '12345678901234567890', '1E+2', 'true']);
      case 5: return `{${Array.from({ length: r.below(4) }, () => `${JSON.stringify(text(4))}: ${json(depth + 1)}`).join(', ')}}`;
      case 6: return `[${Array.from({ length: r.below(4) }, () => json(depth + 1)).join(',')}]`;
      default: return JSON.stringify(text());
    }
  };
  const of = (...list) => () => literal(r.pick(list));
  const times = ['2026-02-28 23:59:59.999999', '2000-01-01 00:00:00', 'infinity', '-infinity', '0044-03-15 12:00:00 BC', '12026-01-01 00:00:00', '9999-12-31 23:59:59', '0001-01-03 00:00:00'];
  return {
    text: () => literal(r.chance(0.05) ? word().repeat(66000) : text()),
    'character varying': () => literal(text()),
    'character(7)': () => literal(text(4).slice(0, 3)),
    word: () => literal(text(3)),
    boolean: of('t', 'f'),
    smallint: of('0', '-32768'),
    integer: of('0', '2147483647'),
    bigint: of('9007199254740993', '-9223372036854775808'),
    numeric: of('0', '1e130', '-0.000', 'NaN', '123456789.123456789', ...(r.chance(0.5) ? ['Infinity', '-Infinity'] : [])),
    real: of('1.1', 'NaN', '-Infinity', '3e38'),
    'double precision': of('0.1', 'NaN', 'Infinity', '-0', '1e-300'),
    'timestamp with time zone': of(...times.map((time) => time.replace(/(:\d\d(\.\d+)?)( BC)?$/, '$1+02$3'))),
    timestamp: of(...times),
    date: of('2026-11-25', '0044-03-15 BC', '12026-01-01', 'infinity', '0001-01-01'),
    time: of('00:00', '24:00:00', '12:34:56.789'),
    interval: of('1 year -2 days', '00:00:01.5', '-1 month'),
    json: () => literal(r.chance(0.1) ? r.pick(['"\\u0000"', '"\\ud800"', '1e400000', '{"a":1,"a":2}']) : json()),
    jsonb: () => literal(json()),
    uuid: of(user),
    inet: of('10.0.0.1', '::1/64'),
    'int4range': of('[1,5)', 'empty'),
    mood: of('ok', 'so "so"'),
    pair: () => `ROW(${r.below(9)}, ${literal(text(4))})::pair`,
    'text[]': () => `ARRAY[${literal(text())}, NULL, ${literal(text())}]::text[]`,
    'timestamp[]': of('{"2026-02-28 01:02:03"}', '{}'),
    'pair[]': () => `ARRAY[ROW(1, ${literal(text(4))})::pair]`,
    point: of('(1,2)'),
    bytea: of('\\x00ff'),
    oid: of('1'),
  };
}

const names = (word) => ['a_b', 'a__b', '_a', 'a_', 'a_1', 'A_B', 'aB', 'a_B', 'user', 'id2', '"', 'a"b', 'a\\b', 'x y', '$1', '%', "it's", 'x_é', 'createdAt2', 'x'.repeat(60), `n_${word() || 'w'}`];

/** Keys that the design gives to columns by their role. */
const conversationRoles = { id: 'id', user_id: 'userId', unread_count: 'unreadCount', last_message_at: 'lastMessageAt', last_message_preview: 'lastMessagePreview' };
const messageRoles = { id: 'id', conversation_id: 'conversationId', direction: 'direction', status: 'status', content: 'content', created_at: 'createdAt' };
const camel = (name) => name.replace(/(?<=.)_([a-z0-9])/gs, (_, c) => c.toUpperCase());

/** SQL of what a payload must say of a column; m is the row. */
function said({ name, type }) {
  const value = `m.${quoteName(name)}`;
  const time = (of) => `CASE WHEN isfinite(${value}) AND ${of} BETWEEN '0001-01-01 BC' AND '9999-12-31 23:59:59.999999' THEN to_jsonb(replace(to_char(${of}, 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), ' BC', '')) END`;
  if (type === 'timestamp') return time(value);
  if (type === 'timestamp with time zone') return time(`(${value} AT TIME ZONE 'UTC')`);
  if (['numeric', 'real', 'double precision'].includes(type)) return `CASE WHEN ${value}::text !~ '^-?[0-9]' THEN NULL ELSE to_jsonb(${value}) END`;
  if (type === 'character(7)') return `to_jsonb(rtrim(${value}::text, ' '))`;
  if (type === 'json') return `test.as_jsonb(${value})`;
  if (name === 'content') return `to_jsonb(test.clip(${value}, $1))`;
  if (['text', 'character varying', 'word'].includes(type)) return `CASE WHEN octet_length(${value}) <= 65536 THEN to_jsonb(${value}) END`;
  if (type === 'date') return `CASE WHEN ${value} BETWEEN '0001-01-01' AND '9999-12-31' THEN to_jsonb(${value}) END`;
  if (type === 'pair') return `to_jsonb(${value}::text)`;
  return `to_jsonb(${value})`;
}

/** The whole payload of a row, as SQL. */
function payloadOf(table, columns, roles) {
  const taken = new Set();
  const parts = [];
  const ordered = [...columns.filter(({ name }) => name in roles), ...columns.filter(({ name }) => !(name in roles))];
  for (const column of ordered) {
    const key = roles[column.name] ?? camel(column.name);
    if (['bytea', 'oid'].includes(column.type) || taken.has(key)) continue;
    taken.add(key);
    parts.push(`jsonb_build_object(${literal(key)}, ${said(column)})`);
    const truncated = column.name === 'content' ? 'octet_length(m.content) > $1' : ['text', 'character varying', 'word'].includes(column.type) && `octet_length(m.${quoteName(column.name)}) > 65536`;
    if (truncated) parts.push(`CASE WHEN ${truncated} THEN jsonb_build_object(${literal(`${key}Truncated`)}, true) ELSE '{}' END`);
  }
  return `SELECT $1::int, m.id, ${parts.join(' || ')} AS payload FROM ${table} m`;
}

const helpers = `
CREATE SCHEMA test;
CREATE TYPE mood AS ENUM ('ok', 'so "so"');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN word AS text;
CREATE FUNCTION test.clip(t text, n int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN WHILE octet_length(t) > n LOOP t := left(t, -1); END LOOP; RETURN t; END $$;
CREATE FUNCTION test.as_jsonb(j json) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN j::jsonb; EXCEPTION WHEN others THEN RETURN NULL; END $$;
`;

let failed = 0;
let passed = 0;
let compared = 0;
const fail = (text) => {
  failed++;
  console.log(`FAILED payloads   ${text}`.slice(0, 3000));
};

function extraColumns(known, all) {
  const list = [];
  for (let i = r.below(10); i > 0; i--) {
    const name = r.pick(all.names);
    if (!known.concat(list).some((column) => column.name === name)) list.push({ name, type: r.pick(Object.keys(all.types)) });
  }
  return list;
}

/** Random settings of the session that writes: payloads must not depend on them. */
const settings = () => `SET DateStyle = '${r.pick(['ISO', 'German', 'SQL, DMY', 'Postgres'])}'; SET TimeZone = '${r.pick(['UTC', 'Asia/Kolkata', 'America/Sao_Paulo'])}'; SET bytea_output = '${r.pick(['hex', 'escape'])}'`;

async function round(db, number) {
  const word = () => r.pick(r.chance(0.4) ? letters : ascii);
  const all = { types: types(word), names: names(word) };
  const limit = 64 + r.below(30);
  const conversation = [{ name: 'id', type: 'bigint' }, { name: 'user_id', type: 'uuid' }, { name: 'unread_count', type: 'integer' }, { name: 'last_message_at', type: 'timestamp with time zone' }, { name: 'last_message_preview', type: 'text' }];
  const message = [{ name: 'id', type: 'bigint' }, { name: 'conversation_id', type: 'bigint' }, { name: 'direction', type: 'text' }, { name: 'status', type: 'text' }, { name: 'content', type: r.pick(['text', 'character varying', 'word']) }, { name: 'created_at', type: 'timestamp with time zone' }];
  const extras = { c: extraColumns(conversation, all), m: extraColumns(message, all) };
  const define = (table, columns) => `CREATE TABLE ${table} (${columns.map(({ name, type }) => `${quoteName(name)} ${type}`).join(', ')}, PRIMARY KEY (id))`;
  const [c, m] = [`test.c${number}`, `test.m${number}`];
  conversation.push(...extras.c);
  message.push(...extras.m);
  await db.query(`RESET ALL; SET client_min_messages = warning; ${define(c, conversation)}; ${define(m, message)}`);
  await db.query('SELECT chat.attach($1, $2)', [c, m]);
  await db.query('SELECT chat.configure($1, $2)', [m, { max_content_bytes: limit }]);
  await db.query(settings());
  const values = (list) => list.map(({ type }) => (r.chance(0.15) ? 'NULL' : all.types[type]())).map((value) => `, ${value}`).join('');
  const columns = (list) => list.map(({ name }) => `, ${quoteName(name)}`).join('');
  for (let i = 1; i <= 3; i++) {
    await db.query(`INSERT INTO ${c} (id, user_id, unread_count${columns(extras.c)}) VALUES (${i}, '${user}', 0${values(extras.c)})`);
    await db.query(`INSERT INTO ${m} (id, conversation_id, direction, status, created_at, content${columns(extras.m)})
      VALUES (${i}, ${i}, 'incoming', 'sent', now(), ${literal(Array.from({ length: r.below(80) }, word).join(''))}${values(extras.m)})`);
  }
  await db.query('RESET ALL');
  for (const [sql, event, limited] of [[payloadOf(c, conversation, conversationRoles), 'conversation.updated'], [payloadOf(m, message, messageRoles), 'message.new', limit]]) {
    const wrong = await rows(db, `WITH want AS (${sql}) SELECT want.payload AS want, e.payload::jsonb AS have, octet_length(e.payload::text) FROM want
      LEFT JOIN LATERAL (SELECT payload FROM chat.events e WHERE e.event = $2 AND e.conversation = want.id::text ORDER BY e.id DESC LIMIT 1) e ON true`, [limited ?? 0, event]);
    compared += wrong.length;
    for (const { want, have } of wrong) {
      const differs = Object.keys({ ...want, ...have }).filter((key) => JSON.stringify(want[key]) !== JSON.stringify(have?.[key]));
      if (differs.length) fail(`${event}: ${JSON.stringify(differs.map((key) => [key, want[key], have?.[key]])).slice(0, 800)} of ${JSON.stringify(event === 'message.new' ? message : conversation)}`);
    }
  }
  await db.query(`DROP TABLE ${m}, ${c}`);
}

console.log(`payloads   SEED=${seed}`);
try {
  const cluster = await Cluster.create({ fsync: 'off' });
  await cluster.psql('CREATE DATABASE chat');
  const db = await connect(cluster);
  await db.query(`CREATE EXTENSION chat_realtime; ${helpers}`);
  for (let i = 0; i < rounds && failed < 20; i++) {
    const before = failed;
    try {
      await round(db, i);
    } catch (error) {
      fail(`${error.code} ${error.message} ${error.detail ?? ''} ${error.where ?? ''}`);
      await db.query(`RESET ALL; DROP TABLE IF EXISTS test.m${i}, test.c${i}`);
    }
    if (failed === before) passed++;
  }
} catch (error) {
  fail(error.stack);
}
await finish();
console.log(`payloads   ${compared} payloads compared`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
