// Streams of bytes to both ports of a sidecar that is built with AddressSanitizer and UndefinedBehaviorSanitizer: requests glued together, cut
// into pieces, with bytes changed, lengths that lie, frames behind a handshake, and connections that end in the middle. Whatever comes, it
// answers each request at most once and in whole answers, goes on for others, rests when they are gone, and ends when it is told to.
//
// STREAMS: how many. SEED: of the first one; a failure prints its own. SIDECAR_BINARY: another build.
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import process from 'node:process';
import { ticks } from '../../lib/usage.mjs';

const count = Number(process.env.STREAMS || 100_000);
const seed = Number(process.env.SEED || Date.now() % 1e9);
const parallel = 48;

const given = process.env.SIDECAR_BINARY;
// Before anything is imported that looks at it.
process.env.SIDECAR_BINARY ||= path.join(import.meta.dirname, '../../../sidecar/build/sanitized/chat-sidecar');
const { createWorkspace, make } = await import('../../lib/workspace.mjs');
if (!given) await make('-j2', 'sidecar', 'SIDECAR_SANITIZE=address,undefined');
process.env.UBSAN_OPTIONS = 'halt_on_error=1:print_stacktrace=1';
process.env.CHAT_REALTIME_WORKSPACE ||= (await createWorkspace()).dir;
const { Bed } = await import('../../lib/bed.mjs');
const { answers, request } = await import('../../lib/http-wire.mjs');
const { finish } = await import('../../lib/janitor.mjs');
const { roleToken } = await import('../../lib/jwt.mjs');
const { until } = await import('../../lib/wait.mjs');

/** Numbers from a seed: the same stream for the same seed. */
function random(from) {
  let state = from >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n) => Math.floor(next() * n);
  return { below, chance: (p) => next() < p, pick: (list) => list[below(list.length)] };
}

const bed = await Bed.create();
const sidecar = await bed.sidecar({ LOG_LEVEL: 'error' });
const conversation = await bed.conversation('Ana');
const [health, endpoint] = [sidecar.httpUrl, sidecar.url].map((url) => Number(new URL(url).port));
const json = { 'Content-Type': 'application/json' };
const [service, anon, user] = [roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET), sidecar.anonKey, sidecar.token(bed.owner)];
const tokens = [service, service, anon, user, user, 'no token'];
const batch = JSON.stringify({ messages: [{ topic: `presence:${conversation}`, event: 'e', payload: { a: 'é' }, private: true, id: '7' }, { topic: 'a', event: 'e', payload: {} }] });
const handshake = (r) => request(`${r.pick(['/realtime/v1/websocket', '/socket/websocket'])}?apikey=${r.pick(tokens)}&vsn=${r.pick(['1.0.0', '2.0.0', ''])}`, { method: 'GET',
  headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' } });

/** A frame as a client sends it, masked with zeros. */
function frame(payload, opcode) {
  const length = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length, 0, 0, 0, 0]), payload]);
}

const makers = [
  (r) => request(r.pick(['/healthz', '/metrics', '/readyz', '/', '/a/../b', '//']), { method: r.pick(['GET', 'HEAD', 'OPTIONS', 'DELETE', 'PUT']), body: r.chance(0.3) ? '{}' : '' }),
  (r) => request(r.pick(['/api/broadcast', '/realtime/v1/api/broadcast', '/api/broadcast/']), { body: r.pick([batch, batch, '{}', '', '{"messages":[]}', 'x'.repeat(r.below(9000))]), headers: { ...json, Authorization: `Bearer ${r.pick(tokens)}` } }),
  (r) => request(`/api/broadcast/presence%3A${conversation}/events/e${r.pick(['', '?private=true', '?private=true&vsn=2.0.0', '?&&=&private'])}`, { body: r.pick(['{}', '[1]', '', 'x']), headers: { apikey: r.pick(tokens), ...r.pick([{}, json, { 'Content-Type': 'application/octet-stream' }]) } }),
  (r) => request('/api/broadcast', { body: batch, length: batch.length + r.below(40) - 20, headers: { ...json, apikey: r.pick(tokens), ...r.pick([{}, { Expect: '100-continue' }, { Connection: 'close' }]) } }),
  (r) => request('/api/broadcast', { body: '{}', headers: { apikey: r.pick(tokens), ...r.pick([{ 'Transfer-Encoding': 'chunked' }, { 'content-length': '2' }, { Upgrade: 'h2c', Connection: 'Upgrade' }, { Host: 'y' }]) } }),
  handshake,
];
const frames = (r) => frame(r.pick([
  Buffer.from('[null,"1","phoenix","heartbeat",{}]'), Buffer.from(`["1","2","realtime:presence:${conversation}","phx_join",{"config":{"private":true},"access_token":"${user}"}]`),
  Buffer.from(`["1","3","realtime:presence:${conversation}","broadcast",{"type":"broadcast","event":"e","payload":{}}]`), Buffer.from(`["1","4","realtime:presence:${conversation}","phx_leave",{}]`),
  Buffer.from(`["1","5","realtime:presence:${conversation}","access_token",{"access_token":"${user}"}]`), Buffer.from([3, 1, 1, 10, 1, 0, 1, ...Buffer.from('11realtime:xe{}')]), Buffer.from([]),
]), r.pick([1, 1, 1, 2, 8, 9, 0, 3]));
const words = ['\r\n', '\r\n\r\n', '\0', 'Content-Length: 2\r\n', 'Transfer-Encoding: chunked\r\n', ' HTTP/1.1\r\n', '%00', '%', '{', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', ':', '\xff', '\r', '\n'];

function change(r, bytes) {
  const at = r.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + r.below(20));
  const kind = r.below(4);
  if (kind === 0) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
  if (kind === 1) return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
  if (kind === 2) return Buffer.concat([bytes.subarray(0, at), Buffer.from(r.pick(words), 'latin1'), bytes.subarray(at)]);
  const changed = Buffer.from(bytes);
  if (at < changed.length) changed[at] = r.below(256);
  return changed;
}

