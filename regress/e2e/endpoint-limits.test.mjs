// What one address, one user, one socket may have of the endpoint, and what its memory bounds: refused in the protocol's words,
// counted, and of no matter to anybody else.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { RawHttp, request } from '../lib/http-wire.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { until } from '../lib/wait.mjs';

let bed, conversation, sidecar;
let sockets = [];

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  sidecar = await bed.sidecar({ EMBEDDED_MAX_PER_ADDRESS: '3', EMBEDDED_TRUSTED_PROXIES: '198.51.100.0/24' });
});

after(() => bed.close());

afterEach(async () => {
  for (const socket of sockets) socket.close();
  sockets = [];
  await until(async () => await sidecar.metric('chat_realtime_connections') === 0, 'all gone');
});

async function open(options, where = sidecar) {
  const socket = await RawSocket.open(where, options);
  sockets.push(socket);
  return socket;
}

const from = (address) => ({ headers: { 'X-Forwarded-For': address } });

test('an address has so many sockets: the last one of X-Forwarded-For that is no proxy of ours counts', async () => {
  for (const address of ['203.0.113.7', '1.2.3.4, 203.0.113.7', '203.0.113.7, 198.51.100.9']) await open(from(address));
  await assert.rejects(open(from('9.9.9.9, 203.0.113.7')), { status: 429 });
  await open(from('203.0.113.8'));
  for (let n = 0; n < 5; n++) await open(); // of this machine
  assert.equal(await sidecar.metric('chat_realtime_embedded_refused_sockets_total', 'reason="crowd"'), 1);
  assert.ok(sidecar.log.some((line) => line.msg === 'an address or a user has as many WebSockets as it may' && line.whose === 'address'));
  sockets[0].close();
  await until(async () => await sidecar.metric('chat_realtime_connections') === 8, 'one gone');
  await open(from('203.0.113.7'));
});

test('a user has 100 sockets, whoever shares its address; the anon key is nobody\'s', async () => {
  const [user, other] = [randomUUID(), randomUUID()];
  await Promise.all(Array.from({ length: 102 }, () => open()));
  const answers = await Promise.all(sockets.slice(0, 100).map((socket) => socket.join('room', sidecar.token(user), '1', { private: false })));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], ['ok']);
  const refused = await sockets[100].join('room', sidecar.token(user), '1', { private: false });
  assert.deepEqual(refused, { status: 'error', response: { reason: 'ConnectionRateLimitReached: Too many connected users' } });
  assert.equal((await sockets[101].join('room', sidecar.token(other), '1', { private: false })).status, 'ok');
  await assert.rejects(open({ key: sidecar.token(user) }), { status: 429 });
  // A second channel of a socket that counts already, and the place of one that went.
  assert.equal((await sockets[0].join('another room', sidecar.token(user), '2', { private: false })).status, 'ok');
  sockets[1].close();
  await until(async () => await sidecar.metric('chat_realtime_connections') === 101, 'one gone');
  assert.equal((await sockets[100].join('room', sidecar.token(user), '2', { private: false })).status, 'ok');
});

/** A request whose last byte is missing: what it sent is kept. */
async function stalledBody(where, bytes) {
  const http = await RawHttp.open(Number(new URL(where.url).port));
  http.write(request('/api/broadcast', { headers: { Authorization: `Bearer ${where.anonKey}`, 'Content-Type': 'application/json', 'Content-Length': bytes } }));
  http.write(Buffer.alloc(bytes - 1, 0x20));
  return http;
}

test('at its memory limit nobody new is taken in, and what is there goes on', { skip: process.env.SIDECAR_SANITIZE && 'bytes are counted otherwise' }, async () => {
  const other = await bed.sidecar({ ENDPOINT_MEMORY_LIMIT: '32' });
  const pid = other.endpointPid;
  const subscriber = await bed.subscriber(other);
  await subscriber.join(`conversation:${conversation}`);
  const there = await open({}, other);
  const bodies = [];
  for (let n = 0; n < 5; n++) bodies.push(await stalledBody(other, 7_900_000));
  await until(async () => await other.metric('chat_realtime_endpoint_memory_bytes') > 32 * 1024 * 1024, 'the limit');
  await assert.rejects(open({}, other), { status: 503 });
  const post = await fetch(`${other.url}/api/broadcast`, { method: 'POST', headers: { Authorization: `Bearer ${other.anonKey}`, 'Content-Type': 'application/json' }, body: '{"messages":[]}' });
  assert.equal(post.status, 503);
  assert.deepEqual(await there.join('room', other.anonKey, '1', { private: false }),
    { status: 'error', response: { reason: 'ServiceUnavailable: The endpoint is at its memory limit' } });
  const id = await bed.message(conversation, 'all the same');
  await subscriber.hears((m) => m.payload.id === id, 'what is delivered meanwhile');
  assert.equal(await other.metric('chat_realtime_embedded_refused_sockets_total', 'reason="memory"'), 1);
  assert.equal(await other.metric('chat_realtime_embedded_refused_joins_total', 'reason="memory"'), 1);
  assert.ok(other.log.some((line) => line.msg.startsWith('the endpoint is at its memory limit')));
  for (const http of bodies) http.close();
  await until(async () => await other.metric('chat_realtime_endpoint_memory_bytes') < 28 * 1024 * 1024, 'room again');
  assert.equal((await there.join('room', other.anonKey, '2', { private: false })).status, 'ok');
  assert.equal(other.endpointPid, pid);
});

