// Random tables with random CHECK constraints, attached; random statements run in two databases, one whose session keeps the
// planned constraints (chat_realtime.cache_checks) and one without. Every result, error, notice and row must be the same.
//
//   node regress/random/checks.mjs        ROUNDS (pairs of tables: 60), STEPS (of each: 60), SEED
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { connect, value } from '../lib/db.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { conditions, types } from './conditions.mjs';
import { generator } from './program.mjs';

const rounds = Number(process.env.ROUNDS || 60);
const steps = Number(process.env.STEPS || 60);
const seed = Number(process.env.SEED || randomInt(1, 2 ** 31));
const r = generator(seed);

// A defect of PostgreSQL 15: ALTER DOMAIN … DROP CONSTRAINT, then SAVEPOINT and a change of a table.
const known = /unprocessed inval messages/;

let history = []; // of the round
let passed = 0;
let failed = 0;
const counts = { statements: 0, stored: 0, errors: {}, looks: 0, kept: 0 };

/** Functions that conditions use and that a role may lose the right to execute. */
const functions = ['length(text)', 'upper(text)', 'abs(integer)', 'int4mul(integer, integer)', 'int4pl(integer, integer)', 'numeric(integer)', 'texteq(text, text)', 'textlike(text, text)',
  'int4gt(integer, integer)', 'booleq(boolean, boolean)', 'jsonb_typeof(jsonb)', 'int4_numeric(integer)', 'textcat(text, text)', 'numeric_lt(numeric, numeric)'];

const database = `
  CREATE EXTENSION chat_realtime;
  CREATE TYPE mood AS ENUM ('ok', 'so so');
  CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
  CREATE TYPE pair AS (a integer, b text);
  CREATE FUNCTION own(numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 1000';
  `;

/** The two databases, each with a session that works and one that comes between. */
async function prepare(cluster) {
  await cluster.psql('CREATE ROLE checks_writer; GRANT pg_read_all_stats TO checks_writer');
  const sides = [];
  for (const [name, setting] of [['kept', 'on'], ['plain', 'off']]) {
    await cluster.psql(`CREATE DATABASE ${name}`);
    const side = { name, setting, cluster };
    side.other = await connect(cluster, { database: name });
    await side.other.query(`${database} ALTER DATABASE ${name} SET chat_realtime.cache_checks = ${setting}; ALTER DATABASE ${name} SET chat_realtime.rate_limits = off`);
    await side.other.end();
    for (const session of ['main', 'other']) side[session] = await open(cluster, name, side);
    sides.push(side);
  }
  return sides;
}

async function open(cluster, name, side) {
  const client = await connect(cluster, { database: name });
  client.on('notice', ({ severity, code, message }) => side.notices?.push({ severity, code, message }));
  return client;
}

/** Everything that a client can tell of a statement. */
async function outcome(side, session, sql) {
  side.notices = [];
  try {
    const result = await side[session].query({ text: sql, rowMode: 'array' });
    return [].concat(result).map(({ command, rowCount, rows }) => ({ command, rowCount, rows, notices: side.notices }));
  } catch (error) {
    if (!error.code || /^(57P|08)/.test(error.code)) throw error;
    const { code, message, detail, hint, schema, table, column, constraint, where, position, routine } = error;
    return { code, message, detail, hint, schema, table, column, constraint, where, position, routine, notices: side.notices };
  }
}

/** Runs a statement in both databases; throws where they differ. Returns the outcome of both. */
async function both(sides, sql, session = 'main') {
  const [kept, plain] = await Promise.all(sides.map((side) => outcome(side, session, sql)));
  counts.statements++;
  history.push(`${session}: ${sql}`);
  if (kept.code) counts.errors[kept.code] = (counts.errors[kept.code] ?? 0) + 1;
  if (!isDeepStrictEqual(kept, plain)) throw new Error(`differs: ${sql}\n  kept:  ${JSON.stringify(kept)}\n  plain: ${JSON.stringify(plain)}`);
  if (/^XX/.test(kept.code ?? '') && !known.test(kept.message)) throw new Error(`${kept.code} ${kept.message} in: ${sql}`);
  return kept;
}

