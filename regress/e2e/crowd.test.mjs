// Strangers by the thousand on the sidecar's two ports: messages are delivered and health is answered meanwhile, and what is over a limit is
// refused, logged and counted.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { RawHttp, request } from '../lib/http-wire.mjs';
import { memory, ticks } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';

let bed, receiver, conversation;
let crowd = [];

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  receiver = await bed.receiver(['message.received']);
});

after(() => bed.close());

afterEach(() => {
  for (const socket of crowd) socket.destroy();
  crowd = [];
});

const port = (url) => Number(new URL(url).port);

/** Says how much memory was taken at most. AddressSanitizer keeps what is freed: nothing can be said there. */
function tookLess(before, sidecar, most, what) {
  if (process.env.SIDECAR_SANITIZE) return;
  assert.ok(memory(sidecar.endpointPid) - before < most, `${memory(sidecar.endpointPid) - before} bytes ${what}`);
}

/** So many connections that say something and then nothing; settled(received) ends the wait for each. Returns what each received. */
async function strangers(count, where, bytes, settled = () => true) {
  const all = [];
  for (let begun = 0; begun < count; begun += 40) {
    const some = Array.from({ length: Math.min(40, count - begun) }, () => {
      const one = { received: '', open: true };
      one.socket = net.connect(where, '127.0.0.1', () => { one.connected = true; one.socket.write(bytes); });
      one.socket.on('data', (chunk) => { one.received += chunk.toString('latin1'); });
      one.socket.on('error', () => {});
      one.socket.on('close', () => { one.open = false; });
      crowd.push(one.socket);
      return one;
    });
    all.push(...some);
    await until(() => some.every((one) => !one.open || (one.connected && settled(one.received))), () => `${begun + some.length} strangers; one got ${some.find((one) => one.open && !settled(one.received))?.received}`);
  }
  return all;
}

const handshake = (sidecar) => request(`/realtime/v1/websocket?apikey=${sidecar.anonKey}&vsn=2.0.0`, { method: 'GET',
  headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' } });
const answered = (received) => received.includes('\r\n\r\n');

/** A message arrives at a client that is there, and at the webhook; health is answered. */
async function works(sidecar, subscriber, content) {
  await bed.message(conversation, content);
  await subscriber.hears((m) => m.payload?.content === content, `${content} at the client`);
  await until(() => receiver.deliveries.some((delivery) => delivery.raw.includes(content)), `${content} at the webhook`);
  for (const page of ['/healthz', '/readyz', '/metrics']) assert.equal((await sidecar.get(page)).status, 200, page);
}

async function start(options) {
  const sidecar = await bed.sidecar({}, options);
  const subscriber = await bed.subscriber(sidecar);
  await subscriber.join(`conversation:${conversation}`);
  return [sidecar, subscriber];
}

test('4,100 idle WebSockets, 300 half requests, 200 POSTs of 8 MB without a token', async () => {
  const [sidecar, subscriber] = await start();
  const sockets = await strangers(4100, port(sidecar.url), handshake(sidecar), answered);
  assert.ok(sockets.every((one) => one.received.startsWith('HTTP/1.1 101')), 'as many WebSockets as descriptors allow');
  await works(sidecar, subscriber, 'beside WebSockets');
  for (const url of [sidecar.url, sidecar.httpUrl]) {
    await strangers(300, port(url), 'POST /api/broadcast HTTP/1.1\r\nHost: x\r\nContent-');
    await works(sidecar, subscriber, `beside half requests to ${url}`);
  }
  const before = memory(sidecar.endpointPid);
  const posts = await strangers(200, port(sidecar.url), request('/api/broadcast', { length: 8_000_000, headers: { 'Content-Type': 'application/json' } }) + 'x'.repeat(100_000), answered);
  assert.ok(posts.every((one) => one.received === '' || one.received.startsWith('HTTP/1.1 401')), 'refused by their heads');
  tookLess(before, sidecar, 16 * 1024 * 1024, 'for bodies that nobody may send');
  await works(sidecar, subscriber, 'beside POSTs');
  assert.equal((await strangers(1, port(sidecar.url), handshake(sidecar), answered))[0].received.slice(9, 12), '101', 'there is room for more');
  await subscriber.close();
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});

test('bodies under the public key have a bound together; the service has none', async () => {
  const [sidecar, subscriber] = await start();
  const before = memory(sidecar.endpointPid);
  const head = request('/api/broadcast', { length: 8_000_000, headers: { apikey: sidecar.anonKey, 'Content-Type': 'application/json' } });
  await strangers(150, port(sidecar.url), head + 'x'.repeat(1024 * 1024));
  await until(async () => await sidecar.metric('chat_realtime_port_refused_total', 'port="embedded",reason="memory"') > 0, 'a body that is refused for memory');
  tookLess(before, sidecar, 100 * 1024 * 1024, 'of bodies');
  await works(sidecar, subscriber, 'beside bodies');
  await subscriber.close();
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});

test('frames that are not complete have a bound together', async () => {
  const [sidecar, subscriber] = await start();
  const before = memory(sidecar.endpointPid);
  // 1 MB of a frame of 4 MB each.
  const frame = Buffer.concat([Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0]), Buffer.alloc(1024 * 1024, 0x78)]);
  const sockets = await strangers(120, port(sidecar.url), handshake(sidecar), answered);
  for (const one of sockets) one.socket.write(frame);
  await until(() => sockets.some((one) => !one.open || one.received.includes('\x03\xf1')), 'a frame that is refused');
  tookLess(before, sidecar, 100 * 1024 * 1024, 'of frames');
  await works(sidecar, subscriber, 'beside frames');
  await subscriber.close();
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});