test('readers far behind are closed at the memory limit, and those that read get everything', { skip: process.env.SIDECAR_SANITIZE && 'bytes are counted otherwise' }, async () => {
  const other = await bed.sidecar({ ENDPOINT_MEMORY_LIMIT: '32' });
  const pid = other.endpointPid;
  const rooms = Array.from({ length: 24 }, (_, n) => `room ${n}`);
  for (const room of rooms) {
    const reader = await open({}, other);
    assert.equal((await reader.join(room, other.anonKey, '1', { private: false })).status, 'ok');
    reader.socket.pause();
  }
  const good = await open({}, other);
  assert.equal((await good.join('a room', other.anonKey, '1', { private: false })).status, 'ok');
  const broadcast = (topic, payload) => fetch(`${other.url}/api/broadcast`, { method: 'POST',
    headers: { Authorization: `Bearer ${roleToken('service_role', other.env.EMBEDDED_JWT_SECRET)}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ messages: [{ topic, event: 'e', payload }] }) });
  // What the kernel takes does not count: each is sent until it is more than a megabyte behind, together more than there may be.
  for (let n = 0; n < 20 && await other.metric('chat_realtime_embedded_slow_sockets_total') === 0; n++) {
    for (const room of rooms) await broadcast(room, { filling: 'x'.repeat(400_000) });
    await broadcast('a room', { n });
  }
  await until(async () => await other.metric('chat_realtime_embedded_slow_sockets_total') > 0, 'some closed');
  assert.ok(other.log.some((line) => line.msg.startsWith('the endpoint is at its memory limit')));
  await until(async () => (await broadcast('a room', { n: 'last' })).status === 202, 'room again');
  await good.hears((f) => f[4]?.payload?.n === 'last', 'the last one');
  assert.equal(other.endpointPid, pid);
});

test('who joins without end waits for itself alone', async () => {
  const stranger = randomUUID();
  const db = await bed.connect();
  const flood = [];
  for (let n = 0; n < 5; n++) flood.push(await open());
  const real = await open();
  await db.query('BEGIN');
  await db.query('LOCK TABLE public.conversations IN ACCESS EXCLUSIVE MODE');
  const joins = flood.flatMap((socket, s) => Array.from({ length: 100 }, (_, n) => socket.join(`conversation:${1000 + s * 100 + n}`, sidecar.token(stranger), `${n}`)));
  for (const socket of flood) await socket.settled();
  const joined = real.join(`conversation:${conversation}`, sidecar.token(bed.owner), '1');
  await real.settled();
  await db.query('COMMIT');
  assert.equal((await joined).status, 'ok');
  const reasons = {};
  for (const { response: { reason } } of await Promise.all(joins)) reasons[reason.split(':')[0]] = (reasons[reason.split(':')[0]] ?? 0) + 1;
  // Of 500 some were on their way, and 400 may wait.
  assert.ok(reasons.Unauthorized >= 400 && reasons.UnableToConnectToProject > 50, JSON.stringify(reasons));
});

test('a socket that sends without end loses its channels, and then its connection; another one\'s goes on', async () => {
  const [flood, other] = [await open(), await open()];
  for (const socket of [flood, other]) assert.equal((await socket.join('a room', sidecar.anonKey, '1', { private: false })).status, 'ok');
  for (let n = 0; n < 2000; n++) flood.send('1', `${n}`, 'realtime:a room', 'nonsense', {});
  await flood.hears((f) => f[3] === 'system' && f[4].message === 'Too many messages per second', 'why');
  await flood.hears((f) => f[3] === 'phx_close', 'the channel\'s end');
  await until(() => {
    for (let n = 0; n < 100; n++) flood.send('1', `${n}`, 'realtime:a room', 'nonsense', {});
    return flood.socket.readyState === 3;
  }, 'its end');
  assert.ok(await sidecar.metric('chat_realtime_embedded_refused_frames_total') > 0);
  assert.ok(sidecar.log.some((line) => line.msg === 'a WebSocket sends more than it may'));
  other.send('1', '2', 'realtime:a room', 'broadcast', { type: 'broadcast', event: 'e', payload: {} });
  await other.settled();
  assert.equal(other.frames.filter((f) => f[3] === 'phx_close').length, 0);
});
