// The embedded endpoint frame by frame, as it was observed of Supabase Realtime.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { atEndpoint, joined, ok } from '../lib/at-endpoint.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { until } from '../lib/wait.mjs';

let bed, sidecar, conversation, topic, token;
const connect = atEndpoint((here) => { ({ bed, sidecar, conversation, topic, token } = here); });

test('heartbeat, join, message and leave in serializer 2.0.0', async () => {
  const socket = await connect();
  socket.send(null, '9', 'phoenix', 'heartbeat', {});
  await socket.reply('9');
  assert.deepEqual(await socket.join(topic, token, '1'), joined);
  await bed.message(conversation, 'two');
  const frame = await socket.hears((f) => f[3] === 'broadcast', 'the message');
  assert.deepEqual(frame.slice(0, 3), [null, null, `realtime:${topic}`]);
  assert.deepEqual([frame[4].type, frame[4].event, frame[4].payload.content], ['broadcast', 'message.new', 'two']);
  assert.match(frame[4].meta.id, /^\d+$/);
  socket.send('1', '2', `realtime:${topic}`, 'phx_leave', {});
  await socket.settled();
  assert.deepEqual(socket.frames[0], [null, '9', 'phoenix', 'phx_reply', ok]);
  assert.deepEqual(socket.frames[1], ['1', '1', `realtime:${topic}`, 'phx_reply', joined]);
  assert.deepEqual(socket.frames.slice(3, 5), [['1', '2', `realtime:${topic}`, 'phx_reply', ok], ['1', '1', `realtime:${topic}`, 'phx_close', {}]]);
});

test('heartbeat, join, message and leave in serializer 1.0.0', async () => {
  const socket = await connect({ vsn: '1.0.0' });
  socket.send(undefined, '9', 'phoenix', 'heartbeat', {});
  await socket.reply('9');
  assert.deepEqual(await socket.join(topic, token, '1'), joined);
  await bed.message(conversation, 'one');
  const frame = await socket.hears((f) => f.event === 'broadcast', 'the message');
  assert.deepEqual([frame.ref, frame.topic, frame.payload.event, frame.payload.payload.content], [null, `realtime:${topic}`, 'message.new', 'one']);
  socket.send('1', '2', `realtime:${topic}`, 'phx_leave', {});
  await socket.settled();
  assert.deepEqual(socket.frames[0], { ref: '9', event: 'phx_reply', topic: 'phoenix', payload: ok });
  assert.deepEqual(socket.frames.slice(3, 5).map((f) => f.event), ['phx_reply', 'phx_close']);
});

test('a refused join is answered with the reason, and nothing is closed', async () => {
  const socket = await connect();
  const stranger = sidecar.token(randomUUID());
  assert.deepEqual(await socket.join(topic, stranger, '1'),
    { status: 'error', response: { reason: `Unauthorized: You do not have permissions to read from this Channel topic: ${topic}` } });
  assert.match((await socket.join(topic, sidecar.token(bed.owner, { expiresIn: -5 }), '2')).response.reason, /^InvalidJWTToken: Token has expired \d+ seconds ago$/);
  assert.equal((await socket.join(topic, 'no token', '3')).response.reason, 'MalformedJWT: The token provided is not a valid JWT');
  assert.equal((await socket.join('', token, '4')).response.reason, 'TopicNameRequired: You must provide a topic name');
  assert.deepEqual((await socket.settled()).map((f) => f[3]), Array(5).fill('phx_reply'));
});

test('a topic that was not joined, or has no prefix, is unmatched', async () => {
  const socket = await connect();
  socket.send(null, '1', `realtime:${topic}`, 'broadcast', {});
  socket.send('2', '2', topic, 'phx_join', {});
  for (const ref of ['1', '2']) assert.deepEqual(await socket.reply(ref), { status: 'error', response: { reason: 'unmatched topic' } });
});

test('a second join of a topic ends the first one, with its reference', async () => {
  const socket = await connect();
  await socket.join(topic, token, '1');
  assert.deepEqual(await socket.join(topic, token, '2'), joined);
  await socket.settled();
  assert.deepEqual(socket.frames.filter((f) => f[3] === 'phx_close'), [['1', '1', `realtime:${topic}`, 'phx_close', {}]]);
  await bed.message(conversation, 'once');
  await socket.hears((f) => f[3] === 'broadcast', 'the message');
  assert.equal((await socket.settled()).filter((f) => f[4]?.payload?.content === 'once').length, 1);
});

