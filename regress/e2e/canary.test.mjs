// REALTIME_CANARY: the sidecar listens as a client does, and says how long events take, and when they do not arrive.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { ListeningRealtime } from '../lib/listening-realtime.mjs';
import { schema, StreamingRealtime } from '../lib/streaming-realtime.mjs';
import { createAuthority } from '../lib/tls.mjs';
import { until } from '../lib/wait.mjs';
import { temporaryDirectory } from '../lib/workspace.mjs';

let bed, receiver, realtime, clients, sidecar, keyFile;

const arrived = () => sidecar.metric('chat_realtime_canary_events_total', 'result="arrived"');
const ready = async () => (await sidecar.get('/readyz')).json();
const isReady = () => until(async () => (await ready()).ready, async () => `it to be ready: ${JSON.stringify(await ready())}`);

/** /readyz is 503, and says of the canary what fits. */
async function troubled(pattern) {
  await until(async () => pattern.test((await ready()).reasons.canary), async () => `${pattern} on /readyz: ${JSON.stringify(await ready())}`, 30000);
  assert.equal((await sidecar.get('/readyz')).status, 503);
}

/** It is told to try again, instead of waiting, until it has joined once more than before. */
async function joinsAgain(before = clients.joins.length) {
  await until(() => {
    sidecar.child.kill('SIGHUP');
    return clients.joins.length > before;
  }, () => `another join: ${sidecar.tail()}`, 20000, 100);
  await isReady();
}

async function ends() {
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
}

before(async () => {
  bed = await Bed.create({ settings: { wal_level: 'logical' }, before: schema });
  receiver = await bed.receiver((await value(bed.db, 'SELECT array_agg(DISTINCT webhook) FROM chat.event_kinds() WHERE webhook IS NOT NULL')));
});

after(() => bed.close());

test('at the embedded endpoint it hears its event, which nobody else does', async () => {
  sidecar = await bed.sidecar({ REALTIME_CANARY: 'true' });
  await until(async () => await arrived() > 0, () => `an event to arrive: ${sidecar.tail()}`);
  assert.equal(await sidecar.metric('chat_realtime_message_latency_seconds_count'), await arrived());
  assert.equal(await sidecar.metric('chat_realtime_canary_listens'), 1);
  const topic = await value(bed.db, `SELECT topic FROM chat.events WHERE event = 'canary'`);
  await assert.rejects((await bed.subscriber(sidecar)).join(topic), /You do not have permissions/);
  assert.equal(receiver.attempts.length, 0);
  await ends();
});

test('at Realtime it joins as a client does, with the key, and nothing of the key is logged', async () => {
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  clients = new ListeningRealtime(realtime.listener.server);
  realtime.onAccepted = (message) => clients.tell(message);
  keyFile = path.join(temporaryDirectory(), 'key');
  writeFileSync(keyFile, roleToken('service_role', 'first'));
  clients.held = [];
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_KEY: '', REALTIME_KEY_FILE: keyFile, REALTIME_CANARY: 'true', LOG_LEVEL: 'debug' });
  await until(() => clients.held.some((message) => `realtime:${message.topic}` === clients.joined?.topic), () => `an event: ${sidecar.tail()}`);
  assert.match(clients.handshakes[0], /^\/socket\/websocket\?apikey=[\w.-]+&vsn=2\.0\.0$/);
  const { topic, payload } = clients.joined;
  assert.match(topic, /^realtime:canary:[0-9a-f]{16}$/);
  assert.equal(payload.config.private, true);
  assert.equal(payload.access_token, readFileSync(keyFile, 'utf8'));
  writeFileSync(keyFile, roleToken('service_role', 'second'));
  sidecar.child.kill('SIGHUP');
  await until(() => clients.tokens.length > 0, () => `the other token: ${sidecar.tail()}`);
  assert.equal(clients.tokens[0], readFileSync(keyFile, 'utf8'));
});