/** Columns of a table of messages: those that attach needs, and some of any type. */
function columnsOf(number) {
  const extra = Array.from({ length: 2 + r.below(7) }, (_, i) => ({ name: `x${i}`, type: r.pick(Object.keys(types)) }));
  return [{ name: 'id', type: 'bigint' }, { name: 'part', type: 'integer' }, { name: 'content', type: 'text' }, { name: 'ok', type: 'boolean' }, { name: 'message_type', type: 'text' }, { name: 'doc', type: 'jsonb' }, { name: 'numbers', type: 'integer[]' }, { name: 'day', type: 'date' }, { name: 'span', type: 'int4range' }, ...extra].map((column) => ({ ...column, number }));
}

const shuffled = (list) => list.map((item) => [r.random(), item]).sort(([a], [b]) => a - b).map(([, item]) => item);
const definition = ({ name, type }) => `${name} ${type}`;
const fixed = `conversation_id bigint NOT NULL, direction text NOT NULL DEFAULT 'incoming', status text DEFAULT 'sent', created_at timestamptz NOT NULL DEFAULT '2026-01-01'`;

/** A pair of tables; one in four has partitions, whose columns are in another order. */
function tables(n) {
  const columns = columnsOf(n);
  const partitioned = r.chance(0.25);
  const [c, m] = [`c${n}`, `m${n}`];
  const list = [`CREATE TABLE ${c} (id bigint PRIMARY KEY, user_id text NOT NULL, contact_jid text, status text, unread_count integer NOT NULL DEFAULT 0, last_message_at timestamptz, last_message_preview text, n integer, ok boolean)`,
    `CREATE TABLE ${m} (${[...columns.map(definition), fixed].join(', ')}, PRIMARY KEY (id${partitioned ? ', part' : ''}))${partitioned ? ' PARTITION BY RANGE (part)' : ''}`];
  if (partitioned) {
    list.push(`CREATE TABLE ${m}_1 PARTITION OF ${m} FOR VALUES FROM (0) TO (5)`,
      `CREATE TABLE ${m}_2 (gone text, ${[...shuffled(columns).map(({ name, type }) => `${name} ${type}${['id', 'part'].includes(name) ? ' NOT NULL' : ''}`), fixed].join(', ')})`,
      `ALTER TABLE ${m}_2 DROP gone`, `ALTER TABLE ${m} ATTACH PARTITION ${m}_2 FOR VALUES FROM (5) TO (100)`);
  }
  list.push(`SELECT count(*) FROM chat.attach('${c}', '${m}')`, `GRANT ALL ON ${c}, ${m}${partitioned ? `, ${m}_1, ${m}_2` : ''} TO checks_writer`,
    `INSERT INTO ${c} (id, user_id, n) VALUES (1, 'ann', 1), (2, 'ann', 2), (3, 'bob', 3)`,
    `CREATE VIEW v${n} AS SELECT id, part, content, ok, conversation_id FROM ${m} WHERE part < 8 WITH CHECK OPTION`, `GRANT ALL ON v${n} TO checks_writer`);
  if (r.chance(0.3)) {
    list.push(`CREATE FUNCTION nested${n}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.content = 'nest' AND pg_trigger_depth() < 3 THEN
          BEGIN
            INSERT INTO ${m} (id, part, conversation_id, content, ok) VALUES (NEW.id + 1000 * pg_trigger_depth(), NEW.part, 1, 'nest', NOT NEW.ok);
          EXCEPTION WHEN check_violation OR insufficient_privilege THEN RAISE NOTICE '%', SQLERRM;
          END;
        END IF;
        RETURN NEW; END $$`, `CREATE TRIGGER nested BEFORE INSERT OR UPDATE ON ${m} FOR EACH ROW EXECUTE FUNCTION nested${n}()`);
  }
  return { n, c, m, columns, partitioned, list };
}

