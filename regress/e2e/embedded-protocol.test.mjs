// What else a client of Supabase Realtime may say and hear on a WebSocket of the embedded endpoint.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { atEndpoint, joined, ok } from '../lib/at-endpoint.mjs';
import { RawHttp, request } from '../lib/http-wire.mjs';
import { until } from '../lib/wait.mjs';

let bed, sidecar, topic, token;
const connect = atEndpoint((here) => { ({ bed, sidecar, topic, token } = here); });

/** A join whose payload is written as it is. */
function joinWith(socket, ref, name, payload) {
  socket.send(ref, ref, `realtime:${name}`, 'phx_join', payload);
  return socket.reply(ref);
}

test('a join without config, or with half of one, is one of a public channel under the key\'s token', async () => {
  const socket = await connect();
  for (const [ref, payload] of [['1', {}], ['2', { config: {} }], ['3', { config: { broadcast: null, presence: 7, private: 'no' } }], ['4', { config: [] }], ['5', { config: { private: 'false' } }]]) {
    assert.deepEqual(await joinWith(socket, ref, `room ${ref}`, payload), joined, ref);
  }
  assert.deepEqual(await joinWith(socket, '6', topic, { config: { private: 'true' }, user_token: token }), joined, 'texts for truths, and the token by its old name');
  assert.match((await joinWith(socket, '7', topic, { access_token: token })).response.reason, /^PrivateOnly: .*private: true/);
});

test('Postgres Changes are refused, and broadcast is named', async () => {
  const socket = await connect();
  const refused = await joinWith(socket, '1', 'room', { config: { postgres_changes: [{ event: '*', schema: 'public', table: 'messages' }] } });
  assert.equal(refused.status, 'error');
  assert.match(refused.response.reason, /^PostgresChangesNotSupported: .*broadcast/);
  assert.deepEqual(await joinWith(socket, '2', 'room', { config: { postgres_changes: [] } }), joined);
});

test('who asks when events come is told that they do', async () => {
  const socket = await connect();
  assert.deepEqual(await socket.join('room', sidecar.anonKey, '1', { private: false, broadcast: { replication_ready: true } }), joined);
  assert.deepEqual(await socket.hears((f) => f[3] === 'system', 'a system message'),
    ['1', null, 'realtime:room', 'system', { message: 'Replication connection established', status: 'ok', extension: 'system', channel: 'room' }]);
});

test('a payload that is too large: the answer is a bare text, or none; the channel goes on', async () => {
  const [asks, silent] = [await connect(), await connect()];
  const broadcast = { type: 'broadcast', event: 'e', payload: { x: 'x'.repeat(3_000_600) } };
  for (const socket of [asks, silent]) await socket.join('room', sidecar.token(randomUUID()), '1', { private: false, broadcast: { ack: socket === asks, self: false } });
  for (const socket of [asks, silent]) socket.send('1', '2', 'realtime:room', 'broadcast', broadcast);
  assert.deepEqual(await asks.reply('2'), { status: 'error', response: 'payload_size_exceeded' });
  asks.send('1', '3', 'realtime:room', 'broadcast', { ...broadcast, payload: {} });
  assert.deepEqual(await asks.reply('3'), ok);
  assert.ok(!(await silent.settled()).some((f) => f[1] === '2'));
});

test('refusals come late, and hold up nobody: not the socket\'s other joins either', async () => {
  const late = await bed.sidecar({ EMBEDDED_JWT_SECRET: sidecar.env.EMBEDDED_JWT_SECRET, EMBEDDED_REFUSAL_DELAY_MS: '6000' });
  const [socket, gone] = [await connect({ to: late }), await connect({ to: late })];
  const refused = socket.join(topic, sidecar.token(randomUUID()), '1');
  gone.join(topic, sidecar.token(randomUUID()), '1').catch(() => {});
  await gone.settled();
  gone.close();
  assert.deepEqual(await socket.join(topic, token, '2'), joined);
  assert.deepEqual(await socket.join('room', token, '3', { private: false }), joined);
  assert.ok(!socket.frames.some((f) => f[1] === '1'), 'it is still to come');
  assert.match((await refused).response.reason, /^Unauthorized: /);
  assert.deepEqual(socket.frames.filter((f) => f[3] === 'phx_reply').map((f) => f[1]), ['2', '3', '1']);
  // Of one socket so many wait: the next one is told at once.
  for (let n = 0; n < 150; n++) socket.send(`r${n}`, `r${n}`, 'realtime:', 'phx_join', {});
  await socket.settled();
  assert.equal(socket.frames.filter((f) => /^TopicNameRequired/.test(f[4]?.response?.reason)).length, 50);
  await late.kill('SIGTERM'); // what waits is forgotten
});

test('frames are not compressed, whatever a client offers', async () => {
  const raw = await RawHttp.open(Number(new URL(sidecar.url).port));
  raw.write(request(`/realtime/v1/websocket?apikey=${sidecar.anonKey}&vsn=2.0.0`, { method: 'GET', headers: { Connection: 'Upgrade', Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' } }));
  await until(() => raw.received.includes('\r\n\r\n'), 'the handshake');
  assert.match(raw.received.toString(), /^HTTP\/1\.1 101 /);
  assert.doesNotMatch(raw.received.toString(), /extensions/i);
  raw.close();
});
