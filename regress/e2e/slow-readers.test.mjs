// Clients that do not read, or read little at a time: each gets what is its own, whole and in order, or is closed with a word in
// the log; those that read get everything meanwhile.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { memory } from '../lib/usage.mjs';
import { sleep, until } from '../lib/wait.mjs';

let bed, conversation, sidecar, subscriber;
let slow = [];

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
});

after(() => bed.close());

afterEach(() => {
  for (const one of slow) one.close();
  slow = [];
});

async function start() {
  sidecar = await bed.sidecar();
  subscriber = await bed.subscriber(sidecar);
  await subscriber.join(`conversation:${conversation}`);
}

/** Clients that have joined, and read nothing more. */
async function stalled(count) {
  for (let i = 0; i < count; i += 1) {
    const one = await RawSocket.open(sidecar);
    slow.push(one);
    assert.equal((await one.join(`conversation:${conversation}`, sidecar.token(bed.owner), '1')).status, 'ok');
    one.socket.pause();
  }
}

/** Messages whose events have so many bytes; returns their contents. */
async function messages(count, bytes, name) {
  const contents = Array.from({ length: count }, (_, i) => `${name} ${i}`);
  for (const content of contents) {
    await bed.db.query('INSERT INTO chat_messages (conversation_id, content, direction, metadata) VALUES ($1, $2, $3, $4)',
      [conversation, content, 'incoming', { filling: 'x'.repeat(bytes) }]);
  }
  return contents;
}

const heard = (name) => subscriber.heard.filter((m) => m.payload?.content?.startsWith(name)).map((m) => m.payload.content);
const came = (one, name) => one.frames.map((f) => f[4]?.payload?.content).filter((content) => content?.startsWith(name));
const closings = () => sidecar.metric('chat_realtime_embedded_slow_sockets_total');

test('20 clients that read nothing are closed; one that reads gets everything in order', async () => {
  await start();
  await stalled(20);
  const before = memory(sidecar.endpointPid);
  const contents = await messages(400, 60000, 'much');
  await until(() => heard('much').length === contents.length, () => `${heard('much').length} of ${contents.length} at the one that reads`, 60000);
  assert.deepEqual(heard('much'), contents);
  await until(async () => await closings() === 20, 'the end of those that do not');
  if (!process.env.SIDECAR_SANITIZE) assert.ok(memory(sidecar.endpointPid) - before < 64 * 1024 * 1024, `${memory(sidecar.endpointPid) - before} bytes more`);
  const lines = sidecar.log.filter((line) => line.msg === 'a WebSocket is closed that does not read what it is sent');
  assert.ok(lines.length === 1 && lines[0].bytes > 4 * 1024 * 1024, JSON.stringify(lines));
  for (const one of slow) one.socket.resume();
  await until(() => slow.every((one) => one.socket.readyState === 3), 'the end at the clients, too');
  for (const one of slow) assert.deepEqual(came(one, 'much'), contents.slice(0, came(one, 'much').length), 'what came is whole, and in order');
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});

test('one that is more than 1 MB behind is closed after a while without more being sent; one that takes it all is not', async () => {
  await start();
  await stalled(3);
  const [first, second, good] = slow;
  // What the kernels of both sides hold is no matter of ours. The first one tells: it ends 4 MB beyond it.
  let sent = 0;
  const send = async () => {
    good.socket.resume();
    await messages(1, 60000, `some ${sent}:`);
    await until(() => came(good, `some ${sent}:`).length === 1, 'a message at the one that reads again');
    good.socket.pause();
    sent += 1;
  };
  second.socket.resume();
  while (await closings() === 0) await send();
  const beyond = sent - Math.ceil(2.2 * 1024 * 1024 / 60000);
  second.socket.pause();
  for (const end = sent + beyond; sent < end;) await send();
  await until(async () => await closings() === 2, 'the end of the one that is behind', 20000);
  good.socket.resume();
  await good.settled();
  assert.equal(came(good, 'some').length, sent);
  for (const one of [first, second]) {
    one.socket.resume();
    await until(() => one.socket.readyState === 3, 'its end at the client');
  }
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});

test('a client that reads little at a time and pings in between gets every frame whole, every answer, and stays', async () => {
  await start();
  await stalled(3);
  const pongs = new Map(slow.map((one) => [one, 0]));
  for (const one of slow) one.socket.on('pong', () => pongs.set(one, pongs.get(one) + 1));
  let pings = 0;
  const contents = [];
  for (let round = 0; round < 12; round += 1) {
    contents.push(...await messages(16, 60000, `round ${round}:`));
    pings += 1;
    for (const one of slow) {
      one.socket.ping('are you there');
      one.socket.resume();
      await sleep(5);
      one.socket.pause();
    }
  }
  for (const one of slow) one.socket.resume();
  await until(() => slow.every((one) => came(one, 'round').length === contents.length), () => `all at each; came ${slow.map((one) => `${came(one, 'round').length}/${one.frames.length} ${one.socket.readyState} ${one.socket._socket?.bytesRead}`)} ${JSON.stringify(slow[0].frames[1])?.slice(0, 300)}`, 30000);
  for (const one of slow) assert.deepEqual(came(one, 'round'), contents);
  await until(() => slow.every((one) => pongs.get(one) >= 1), 'an answer to the pings');
  for (const one of slow) {
    await one.settled();
    assert.ok(pongs.get(one) <= pings);
  }
  assert.equal(await closings(), 0);
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});
