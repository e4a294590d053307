// Random concurrent histories against a throw-away cluster; regress/random/oracle.mjs judges each.
//
//   node regress/random/histories.mjs        HISTORIES (200), SEED (of the first one; random unless set), MODELS
//
// They take turns on the models of tables in regress/random/models.mjs, or on those that MODELS names.
// Prints the seed of a history that fails: SEED=… HISTORIES=1 runs its programs again, as often as you like.
import { randomInt, randomUUID } from 'node:crypto';
import { connect, value } from '../lib/db.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { models } from './models.mjs';
import { judge, record } from './oracle.mjs';
import { insertsOnly, program } from './program.mjs';

const histories = Number(process.env.HISTORIES || 200);
const first = Number(process.env.SEED || randomInt(1, 2 ** 31));
const names = process.env.MODELS?.split(' ') ?? Object.keys(models);
// What may go wrong in a transaction, which rolls back: statements whose conversation or message another session has deleted
// or made again.
const tolerated = new Set(['23503', '23502', '22004', '23505']);
// What asks for another try: two that lock in either order, or may not be serialised.
const again = new Set(['40P01', '40001']);
const tries = 8;
const failures = {};
const counts = { transactions: 0, statements: 0, retries: 0 };

/** A database with the tables of a model, and the sessions that use it. */
async function prepare(cluster, name) {
  const model = models[name];
  const database = `chat_${name}`;
  await cluster.psql(`CREATE DATABASE ${database}`);
  const db = await connect(cluster, { database });
  await db.query('CREATE EXTENSION chat_realtime');
  await db.query(model.tables);
  await db.query(record(model));
  const clients = await Promise.all(Array.from({ length: 6 }, () => connect(cluster, { database })));
  return { name, model, db, clients };
}

async function attempt(client, owner, { list, end, isolation }, name) {
  if (end !== 'auto') await client.query(`BEGIN ISOLATION LEVEL ${isolation}`);
  for (const sql of list) {
    await client.query(sql, sql.includes('$1') ? [owner] : undefined);
    counts.statements++;
  }
  if (end.endsWith('PREPARED')) {
    await client.query(`PREPARE TRANSACTION '${name}'`);
    await client.query(`${end} '${name}'`);
  } else if (end !== 'auto') await client.query(end);
}

async function run(client, owner, transaction, name, strict) {
  counts.transactions++;
  for (let left = tries; ; left--) {
    try {
      return await attempt(client, owner, transaction, name);
    } catch (error) {
      await client.query('ROLLBACK');
      error.message += ` in: ${transaction.list.join('; ')}`;
      if (strict || !(tolerated.has(error.code) || again.has(error.code))) throw error;
      if (tolerated.has(error.code) || left === 0) {
        failures[error.code] = (failures[error.code] ?? 0) + 1;
        return undefined;
      }
      counts.retries++;
    }
  }
}

async function history({ model, db, clients }, seed) {
  const owner = randomUUID();
  const from = Number(await value(db, 'SELECT COALESCE(max(id), 0) FROM chat.events'));
  await db.query('TRUNCATE record.change');
  await db.query(model.newOwner, [owner]);
  await db.query(`INSERT INTO public.conversations (${model.owner}, contact_jid) SELECT $1, 'c' || g FROM generate_series(0, 3) g`, [owner]);
  const sessions = program(seed, model, { sessions: clients.length });
  const done = await Promise.allSettled(sessions.map(async (transactions, i) => {
    for (const [n, transaction] of transactions.entries()) await run(clients[i], owner, transaction, `${seed}.${i}.${n}`, insertsOnly(seed));
  }));
  for (const { reason } of done) if (reason) throw reason;
  await db.query('SELECT record.sweep()');
  return judge(db, { owner, from, model });
}

let failed = 0;
let passed = 0;
const start = Date.now();
console.log(`random     ${histories} histories, SEED=${first}`);
try {
  const cluster = await Cluster.create({ fsync: 'off', track_commit_timestamp: 'on', deadlock_timeout: '50ms' });
  const beds = [];
  for (const name of names) beds.push(await prepare(cluster, name));
  for (let i = 0; i < histories && failed < 5; i++) {
    const seed = (first + i) >>> 0;
    const bed = beds[seed % beds.length];
    let problems;
    try {
      problems = await history(bed, seed);
    } catch (error) {
      problems = [`${error.code ?? ''} ${error.message} ${error.detail ?? ''} ${error.where ?? ''}`];
    }
    if (problems.length === 0) passed++;
    else {
      failed++;
      console.log(`FAILED random     SEED=${seed} MODELS=${bed.name}\n${problems.slice(0, 5).join('\n').replace(/^/gm, '         ').slice(0, 4000)}`);
    }
  }
  let events = 0;
  for (const { db } of beds) events += await value(db, 'SELECT count(*) FROM chat.events');
  console.log(`random     ${counts.transactions} transactions, ${counts.retries} retries, ${counts.statements} statements, ${events} events, failed transactions ${JSON.stringify(failures)}, ${Math.round((Date.now() - start) / 1000)} s`);
} catch (error) {
  failed++;
  console.log(`FAILED random     ${error.stack}`);
}
await finish();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
