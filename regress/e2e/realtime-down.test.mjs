// Realtime failing in every way it can: what was accepted is never sent again without need, nothing is lost.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { Counter, FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { allDelivered } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';

let bed, realtime, sidecar, conversations, receiver;
let poisoned = new Set(); // ids of events that Realtime refuses

before(async () => {
  bed = await Bed.create();
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  conversations = [await bed.conversation('Ana'), await bed.conversation('Bia')];
  receiver = await bed.receiver(['conversation.updated']);
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
});

after(() => bed.close());

beforeEach(() => {
  realtime.mode = 202;
  realtime.poison = null;
  realtime.invalid = null;
  realtime.requests = {};
  realtime.canary = [202];
  realtime.canaries = {};
  realtime.drops = false;
  realtime.counter = null;
  realtime.delay = 0;
});

async function write(count, text) {
  for (let i = 0; i < count; i++) await bed.message(conversations[i % 2], `${text} ${i}`);
}

async function outage(mode, count = 20) {
  realtime.mode = mode;
  await write(count, String(mode));
  await until(() => (realtime.requests[mode] ?? 0) >= 2, `two requests answered with ${mode}`, 40000);
  realtime.mode = 202;
  return allDelivered(bed.db, () => realtime.accepted, { limit: 40000 });
}

for (const mode of [429, 500, 503, 'reset']) {
  test(`${mode} for a while: all arrives afterwards, in order`, async () => {
    const result = await outage(mode);
    assert.deepEqual(result.disorder, []);
    assert.deepEqual(result.unknown, []);
  });
}

test('connection refused for a while: all arrives afterwards, in order', async () => {
  await realtime.down();
  await write(20, 'refused');
  await until(() => sidecar.log.some((line) => ['warn', 'error'].includes(line.level)), 'a line in the log');
  await realtime.up();
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000 });
  assert.deepEqual(result.disorder, []);
});

test('no answer at all: the request is given up after more than 10 s and sent again', async () => {
  realtime.mode = 'silent';
  const start = Date.now(); // no request can be older
  await write(4, 'silent');
  await until(() => realtime.requests.silent >= 1, 'a request');
  realtime.mode = 202;
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 30000 });
  assert.ok(Date.now() - start > 9000, 'the request was given up too early');
  assert.deepEqual(result.disorder, []);
});

test('one message that Realtime cannot read (400 for the whole batch) is set aside, the rest goes on', async () => {
  realtime.poison = (message) => message.payload.content === 'poison 7';
  await write(16, 'poison');
  poisoned = new Set((await bed.db.query(`SELECT id::text FROM chat.events WHERE payload::jsonb->>'content' = 'poison 7'`))
    .rows.map((row) => row.id));
  assert.equal(poisoned.size, 1);
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  assert.deepEqual(result.disorder, []);
  assert.ok(!realtime.accepted.some((message) => poisoned.has(message.id)));
});

test('a message that is named in a 422 is set aside at once, the rest of its batch goes on', async () => {
  realtime.mode = 503;
  await write(8, 'invalid');
  realtime.invalid = (message) => message.payload.content === 'invalid 3';
  realtime.mode = 202;
  poisoned.add((await bed.db.query(`SELECT id::text FROM chat.events WHERE payload::jsonb->>'content' = 'invalid 3'`)).rows[0].id);
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  assert.deepEqual(result.disorder, []);
  assert.equal(realtime.requests[422], 1);
});

