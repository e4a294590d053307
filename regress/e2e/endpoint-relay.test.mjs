// Several endpoints behind one address: clients of each hear what those of the others broadcast, and what is sent over HTTP.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { until } from '../lib/wait.mjs';

let bed, conversation, first, second;

before(async () => {
  bed = await Bed.create();
  await bed.role('chat_endpoint', 'grant_endpoint');
  conversation = await bed.conversation();
  const env = { ENDPOINT_DATABASE_URL: bed.cluster.url({ user: 'chat_endpoint', database: 'chat' }) };
  first = await bed.sidecar(env);
  assert.equal(await first.metric('chat_realtime_relay_peers'), 0);
  second = await bed.sidecar({ ...env, EMBEDDED_JWT_SECRET: first.env.EMBEDDED_JWT_SECRET });
  await peers(1, first, second);
});

after(() => bed.close());

async function peers(count, ...sidecars) {
  for (const sidecar of sidecars) await until(async () => await sidecar.metric('chat_realtime_relay_peers') === count, () => `${count} others: ${sidecar.tail()}`, 30000);
}

async function client(sidecar, topic, isPrivate) {
  const subscriber = await bed.subscriber(sidecar);
  return { subscriber, channel: await subscriber.join(topic, { isPrivate }) };
}

const texts = ({ subscriber }, event) => subscriber.heard.filter((m) => m.event === event).map((m) => m.payload.n);

for (const [topic, isPrivate] of [['a room', false], ['presence', true]]) {
  test(`what a client broadcasts is heard at both, once and in order: ${isPrivate ? 'private' : 'public'}`, async () => {
    const name = isPrivate ? `${topic}:${conversation}` : topic;
    const clients = [await client(first, name, isPrivate), await client(second, name, isPrivate), await client(second, name, isPrivate)];
    for (let n = 0; n < 3; n++) await clients[0].channel.send({ type: 'broadcast', event: 'typed', payload: { n } });
    await clients[1].channel.send({ type: 'broadcast', event: 'back', payload: { n: 1 } });
    for (const one of clients.slice(1)) await until(() => texts(one, 'typed').length === 3, 'all of them');
    await until(() => texts(clients[0], 'back').length === 1 && texts(clients[2], 'back').length === 1, 'the answer');
    await bed.message(conversation, 'a message');
    for (const one of clients.slice(1)) assert.deepEqual(texts(one, 'typed'), [0, 1, 2]);
    assert.deepEqual(texts(clients[0], 'typed'), [], 'not who sent it');
    for (const one of clients) await one.subscriber.close();
  });
}

test('what is sent to one over HTTP is heard at the other one; events come once', async () => {
  const topic = `conversation:${conversation}`;
  const [left, right] = [await client(first, topic, true), await client(second, topic, true)];
  const answer = await fetch(`${first.url}/api/broadcast`, { method: 'POST',
    headers: { Authorization: `Bearer ${roleToken('service_role', first.env.EMBEDDED_JWT_SECRET)}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ messages: [{ topic, event: 'said', payload: { n: 1 }, private: true, id: '00000000-0000-4000-8000-000000000001' }] }) });
  assert.equal(answer.status, 202);
  for (const one of [left, right]) await one.subscriber.hears((m) => m.event === 'said', 'it');
  assert.equal(right.subscriber.heard.find((m) => m.event === 'said').id, left.subscriber.heard.find((m) => m.event === 'said').id);
  const id = await bed.message(conversation, 'once');
  for (const one of [left, right]) await one.subscriber.hears((m) => m.event === 'message.new' && m.payload.id === id, 'the message');
  for (const one of [left, right]) {
    assert.equal(one.subscriber.heard.filter((m) => m.event === 'message.new' && m.payload.id === id).length, 1);
    await one.subscriber.close();
  }
});

test('a ring of anybody carries nothing and does no harm; the table is nobody else\'s', async () => {
  const one = await client(second, 'a room', false);
  await bed.db.query('LISTEN chat_realtime_relay');
  const rung = [];
  bed.db.on('notification', (notification) => rung.push(notification.payload));
  await bed.db.query(`NOTIFY chat_realtime_relay, '{"topic": "a room"}'`);
  const other = await client(first, 'a room', false);
  await other.channel.send({ type: 'broadcast', event: 'e', payload: { n: 1 } });
  await until(() => texts(one, 'e').length === 1, 'it');
  await until(() => rung.includes(''), 'the ring of it');
  assert.deepEqual([...new Set(rung)], ['{"topic": "a room"}', '']);
  const endpoint = await bed.connect({ user: 'chat_endpoint' });
  await assert.rejects(endpoint.query('SELECT * FROM chat.relay'), /permission denied/);
  assert.equal(await value(bed.db, `SELECT relpersistence FROM pg_class WHERE oid = 'chat.relay'::regclass`), 'u');
  await one.subscriber.close();
  await other.subscriber.close();
});

test('one that is alone writes nothing, and takes part again once there is another one', async () => {
  await second.kill('SIGTERM');
  await peers(0, first);
  const one = await client(first, 'a room', false);
  const before = await rows(bed.db, 'SELECT max(id) FROM chat.relay');
  await one.channel.send({ type: 'broadcast', event: 'e', payload: {} });
  await one.channel.send({ type: 'broadcast', event: 'e', payload: {} });
  second = await bed.sidecar(second.env);
  await peers(1, first, second);
  const last = await rows(bed.db, 'SELECT max(id) FROM chat.relay');
  assert.ok(last[0].max === before[0].max || last[0].max === null);
  const other = await client(second, 'a room', false);
  await one.channel.send({ type: 'broadcast', event: 'again', payload: { n: 1 } });
  await until(() => texts(other, 'again').length === 1, 'it');
  await one.subscriber.close();
  await other.subscriber.close();
});
