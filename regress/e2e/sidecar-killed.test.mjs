// The sidecar killed with SIGKILL under load, again and again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { allDelivered, Load } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';

const kills = 6;
let bed, realtime, receiver;

before(async () => {
  bed = await Bed.create();
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  realtime.delay = 3;
  const conversations = [];
  for (let i = 0; i < 6; i++) conversations.push(await bed.conversation(`Contact ${i}`));
  receiver = await bed.receiver(['message.received', 'message.sent']);
  const env = { REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' };
  const load = new Load(bed.cluster, conversations, { writers: 4, pause: 5 });
  for (let i = 0; i < kills; i++) {
    const sidecar = await bed.sidecar(env);
    const had = realtime.accepted.length;
    await load.wrote(120 + 40 * i);
    await until(() => realtime.accepted.length > had, 'a delivery before the kill');
    await sidecar.kill('SIGKILL');
    await load.wrote(50);
  }
  await bed.sidecar(env);
  await load.wrote(50);
  await load.stop();
});

after(() => bed.close());

test(`nothing is lost over ${kills} kills, and each conversation stays in order`, async (t) => {
  const result = await allDelivered(bed.db, () => realtime.accepted);
  assert.deepEqual(result.unknown, []);
  assert.deepEqual(result.disorder, []);
  t.diagnostic(`${result.delivered} delivered, ${result.duplicates} of them twice`);
});

test('what came twice is the same message under the same id', () => {
  const first = new Map();
  for (const message of realtime.accepted) {
    const same = JSON.stringify([message.topic, message.event, message.payload]);
    assert.equal(first.get(message.id) ?? same, same);
    first.set(message.id, same);
  }
});

test('webhooks: nothing is lost, duplicates have the same webhook-id', async () => {
  const byMessage = new Map((await bed.db.query(`SELECT payload::jsonb->>'id' AS message, id::text FROM chat.events WHERE event = 'message.new'`))
    .rows.map((row) => [row.message, row.id]));
  const result = await allDelivered(bed.db,
    () => receiver.deliveries.map(({ body }) => ({ id: byMessage.get(String(body.data.id)) })),
    { only: (event) => event.event === 'message.new' });
  assert.deepEqual(result.disorder, []);
  const ids = new Map();
  for (const { id, body } of receiver.deliveries) {
    assert.equal(ids.get(body.data.id) ?? id, id);
    ids.set(body.data.id, id);
  }
});