/** A stream: pieces to write, how many requests they can be, how it ends. */
function plan(r) {
  const upgrades = r.chance(0.15);
  let bytes = upgrades ? Buffer.from(handshake(r)) : Buffer.concat(Array.from({ length: 1 + r.below(4) }, () => Buffer.from(r.pick([...makers, makers[1], makers[1], makers[2]])(r), 'latin1')));
  for (let changes = r.chance(0.5) ? 0 : 1 + r.below(3); changes > 0; changes--) bytes = change(r, bytes);
  const pieces = [];
  const size = r.pick([1 << 20, 1 << 20, 1 + r.below(400), 1 + r.below(30)]);
  for (let at = 0; at < bytes.length && pieces.length < 60; at += size) pieces.push(bytes.subarray(at, at + size));
  if (upgrades) {
    let more = Buffer.concat(Array.from({ length: 1 + r.below(5) }, () => frames(r)));
    if (r.chance(0.3)) more = change(r, more);
    pieces.push(null, more); // after an answer
  } else if (r.chance(0.2)) pieces.push(null, Buffer.from(r.pick([...makers, makers[1], makers[1], makers[2]])(r), 'latin1'));
  return { pieces, end: r.pick(['fin', 'fin', 'reset', 'answer', 'answer']) };
}

const turn = () => new Promise(setImmediate);

/** What must hold of everything that came back, whatever was sent. */
function judge(received, sent, whole) {
  const text = received.toString('latin1');
  assert.ok(received.length < 1_000_000, `${received.length} bytes were answered`);
  const upgraded = text.indexOf('HTTP/1.1 101 ');
  const plain = upgraded < 0 ? received : received.subarray(0, upgraded);
  // HEAD's answers have a length and no body: how many of them there are is not known after changes of bytes.
  if (/HEAD/.test(sent)) return;
  let found;
  try {
    found = answers(plain);
  } catch (error) {
    if (whole) throw error;
    return;
  }
  const possible = (sent.match(/HTTP\/1/g) ?? []).length + 1;
  assert.ok(found.length <= possible, `${found.length} answers to at most ${possible} requests`);
  for (const [at, answer] of found.entries()) assert.ok(answer.headers.connection !== 'close' || at === found.length - 1, 'an answer after the last one');
}

async function stream(number) {
  const r = random(seed + number);
  const { pieces, end } = plan(r);
  const socket = net.connect({ port: r.chance(0.25) ? health : endpoint, host: '127.0.0.1', allowHalfOpen: true });
  const chunks = [];
  let bytes = 0;
  const state = {};
  socket.on('data', (chunk) => { bytes += chunk.length; chunks.push(chunk); state.wake?.(); });
  socket.on('error', () => {});
  socket.on('end', () => { state.ended = true; state.wake?.(); });
  const closed = new Promise((resolve) => socket.once('close', () => { state.closed = true; state.wake?.(); resolve(); }));
  const wake = (ms) => new Promise((resolve) => {
    if (state.ended || state.closed) { resolve(); return; }
    const timer = setTimeout(resolve, ms);
    state.wake = () => { clearTimeout(timer); resolve(); };
  });
  for (const piece of pieces) {
    if (state.closed) break;
    if (piece === null) {
      if (bytes === 0) await wake(20);
    } else {
      socket.write(piece);
      if (pieces.length > 1) await turn();
    }
  }
  if (end === 'answer' && !state.ended) await wake(5);
  if (end === 'reset') socket.resetAndDestroy();
  else socket.end();
  if (end !== 'reset') {
    // A stream that ended is ended by the other side, too, at once or when the database has answered.
    const timer = setTimeout(() => { state.stuck = true; socket.destroy(); }, 20_000);
    await closed;
    clearTimeout(timer);
    assert.ok(!state.stuck, 'the connection stays open after its end');
  }
  judge(Buffer.concat(chunks), Buffer.concat(pieces.filter(Boolean)).toString('latin1'), end !== 'reset' && !socket.errored);
}

async function answersStill() {
  assert.equal((await sidecar.get('/healthz')).status, 200);
  const posted = await fetch(`${sidecar.url}/api/broadcast`, { method: 'POST', body: batch, headers: { ...json, authorization: `Bearer ${service}` } });
  assert.equal(posted.status, 202);
}

let next = 0;
let failure;
async function work() {
  while (next < count && !failure && sidecar.running) {
    const number = next++;
    try {
      await stream(number);
      if (number % 2000 === 1999) await answersStill();
    } catch (error) {
      failure ??= `SEED=${seed + number} STREAMS=1: ${error.stack}`;
    }
  }
}

try {
  await Promise.all(Array.from({ length: parallel }, work));
  if (!failure) {
    assert.ok(sidecar.running, 'it is still there');
    await answersStill();
    await until(async () => {
      const before = ticks(sidecar.child.pid);
      await new Promise((resolve) => { setTimeout(resolve, 300); });
      return ticks(sidecar.child.pid) - before < 10;
    }, 'it rests when the streams are over', 60_000);
    assert.deepEqual(await sidecar.kill('SIGTERM', 60_000), { code: 0, signal: null });
  }
} catch (error) {
  failure = error.stack;
}
if (failure) console.log(`${failure}\n${sidecar.tail(60)}`);
else console.log(`Done ${next} runs with SEED=${seed}`);
await bed.close();
await finish();
process.exit(failure ? 1 : 0);
