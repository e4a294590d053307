// Realtime failing in every way it can: what was accepted is never sent again without need, nothing is lost.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { allDelivered } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';

let bed, realtime, sidecar, conversations;
let poisoned = new Set(); // ids of events that Realtime refuses

before(async () => {
  bed = await Bed.create();
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  conversations = [await bed.conversation('Ana'), await bed.conversation('Bia')];
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_KEY: 'secret', REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
});

after(() => bed.close());

beforeEach(() => {
  realtime.mode = 202;
  realtime.poison = null;
  realtime.requests = {};
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
  await write(4, 'silent');
  await until(() => realtime.requests.silent >= 1, 'a request');
  const start = Date.now();
  realtime.mode = 202;
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 30000 });
  assert.ok(Date.now() - start > 9000, 'the request was given up too early');
  assert.deepEqual(result.disorder, []);
});

test('one message that Realtime cannot read (400 for the whole batch) is set aside, the rest goes on', async () => {
  realtime.poison = (message) => message.payload.content === 'poison 7';
  await write(16, 'poison');
  poisoned = new Set((await bed.db.query(`SELECT id::text FROM chat.event WHERE payload::jsonb->>'content' = 'poison 7'`))
    .rows.map((row) => row.id));
  assert.equal(poisoned.size, 1);
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  assert.deepEqual(result.disorder, []);
  assert.ok(!realtime.accepted.some((message) => poisoned.has(message.id)));
});

test('never two requests at once with the same topic', () => {
  assert.equal(realtime.overlaps, 0);
});

test('401 stops the sending and says what to change; it goes on once the key is right', async () => {
  realtime.mode = 401;
  await write(2, 'unauthorized');
  await until(() => sidecar.log.some((line) => /REALTIME_KEY/.test(JSON.stringify(line))), () => `a line that names REALTIME_KEY: ${sidecar.tail()}`);
  await until(async () => (await sidecar.get('/readyz')).status === 503, 'not ready');
  realtime.mode = 202;
  await sidecar.kill('SIGTERM');
  sidecar.run();
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000, only: (event) => !poisoned.has(event.id) });
  assert.deepEqual(result.disorder, []);
});