test('what is accepted and does not arrive is missing, and /readyz says so until it does', async () => {
  await troubled(/^events do not reach clients: the canary's own, of the last 10 s, has not arrived$/);
  assert.equal(await sidecar.metric('chat_realtime_canary_events_total', 'result="missing"'), 1);
  clients.release();
  await isReady();
  assert.ok(await arrived() > 0);
});

test('what is no message of ours changes nothing', async () => {
  const { socket, topic, ref } = clients.joined;
  clients.held = [];
  const before = await arrived();
  const broadcast = (event, payload) => JSON.stringify([ref, null, topic, 'broadcast', { type: 'broadcast', event, payload }]);
  for (const text of ['', '{', '[]', 'null', '['.repeat(10000), '[1,2,3,4,5]', '["1","1",null,"phx_reply",7]', JSON.stringify(['1', '1', 'realtime:other', 'phx_close', {}]),
    broadcast('other', { number: 1 }), broadcast('canary', {}), broadcast('canary', { number: -1 }), broadcast('canary', { number: '1' }), broadcast('canary', { number: 99 }), broadcast('canary', null)]) socket.send(text);
  for (const bytes of [[], [4], [4, 255, 255, 255, 1], [4, 0, 0, 0, 1, 123], [9, 1, 1, 1, 1, 1]]) socket.send(Buffer.from(bytes));
  await new Promise((resolve) => socket.once('pong', resolve).ping());
  assert.equal(socket.readyState, socket.OPEN);
  assert.equal(await arrived(), before);
  clients.release();
  await isReady();
});

test('closed, refused, sent elsewhere, told too much: /readyz says why, and it joins again', async () => {
  const answer = (status, ...headers) => [`HTTP/1.1 ${status}`, ...headers, 'Content-Length: 0', '', ''].join('\r\n');
  for (const [what, pattern] of [
    [() => clients.joined.socket.close(1012, 'restarting'), /^closed: restarting$/],
    [() => clients.joined.socket.close(1001), /^closed with 1001$/],
    [() => clients.joined.socket.terminate(), /^the connection has ended$/],
    [() => clients.joined.socket.send('x'.repeat(20000)), /^a message has more than 16384 bytes$/],
    [() => clients.raw([0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255], Buffer.alloc(1 << 20)), /^a message has more than 16384 bytes$/],
    [() => { for (let i = 0; i < 40; i++) clients.joined.socket.send('y'.repeat(1000), { fin: false }); }, /^a message has more than 16384 bytes$/],
    [() => clients.raw([0x81, 2, 0xc3, 0x28, 0x81, 126, 0x3f, 0xff], Buffer.alloc(0x3fff, 0xff), [0x88, 2, 0x0f, 0xa0, 0x81, 126, 0xff, 0xff], Buffer.alloc(0xffff)), /^closed with 4000$/],
    [() => clients.raw([0x88, 126, 0x0f, 0xff], Buffer.alloc(0xfff)), /./],
    [() => clients.raw([0x89, 126, 0x0f, 0xff], Buffer.alloc(0xfff)), /./],
    [() => clients.raw([0xff, 255, 255], Buffer.alloc(100000, 255)), /./],
    [() => clients.joined.socket.send(JSON.stringify(['1', null, clients.joined.topic, 'system', { status: 'error', message: 'Token has expired 0 seconds ago' }])), /^Token has expired 0 seconds ago$/],
    [() => clients.joined.socket.send(JSON.stringify(['1', null, clients.joined.topic, 'phx_close', {}])), /^the channel was closed$/],
  ]) {
    sidecar.log.length = 0;
    const before = clients.joins.length;
    what();
    await until(() => sidecar.log.some((line) => line.msg === 'the canary cannot listen' && pattern.test(line.error)), () => `${pattern} in the log: ${sidecar.tail()}`);
    await joinsAgain(before);
  }
  for (const [set, pattern] of [
    [{ refusal: 'Unauthorized: You do not have permissions\u001b[31m' }, /^the canary, a client of our own, cannot listen at ws:\/\/127\.0\.0\.1:\d+: Unauthorized: You do not have permissions \[31m$/],
    [{ answer: answer('401 Unauthorized') }, /: it answers 401$/],
    [{ answer: answer('302 Found', 'Location: /socket/websocket') }, /: it redirects, which is not followed$/],
    [{ answer: answer('200 OK', `X-Long: ${'z'.repeat(100000)}`) }, /cannot listen at/],
  ]) {
    Object.assign(clients, set);
    const before = clients.handshakes.length;
    clients.joined.socket.close();
    await until(() => { sidecar.child.kill('SIGHUP'); return clients.handshakes.length > before; }, 'another handshake', 20000, 100);
    await troubled(pattern);
    assert.ok(clients.handshakes.length < before + 20, 'no redirect is followed');
    Object.assign(clients, { refusal: undefined, answer: undefined });
    await joinsAgain();
  }
  assert.ok(!JSON.stringify(sidecar.log).includes(readFileSync(keyFile, 'utf8').split('.')[1]), 'the key is in the log');
  await ends();
});

test('through the database, over TLS: with an authority of its own, and without; its join wakes a Realtime that nobody has joined', async () => {
  assert.equal(receiver.attempts.length, 0);
  const { authority, certificate, key } = await createAuthority('Realtime');
  const server = https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  bed.closing.push(() => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  }));
  clients = new ListeningRealtime(server, { binary: true });
  const streaming = new StreamingRealtime(bed.cluster);
  streaming.received.push = function (...messages) {
    for (const message of messages) clients.tell(message);
    return Array.prototype.push.apply(this, messages);
  };
  clients.onJoin = () => { // Realtime makes its slot for its first client
    clients.onJoin = undefined;
    streaming.connect();
  };
  const settings = { REALTIME_TRANSPORT: 'database', REALTIME_URL: `https://127.0.0.1:${server.address().port}/realtime/v1`, REALTIME_CANARY: 'true' };
  sidecar = await bed.sidecar(settings);
  await troubled(/cannot listen at wss:\/\/127\.0\.0\.1:\d+: /);
  assert.equal(clients.joins.length, 0);
  await bed.message(await bed.conversation('Ana'), 'asleep');
  await until(async () => /nobody streams/.test((await ready()).reasons.realtime), async () => `it to wait: ${JSON.stringify(await ready())}`);
  await ends();
  sidecar = await bed.sidecar({ ...settings, SSL_CERT_FILE: authority });
  await until(() => streaming.received.some((row) => row.payload.content === 'asleep'), () => `the message: ${sidecar.tail()}`, 20000);
  await until(async () => await arrived() > 0, () => `an event to arrive: ${sidecar.tail()}`, 20000);
  assert.match(clients.handshakes.at(-1), /^\/realtime\/v1\/websocket\?/);
  await ends();
  await streaming.disconnect();
  assert.deepEqual(receiver.deliveries.filter(({ raw }) => /canary/.test(raw)), []);
});
