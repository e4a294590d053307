// PostgreSQL crashing under load: the sidecar stays up, connects again and loses nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { allDelivered, Load } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';

let bed, realtime, sidecar, load;

before(async () => {
  bed = await Bed.create();
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  const conversations = [await bed.conversation('Ana'), await bed.conversation('Bia'), await bed.conversation('Cai')];
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
  load = new Load(bed.cluster, conversations, { writers: 8, pause: 5 });
});

after(() => bed.close());

test('two crashes of PostgreSQL under load: nothing lost, nothing invented, in order', async () => {
  for (let i = 0; i < 2; i++) {
    await load.wrote(300);
    await bed.cluster.restart('immediate');
  }
  await load.wrote(200);
  await load.stop();
  await bed.reconnect();
  const result = await allDelivered(bed.db, () => realtime.accepted);
  assert.deepEqual(result.unknown, []);
  assert.deepEqual(result.disorder, []);
});

test('the sidecar outlived it and says so in its log', () => {
  assert.ok(sidecar.running);
  assert.ok(sidecar.log.some((line) => ['warn', 'error'].includes(line.level)), sidecar.tail());
});

test('while PostgreSQL is down /readyz says 503 and /healthz 200', async () => {
  await bed.cluster.stop('fast');
  await until(async () => (await sidecar.get('/readyz')).status === 503, 'not ready');
  assert.equal((await sidecar.get('/healthz')).status, 200);
  await bed.cluster.start();
  await bed.reconnect();
  await sidecar.ready(20000);
});

test('what was written before the sidecar is back is delivered too', async () => {
  const conversation = await bed.conversation('Duda');
  await bed.message(conversation, 'after the restart');
  await until(() => realtime.accepted.some((m) => m.payload.content === 'after the restart'), 'the message');
  assert.equal(await value(bed.db, 'SELECT unread_count FROM public.conversations WHERE id = $1', [conversation]), 1);
});