/** The statements of a round. */
function grammar(pair, cluster) {
  const { c, m, n, columns, partitioned } = pair;
  const on = conditions(r, columns);
  const ofConversation = conditions(r, [{ name: 'n', type: 'integer' }, { name: 'unread_count', type: 'integer' }, { name: 'contact_jid', type: 'text' }, { name: 'ok', type: 'boolean' }]);
  const usual = { id: () => String(1 + r.below(80)), part: () => String(r.below(11)), content: () => r.pick(["'a'", "'bad'", "'nest'", 'NULL']), ok: () => r.pick(['true', 'true', 'false', 'NULL']), message_type: () => r.pick(["'text'", "'image'", "'odd'", "'odder'", 'NULL']) };
  const valueOf = ({ name, type }) => (usual[name] ?? (() => on.value(type)))();
  const some = () => columns.filter(({ name }) => ['id', 'part', 'ok'].includes(name) || r.chance(0.6));
  const row = (list) => [...list.map(valueOf), String(1 + r.below(3))].join(', ');
  const names = (list) => [...list.map(({ name }) => name), 'conversation_id'].join(', ');
  const target = () => (partitioned && r.chance(0.3) ? `${m}_${1 + r.below(2)}` : m);
  const constraint = () => `c${r.below(8)}`;
  const where = () => r.pick(['', '', 'false', `id % 3 = ${r.below(3)}`, `id < ${r.below(80)}`, `part = ${r.below(10)}`]);
  const condition = () => { const text = where(); return text && ` WHERE ${text}`; };
  const set = () => shuffled(columns.filter(({ name }) => name !== 'id')).slice(0, 1 + r.below(3)).map((column) => `${column.name} = ${valueOf(column)}`).join(', ');
  const changeable = columns.filter(({ name, type }) => name.startsWith('x') && ['smallint', 'integer', 'bigint', 'text', 'varchar(12)', 'real'].includes(type));

  const insert = () => { const list = some(); return `INSERT INTO ${target()} (${names(list)}) VALUES ${Array.from({ length: r.pick([1, 1, 3]) }, () => `(${row(list)})`).join(', ')}`; };
  const update = () => `UPDATE ${target()} SET ${set()}${condition()}`;
  const upsert = () => { const list = some(); return `INSERT INTO ${m} (${names(list)}) VALUES (${row(list)}) ON CONFLICT (id${partitioned ? ', part' : ''}) DO ${r.chance(0.3) ? 'NOTHING' : `UPDATE SET content = ${usual.content()}, ok = ${usual.ok()}`}`; };
  const merge = () => { const list = some(); return `MERGE INTO ${m} t USING generate_series(1, 80, ${5 + r.below(30)}) s (id) ON t.id = s.id WHEN MATCHED AND ${r.chance(0.2) ? 'false' : 'true'} THEN UPDATE SET ${set()}
    WHEN NOT MATCHED THEN INSERT (${names(list)}) VALUES (${row(list).replace(/^\d+/, 's.id')})`; };
  const copy = () => {
    const list = columns.slice(0, 4);
    const file = path.join(cluster.dir, 'rows.copy');
    writeFileSync(file, Array.from({ length: 1 + r.below(3) }, () => `${[usual.id(), usual.part(), r.pick(['a', 'bad', '\\N']), r.pick(['t', 'f']), 1].join('\t')}\n`).join(''), { mode: 0o644 });
    return `COPY ${m} (${names(list)}) FROM '${file}'`;
  };
  const writes = [insert, insert, insert, insert, update, update, update, upsert, merge, copy,
    () => `WITH w AS (${insert()} RETURNING id) ${r.pick(['SELECT count(*) FROM w', `DELETE FROM ${m} WHERE id = ${usual.id()}`])}`,
    () => `WITH w AS (${update()} RETURNING id) SELECT count(*) FROM w`,
    () => `INSERT INTO v${n} (id, part, content, ok, conversation_id) VALUES (${usual.id()}, ${usual.part()}, ${usual.content()}, ${usual.ok()}, ${1 + r.below(3)})`,
    () => `UPDATE v${n} SET content = ${usual.content()}, part = ${usual.part()}${condition()}`,
    () => `EXECUTE put${n} (${usual.id()}, ${usual.part()}, ${usual.ok()})`,
    () => `EXECUTE change${n} (${usual.id()}, ${usual.ok()})`,
    () => `EXPLAIN (COSTS off) ${r.pick([insert, update])()}`,
    () => `DO $$ BEGIN FOR i IN 1 .. 3 LOOP BEGIN ${insert()}; EXCEPTION WHEN others THEN RAISE NOTICE '% %', SQLSTATE, SQLERRM; END; END LOOP; END $$`,
    () => `DO $$ DECLARE k CURSOR FOR SELECT * FROM ${m} ORDER BY id LIMIT 3 FOR UPDATE; BEGIN FOR x IN k LOOP UPDATE ${m} SET ${set()} WHERE CURRENT OF k; END LOOP; END $$`,
    () => `DELETE FROM ${m} WHERE id % 4 = ${r.below(4)}`,
    () => `UPDATE ${c} SET ${r.pick(['n = n + 1', "contact_jid = 'bad'", 'ok = NOT coalesce(ok, false)', 'n = NULL'])}`,
    () => `INSERT INTO ${c} (id, user_id, n, ok) VALUES (${4 + r.below(9)}, 'ann', ${r.below(20)}, ${usual.ok()})`];
  const ddl = [
    () => `ALTER TABLE ${m} ADD CONSTRAINT ${constraint()} CHECK (${on.condition()})`,
    () => `ALTER TABLE ${m} ADD CONSTRAINT ${constraint()} CHECK (${on.condition()})${r.chance(0.4) ? ' NOT VALID' : ''}`,
    () => `ALTER TABLE ${m} DROP CONSTRAINT IF EXISTS ${constraint()}, DROP CONSTRAINT IF EXISTS ${constraint()}`,
    () => `ALTER TABLE ${m} DROP CONSTRAINT IF EXISTS ${constraint()}`,
    () => `ALTER TABLE ${m} ADD CONSTRAINT ${constraint()} CHECK (message_type ${r.pick(["IN ('text', 'image', 'odd')", "<> 'odder'", 'IS NOT NULL'])}) NOT VALID`,
    () => `ALTER TABLE ${m} VALIDATE CONSTRAINT ${constraint()}`,
    () => `ALTER TABLE ${m} RENAME CONSTRAINT ${constraint()} TO ${constraint()}`,
    () => (partitioned ? `ALTER TABLE ${m}_2 ADD CONSTRAINT p${r.below(2)} CHECK (${on.condition()}) NOT VALID` : 'SELECT 1'),
    () => (changeable.length ? `ALTER TABLE ${m} ALTER ${r.pick(changeable).name} TYPE ${r.pick(['bigint', 'numeric', 'text', 'varchar(12)'])}` : 'SELECT 1'),
    () => `ALTER TABLE ${c} ADD CONSTRAINT ${constraint()} CHECK (${ofConversation.condition()}) NOT VALID`,
    () => `ALTER TABLE ${c} DROP CONSTRAINT IF EXISTS ${constraint()}`,
    () => `${r.pick(['REVOKE', 'GRANT'])} EXECUTE ON FUNCTION pg_catalog.${r.pick(functions)} ${'FROM'} PUBLIC`.replace(/^GRANT(.*)FROM/, 'GRANT$1TO'),
    () => `ALTER DOMAIN positive ${r.pick(['DROP CONSTRAINT few', 'ADD CONSTRAINT few CHECK (VALUE < 40) NOT VALID'])}`,
    () => `TRUNCATE ${m}`];
  const session = [
    () => `SET extra_float_digits = ${r.pick([0, 1, 3])}`,
    () => `SET IntervalStyle = ${r.pick(['postgres', 'iso_8601'])}`,
    () => `SET DateStyle = ${r.pick(['ISO', 'German'])}`,
    () => `SET TimeZone = ${r.pick(["'UTC'", "'Asia/Kolkata'"])}`,
    () => `SET quote_all_identifiers = ${r.pick(['on', 'off'])}`,
    () => `SET extra_float_digits = ${r.pick([0, 1])}; SET quote_all_identifiers = ${r.pick(['on', 'off'])}`,
    () => `SET session_replication_role = ${r.pick(['origin', 'origin', 'replica'])}`,
    () => 'SET ROLE checks_writer', () => 'SET ROLE checks_writer', () => 'RESET ROLE', () => 'RESET ROLE', () => 'RESET ROLE'];
  return {
    prepared: [`PREPARE put${n} (bigint, integer, boolean) AS INSERT INTO ${m} (id, part, ok, conversation_id, content) VALUES ($1, $2, $3, 1, 'a')`,
      `PREPARE change${n} (bigint, boolean) AS UPDATE ${m} SET ok = $2, content = 'changed' WHERE id = $1`],
    samples: Array.from({ length: 6 }, (_, i) => { const list = columns.filter(({ name }) => name !== 'id'); return `INSERT INTO ${m} (id, ${names(list)}) VALUES (${1 + i * 7}, ${row(list).replace(/^\d+/, String(i))})`; }),
    write: () => r.pick(writes)(),
    ddl: () => r.pick(ddl)(),
    session: () => r.pick(session)(),
    state: `SELECT (SELECT jsonb_agg(t ORDER BY id) FROM ${m} t), (SELECT jsonb_agg(t ORDER BY id) FROM ${c} t)`,
  };
}

