// REALTIME_CANARY: the sidecar listens as a client does, and says how long events take, and when they do not arrive.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { until } from '../lib/wait.mjs';

let bed;

before(async () => {
  bed = await Bed.create();
});

after(() => bed.close());

const arrived = (sidecar) => sidecar.metric('chat_realtime_canary_events_total', 'result="arrived"');

test('at the embedded endpoint', async () => {
  const receiver = await bed.receiver(['message.received']);
  const sidecar = await bed.sidecar({ REALTIME_CANARY: 'true' });
  await until(async () => await arrived(sidecar) > 0, () => `an event to arrive: ${sidecar.tail()}`);
  assert.equal(await sidecar.metric('chat_realtime_message_latency_seconds_count'), await arrived(sidecar));
  assert.equal(await sidecar.metric('chat_realtime_canary_listens'), 1);
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
  assert.equal(receiver.requests?.length ?? 0, 0);
});
