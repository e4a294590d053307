// The embedded endpoint as a process of its own: what it has, what becomes of clients and deliveries when it dies, hangs,
// or the core does, and that webhooks go on meanwhile.
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows } from '../lib/db.mjs';
import { Load } from '../lib/load.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { until, within } from '../lib/wait.mjs';

let bed, sidecar, conversation, receiver;

before(async () => {
  bed = await Bed.create();
  await bed.role('chat_endpoint', 'grant_endpoint');
  conversation = await bed.conversation();
  receiver = await bed.receiver(['message.received', 'message.sent']);
  sidecar = await bed.sidecar({ ENDPOINT_DATABASE_URL: bed.cluster.url({ user: 'chat_endpoint', database: 'chat' }), PGCONNECT_TIMEOUT: '20' });
});

after(() => bed.close());

const gone = (pid) => {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
};

/** Ids of all that was committed to a topic. */
const committed = async (topic) => (await rows(bed.db, 'SELECT id::text FROM chat.events WHERE topic = $1 ORDER BY chat.events.id', [topic])).map((row) => row.id);

/** What a client gets that has been away and asks for what it missed, until there is nothing new. */
async function since(topic, id) {
  const ids = new Set();
  for (let after = BigInt(id), had = -1; ids.size > had;) {
    had = ids.size;
    for (const row of await rows(bed.db, 'SELECT id::text FROM chat.events_since($1, $2, 1000)', [topic, `${after}`])) {
      ids.add(row.id);
      if (BigInt(row.id) > after) after = BigInt(row.id);
    }
  }
  return ids;
}

/** A supabase-js client on a topic, and the ids of what it has heard. */
async function follower(topic) {
  const subscriber = await bed.subscriber(sidecar);
  const channel = await subscriber.join(topic);
  return { channel, subscriber, heard: () => new Set(subscriber.heard.map((message) => message.id)) };
}

test('it has nothing that it does not need', async () => {
  const pid = sidecar.endpointPid;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  assert.doesNotMatch(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /postgresql|secret/);
  if (process.getuid() === 0) {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').map((variable) => variable.split('=')[0]);
    for (const name of ['DATABASE_URL', 'ENDPOINT_DATABASE_URL', 'EMBEDDED_JWT_SECRET', 'REALTIME_KEY', 'PGCONNECT_TIMEOUT']) assert.ok(!environment.includes(name), name);
    assert.ok(environment.includes('LOG_LEVEL'));
    assert.match(readlinkSync(`/proc/${pid}/fd/0`), /\/dev\/null/);
  } else if (!process.env.SIDECAR_SANITIZE) {
    assert.throws(() => readFileSync(`/proc/${pid}/environ`), /EACCES/);
  }
  const connections = () => rows(bed.db, `SELECT usename, application_name FROM pg_stat_activity WHERE application_name LIKE 'chat-sidecar %' ORDER BY 2`);
  const users = await until(async () => (await connections()).length === 4 && connections(), 'all of its connections');
  assert.deepEqual(users.map((row) => Object.values(row)), [['chat_endpoint', 'chat-sidecar embedded'], ['chat_sidecar', 'chat-sidecar realtime'], ['chat_endpoint', 'chat-sidecar relay'], ['chat_sidecar', 'chat-sidecar webhooks']]);
});

test('its role may ask who may join, and nothing else', async () => {
  const db = await bed.connect({ user: 'chat_endpoint' });
  assert.deepEqual(await rows(db, `SELECT chat.can_join('conversation:1', '{"sub": "nobody", "role": "authenticated"}'::jsonb) AS may`), [{ may: false }]);
  for (const sql of ['SELECT * FROM chat.events', `SELECT chat.consumer_acquire('realtime', 'x', 1000)`, 'SELECT chat.arm()', 'SELECT * FROM public.chat_messages']) {
    await assert.rejects(db.query(sql), /permission denied/, sql);
  }
});