test('what is accepted and goes nowhere, as while the database of Realtime is away, is sent again once it goes through', async () => {
  const lines = sidecar.log.length;
  const lost = await sidecar.metric('chat_realtime_broadcasts_total', 'result="lost"');
  realtime.drops = true;
  realtime.canary = [429, '{"message":"Connection pool exhausted"}'];
  await write(12, 'dropped');
  await until(() => sidecar.log.slice(lines).some((line) => /accepts events and loses them/.test(line.msg)), () => `a line in the log: ${sidecar.tail()}`);
  await until(async () => (await sidecar.get('/readyz')).status === 503, 'not ready');
  assert.match(await (await sidecar.get('/readyz')).text(), /accepts events and loses them/);
  await until(() => realtime.dropped > 0, 'messages that go nowhere', 40000);
  realtime.drops = false;
  // What went nowhere until now is behind two more canaries, whatever was under way.
  const canaries = realtime.canaries[429];
  await until(() => realtime.canaries[429] >= canaries + 2, 'two more canaries', 60000);
  realtime.canary = [202];
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  assert.deepEqual(result.disorder, []);
  assert.ok((await sidecar.metric('chat_realtime_broadcasts_total', 'result="lost"')) > lost);
  await until(async () => (await sidecar.get('/readyz')).status === 200, 'ready');
});

test('until a canary says that it went through, nothing counts as done: another sidecar sends it again', async () => {
  realtime.canary = [503];
  const before = realtime.accepted.length;
  await write(2, 'unconfirmed');
  await until(() => realtime.accepted.slice(before).some((m) => m.payload.content === 'unconfirmed 1'), 'the messages at Realtime', 40000);
  await until(() => realtime.canaries[503] > 0, 'a canary', 40000);
  await sidecar.kill();
  realtime.canary = [202];
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
  await until(() => realtime.accepted.slice(before).filter((m) => m.payload.content === 'unconfirmed 1').length >= 2, 'them to be sent again', 20000);
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  assert.deepEqual(result.disorder, []);
});

test('a limit that a canary meets is no loss: nothing is sent again', async () => {
  realtime.canary = [429, '{"message":"Too many requests"}'];
  const before = realtime.accepted.length;
  await write(2, 'limited');
  await until(() => realtime.canaries[429] > 1, 'two canaries', 40000);
  realtime.canary = [202];
  await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  const ids = realtime.accepted.slice(before).map((m) => m.id);
  assert.equal(new Set(ids).size, ids.length);
});

test('while a canary is under way events go on, however little each read of the log has found', async () => {
  let answer;
  realtime.held = new Promise((resolve) => { answer = resolve; });
  for (let i = 0; i < 30; i++) {
    await bed.message(conversations[0], `held ${i}`);
    await until(() => realtime.accepted.some((m) => m.payload.content === `held ${i}`), () => `held ${i}`, 9000);
  }
  realtime.held = null;
  answer();
  await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
});

test('states that were replaced while Realtime was away are not sent, but every webhook gets each', async () => {
  realtime.mode = 503;
  const first = realtime.accepted.length;
  for (let i = 0; i < 20; i++) await bed.message(conversations[0], `state ${i}`);
  realtime.mode = 202;
  await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  const sent = realtime.accepted.slice(first);
  assert.equal(sent.filter((m) => m.event === 'message.new').length, 20);
  assert.ok(sent.filter((m) => m.event === 'conversation.updated').length < 20);
  const deliveries = () => receiver.deliveries.map(({ id, type, body }) => ({ id: id.slice('evt_'.length), event: type, payload: body.data }));
  const result = await allDelivered(bed.db, deliveries, { only: (event) => event.webhook === 'conversation.updated', every: true });
  assert.deepEqual(result.disorder, []);
});

test('late answers make batches smaller, quick ones larger again', async () => {
  const writeAtOnce = (count) => bed.db.query(`INSERT INTO public.chat_messages (conversation_id, content, direction)
    SELECT ($1::bigint[])[1 + g % 2], 'at once ' || g, 'incoming' FROM generate_series(1, $2) g`, [conversations, count]);
  const full = (most) => realtime.sizes.some((size) => size > most);
  realtime.sizes = [];
  await until(async () => { await writeAtOnce(1000); return full(50); }, 'a batch that is not small');
  await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  realtime.delay = 1100;
  await writeAtOnce(2400);
  await until(() => realtime.sizes.filter((size) => size === 50).length >= 2, () => `batches of 50: ${realtime.sizes}`, 40000);
  realtime.delay = 0;
  realtime.sizes = [];
  await until(async () => { await writeAtOnce(500); return full(100); }, () => `large batches: ${realtime.sizes}`, 40000);
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  assert.deepEqual(result.disorder, []);
});