/** Looks whether the session that keeps has something of these tables; a role without rights to functions may not look. */
async function look({ main }, { m }) {
  const sql = `SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'chat_realtime CHECKs' AND ident ~ '^${m}'`;
  const kept = await value(main, sql).catch((error) => (error.code === '42501' ? undefined : Promise.reject(error)));
  if (kept === undefined) return;
  counts.looks++;
  if (kept > 0) counts.kept++;
}

/** One step: a statement, or one that begins or ends a transaction. */
async function step(sides, statements, state) {
  const begin = async (sql, savepoint) => { await both(sides, sql); Object.assign(state, { open: true, savepoint }); };
  const end = async (sql) => { await both(sides, sql); Object.assign(state, { open: false, savepoint: false, failed: false }); };
  if (state.failed && r.chance(0.8)) {
    if (!state.savepoint) return end('ROLLBACK');
    state.failed = false;
    return both(sides, 'ROLLBACK TO s');
  }
  if (!state.open && r.chance(0.15)) return begin('BEGIN', false);
  if (state.open && !state.failed && r.chance(0.15)) return begin('SAVEPOINT s', true);
  if (state.open && r.chance(0.15)) return end(r.pick(['COMMIT', 'COMMIT', 'ROLLBACK']));
  const kind = r.random();
  if (!state.open && kind < 0.08) return both(sides, statements.ddl(), 'other');
  const result = await both(sides, kind < 0.25 ? statements.ddl() : kind < 0.35 ? statements.session() : statements.write());
  if (result.code && state.open) state.failed = true;
  return result;
}