test('a join that enables presence gets an empty state, and track is answered', async () => {
  const socket = await connect();
  assert.deepEqual(await socket.join(topic, token, '1', { presence: { enabled: true, key: 'me' } }), joined);
  await socket.hears((f) => f[3] === 'presence_state', 'presence_state');
  socket.send('1', '2', `realtime:${topic}`, 'presence', { type: 'presence', event: 'track', payload: { n: 'bob' } });
  assert.deepEqual(await socket.reply('2'), ok);
});

/** Where clients may broadcast. */
const room = () => `presence:${conversation}`;

test('a push reaches the others, its sender only with self, and is answered only with ack', async () => {
  const [sender, other] = [await connect(), await connect({ vsn: '1.0.0' })];
  await sender.join(room(), token, '1', { broadcast: { ack: true, self: true } });
  await other.join(room(), token, '1');
  const push = { type: 'broadcast', event: 'typing', payload: { on: true } };
  sender.send('1', '2', `realtime:${room()}`, 'broadcast', push);
  assert.deepEqual(await sender.reply('2'), ok);
  assert.deepEqual(sender.frames.find((f) => f[3] === 'broadcast'), [null, null, `realtime:${room()}`, 'broadcast', push]);
  assert.deepEqual((await other.hears((f) => f.event === 'broadcast', 'the push')).payload, push);
  other.send('1', '3', `realtime:${room()}`, 'broadcast', push);
  await until(() => sender.frames.filter((f) => f[3] === 'broadcast').length === 2, 'the second push');
  assert.deepEqual((await other.settled()).filter((f) => f.ref === '3' || f.event === 'broadcast').length, 1);
});

/** A frame of type 3. */
function binaryPush(joinRef, ref, name, event, payload, encoding) {
  const parts = [joinRef, ref, name, event, ''].map((text) => Buffer.from(text));
  return Buffer.concat([Buffer.from([3, ...parts.map((part) => part.length), encoding]), ...parts, Buffer.from(payload)]);
}

test('a binary push arrives as a frame of type 4, and as text where it is JSON and the client is old', async () => {
  const [sender, modern, old] = [await connect(), await connect(), await connect({ vsn: '1.0.0' })];
  for (const socket of [sender, modern, old]) await socket.join(room(), token, '1');
  sender.socket.send(binaryPush('1', '2', `realtime:${room()}`, 'json', '{"a":1}', 1));
  sender.socket.send(binaryPush('1', '3', `realtime:${room()}`, 'octets', Buffer.from([0, 255, 1]), 0));
  await until(() => modern.frames.filter(Buffer.isBuffer).length === 2, 'two binary frames');
  const full = `realtime:${room()}`;
  const expected = (event, payload, encoding) => Buffer.concat([Buffer.from([4, full.length, event.length, 0, encoding]), Buffer.from(full + event), Buffer.from(payload)]);
  assert.deepEqual(modern.frames.filter(Buffer.isBuffer), [expected('json', '{"a":1}', 1), expected('octets', Buffer.from([0, 255, 1]), 0)]);
  const heard = (await old.settled()).filter((f) => f.event === 'broadcast');
  assert.deepEqual(heard.map((f) => f.payload), [{ event: 'json', payload: { a: 1 }, type: 'broadcast' }]);
});

test('a stranger can neither join an inbox nor write to it', async () => {
  const [owner, stranger] = [await connect(), await connect()];
  await owner.join(`user:${bed.owner}:inbox`, token, '1');
  await stranger.join(`user:${bed.owner}:inbox`, sidecar.token(randomUUID()), '1');
  stranger.send('1', '2', `realtime:user:${bed.owner}:inbox`, 'broadcast', { type: 'broadcast', event: 'forged', payload: {} });
  await stranger.settled();
  assert.ok(!(await owner.settled()).some((f) => f[3] === 'broadcast'));
});

