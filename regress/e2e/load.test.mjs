// A crowd of strangers of every kind at the endpoint: whoever works with it gets everything, nobody who behaves is closed, and memory stays
// within its bounds. make test-load has the large one, with times.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { strangers } from '../lib/strangers.mjs';
import { memory } from '../lib/usage.mjs';
import { User, watchMemory } from '../load/user.mjs';

let bed;

before(async () => { bed = await Bed.create(); });
after(() => bed.close());

test('idle, deaf, flooding, joining and stalling strangers beside a user who works', async () => {
  const sidecar = await bed.sidecar({ EMBEDDED_REFUSAL_DELAY_MS: '5000' });
  const { endpointPid } = sidecar;
  const user = await User.come(bed, sidecar);
  const watch = watchMemory({ core: sidecar.child.pid, endpoint: endpointPid });
  const crowd = await strangers(sidecar, randomUUID(), { idle: 400, deaf: 10, flood: 2, reader: 40, join: 4, stall: 100 });
  const work = await user.work(4);
  const became = await crowd.leave();
  const most = watch.stop();
  assert.ok(work.complete, 'every message arrives, in order');
  assert.ok(work.joins.length > 0);
  for (const kind of ['idle', 'reader']) assert.deepEqual([became[kind].closed, became[kind].refused], [0, 0], kind);
  assert.equal(sidecar.endpointPid, endpointPid, 'nothing is started again');
  if (!process.env.SIDECAR_SANITIZE) assert.ok(most.core < 64 * 1024 * 1024 && most.endpoint < 128 * 1024 * 1024, JSON.stringify(most));
  await user.go();
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});

test('an idle WebSocket takes no more than 8 KiB', async () => {
  const sidecar = await bed.sidecar({ WEBHOOKS: 'off' });
  const before = memory(sidecar.endpointPid);
  const crowd = await strangers(sidecar, randomUUID(), { idle: 2000 });
  if (!process.env.SIDECAR_SANITIZE) assert.ok((memory(sidecar.endpointPid) - before) / 2000 < 8192);
  await crowd.leave();
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});
