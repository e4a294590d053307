// What strangers write to the two ports of the sidecar: each request is answered once, and what could be read in two ways is refused.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createClient } from '@supabase/supabase-js';
import WebSocket from 'ws';
import { Bed } from '../lib/bed.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { RawHttp, request } from '../lib/http-wire.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { until } from '../lib/wait.mjs';

let bed, sidecar, ports, anon, service, conversation;

before(async () => {
  bed = await Bed.create();
  sidecar = await bed.sidecar();
  conversation = await bed.conversation('Ana');
  ports = [sidecar.httpUrl, sidecar.url].map((url) => Number(new URL(url).port));
  anon = { apikey: sidecar.anonKey };
  service = { Authorization: `Bearer ${roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET)}`, 'Content-Type': 'application/json' };
});

after(() => bed.close());

/** What a port answers to bytes: [status …]; it must close by itself. */
async function statuses(port, ...pieces) {
  const raw = await RawHttp.open(port);
  for (const piece of pieces) raw.write(piece);
  return (await raw.toTheEnd()).map((answer) => answer.status);
}

async function alive() {
  assert.equal((await sidecar.get('/healthz')).status, 200);
  assert.ok(sidecar.running, sidecar.tail());
}

const good = JSON.stringify({ messages: [{ topic: 'a', event: 'e', payload: {} }] });

test('a request with a body where none belongs, and another one in the same segment: one refusal, and the end', async () => {
  for (const port of ports) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE']) {
      const raw = await RawHttp.open(port);
      raw.write(request('/', { method, body: '{}' }) + request('/', { method: 'OPTIONS', body: '{}' }));
      const [first, ...more] = await raw.toTheEnd(method === 'HEAD' ? [0] : []);
      assert.deepEqual([first.status, first.headers.connection, more], [400, 'close', []]);
    }
    const raw = await RawHttp.open(port);
    raw.write(request('/', { method: 'GET', body: '{}' }) + request('/', { method: 'OPTIONS', body: '{}' }));
    raw.reset();
  }
  await alive();
});

test('bytes behind a body: it is answered once, and the connection ends', async () => {
  const path = `/api/broadcast/presence:${conversation}/events/e?private=true`;
  const body = request(path, { body: '{}', headers: anon });
  assert.deepEqual(await statuses(ports[1], `${body}X`), [403]);
  const asked = request(path, { body: '{}', headers: { apikey: sidecar.token(bed.owner) } });
  assert.deepEqual(await statuses(ports[1], `${asked}X`), [202]);
  assert.deepEqual(await statuses(ports[1], asked + asked), [202], 'the second one is not looked at');
  assert.deepEqual(await statuses(ports[1], asked + request('/', { method: 'OPTIONS' })), [202]);
  assert.deepEqual(await statuses(ports[1], request('/api/broadcast', { body: good, headers: service }).repeat(2)), [202]);
  assert.deepEqual(await statuses(ports[0], request('/healthz', { method: 'GET' }).repeat(3)), [200]);
  await alive();
});

test('a connection is kept for request after request that waits for its answer', async () => {
  const raw = await RawHttp.open(ports[1]);
  for (let n = 1; n <= 5; n++) {
    raw.write(request('/api/broadcast', { body: good, headers: service }));
    assert.equal((await raw.answers(n)).at(-1).status, 202);
  }
  raw.write(request('/api/broadcast', { body: '{"messages":[]}', headers: service }));
  assert.equal((await raw.answers(6)).at(-1).status, 422, 'an error in a body that was read ends nothing');
  raw.write(request('/api/broadcast', { body: good, headers: { ...service, Connection: 'close' } }));
  assert.deepEqual((await raw.toTheEnd()).map((answer) => answer.status), [202, 202, 202, 202, 202, 422, 202]);
  const health = await RawHttp.open(ports[0]);
  health.write(request('/metrics', { method: 'GET' }));
  await health.answers(1);
  health.write(request('/healthz', { method: 'GET' }));
  assert.deepEqual((await health.answers(2)).map((answer) => answer.status), [200, 200]);
  health.close();
});

