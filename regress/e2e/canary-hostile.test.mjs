// A Realtime, or somebody before it, that is hostile to the canary's WebSocket: in the handshake and after it. The connection ends,
// or nothing comes of it; memory stays as it was, and what is delivered meanwhile arrives.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { ListeningRealtime } from '../lib/listening-realtime.mjs';
import { coreFaster } from '../lib/preload.mjs';
import { memory } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';

const MEMORY = 16 * 1024 * 1024; // that may come on top

let bed, conversation, realtime, clients, sidecar, least;
const settings = () => ({ REALTIME_URL: realtime.url, REALTIME_CANARY: 'true', LOG_LEVEL: 'debug' });

/** The answer to a handshake as it should be, with more headers. */
function accepted(request, ...headers) {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`, ...headers, '', ''].join('\r\n');
}

/** Writes pieces as long as they are taken, so many of them. */
async function flood(socket, piece, count) {
  for (let i = 0; i < count && !socket.destroyed; i++) if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
}

const frame = (first, payload, length = payload.length) => Buffer.concat([Buffer.from(length < 126 ? [first, length] : [first, 126, length >> 8, length & 255]), Buffer.from(payload)]);
const ended = () => sidecar.log.some((line) => line.msg === 'the canary cannot listen');

/** It is told to try again, instead of waiting, until that is so. */
function again(fits, what) {
  return until(() => {
    if (!fits()) sidecar.child.kill('SIGHUP');
    return fits();
  }, () => `${what}: ${sidecar.tail()}`, 20000, 100);
}

/** It has joined once more than before. */
async function joinsAgain(joins = clients.joins.length) {
  clients.answer = undefined;
  await again(() => clients.joins.length > joins, 'another join');
  sidecar.log.length = 0;
}

async function delivers(content) {
  await bed.message(conversation, content);
  await until(() => realtime.accepted.some((message) => message.payload.content === content), () => `${content}: ${sidecar.tail()}`);
}

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  clients = new ListeningRealtime(realtime.listener.server);
  realtime.onAccepted = (message) => clients.tell(message);
  sidecar = await bed.sidecar(settings());
  await until(() => clients.joined, () => `a join: ${sidecar.tail()}`);
  await delivers('before');
  least = memory(sidecar.child.pid);
});

after(() => bed.close());

test('in the handshake', async () => {
  clients.joined.socket.terminate();
  for (const [name, answer] of [
    ['another accept', (socket, request) => socket.write(accepted(request).replace(/Accept: .{4}/, 'Accept: AAAA'))],
    ['an extension and a protocol that nobody asked for', (socket, request) => socket.write(accepted(request, 'Sec-WebSocket-Extensions: permessage-deflate', 'Sec-WebSocket-Protocol: other'))],
    ['no HTTP', (socket) => flood(socket, Buffer.alloc(65536, 0xfe), 32)],
    ['headers without end', (socket) => flood(socket, `HTTP/1.1 101 Switching Protocols\r\n${'X-More: and more\r\n'.repeat(4000)}`, 32)],
    ['frames that come with the answer, half of the last one', (socket, request) => socket.end(Buffer.concat([Buffer.from(accepted(request)), frame(0x81, '["1","1",null,"phx_reply",{"status":"ok"}]'), Buffer.from([0x81, 100, 1])]))],
  ]) {
    const before = clients.handshakes.length;
    let socket;
    clients.answer = (...args) => {
      [socket] = args;
      socket.on('end', () => socket.destroy()).resume();
      sidecar.log.length = 0;
      answer(...args);
    };
    await again(() => clients.handshakes.length > before, `${name}: another handshake`);
    await delivers(name);
    await until(() => ended() && socket.destroyed, () => `${name}: its end: ${sidecar.tail()}`);
  }
  await joinsAgain();
});

test('in frames that end it', async () => {
  for (const [name, act] of [
    ['2^63 bytes', () => clients.raw([0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Buffer.alloc(100000))],
    ['compressed', () => clients.raw(frame(0xc1, [0xaa, 0x56, 0x4a, 0x4c]))],
    ['a continuation of nothing', () => clients.raw(frame(0x80, 'x'))],
    ['half a frame', () => { clients.raw([0x81, 126, 0x20]); clients.joined.socket._socket.end(); }],
  ]) {
    const joins = clients.joins.length;
    act();
    await delivers(name);
    await until(ended, () => `${name}: its end: ${sidecar.tail()}`);
    await joinsAgain(joins); // which it may have done by itself meanwhile
  }
});

test('in what it may say: byte by byte, in empty pieces, pings and messages without end', async () => {
  const { socket, topic, ref } = clients.joined;
  const raw = socket._socket;
  const answered = (text) => new Promise((resolve) => socket.once('pong', resolve).ping(text));
  raw.setNoDelay(true);
  for (const byte of frame(0x81, JSON.stringify([ref, null, topic, 'broadcast', { type: 'broadcast', event: 'canary', payload: { number: 1e15 } }]))) {
    raw.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  await answered('bytes');
  await flood(raw, Buffer.concat(Array.from({ length: 5000 }, () => frame(0x89, 'p'.repeat(125)))), 10);
  await delivers('during pings');
  await answered('pings');
  const deep = `{"a":${'['.repeat(8000)}`, reply = JSON.stringify(['9', '9', topic, 'phx_reply', { status: 'error' }]);
  await flood(raw, Buffer.concat([deep, reply, '"\\ud800"', '1e999', '"\u0000"', `["1","1","${topic}","phx_reply",{"status":"ok"}]`].map((text) => frame(0x81, text))), 500);
  await delivers('during messages');
  await answered('messages');
  raw.write(frame(0x01, ''));
  await flood(raw, Buffer.concat(Array.from({ length: 10000 }, () => frame(0x00, ''))), 10);
  raw.write(frame(0x80, ''));
  await delivers('during pieces');
  await answered('pieces');
  assert.ok(!ended(), sidecar.tail());
  assert.equal(clients.joined.socket, socket);
});

test('memory is as before, and it ends as it should', async () => {
  const more = memory(sidecar.child.pid) - least;
  if (!process.env.SIDECAR_SANITIZE) assert.ok(more < MEMORY, `${more} bytes more`);
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});

test('handshakes that are never answered end after 20 s, and others are tried', async () => {
  clients.answer = (socket) => socket.on('end', () => socket.destroy()).resume();
  const before = [clients.handshakes.length, clients.joins.length];
  sidecar = await bed.sidecar({ ...settings(), ...await coreFaster(10) }); // 2 s
  await until(() => clients.handshakes.length > before[0] + 1, () => `another handshake: ${sidecar.tail()}`, 20000);
  assert.ok(sidecar.log.some((line) => line.error === 'the handshake is not answered'), sidecar.tail());
  clients.answer = undefined;
  await until(() => clients.joins.length > before[1], () => `a join: ${sidecar.tail()}`, 20000);
  await delivers('at last');
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});