test('participants broadcast nothing to a conversation or an inbox, by WebSocket or HTTP', async () => {
  const inbox = `user:${bed.owner}:inbox`;
  const [participant, reader] = [await connect(), await connect()];
  const post = (messages) => fetch(`${sidecar.url}/api/broadcast`, { method: 'POST', body: JSON.stringify({ messages }),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` } });
  for (const socket of [participant, reader]) for (const [n, name] of [topic, inbox, room()].entries()) await socket.join(name, token, String(n));
  for (const [n, name] of [topic, inbox, room()].entries()) {
    participant.send(String(n), `p${n}`, `realtime:${name}`, 'broadcast', { type: 'broadcast', event: 'message.deleted', payload: { forged: name } });
    await post([{ topic: name, event: 'message.new', payload: { forged: name }, private: true }]);
  }
  const heard = () => reader.frames.filter((f) => f[3] === 'broadcast' && f[4].payload.forged).map((f) => f[2]);
  await until(() => heard().length === 2, 'what was said where clients may');
  await bed.message(conversation, 'true');
  await reader.hears((f) => f[4]?.payload?.content === 'true', 'what the database said');
  assert.deepEqual(heard(), Array(2).fill(`realtime:${room()}`));
});

test('a new token is taken without an answer; one that may not read closes the channel', async () => {
  const socket = await connect();
  await socket.join(topic, token, '1');
  socket.send('1', '2', `realtime:${topic}`, 'access_token', { access_token: sidecar.token(bed.owner, { expiresIn: 7200 }) });
  await bed.message(conversation, 'still here');
  await socket.hears((f) => f[4]?.payload?.content === 'still here', 'a message under the new token');
  socket.send('1', '3', `realtime:${topic}`, 'access_token', { access_token: sidecar.token(randomUUID()) });
  const system = await socket.hears((f) => f[3] === 'system', 'a system message');
  assert.deepEqual(system, ['1', null, `realtime:${topic}`, 'system', { message: `You do not have permissions to read from this Channel topic: ${topic}`, status: 'error', extension: 'system', channel: topic }]);
  assert.deepEqual(await socket.hears((f) => f[3] === 'phx_close', 'phx_close'), ['1', '1', `realtime:${topic}`, 'phx_close', {}]);
  assert.ok(!(await socket.settled()).some((f) => f[1] === '2'));
});

test('a channel ends when its token expires, the connection does not', async () => {
  const socket = await connect();
  await socket.join(topic, sidecar.token(bed.owner, { expiresIn: 2 }), '1');
  const system = await socket.hears((f) => f[3] === 'system', 'a system message');
  assert.equal(system[4].message, 'Token has expired 0 seconds ago');
  await socket.hears((f) => f[3] === 'phx_close', 'phx_close');
  assert.deepEqual(await socket.join(topic, token, '2'), joined);
});

test('HTTP broadcast answers what Realtime answers', async () => {
  const key = roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET);
  const post = async (body, { path = '/api/broadcast', type = 'application/json', auth = key } = {}) => {
    const response = await fetch(sidecar.url + path, { method: 'POST', body, headers: { 'content-type': type, authorization: `Bearer ${auth}` } });
    return [response.status, await response.text()];
  };
  const good = { topic: 'a', event: 'e', payload: {} };
  const batch = (...messages) => JSON.stringify({ messages });
  assert.deepEqual(await post(batch(good)), [202, '']);
  assert.deepEqual(await post(batch(good, { topic: 'a', event: 'e' }, good)), [422, '{"errors":{"messages":[{},{"payload":["can\'t be blank"]},{}]}}']);
  assert.deepEqual(await post(batch({ ...good, payload: [1] })), [422, '{"errors":{"messages":[{"payload":["is invalid"]}]}}']);
  assert.deepEqual(await post(batch({ ...good, id: 7, private: 'maybe' })), [422, '{"errors":{"messages":[{"private":["is invalid"],"id":["is invalid"]}]}}']);
  assert.deepEqual(await post(batch(good, 'none')), [422, '{"errors":{"messages":["is invalid"]}}']);
  assert.deepEqual(await post('{"messages":[]}'), [422, '{"errors":{"messages":["can\'t be blank"]}}']);
  assert.deepEqual(await post('{'), [400, 'Bad Request']);
  assert.deepEqual(await post(Buffer.from('{"messages":[{"topic":"\xff"}]}', 'latin1')), [400, 'Bad Request']);
  assert.deepEqual(await post(batch({ ...good, payload: { x: 'y'.repeat(8_100_000) } })), [413, 'Request Entity Too Large']);
  assert.deepEqual(await post(batch(good), { auth: 'sb_secret_x' }), [401, '{"message":"Unauthorized"}']);
  assert.deepEqual(await post('{}', { path: '/api/broadcast/a/events/e' }), [202, '']);
  assert.deepEqual((await post('x', { path: '/api/broadcast/a/events/e', type: 'text/plain' }))[0], 415);
  const stranger = sidecar.token(randomUUID());
  assert.deepEqual(await post('{}', { path: `/api/broadcast/${topic}/events/e?private=true`, auth: stranger }), [403, '{"message":"Unauthorized"}']);
  assert.deepEqual(await post(batch({ ...good, topic, private: true }), { auth: stranger }), [202, '']);
});
