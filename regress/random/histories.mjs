// Random concurrent histories against a throw-away cluster; regress/random/oracle.mjs judges each.
//
//   node regress/random/histories.mjs        HISTORIES (200), SEED (of the first one; random unless set)
//
// Prints the seed of a history that fails: SEED=… HISTORIES=1 runs its programs again, as often as you like.
import { randomInt, randomUUID } from 'node:crypto';
import { connect, rows, value } from '../lib/db.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { judge, record } from './oracle.mjs';
import { insertsOnly, program } from './program.mjs';

const histories = Number(process.env.HISTORIES || 200);
const first = Number(process.env.SEED || randomInt(1, 2 ** 31));
// What may go wrong in a history, and rolls back: deadlocks of two transactions that lock in either order, and statements
// whose conversation or message another session has deleted.
const tolerated = new Set(['40P01', '23503', '23502', '22004']);
const failures = {};
const counts = { transactions: 0, statements: 0 };

async function prepare(cluster) {
  await cluster.psql('CREATE DATABASE chat');
  const db = await connect(cluster);
  await db.query('CREATE EXTENSION chat_realtime');
  await db.query('SELECT chat.setup()');
  await db.query('ALTER TABLE public.chat_messages ADD COLUMN is_deleted boolean NOT NULL DEFAULT false');
  await db.query("SELECT chat.detach('public.chat_messages')");
  await db.query("SELECT chat.attach('public.conversations', 'public.chat_messages')");
  await db.query(record);
  return db;
}

async function run(client, owner, { list, end }, name, strict) {
  counts.transactions++;
  try {
    if (end !== 'auto') await client.query('BEGIN');
    for (const sql of list) {
      await client.query(sql, sql.includes('$1') ? [owner] : undefined);
      counts.statements++;
    }
    if (end.endsWith('PREPARED')) {
      await client.query(`PREPARE TRANSACTION '${name}'`);
      await client.query(`${end} '${name}'`);
    } else if (end !== 'auto') await client.query(end);
  } catch (error) {
    await client.query('ROLLBACK');
    if (strict || !tolerated.has(error.code)) throw error;
    failures[error.code] = (failures[error.code] ?? 0) + 1;
  }
}

async function history(db, clients, seed) {
  const owner = randomUUID();
  const from = Number(await value(db, 'SELECT COALESCE(max(id), 0) FROM chat.event'));
  await db.query('TRUNCATE record.change');
  await db.query("INSERT INTO public.conversations (user_id, contact_jid) SELECT $1, 'c' || g FROM generate_series(0, 3) g", [owner]);
  const sessions = program(seed, { sessions: clients.length });
  const done = await Promise.allSettled(sessions.map(async (transactions, i) => {
    for (const [n, transaction] of transactions.entries()) await run(clients[i], owner, transaction, `${seed}.${i}.${n}`, insertsOnly(seed));
  }));
  for (const { reason } of done) if (reason) throw reason;
  return judge(db, { owner, from });
}

let failed = 0;
let passed = 0;
const start = Date.now();
console.log(`random     ${histories} histories, SEED=${first}`);
try {
  const cluster = await Cluster.create({ fsync: 'off', track_commit_timestamp: 'on', deadlock_timeout: '50ms' });
  const db = await prepare(cluster);
  const clients = await Promise.all(Array.from({ length: 6 }, () => connect(cluster)));
  for (let i = 0; i < histories && failed < 5; i++) {
    const seed = (first + i) >>> 0;
    let problems;
    try {
      problems = await history(db, clients, seed);
    } catch (error) {
      problems = [`${error.code ?? ''} ${error.message} ${error.detail ?? ''} ${error.where ?? ''}`];
    }
    if (problems.length === 0) passed++;
    else {
      failed++;
      console.log(`FAILED random     SEED=${seed}\n${problems.slice(0, 5).join('\n').replace(/^/gm, '         ').slice(0, 4000)}`);
    }
  }
  const [{ events }] = await rows(db, 'SELECT count(*) AS events FROM chat.event');
  console.log(`random     ${counts.transactions} transactions, ${counts.statements} statements, ${events} events, failed transactions ${JSON.stringify(failures)}, ${Math.round((Date.now() - start) / 1000)} s`);
} catch (error) {
  failed++;
  console.log(`FAILED random     ${error.stack}`);
}
await finish();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
