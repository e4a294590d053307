// Every fault of the process, the database and the network against every way out, side by side: what arrived is compared with
// what was committed. Faults of the peers, which differ from sink to sink, have tests of their own: the table in regress/README.md
// says where.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { Load } from '../lib/load.mjs';
import { Pooler } from '../lib/pooler.mjs';
import { freePort } from '../lib/ports.mjs';
import { failingNames } from '../lib/preload.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { allArrived, embedded, overDatabase, overHttp, sameAsCommitted, socketIo, webhooks } from '../lib/sinks.mjs';
import { schema } from '../lib/streaming-realtime.mjs';
import { until } from '../lib/wait.mjs';
import { temporaryDirectory } from '../lib/workspace.mjs';

/**
 * A place is a database with the sidecars that read its log and the sinks that they serve: {bed, proxy (to the database), conversations,
 * sidecars: [{env, leads: consumers with a lease, running}], sinks}. One consumer publishes to Realtime, so over the database is a place of its own.
 */
const places = [];

const through = (place, port = place.proxy.port) => place.bed.cluster.url({ user: 'chat_sidecar', database: 'chat' }).replace(/:\d+\/chat/, `:${port}/chat`);

async function place(options) {
  const bed = await Bed.create(options);
  const made = { bed, sidecars: [], sinks: [], conversations: [await bed.conversation('Ana'), await bed.conversation('Bia')] };
  made.proxy = await Proxy.start(bed.cluster.port);
  bed.closing.push(() => made.proxy.stop());
  places.push(made);
  return made;
}

/** The same ports again, wherever it is started. */
async function serve(at, env, leads) {
  const sidecar = { env: { DATABASE_URL: through(at), HTTP_LISTEN: `127.0.0.1:${await freePort()}`, ...env }, leads };
  sidecar.running = await at.bed.sidecar(sidecar.env);
  sidecar.env = sidecar.running.env;
  at.sidecars.push(sidecar);
  return sidecar;
}

before(async () => {
  const [first, second] = await Promise.all([place(), place({ settings: { wal_level: 'logical' }, before: schema })]);
  const published = [await overHttp(first.bed), await webhooks(first.bed), await socketIo(first.bed, first.conversations)];
  await serve(first, Object.assign({}, ...published.map((sink) => sink.env)), ['realtime', 'webhooks', 'socketio']);
  const endpoint = await serve(first, { WEBHOOKS: 'off' }, []);
  const streamed = await overDatabase(second.bed);
  await serve(second, { WEBHOOKS: 'off', ...streamed.env }, ['realtime']);
  first.sinks.push(...published, await embedded(first.bed, first.conversations, endpoint.running));
  second.sinks.push(streamed);
  await until(async () => await first.sidecars[0].running.metric('chat_realtime_socketio_servers') === 1, 'the Socket.IO server', 30000);
});

after(async () => {
  for (const { bed } of places.reverse()) await bed.close();
});

/** At each place; a failure is told once all have ended. */
async function everywhere(action) {
  for (const { reason } of await Promise.allSettled(places.map(action))) if (reason) throw reason;
}

const each = (at, action) => Promise.all(at.sidecars.map((sidecar) => action(sidecar, at)));
const epochs = async (at) => Object.fromEntries((await rows(at.bed.db, 'SELECT name, epoch FROM chat.consumer')).map(({ name, epoch }) => [name, Number(epoch)]));

/** Writes at each place, does the fault in the midst, and waits until all has arrived at every sink. */
async function under(fault) {
  await everywhere(async (at) => {
    const load = new Load(at.bed.cluster, at.conversations, { writers: 2, pause: 20 }); // 100 messages/s
    try {
      await load.wrote(30);
      await fault(at);
      await load.wrote(30, 40000);
    } finally {
      await load.stop();
    }
    await at.bed.reconnect();
    for (const sink of at.sinks) await allArrived(at.bed, sink, { state: () => at.sidecars.map(({ running }) => running.tail(40)).join('\n') });
  });
}

async function restart(at, sidecar, env = {}) {
  sidecar.running = await at.bed.sidecar({ ...sidecar.env, ...env });
}

test('nothing fails: all arrives everywhere', () => under(() => {}));

test('SIGKILL of the sidecar at 100 messages/s, twice', () => under(async (at) => {
  for (let n = 0; n < 2; n++) {
    await each(at, async (sidecar) => {
      await sidecar.running.kill('SIGKILL');
      await restart(at, sidecar);
    });
  }
}));

