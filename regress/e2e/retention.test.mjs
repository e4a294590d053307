// Retention at work: partitions are made, filled and dropped under load; nothing is lost, no writer fails or waits.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { Load } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';

let bed, realtime, sidecar;

const env = () => ({ REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });

before(async () => {
  bed = await Bed.create({ settings: { 'chat_realtime.retention': '2s' } });
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  sidecar = await bed.sidecar(env());
});

after(() => bed.close());

/** Calls chat.maintain() until a number of partitions has been dropped; counts what it did. */
async function maintainUntil(dropped, limit) {
  const done = {};
  await until(async () => {
    for (const { action } of await rows(bed.db, 'SELECT * FROM chat.maintain()')) done[action] = (done[action] ?? 0) + 1;
    return (done.dropped ?? 0) >= dropped;
  }, () => JSON.stringify(done), limit, 100);
  return done;
}

/** Ids of messages whose message.new has not arrived. */
async function missing() {
  const arrived = new Set(realtime.accepted.filter((event) => event.event === 'message.new').map((event) => event.payload.id));
  return (await rows(bed.db, 'SELECT id FROM public.chat_messages ORDER BY id')).map(({ id }) => id).filter((id) => !arrived.has(id));
}

test('partitions come and go under load, beside an idle transaction: every message arrives, no writer fails', async () => {
  const idle = await bed.connect();
  await idle.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await idle.query('SELECT pg_current_xact_id()');
  const conversations = await Promise.all(['Ana', 'Bia', 'Cai'].map((name) => bed.conversation(name)));
  const load = new Load(bed.cluster, conversations, { writers: 4, pause: 2 });
  await maintainUntil(4, 90000);
  await load.stop();
  assert.equal(load.failed, 0);
  await until(async () => (await missing()).length === 0, async () => `${(await missing()).length} messages`, 30000, 100);
  await idle.query('COMMIT');
});

test('a sidecar that is away keeps what it has not read', async () => {
  await sidecar.kill('SIGKILL');
  const conversation = await bed.conversation('Dora');
  for (let n = 0; n < 30; n++) await bed.message(conversation, `kept ${n}`);
  // Long enough for the retention to be over, and for the ids to move on.
  await until(async () => {
    await rows(bed.db, 'SELECT * FROM chat.maintain()');
    await bed.message(conversation, 'later');
    return (await value(bed.db, `SELECT count(*)::int FROM jsonb_array_elements_text(chat.status() -> 'hints') h WHERE h LIKE '%past its retention%'`)) >= 2;
  }, 'partitions past their retention', 60000, 200);
  sidecar = await bed.sidecar(env());
  await until(async () => (await missing()).length === 0, async () => `${(await missing()).length} messages`, 30000, 100);
  await maintainUntil(1, 60000);
});

test('maintenance is the sidecar\'s own: a consumer that has been taken off holds nothing back', async () => {
  await value(bed.db, `SELECT chat.set_consumer('webhooks', false)`);
  await bed.message(await bed.conversation('Eva'), 'last');
  await until(async () => sidecar.log.some((line) => line.object?.startsWith('chat.event')), 'the sidecar to maintain', 90000);
});