for (const [how, signal] of [['killed', 'SIGKILL'], ['stopped', 'SIGSTOP']]) {
  test(`${how} under load: another one takes its place, clients come back and miss one stretch, webhooks go on`, async () => {
    const topic = `conversation:${conversation}`;
    const earlier = new Set(await committed(topic));
    const { channel, heard } = await follower(topic);
    const pid = sidecar.endpointPid;
    const load = new Load(bed.cluster, [conversation], { writers: 2, pause: 10 });
    await load.wrote(40);
    await until(() => heard().size > 10, 'events before');
    const webhooks = receiver.deliveries.length;
    process.kill(pid, signal);
    await load.wrote(40);
    await until(() => receiver.deliveries.length > webhooks + 10, 'webhooks meanwhile');
    await until(() => gone(pid), 'its end', 30000);
    await until(() => sidecar.endpointPid && sidecar.endpointPid !== pid, 'another one');
    await until(async () => await sidecar.metric('chat_realtime_connections') >= 1, 'the client is back', 30000);
    const before = heard().size;
    await until(() => heard().size > before + 10, () => `events after; ${sidecar.tail()}`, 30000);
    await load.stop();
    const all = (await committed(topic)).filter((id) => !earlier.has(id));
    await until(() => heard().has(all.at(-1)), 'the last event');
    // Joined between two events, it hears all from the next one on.
    const first = all.findIndex((id) => heard().has(id));
    const missed = all.slice(first).filter((id) => !heard().has(id));
    const [from, to] = [all.indexOf(missed[0]), all.indexOf(missed.at(-1))];
    assert.equal(missed.length, missed.length && to - from + 1, 'one stretch');
    const asked = missed.length ? await since(topic, all[from - 1]) : new Set();
    assert.deepEqual(missed.filter((id) => !asked.has(id)), []);
    assert.equal((await sidecar.get('/readyz')).status, 200);
    assert.equal(await sidecar.metric('chat_realtime_endpoint_up'), 1);
    await channel.unsubscribe();
  });
}

test('a hung one was found out, and what was going on was logged and counted', async () => {
  assert.equal(await sidecar.metric('chat_realtime_endpoint_hung_total'), 1);
  assert.equal(await sidecar.metric('chat_realtime_endpoint_starts_total'), 3);
  assert.ok(sidecar.log.some((line) => line.msg === 'the endpoint does not answer: it is ended'));
});

test('one that is stopped for a while goes on where it was', async () => {
  const { channel, subscriber } = await follower(`conversation:${conversation}`);
  const pid = sidecar.endpointPid;
  process.kill(pid, 'SIGSTOP');
  const ids = [];
  for (let n = 0; n < 3; n++) ids.push(await bed.message(conversation, `while it is stopped ${n}`));
  process.kill(pid, 'SIGCONT');
  await until(() => ids.every((id) => subscriber.heard.some((m) => m.event === 'message.new' && m.payload.id === id)), 'each of them');
  assert.equal(sidecar.endpointPid, pid);
  await channel.unsubscribe();
});

test('the core is killed: the endpoint ends with it, stopped or not, and its port is free', async () => {
  for (const stopped of [false, true]) {
    const other = await Sidecar.start(bed.cluster);
    const pid = other.endpointPid;
    if (stopped) process.kill(pid, 'SIGSTOP');
    other.child.kill('SIGKILL');
    await until(() => gone(pid), 'its end');
    await within(other.exited, 'the end of its log');
    const again = await Sidecar.start(bed.cluster, other.env);
    assert.equal((await again.kill('SIGTERM')).code, 0);
  }
});

test('nobody joins a private channel before the core reads the log: what is committed in between would be missed', async () => {
  const proxy = await Proxy.start(bed.cluster.port);
  bed.closing.push(() => proxy.stop());
  proxy.mode = 'silent';
  const other = await bed.sidecar();
  await other.kill('SIGTERM');
  other.env = { ...other.env, ENDPOINT_DATABASE_URL: other.env.DATABASE_URL, DATABASE_URL: other.env.DATABASE_URL.replace(/:\d+\/chat/, `:${proxy.port}/chat`) };
  other.run();
  await until(async () => (await other.get('/metrics').then((answer) => answer.text(), () => '')).includes('\nchat_realtime_endpoint_database_up 1\n'), 'the endpoint asks the database');
  await assert.rejects((await bed.subscriber(other)).join(`conversation:${conversation}`), /UnableToConnectToProject/);
  proxy.mode = 'pass';
  proxy.reset();
  await other.ready();
  const subscriber = await bed.subscriber(other);
  await subscriber.join(`conversation:${conversation}`);
  const id = await bed.message(conversation, 'read from now on');
  await subscriber.hears((m) => m.event === 'message.new' && m.payload.id === id, 'the message');
  assert.equal((await other.kill('SIGTERM')).code, 0);
});

test('one that cannot stay up: not ready, with the reason, while webhooks go on', async () => {
  const other = await bed.sidecar();
  for (let n = 0; n < 5; n++) {
    const pid = await until(() => other.endpointPid, 'one that runs', 20000);
    process.kill(pid, 'SIGKILL');
    await until(() => other.endpointPid !== pid, 'its end');
  }
  const answer = await other.get('/readyz');
  assert.equal(answer.status, 503);
  assert.match((await answer.json()).reasons.endpoint, /five times within a minute/);
  assert.equal((await other.kill('SIGTERM')).code, 0);
});
