// Several sidecars on one database, each with an endpoint and clients of its own: each reads the log for itself, without a
// lease, and a consumer that nobody leads holds nothing back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { Load } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';

let bed, conversation, topic, first, second;

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation();
  topic = `conversation:${conversation}`;
  first = await bed.sidecar();
  second = await bed.sidecar({ EMBEDDED_JWT_SECRET: first.env.EMBEDDED_JWT_SECRET });
});

after(() => bed.close());

const committed = async (after = 0) => (await rows(bed.db, 'SELECT id::text FROM chat.events WHERE topic = $1 AND id > $2 ORDER BY chat.events.id', [topic, after])).map((row) => row.id);
const last = async () => (await committed()).at(-1) ?? '0';

/** A client of a sidecar, and the ids that it has heard. */
async function follower(sidecar) {
  const subscriber = await bed.subscriber(sidecar);
  await subscriber.join(topic);
  return { subscriber, heard: () => subscriber.heard.map((message) => message.id) };
}

const lacks = (client, ids) => ids.filter((id) => !client.heard().includes(id));

test('clients of each get every event, once and in order', async () => {
  const clients = [await follower(first), await follower(second)];
  const from = await last();
  const load = new Load(bed.cluster, [conversation], { writers: 2, pause: 5 });
  await load.wrote(60);
  await load.stop();
  const all = await committed(from);
  assert.ok(all.length >= 60);
  for (const client of clients) {
    await until(() => lacks(client, all).length === 0, 'all of them');
    assert.deepEqual(client.heard(), all);
  }
  for (const sidecar of [first, second]) {
    assert.equal(await sidecar.metric('chat_realtime_leader', 'consumer="realtime"'), 1);
    assert.equal((await (await sidecar.get('/readyz')).json()).realtime, 'reader');
  }
  for (const client of clients) await client.subscriber.close();
});

test('two that sleep: one NOTIFY wakes both', async () => {
  await until(async () => await value(bed.db, `SELECT (chat.status() -> 'doorbell' ->> 'armed')::int`) >= 2, 'the doorbell armed by several');
  const clients = [await follower(first), await follower(second)];
  const id = await bed.message(conversation, 'to both');
  for (const { subscriber } of clients) await subscriber.hears((m) => m.event === 'message.new' && m.payload.id === id, 'it');
  for (const { subscriber } of clients) await subscriber.close();
});

test('one killed and started again: the other one\'s clients miss nothing, its own catch up', async () => {
  const [left, right] = [await follower(first), await follower(second)];
  const from = await last();
  const load = new Load(bed.cluster, [conversation], { writers: 2, pause: 10 });
  await until(() => right.heard().length > 10, 'events before');
  await second.kill('SIGKILL');
  await load.wrote(40);
  second = await bed.sidecar(second.env);
  await until(async () => await second.metric('chat_realtime_connections') === 1, 'its client is back', 30000);
  const back = right.heard().length;
  await until(() => right.heard().length > back + 10, 'events after', 30000);
  await load.stop();
  const all = await committed(from);
  await until(() => lacks(left, all).length === 0 && right.heard().includes(all.at(-1)), 'the last one');
  assert.deepEqual(left.heard(), all);
  const missed = lacks(right, all);
  const before = all[all.indexOf(missed[0]) - 1] ?? from;
  const caughtUp = (await rows(bed.db, 'SELECT id::text FROM chat.events_since($1, $2, 1000)', [topic, before])).map((row) => row.id);
  assert.deepEqual(missed.filter((id) => !caughtUp.includes(id)), []);
  for (const client of [left, right]) await client.subscriber.close();
});

test('its connection lost: it goes on where it was, and clients that stayed miss nothing', async () => {
  const client = await follower(first);
  const from = await last();
  const load = new Load(bed.cluster, [conversation], { writers: 2, pause: 10 });
  for (let n = 0; n < 3; n++) {
    await load.wrote(20);
    await bed.db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'chat-sidecar realtime'`);
  }
  await load.wrote(20);
  await load.stop();
  const all = await committed(from);
  await until(() => lacks(client, all).length === 0, 'all of them', 30000);
  assert.deepEqual([...new Set(client.heard())], all);
  assert.ok(first.log.some((line) => line.msg === 'not reading any more'));
  await client.subscriber.close();
});

test('consumer realtime rests: no lag, no hint, and retention does not wait for it', async () => {
  await bed.db.query(`UPDATE chat.consumer SET last_id = 0 WHERE name = 'realtime'`);
  const status = await value(bed.db, 'SELECT chat.status()');
  const { rests, lag, led } = status.consumers.find((consumer) => consumer.name === 'realtime');
  assert.deepEqual({ rests, lag, led }, { rests: true, lag: 0, led: false });
  assert.deepEqual(status.hints.filter((hint) => hint.object === 'realtime'), []);
  assert.equal(await value(bed.db, `SELECT chat.event_partition_is_done('chat.event_0')`), await value(bed.db, `SELECT NOT EXISTS (SELECT FROM chat.consumer WHERE name = 'webhooks' AND last_id < (SELECT max(id) FROM chat.events))`));
  assert.deepEqual(await rows(bed.db, `SELECT consumer FROM chat.sidecar_stats()`), [{ consumer: 'webhooks' }]);
});

test('a consumer that was led before, as REALTIME_URL has it, rests once nobody leads it', async () => {
  await bed.db.query(`UPDATE chat.consumer SET rests_since = NULL, expires_at = clock_timestamp() - interval '1 h' WHERE name = 'realtime'`);
  await until(async () => value(bed.db, `SELECT rests_since IS NOT NULL FROM chat.consumer WHERE name = 'realtime'`), 'its rest');
});