test('PostgreSQL crashes', () => under(async (at) => {
  await at.bed.cluster.restart('immediate');
  const streaming = at.sinks.find(({ peer }) => peer.confirms);
  if (streaming) {
    await streaming.peer.ended;
    await streaming.peer.connect();
  }
}));

test('another process takes every lease', () => under((at) => at.bed.db.query('UPDATE chat.consumer SET epoch = epoch + 1')));

test('the process is frozen: another one takes over, and the first one sends nothing when it wakes up', () => under(async (at) => {
  const before = await epochs(at);
  const [leader] = at.sidecars;
  const standby = await at.bed.sidecar({ ...leader.env, HTTP_LISTEN: `127.0.0.1:${await freePort()}` });
  for (const sidecar of at.sidecars) process.kill(sidecar.running.child.pid, 'SIGSTOP');
  await until(async () => {
    const now = await epochs(at);
    return leader.leads.every((name) => now[name] > before[name]);
  }, () => `new leaders: ${standby.tail()}`, 20000);
  for (const sidecar of at.sidecars) process.kill(sidecar.running.child.pid, 'SIGCONT');
  await until(() => leader.leads.every((name) => leader.running.log.some((line) => line.msg === 'not leading any more' && line.consumer === name)),
    () => `the first to notice: ${leader.running.tail()}`, 20000);
  await standby.kill('SIGTERM');
}));

/** By place, what is cut: of some statements the answer is lost, and they are done; others never get there. */
const statements = [
  { lost: ['consumer_renew', 'read'], unanswered: ['consumer_save', 'webhook_save', 'socketio_send'] },
  { lost: ['slots', 'insert'], unanswered: ['insert', 'consumer_save'] },
];

test('connections to the database are cut in a statement: it never gets there, or its answer never comes back', () => under(async (at) => {
  const { lost, unanswered } = statements[places.indexOf(at)];
  const on = (name) => new RegExp(`_${name}\\0`);
  const cuts = [...lost.map((name) => ({ instead: { on: on(name), reset: true } })), ...unanswered.map((name) => ({ unanswered: on(name) }))];
  let done = 0;
  for (const cut of cuts) {
    Object.assign(at.proxy, cut);
    // One that is not said for a while is not waited for: what arrives is what counts.
    await until(() => at.proxy.instead === null && at.proxy.unanswered === null, '', 8000).then(() => { done++; }, () => {});
    Object.assign(at.proxy, { instead: null, unanswered: null });
  }
  assert.ok(done > 0, 'nothing was cut');
}));

test('a pooler in between, which ends and comes back', () => under(async (at) => {
  const pooler = await Pooler.start(at.bed.cluster, 'session');
  at.bed.closing.push(() => pooler.stop());
  await each(at, async (sidecar) => {
    await sidecar.running.kill('SIGTERM');
    await restart(at, sidecar, { DATABASE_URL: through(at, pooler.port) });
  });
  await pooler.restart();
}));

test('no name can be looked up: neither the database, nor Realtime, nor a receiver', () => under(async (at) => {
  const file = path.join(temporaryDirectory(0o755), 'no-names');
  const byName = (text) => text.replace('127.0.0.1', 'localhost');
  writeFileSync(file, '');
  await at.bed.db.query(`UPDATE public.chat_external_webhooks SET url = replace(url, '127.0.0.1', 'localhost')`);
  await each(at, async (sidecar) => {
    await sidecar.running.kill('SIGTERM');
    const named = { DATABASE_URL: byName(through(at)), ...(sidecar.env.REALTIME_URL && { REALTIME_URL: byName(sidecar.env.REALTIME_URL) }) };
    sidecar.running = new Sidecar({ ...sidecar.env, ...named, ...await failingNames(file) }).run();
    at.bed.closing.push(() => sidecar.running.running && sidecar.running.kill());
  });
  await each(at, ({ running }) => until(() => running.log.some((line) => /cannot be resolved/.test(JSON.stringify(line))), () => `what fails: ${running.tail()}`, 20000));
  rmSync(file);
}));

test('what arrived is what was committed, byte for byte as JSON has it', () => everywhere(async (at) => {
  for (const sink of at.sinks) if (sink.name !== 'Socket.IO') await sameAsCommitted(at.bed, sink); // whose payloads are the existing server's
}));