test('a request in pieces of any size', async () => {
  const whole = request('/api/broadcast', { body: good, headers: { ...service, Connection: 'close' } });
  for (const size of [1, 3, 7, 50, 200]) {
    const raw = await RawHttp.open(ports[1]);
    for (let at = 0; at < whole.length; at += size) {
      raw.write(whole.slice(at, at + size));
      await new Promise(setImmediate);
    }
    assert.deepEqual((await raw.toTheEnd()).map((answer) => answer.status), [202], `pieces of ${size}`);
  }
});

test('heads that two programs could read in two ways are refused', async () => {
  const head = (lines, body = '{}') => `POST /api/broadcast HTTP/1.1\r\nHost: x\r\n${Object.entries(service).map(([n, v]) => `${n}: ${v}\r\n`).join('')}${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`;
  for (const [status, bytes] of [
    [400, head(['Content-Length: 2', 'Content-Length: 2'])], [400, head(['Content-Length: 2', 'Content-Length: 3'])], [400, head(['Content-Length: 2', 'Transfer-Encoding: chunked'])],
    [400, head(['Content-Length: -2'])], [400, head(['Content-Length: +2'])], [400, head(['Content-Length: 2x'])], [400, head(['Content-Length: 2, 2'])], [400, head(['Content-Length:'])],
    [400, head([`Content-Length: ${'9'.repeat(40)}`])], [400, head(['Content-Length : 2'])], [400, head(['Content-Length: 2', ' 3'])], [400, head(['A\0: x', 'Content-Length: 2'])],
    [411, head(['Transfer-Encoding: chunked'], '2\r\n{}\r\n0\r\n\r\n')], [501, head(['Transfer-Encoding: gzip, chunked'])], [501, head(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'])],
    [417, head(['Content-Length: 2', 'Expect: 200-ok'])], [400, 'POST /api/broadcast HTTP/1.1\r\n\r\n'], [400, 'GET  / HTTP/1.1\r\nHost: x\r\n\r\n'], [400, 'GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n'],
    [400, 'GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n'], [400, 'GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n'], [400, 'GET / HTTP/1.1\nHost: x\r\n\r\n'], [505, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.replace('*', '/')],
    [431, `GET / HTTP/1.1\r\nHost: x\r\nA: ${'y'.repeat(20000)}\r\n\r\n`], [431, `GET / HTTP/1.1\r\nHost: x\r\n${'A: y\r\n'.repeat(200)}\r\n`],
  ]) assert.deepEqual(await statuses(ports[1], bytes), [status], JSON.stringify(bytes.slice(0, 200)));
  assert.equal(JSON.parse(await (await fetch(`${sidecar.httpUrl}/healthz`)).text()).status, 'ok');
});

test('HEAD has no body, and no upgrade to HTTP/2 is taken up', async () => {
  for (const [port, path, status] of [[ports[0], '/healthz', 200], [ports[1], '/nothing', 404]]) {
    const raw = await RawHttp.open(port);
    raw.write(request(path, { method: 'HEAD', headers: { Connection: 'close' } }));
    const [answer] = await raw.toTheEnd([0]);
    assert.equal(answer.status, status);
    assert.ok(Number(answer.headers['content-length']) > 0);
    const upgraded = await RawHttp.open(port);
    upgraded.write(request(path, { method: 'GET', headers: { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAARAAAAAAAIAAAAA' } }));
    assert.equal((await upgraded.answers(1))[0].status, status);
    upgraded.close();
  }
});

test('a token is looked at before the body: a refusal comes while nothing of it was sent', async () => {
  const raw = await RawHttp.open(ports[1]);
  raw.write(request('/api/broadcast', { length: 8_000_000, headers: { 'Content-Type': 'application/json' } }));
  assert.equal((await raw.answers(1))[0].status, 401);
  raw.close();
  const large = await RawHttp.open(ports[1]);
  large.write(request('/api/broadcast', { length: 8_000_001, headers: service }));
  assert.equal((await large.answers(1))[0].status, 413);
  large.close();
  const waits = await RawHttp.open(ports[1]);
  waits.write(request('/api/broadcast', { length: good.length, headers: { ...service, Expect: '100-continue' } }));
  await until(() => waits.received.includes('100 Continue'), '100 Continue');
  waits.write(good);
  assert.equal((await waits.answers(1))[0].status, 202);
  waits.close();
});

test('WebSockets: bytes behind a handshake, and handshakes that are none, are refused', async () => {
  const shake = (headers = {}) => request(`/realtime/v1/websocket?apikey=${sidecar.anonKey}&vsn=2.0.0`, { method: 'GET',
    headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...headers } });
  assert.deepEqual(await statuses(ports[1], `${shake()}x`), [400]);
  assert.deepEqual(await statuses(ports[1], shake({ 'Sec-WebSocket-Version': '8' })), [426]);
  assert.deepEqual(await statuses(ports[1], shake({ 'Sec-WebSocket-Key': 'short' })), [400]);
  assert.deepEqual(await statuses(ports[0], shake({ Connection: 'close, Upgrade' })), [404]);
  const raw = await RawHttp.open(ports[1]);
  raw.write(shake());
  await until(() => raw.received.includes('101 Switching Protocols'), '101');
  assert.match(raw.received.toString(), /s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i);
  raw.close();
});

test('supabase-js sends to a private channel by httpSend: to those who may get it, or a 403', async () => {
  const witness = await RawSocket.open(sidecar);
  await witness.join(`presence:${conversation}`, sidecar.token(bed.owner), '1');
  const client = (user) => createClient(sidecar.url, sidecar.anonKey, {
    accessToken: async () => sidecar.token(user), realtime: { transport: WebSocket, params: { apikey: `${sidecar.anonKey}` } },
  });
  const channel = (user, topic) => client(user).channel(topic, { config: { private: true } });
  const typing = channel(bed.owner, `presence:${conversation}`);
  assert.deepEqual(await typing.httpSend('typing', { on: true }), { success: true });
  await witness.hears((f) => Buffer.isBuffer(f) && f.includes('typing'), 'the message');
  for (const [user, topic] of [[randomUUID(), `presence:${conversation}`], [bed.owner, `conversation:${conversation}`], [bed.owner, `user:${bed.owner}:inbox`], [bed.owner, 'room:1']]) {
    await assert.rejects(channel(user, topic).httpSend('forged', {}), /Unauthorized/, topic);
  }
  witness.close();
});

test('arguments of any length and order', async () => {
  const key = 'x'.repeat(3000);
  const token = sidecar.token(bed.owner);
  const sendOnce = async (query, who) => (await fetch(`${sidecar.url}/api/broadcast/presence%3A${conversation}/events/a%2Fb%20c?${query}`,
    { method: 'POST', body: '{}', headers: { 'content-type': 'application/json', authorization: `Bearer ${who}` } })).status;
  // A user's broadcasts of a second are limited: that one is sent again.
  const send = (query, who = token) => until(async () => {
    const status = await sendOnce(query, who);
    return status !== 429 && status;
  }, `an answer to ${query.slice(0, 60)} within the limit`);
  const stranger = sidecar.token(randomUUID());
  for (const query of [`apikey=${key}&vsn=2.0.0&private=true`, `private=true&apikey=${key}`, `a=${key}&b=&&c&private=true&d`, 'private=1', 'privat%65=tru%65', 'private=false&private=true']) {
    assert.deepEqual([await send(query), await send(query, stranger)], [202, 403], query.slice(0, 60));
  }
  assert.equal(await send('private=maybe'), 422);
  const witness = await RawSocket.open(sidecar);
  await witness.join(`presence:${conversation}`, token, '1');
  await send('private=true');
  await witness.hears((f) => Buffer.isBuffer(f) && f.includes('a/b c'), 'the event with its escapes removed');
  witness.close();
});