test('every slot taken: new ones are refused, logged and counted, delivery and health go on', async () => {
  const [sidecar, subscriber] = await start({ files: 450 });
  const taken = await strangers(400, port(sidecar.url), handshake(sidecar), answered);
  const refused = taken.filter((one) => one.received.startsWith('HTTP/1.1 429'));
  assert.ok(refused.length > 100 && refused.length < 400, `${refused.length} of 400 refused`);
  assert.ok(refused.every((one) => one.received.includes('{"error":"Too many connected users"}')));
  assert.equal(taken.filter((one) => one.received.startsWith('HTTP/1.1 101')).length, 400 - refused.length);
  assert.equal(await sidecar.metric('chat_realtime_embedded_refused_sockets_total', 'reason="limit"'), refused.length);
  assert.equal(sidecar.log.filter((line) => line.msg === 'no room for more WebSockets').length, 1, 'one line a minute');
  await works(sidecar, subscriber, 'with every WebSocket taken');
  for (const [url, name] of [[sidecar.url, 'embedded'], [sidecar.httpUrl, 'health']]) {
    await strangers(200, port(url), 'GET / HT');
    assert.ok(await sidecar.metric('chat_realtime_port_refused_total', `port="${name}",reason="full"`) > 0, 'those that waited longest make room');
    assert.equal(sidecar.log.filter((line) => line.msg === 'no room for more connections' && line.port === name).length, 1);
    await works(sidecar, subscriber, `with every connection of ${name} taken`);
  }
  const late = await RawHttp.open(port(sidecar.url));
  late.write(request('/api/broadcast', { body: '{"messages":[{"topic":"a","event":"e","payload":{}}]}', headers: { apikey: sidecar.anonKey, 'Content-Type': 'application/json' } }));
  assert.equal((await late.answers(1))[0].status, 202, 'a stranger who says at once what he wants is served, too');
  late.close();
  for (const socket of crowd) socket.destroy();
  await until(async () => (await strangers(1, port(sidecar.url), handshake(sidecar), answered))[0].received.startsWith('HTTP/1.1 101'), 'room again');
  await subscriber.close();
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});

test('half a request is ended, and the program is not busy with those that wait', async () => {
  const [sidecar, subscriber] = await start();
  const waiting = [...await strangers(20, port(sidecar.url), 'GET / HT'), ...await strangers(20, port(sidecar.httpUrl), 'GET / HT')];
  const before = ticks(sidecar.endpointPid);
  await until(() => waiting.every((one) => !one.open), 'the end of all half requests', 25000);
  assert.ok(ticks(sidecar.endpointPid) - before < 300, 'a loop that spins all the time uses a thousand');
  assert.ok(await sidecar.metric('chat_realtime_port_refused_total', 'reason="late"') >= 40);
  await works(sidecar, subscriber, 'after half requests');
  await subscriber.close();
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});