test('requests share a connection', async () => {
  const before = realtime.connections;
  for (let i = 0; i < 20; i++) {
    await bed.message(conversations[1], `kept alive ${i}`);
    await until(() => realtime.accepted.some((m) => m.payload.content === `kept alive ${i}`), 'the message');
  }
  assert.ok(realtime.connections - before <= 2, `${realtime.connections - before} connections for 20 requests`);
});

test('never two requests at once with the same topic', () => {
  assert.equal(realtime.overlaps, 0);
});

test('a request that is refused as such: said, and after SIGHUP it goes on', async () => {
  const lines = sidecar.log.length;
  realtime.mode = 418;
  await write(2, 'refused as such');
  await until(() => sidecar.log.slice(lines).some((line) => /418/.test(JSON.stringify(line))), () => `a line that names the status: ${sidecar.tail()}`);
  realtime.mode = 202;
  sidecar.child.kill('SIGHUP');
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  assert.deepEqual(result.disorder, []);
});

for (const status of [401, 403]) {
  test(`${status} stops the sending and says what to change; after a new key and SIGHUP it goes on`, async () => {
    const lines = sidecar.log.length;
    realtime.mode = status;
    await write(2, `refused with ${status}`);
    await until(() => sidecar.log.slice(lines).some((line) => /REALTIME_KEY/.test(line.hint)), () => `a line that names REALTIME_KEY: ${sidecar.tail()}`);
    await until(async () => (await sidecar.get('/readyz')).status === 503, 'not ready');
    assert.match(await (await sidecar.get('/readyz')).text(), /REALTIME_KEY/);
    realtime.mode = 202;
    sidecar.child.kill('SIGHUP');
    const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
    assert.deepEqual(result.disorder, []);
    await until(async () => (await sidecar.get('/readyz')).status === 200, 'ready'); // once it has the answer
  });
}

test('a Realtime that cannot confirm: said, and what it accepts counts', async () => {
  realtime.canary = [404, ''];
  await write(2, 'never confirmed');
  await until(() => sidecar.log.some((line) => /before 2\.97 cannot confirm/.test(line.msg)), () => `a line in the log: ${sidecar.tail()}`);
  await until(async () => /before 2\.97 cannot confirm/.test((await (await sidecar.get('/readyz')).json()).notes[0]), 'a note on /readyz');
  await write(2, 'not confirmed either');
  await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
});

for (const status of [401, 403]) {
  test(`a key that may not send private messages (${status} to the canary) stops the sending and is told of`, async () => {
    realtime.canary = [202];
    sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
    realtime.canary = [status];
    await write(2, `not for ${status}`);
    await until(async () => /service_role/.test(await (await sidecar.get('/readyz')).text()), '/readyz to say so');
    realtime.canary = [202];
    sidecar.child.kill('SIGHUP');
    await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
    await until(async () => (await sidecar.get('/readyz')).status === 200, 'ready');
    assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
  });
}

test('under a limit of 100, which each subscriber counts against, all arrives and no channel is closed', async () => {
  realtime.canary = [202];
  realtime.counter = new Counter(100, 1);
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url });
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content)
    SELECT ($1::bigint[])[1 + n % 2], 'incoming', 'limited ' || n FROM generate_series(1, 300) n`, [conversations]);
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 60000, only: (event) => !poisoned.has(event.id) });
  assert.deepEqual(result.disorder, []);
  assert.equal(realtime.counter.closed, 0);
  assert.ok(realtime.canaries[202] > 1);
  assert.equal(realtime.overlaps, 0);
});
