// Two sidecars: one leads, the other takes over when it dies or freezes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { allDelivered, Load } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';

let bed, realtime, first, second, load;

const env = () => ({ REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
const epoch = () => value(bed.db, `SELECT epoch FROM chat.consumer WHERE name = 'realtime'`);

before(async () => {
  bed = await Bed.create();
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  const conversations = [await bed.conversation('Ana'), await bed.conversation('Bia')];
  first = await bed.sidecar(env());
  await until(async () => (await epoch()) > 0, 'a leader');
  second = await bed.sidecar(env());
  load = new Load(bed.cluster, conversations, { writers: 2, pause: 10 });
});

after(() => bed.close());

test('with two sidecars one delivers, each event once', async () => {
  await load.wrote(100);
  const before = await epoch();
  const result = await allDelivered(bed.db, () => realtime.accepted);
  assert.equal(result.duplicates, 0);
  assert.deepEqual(result.disorder, []);
  assert.equal(await epoch(), before);
});

// The load goes on: what is not in the log that was read for the judgement may have been written since.
test('the leader killed: the other one takes over within 10 s, nothing lost, order kept', async () => {
  const before = await epoch();
  await first.kill('SIGKILL');
  await until(async () => (await epoch()) > before, 'a new epoch', 10000);
  const result = await allDelivered(bed.db, () => realtime.accepted);
  assert.deepEqual(result.disorder, []);
});

test('a leader that freezes and wakes up later sends nothing of what it had read', async () => {
  first = await bed.sidecar(env());
  const before = await epoch();
  second.child.kill('SIGSTOP');
  await load.wrote(50);
  await until(async () => (await epoch()) > before, 'a new epoch', 12000);
  await allDelivered(bed.db, () => realtime.accepted);
  const accepted = realtime.accepted.length;
  second.child.kill('SIGCONT');
  await load.wrote(100);
  await load.stop();
  const result = await allDelivered(bed.db, () => realtime.accepted);
  assert.deepEqual(result.disorder, []);
  assert.deepEqual(result.unknown, []);
  assert.ok(realtime.accepted.length > accepted);
});

test('the leader stopped with SIGTERM gives its lease back, and the other one takes it', async () => {
  const before = await epoch();
  second.child.kill('SIGSTOP'); // so that what the leader leaves can be seen
  assert.deepEqual(await first.kill('SIGTERM'), { code: 0, signal: null });
  assert.deepEqual(await rows(bed.db, `SELECT owner, expires_at::text, epoch FROM chat.consumer WHERE name = 'realtime'`), [{ owner: null, expires_at: '-infinity', epoch: before }]);
  second.child.kill('SIGCONT');
  await until(async () => (await epoch()) > before, 'a new epoch', 10000);
});