async function round(sides, n, cluster) {
  const pair = tables(n);
  for (const sql of pair.list) {
    const { code, message } = await both(sides, sql);
    if (code) throw new Error(`${code} ${message} in: ${sql}`);
  }
  const statements = grammar(pair, cluster);
  for (const sql of statements.prepared) await both(sides, sql);
  const revoked = r.chance(0.4) ? shuffled(functions).slice(0, 3) : [];
  for (const name of revoked) await both(sides, `REVOKE EXECUTE ON FUNCTION pg_catalog.${name} FROM PUBLIC`);
  if (r.chance(0.7)) await both(sides, `ALTER TABLE ${pair.m} ADD CONSTRAINT words CHECK (message_type IN ('text', 'image', 'odd') OR length(message_type) > 4)`);
  for (const sql of statements.samples) await both(sides, sql);
  for (let i = 2 + r.below(8); i > 0; i--) await both(sides, `ALTER TABLE ${pair.m} ADD CONSTRAINT c${i} CHECK (${conditions(r, pair.columns).condition()})`);
  await both(sides, statements.write());
  if (revoked.length) await both(sides, 'SET ROLE checks_writer');
  const state = {};
  for (let i = 0; i < steps; i++) {
    await step(sides, statements, state);
    if (i % 5 === 4 && !state.open) await look(sides[0], pair);
  }
  if (state.open) await both(sides, 'ROLLBACK');
  const rows = await both(sides, `RESET ROLE; RESET ALL; ${statements.state}`);
  counts.stored += rows.at(-1).rows[0][0]?.length ?? 0;
}

/** Takes back what a round leaves for the next ones. */
async function clean(sides, n) {
  for (const { main, name, setting } of sides) {
    await main.query('ROLLBACK');
    await main.query(`RESET ROLE; RESET ALL; SET chat_realtime.cache_checks = ${setting}`);
    for (const name of functions) await main.query(`GRANT EXECUTE ON FUNCTION pg_catalog.${name} TO PUBLIC`).catch(() => {});
    await main.query(`DEALLOCATE ALL; DROP TABLE IF EXISTS c${n}, m${n} CASCADE`);
  }
}

console.log(`checks     SEED=${seed}`);
try {
  const cluster = await Cluster.create({ fsync: 'off', ...(process.env.NO_PRELOAD && { shared_preload_libraries: '' }) });
  const sides = await prepare(cluster);
  for (let n = 0; n < rounds && failed < 10; n++) {
    history = [];
    try {
      await round(sides, n, cluster);
      passed++;
    } catch (error) {
      failed++;
      console.log(`FAILED checks  round ${n}: ${error.stack.slice(0, 4000)}\n  after:\n  ${history.slice(-20).join('\n  ').slice(0, 6000)}`);
      if (!error.message.startsWith('differs')) break;
    }
    await clean(sides, n);
  }
} catch (error) {
  failed++;
  console.log(`FAILED checks  ${error.stack}`);
}
if (counts.kept < counts.looks / 4) {
  failed++;
  console.log('FAILED checks  too little was kept for the comparison to say anything');
}
await finish();
console.log(`checks     ${counts.statements} statements, ${counts.stored} rows left, kept at ${counts.kept} of ${counts.looks} looks, errors ${JSON.stringify(counts.errors)}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
