// What the embedded endpoint refuses to clients that hold a good token: forging events, other people's topics by odd tokens and names,
// frames that overtake each other.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';
import WebSocket from 'ws';
import { Bed } from '../lib/bed.mjs';
import { roleToken, sign, userToken } from '../lib/jwt.mjs';
import { clockFaster } from '../lib/preload.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { until, within } from '../lib/wait.mjs';

const ok = { status: 'ok', response: {} };
const joined = { status: 'ok', response: { postgres_changes: [] } };
const unmatched = { status: 'error', response: { reason: 'unmatched topic' } };
let bed, sidecar, conversation, topic, typing, inbox, token, secret;
let open = [];

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  [topic, typing, inbox] = [`conversation:${conversation}`, `presence:${conversation}`, `user:${bed.owner}:inbox`];
  sidecar = await bed.sidecar();
  secret = sidecar.env.EMBEDDED_JWT_SECRET;
  token = sidecar.token(bed.owner);
});

after(() => bed.close());

afterEach(() => {
  for (const socket of open) socket.close();
  open = [];
});

async function connect({ to = sidecar, ...options } = {}) {
  const socket = await RawSocket.open(to, options);
  open.push(socket);
  return socket;
}

async function post(path, body, auth = token, to = sidecar) {
  const response = await fetch(to.url + path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', authorization: `Bearer ${auth}` } });
  return response.status;
}

/** Everything that a socket was told of broadcasts, once one sent by the service last has arrived: nothing sent before is still on its way. */
async function broadcasts(socket, name, isPrivate = true, to = sidecar) {
  await post('/api/broadcast', { messages: [{ topic: name, event: 'last', payload: {}, id: '1', private: isPrivate }] }, roleToken('service_role', secret), to);
  const is = (event) => (f) => (Buffer.isBuffer(f) ? f.includes(event) : JSON.stringify(f).includes(`"${event}"`));
  await socket.hears((f) => f[3] === 'broadcast' && f[4].event === 'last', 'the last message');
  return { forged: socket.frames.filter(is('forged')), last: socket.frames.find(is('last')) };
}

/** A frame of type 3. */
function binaryPush(joinRef, ref, name, event, payload, meta = '') {
  const parts = [joinRef, ref, name, event, meta].map((text) => Buffer.from(text));
  return Buffer.concat([Buffer.from([3, ...parts.map((part) => part.length), 1]), ...parts, Buffer.from(payload)]);
}

test('clients broadcast on no topic of events: by WebSocket, batch and single route, private and public', async () => {
  const forged = { type: 'broadcast', event: 'forged', payload: { id: 9 }, meta: { id: '9007199254740991' } };
  const publicOne = await bed.sidecar({ REALTIME_PRIVATE: 'false', EMBEDDED_JWT_SECRET: secret });
  for (const [isPrivate, to] of [[true, sidecar], [false, publicOne]]) {
    for (const name of [topic, inbox]) {
      const [witness, sender] = [await connect({ to }), await connect({ to })];
      for (const socket of [witness, sender]) assert.deepEqual(await socket.join(name, token, '1', { private: isPrivate, broadcast: { ack: true, self: true } }), joined);
      sender.send('1', '2', `realtime:${name}`, 'broadcast', forged);
      sender.socket.send(binaryPush('1', '3', `realtime:${name}`, 'forged', '{"id":9}', '{"id":"9007199254740991"}'));
      await sender.settled();
      assert.equal(await post('/api/broadcast', { messages: [{ topic: name, event: 'forged', payload: {}, id: '9007199254740991', private: isPrivate }] }, token, to), isPrivate ? 202 : 403);
      assert.equal(await post(`/api/broadcast/${encodeURIComponent(name)}/events/forged?private=${isPrivate}`, {}, token, to), 403);
      const heard = await broadcasts(witness, name, isPrivate, to);
      assert.deepEqual(heard.forged, [], `${name}, private: ${isPrivate}`);
      assert.equal(heard.last[4].meta.id, '1', 'an id is the service\'s');
      assert.ok(!sender.frames.some((f) => ['2', '3'].includes(f[1])), 'a write that is refused is silent');
    }
  }
  await publicOne.kill('SIGTERM');
});

test('a batch with one message for a topic of events sends none of the others', async () => {
  const witness = await connect();
  await witness.join('room', token, '1', { private: false });
  assert.equal(await post('/api/broadcast', { messages: [{ topic: 'room', event: 'forged', payload: {} }, { topic, event: 'forged', payload: {} }] }), 403);
  assert.deepEqual((await broadcasts(witness, 'room', false)).forged, []);
});

test('names that are no UTF-8 are refused: they would end the connection of everybody who listens', async () => {
  const socket = await connect({ vsn: '1.0.0' });
  await socket.join('room', sidecar.anonKey, '1', { private: false });
  for (const path of ['room/events/%ff%80', '%c3/events/e', 'room/events/e%ed%a0%80', `room/events/${'e'.repeat(300)}%f8`]) {
    assert.equal(await post(`/api/broadcast/${path}`, {}, sidecar.anonKey), 400, path);
  }
  assert.equal(await post('/api/broadcast/room/events/ol%C3%A1', {}, sidecar.anonKey), 202);
  await socket.hears((f) => f.payload?.event === 'olá', 'what came after them, on the same connection');
});

test('what clients may send carries no id of theirs', async () => {
  const [witness, sender] = [await connect(), await connect()];
  for (const socket of [witness, sender]) await socket.join(typing, token, '1');
  await witness.join('room', token, '2', { private: false });
  const id = '9007199254740991';
  sender.send('1', '2', `realtime:${typing}`, 'broadcast', { type: 'broadcast', event: 'a', payload: {}, meta: { id }, id });
  sender.socket.send(binaryPush('1', '3', `realtime:${typing}`, 'b', '{}', `{"id":"${id}"}`));
  for (const message of [{ topic: typing, private: true, event: 'c' }, { topic: 'room', event: 'd' }]) assert.equal(await post('/api/broadcast', { messages: [{ ...message, payload: {}, id }] }), 202);
  assert.equal(await post(`/api/broadcast/${typing}/events/e?private=true&id=${id}`, {}), 202);
  const heard = () => witness.frames.filter((f) => Buffer.isBuffer(f) || f[3] === 'broadcast');
  await until(() => heard().length === 5, 'five messages');
  assert.ok(!heard().some((f) => (Buffer.isBuffer(f) ? f : JSON.stringify(f)).includes(id)), JSON.stringify(heard()));
});

test('policies are for signed-in users: no other role joins or writes by the sub in its token', async () => {
  const socket = await connect();
  let ref = 0;
  for (const role of ['anon', 'supabase_admin', '', 'AUTHENTICATED']) {
    const odd = userToken(bed.owner, secret, { role });
    for (const name of [topic, typing, inbox]) assert.match((await socket.join(name, odd, `${++ref}`)).response.reason, /^Unauthorized: /, role);
    assert.equal(await post(`/api/broadcast/${typing}/events/forged?private=true`, {}, odd), 403);
  }
});

test('tokens: claims that are there twice, not yet valid, with what must be understood', async () => {
  const claims = { sub: bed.owner, role: 'authenticated', exp: Math.floor(Date.now() / 1000) + 3600 };
  const encode = (text) => Buffer.from(text).toString('base64url');
  const { createHmac } = await import('node:crypto');
  const raw = (payload, header = '{"alg":"HS256"}') => {
    const body = `${encode(header)}.${encode(payload)}`;
    return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
  };
  const text = JSON.stringify(claims);
  const socket = await connect();
  const malformed = /^MalformedJWT: The token provided is not a valid JWT$/;
  let ref = 0;
  for (const [odd, reason] of [
    [raw(text.replace('{', '{"role":"anon",')), malformed], [raw(text.replace('}', ',"role":"service_role"}')), malformed], [raw(text.replace('}', ',"ro\\u006ce":"service_role"}')), malformed],
    [raw(text.replace('}', `,"sub":"${randomUUID()}"}`)), malformed], [raw(text.replace('}', ',"exp":1}')), malformed], [raw(text.replace('"authenticated"', '"authenticated\\u0000x"')), /`role`/],
    [sign({ ...claims, nbf: claims.exp }, secret), /^InvalidJWTToken: Token is not yet valid$/], [sign({ ...claims, nbf: 'now' }, secret), /not yet valid/], [sign({ ...claims, iat: 'now' }, secret), /^InvalidJWTToken: /],
    [raw(text, '{"alg":"HS256","crit":["exp"]}'), malformed], [raw(text, '{"alg":"HS256","crit":[]}'), malformed], [raw(text, '{"alg":"none","alg":"HS256"}'), malformed],
  ]) {
    assert.match((await socket.join(topic, odd, `${++ref}`)).response.reason, reason, Buffer.from(odd.split('.')[1], 'base64url').toString());
    assert.equal(await post('/api/broadcast', { messages: [{ topic: 'a', event: 'e', payload: {} }] }, odd), 401);
  }
  for (const fine of [sign({ ...claims, nbf: claims.exp - 7200 }, secret), sign({ ...claims, exp: claims.exp + 0.5 }, secret)]) assert.deepEqual(await socket.join(topic, fine, `${++ref}`), joined);
});

test('a leave of an earlier join is ignored, without an answer', async () => {
  const socket = await connect();
  await socket.join(topic, token, '1');
  await socket.join(topic, token, '2');
  socket.send('1', '3', `realtime:${topic}`, 'phx_leave', {});
  await socket.settled();
  await bed.message(conversation, 'still joined');
  await socket.hears((f) => f[4]?.payload?.content === 'still joined', 'the message');
  assert.ok(!socket.frames.some((f) => f[1] === '3'));
  socket.send('2', '4', `realtime:${topic}`, 'phx_leave', {});
  assert.deepEqual(await socket.reply('4'), ok);
});

test('a leave that overtakes its join: both are answered, and nothing is left behind', async () => {
  for (const vsn of ['2.0.0', '1.0.0']) {
    const socket = await connect({ vsn });
    // While the database keeps the answer back.
    const lock = await bed.connect();
    await lock.query('BEGIN; LOCK TABLE public.conversations IN ACCESS EXCLUSIVE MODE');
    const first = socket.join(topic, token, '1');
    socket.send(vsn === '2.0.0' ? '1' : undefined, '2', `realtime:${topic}`, 'phx_leave', {});
    socket.send('0', '3', `realtime:${topic}`, 'phx_leave', {}); // of another join
    await socket.settled();
    await lock.query('COMMIT');
    assert.deepEqual(await first, joined);
    assert.deepEqual(await socket.reply('2'), ok);
    assert.deepEqual(await socket.reply('3'), unmatched);
    await socket.hears((f) => (f[3] ?? f.event) === 'phx_close', 'phx_close');
    const content = `to nobody ${vsn}`;
    const other = await connect();
    await other.join(topic, token, '1');
    await bed.message(conversation, content);
    await other.hears((f) => f[4]?.payload?.content === content, 'the message, elsewhere');
    assert.ok(!JSON.stringify(await socket.settled()).includes(content));
    const refused = await connect({ vsn });
    const stranger = refused.join(topic, sidecar.token(randomUUID()), '1');
    refused.send('1', '2', `realtime:${topic}`, 'phx_leave', {});
    assert.match((await stranger).response.reason, /^Unauthorized/);
    assert.deepEqual(await refused.reply('2'), unmatched);
  }
});

test('joins that wait count, too: no more than a hundred on a socket', async () => {
  const socket = await connect();
  const lock = await bed.connect();
  await lock.query('BEGIN; LOCK TABLE public.conversations IN ACCESS EXCLUSIVE MODE');
  const joins = Array.from({ length: 130 }, (_, n) => socket.join(`conversation:${n + 1000}`, token, `${n}`));
  await socket.settled();
  assert.equal(socket.frames.filter((f) => /ChannelRateLimitReached/.test(JSON.stringify(f))).length, 30);
  await lock.query('COMMIT');
  await Promise.all(joins);
});

test('a hundred joins a second of a socket, whether they are let in or not', async () => {
  const socket = await connect();
  for (let n = 0; n < 300; n++) socket.send(`${n}`, `${n}`, `realtime:room ${n}`, 'phx_join', { config: { private: true } });
  const answers = (await socket.settled()).filter((f) => f[3] === 'phx_reply' && f[2].startsWith('realtime:room'));
  assert.equal(answers.length, 300);
  assert.ok(answers.slice(0, 100).every((f) => /Unauthorized/.test(f[4].response.reason)));
  assert.ok(answers.some((f) => /^ClientJoinRateLimitReached/.test(f[4].response.reason)));
});

test('topics of any length and letters: whole, or refused', async () => {
  const socket = await connect();
  const name = (bytes) => 'é'.repeat(bytes / 2);
  assert.deepEqual(await socket.join(name(246), token, '1', { private: false }), joined);
  socket.send('1', '2', `realtime:${name(246)}`, 'phx_leave', {});
  const closed = await socket.hears((f) => f[3] === 'phx_close', 'phx_close');
  assert.equal(closed[2], `realtime:${name(246)}`);
  assert.deepEqual(await socket.join(name(248), token, '3', { private: false }), unmatched);
  assert.match((await socket.join(`conversation:${name(230)}`, sidecar.token(randomUUID()), '4')).response.reason, /é$/);
  for (const frame of ['["1","1","realtime:conversation:1\\u0000x","phx_join",{}]', '["1","1","realtime:x","phx_\\u0000join",{}]', binaryPush('1', '1', 'realtime:x\0y', 'e', '{}'), binaryPush('1', '1', 'realtime:x', 'e\0', '{}')]) {
    const odd = await connect();
    odd.socket.send(frame);
    await until(() => odd.socket.readyState === 3, 'a frame that cannot be read ends the connection');
  }
  assert.equal(await post('/api/broadcast', { messages: [{ topic: 'a\0b', event: 'e', payload: {} }] }), 422);
  assert.equal(await post('/api/broadcast', { messages: [{ topic: 'a', event: 'e', payload: { text: 'a\0b' } }] }), 202, 'a payload is the sender\'s own');
});

test('refused joins are counted and logged, and the log has a line a minute', async () => {
  const before = await sidecar.metric('chat_realtime_embedded_refused_joins_total', 'reason="unauthorized"');
  const socket = await connect();
  for (let n = 0; n < 5; n++) await socket.join(topic, sidecar.token(randomUUID()), `${n}`);
  assert.equal(await sidecar.metric('chat_realtime_embedded_refused_joins_total', 'reason="unauthorized"') - before, 5);
  const lines = sidecar.log.filter((line) => line.msg === 'join refused' && line.reason === 'unauthorized');
  assert.ok(lines.length >= 1 && lines.length <= 3, `one a minute: ${JSON.stringify(lines)}`);
  assert.ok(await sidecar.metric('chat_realtime_embedded_refused_broadcasts_total') > 0);
  for (const key of ['', 'none', sidecar.token(bed.owner, { expiresIn: -1 })]) await assert.rejects(RawSocket.open(sidecar, { key }), /401/);
  assert.equal(await sidecar.metric('chat_realtime_embedded_refused_sockets_total', 'reason="token"'), 3);
  assert.equal(sidecar.log.filter((line) => line.msg === 'WebSocket refused').length, 1);
});

test('messages that wait for the database have a bound: the channel that passes it is closed, and may be joined again', async () => {
  const socket = await connect();
  await socket.join(typing, token, '1');
  const lock = await bed.connect();
  await lock.query('BEGIN; LOCK TABLE public.conversations IN ACCESS EXCLUSIVE MODE');
  let sent = 0; // as fast as one user may
  const system = await until(() => {
    const heard = socket.frames.find((f) => f[3] === 'system');
    if (!heard) socket.send('1', `${++sent + 1}`, `realtime:${typing}`, 'broadcast', { type: 'broadcast', event: 'said', payload: { sent } });
    return heard;
  }, 'the end of the channel', 60000, 150);
  assert.equal(system[4].message, 'Too many messages per second');
  assert.ok(sent > 30, `after ${sent}`);
  await lock.query('COMMIT');
  assert.deepEqual(await socket.join(typing, token, '300'), joined, 'it may join again');
});

test('a client that does not read is closed, and its queue is freed, though nothing can be written to it', async () => {
  const [stalled, reading] = [await connect(), await connect()];
  for (const socket of [stalled, reading]) await socket.join('room', sidecar.anonKey, '1', { private: false });
  const before = await sidecar.metric('chat_realtime_connections');
  stalled.socket.pause();
  for (let n = 0; n < 30; n++) {
    assert.equal(await post('/api/broadcast', { messages: [{ topic: 'room', event: 'e', payload: { n, text: 'x'.repeat(1_000_000) } }] }, roleToken('service_role', secret)), 202);
  }
  stalled.send('1', '2', 'realtime:room', 'broadcast', { type: 'broadcast', event: 'forged', payload: {} }); // not heard any more
  await until(async () => await sidecar.metric('chat_realtime_connections') === before - 1, 'the end of the one that does not read');
  await until(() => reading.frames.some((f) => f[4]?.payload?.n === 29), 'all of it at the one that reads');
  assert.ok(!reading.frames.some((f) => f[4]?.event === 'forged'));
});

test('who does not read is not read from until it reads: nothing is lost either way', async () => {
  const [stalled, reading] = [await connect(), await connect()];
  await stalled.join('heap', sidecar.anonKey, '1', { private: false });
  for (const socket of [stalled, reading]) await socket.join('said', sidecar.anonKey, '2', { private: false });
  const said = (n) => reading.frames.some((f) => f[3] === 'broadcast' && f[4].payload.n === n);
  const heaped = () => stalled.frames.filter((f) => f[3] === 'broadcast').map((f) => f[4].payload.n);
  stalled.socket.pause();
  let n = -1;
  do {
    n++;
    await post('/api/broadcast', { messages: [{ topic: 'heap', event: 'e', payload: { n, text: 'x'.repeat(900_000) } }] }, roleToken('service_role', secret));
    stalled.send('2', `${n}`, 'realtime:said', 'broadcast', { type: 'broadcast', event: 'e', payload: { n } });
    await new Promise((resolve) => { setTimeout(resolve, 150); }); // no faster than it may
    for (let turn = 0; turn < 2; turn++) await reading.settled();
  } while (said(n));
  stalled.socket.resume();
  await until(() => said(n) && heaped().length === n + 1, () => `message ${n}, and ${n + 1}: ${heaped()}`);
  assert.deepEqual(heaped(), Array.from({ length: n + 1 }, (_, at) => at));
  assert.deepEqual(await stalled.join('more', sidecar.anonKey, '3', { private: false }), joined);
});

test('a client that says nothing is told that it is closed, and one that listens that the service ends', async () => {
  const fast = await bed.sidecar({ EMBEDDED_JWT_SECRET: secret, ...await clockFaster(20) });
  const silent = await connect({ to: fast });
  const [code] = await within(once(silent.socket, 'close'), 'the end of the connection', 20000);
  assert.equal(code, 1000);
  const last = once((await connect({ to: fast })).socket, 'close');
  await fast.kill('SIGTERM');
  assert.equal((await last)[0], 1012);
});

test('a request that waits too long for the database is ended; what it sent is sent once there is an answer', async () => {
  const fast = await bed.sidecar({ EMBEDDED_JWT_SECRET: secret, ...await clockFaster(10) });
  const witness = await connect({ to: fast });
  assert.deepEqual(await witness.join(typing, token, '1'), joined);
  const lock = await bed.connect();
  await lock.query('BEGIN; LOCK TABLE public.conversations IN ACCESS EXCLUSIVE MODE');
  await assert.rejects(post(`/api/broadcast/${encodeURIComponent(typing)}/events/said?private=true`, { id: 1 }, token, fast), /fetch failed/);
  await witness.settled();
  await lock.query('COMMIT');
  await witness.hears((f) => Buffer.isBuffer(f) && f.includes('said'), 'the message');
  await fast.kill('SIGTERM');
});

/** How many broadcasts of an event a socket has heard, of what was sent before. */
const heardOf = async (witness, event) => (await witness.settled()).filter((f) => f[3] === 'broadcast' && f[4].event === event).length;

test('typing: one event a second that starts and one that stops; more are taken and not sent', async () => {
  const [witness, sender] = [await connect(), await connect()];
  assert.deepEqual(await witness.join(typing, token, '1', { private: true }), joined);
  assert.deepEqual(await sender.join(typing, sidecar.token(bed.owner), '1', { private: true, broadcast: { ack: true } }), joined);
  const frames = [true, true, true, false, false, false];
  const acknowledged = () => sender.frames.filter((f) => f[3] === 'phx_reply' && Number(f[1]) >= 10);
  let attempts = 0;
  await until(async () => {
    const before = await heardOf(witness, 'presence.typing');
    frames.forEach((isTyping, n) => sender.send('1', `${n + 10}`, `realtime:${typing}`, 'broadcast', { type: 'broadcast', event: 'presence.typing', payload: { isTyping } }));
    attempts++;
    await until(() => acknowledged().length === attempts * frames.length, 'every one to be answered');
    return await heardOf(witness, 'presence.typing') - before === 2;
  }, 'one of each', 30000, 1200); // again a second later, where the machine stood still meanwhile
  assert.ok(!sender.frames.some((f) => f[3] === 'system'), 'nothing is closed for it');
  assert.ok(acknowledged().every((f) => f[4].status === 'ok'));
});

test('a user broadcasts ten messages a second, over all of its sockets and requests', async () => {
  const room = 'lobby'; // public, for anybody
  const user = randomUUID();
  const witness = await connect();
  assert.deepEqual(await witness.join(room, token, '1', { private: false }), joined);
  const sockets = [];
  for (let n = 0; n < 3; n++) {
    sockets.push(await connect());
    assert.deepEqual(await sockets[n].join(room, sidecar.token(user), '1', { private: false, broadcast: { ack: true } }), joined);
  }
  const said = (event, payload = {}) => ({ type: 'broadcast', event, payload });
  await until(async () => { // until a burst falls into one second
    const before = await heardOf(witness, 'said');
    for (let n = 0; n < 4; n++) for (const socket of sockets) socket.send('1', `${n + 2}`, `realtime:${room}`, 'broadcast', said('said'));
    await Promise.all(sockets.map((socket) => socket.settled()));
    const closed = sockets.filter((socket) => socket.frames.some((f) => f[3] === 'system' && f[4].message === 'Too many messages per second'));
    const heard = await heardOf(witness, 'said') - before;
    if (closed.length === 0) return false;
    assert.ok(closed.every((socket) => socket.frames.some((f) => f[3] === 'phx_close' && f[2] === `realtime:${room}`)));
    assert.ok(heard <= 10, `${heard} at once`);
    assert.ok(heard >= 10 - closed.length * 3 || heard === 10, `${heard} of 12, ${closed.length} closed`);
    return true;
  }, 'a burst that is too much');
  // By HTTP, too: what is more than a second's is never taken, whatever came before.
  const batch = (count) => post('/api/broadcast', { messages: Array.from({ length: count }, () => ({ topic: room, event: 'batch', payload: {} })) }, sidecar.token(user));
  assert.equal(await batch(11), 429);
  await until(async () => await batch(10) === 202, 'a second without messages');
  // Another user has their own.
  assert.equal(await post('/api/broadcast', { messages: [{ topic: 'elsewhere', event: 'x', payload: {} }] }, sidecar.token(randomUUID())), 202);
});

test('what waits for the database: tokens have a bound, a push under a token that is refused is not sent, a leave finds its own join', async () => {
  const [witness, socket, many] = [await connect(), await connect(), await connect()];
  for (const one of [witness, socket, many]) assert.deepEqual(await one.join(typing, token, '1'), joined);
  const lock = await bed.connect();
  await lock.query('BEGIN; LOCK TABLE public.conversations IN ACCESS EXCLUSIVE MODE');
  socket.send('1', null, `realtime:${typing}`, 'access_token', { access_token: sidecar.token(randomUUID()) });
  socket.send('1', null, `realtime:${typing}`, 'broadcast', { type: 'broadcast', event: 'forged', payload: {} });
  for (let n = 0; n < 101; n++) many.send('1', null, `realtime:${typing}`, 'access_token', { access_token: token });
  await many.hears((f) => f[3] === 'system' && f[4].message === 'Too many messages per second', 'the end of the channel');
  const joins = [many.join(topic, token, '2'), many.join(inbox, token, '3')];
  many.send('2', '4', `realtime:${topic}`, 'phx_leave', {});
  await Promise.all([socket, many].map((one) => one.settled()));
  await lock.query('COMMIT');
  assert.deepEqual(await Promise.all(joins), [joined, joined]);
  assert.deepEqual(await many.reply('4'), ok);
  await socket.hears((f) => f[3] === 'system' && /permissions/.test(f[4].message), 'the end of the channel under another token');
  assert.deepEqual((await broadcasts(witness, typing)).forged, []);
});

test('requests that wait for the database have a bound in bytes: the next one is told so, that of a batch is counted', async () => {
  const lock = await bed.connect();
  await lock.query('BEGIN; LOCK TABLE public.conversations IN ACCESS EXCLUSIVE MODE');
  const somebody = () => ({ headers: { authorization: `Bearer ${sidecar.token(randomUUID())}` } }); // each with a rate of their own
  const payload = { text: 'x'.repeat(2_900_000) };
  const body = JSON.stringify({ messages: [{ topic: typing, event: 'forged', payload, private: true }] });
  const refused = () => sidecar.metric('chat_realtime_embedded_refused_broadcasts_total');
  const before = await refused();
  await until(async () => {
    assert.equal((await ask('/api/broadcast', { body, ...somebody() }))[0], 202);
    return await refused() > before;
  }, 'a message that is refused', 60000);
  assert.equal((await ask(`/api/broadcast/${typing}/events/forged?private=true`, { body: JSON.stringify(payload), ...somebody() }))[0], 429);
  await lock.query('COMMIT');
  const socket = await connect();
  assert.deepEqual(await socket.join(typing, token, '1'), joined, 'it goes on');
});

test('a token that names nobody sends to public channels, at the rate of its socket', async () => {
  const socket = await connect();
  assert.deepEqual(await socket.join('room', sidecar.anonKey, '1', { private: false, broadcast: { ack: true } }), joined);
  socket.send('1', '2', 'realtime:room', 'broadcast', { type: 'broadcast', event: 'a', payload: {} });
  assert.deepEqual(await socket.reply('2'), ok);
});

test('while the database is away nobody is let in, and each is told so', async () => {
  const socket = await connect();
  await bed.cluster.stop();
  await until(async () => (await sidecar.get('/readyz')).status === 503, 'the loss to be noticed');
  assert.match((await socket.join(topic, token, '1')).response.reason, /^UnableToConnectToProject: /);
  assert.equal(await post(`/api/broadcast/${typing}/events/e?private=true`, [1]), 422);
  assert.equal(await post('/api/broadcast/room/events/e', [1]), 202);
  assert.equal(await post('/api/broadcast/room/events/e', undefined), 400);
});

/** A request as it is: [status, text]. */
async function ask(path, { method = 'POST', body = '{}', type = 'application/json', headers = { authorization: `Bearer ${token}` } } = {}) {
  const response = await fetch(sidecar.url + path, { method, body: method === 'GET' ? undefined : Buffer.from(body), headers: { ...headers, ...(type && { 'content-type': type }) } });
  return [response.status, await response.text()];
}

test('requests that are none of the endpoint: a status, and what is wrong with them', async () => {
  const batch = '/api/broadcast';
  const single = `${batch}/room/events/e`;
  for (const [path, options, status, said] of [
    [batch, { method: 'GET' }, 404, 'Not Found'], [`${batch}er`, {}, 404, 'Not Found'], ['/api', {}, 404, 'Not Found'],
    [`${batch}/room/events`, {}, 404, 'Not Found'], [`${batch}/room/events/`, {}, 404, 'Not Found'], [`${batch}//events/e`, {}, 404, 'Not Found'],
    [single, { type: 'text/plain' }, 415, 'Unsupported Media Type'], [`${single}?private=perhaps`, {}, 422, '"private":["is invalid"]'],
    [single, { headers: {} }, 401, 'Unauthorized'], [single, { headers: { authorization: token } }, 500, 'Internal Server Error'], [single, { headers: { authorization: `Basic ${token}` } }, 401, 'Unauthorized'],
    [single, { headers: { authorization: `Bearer ${token}*` } }, 401, 'Unauthorized'], [single, { headers: { apikey: token } }, 202, ''],
    [single, { body: '{' }, 400, 'Bad Request'], [batch, { body: '{' }, 400, 'Bad Request'], [batch, { body: '' }, 422, 'blank'], [batch, { type: 'text/plain' }, 422, 'blank'],
    [batch, { body: '[]' }, 422, 'blank'], [batch, { body: '{"messages":{}}' }, 422, 'is invalid'], [batch, { body: '{"messages":[]}' }, 422, 'blank'], [batch, { body: '{"messages":[1]}' }, 422, 'is invalid'],
    [batch, { body: '{"messages":[{"topic":null,"event":"","payload":1,"private":"x","id":1}]}' }, 422, 'blank'],
    [batch, { body: '{"messages":[{"topic":1,"event":"e"}]}' }, 422, 'is invalid'],
  ]) {
    const [got, text] = await ask(path, options);
    assert.deepEqual([got, text.includes(said)], [status, true], `${path} ${JSON.stringify(options)}: ${got} ${text}`);
  }
});

test('a batch and single requests have the rate of their user, too', async () => {
  const user = sidecar.token(randomUUID());
  const headers = { authorization: `Bearer ${user}` };
  const messages = (count) => JSON.stringify({ messages: Array(count).fill({ topic: 'room', event: 'e', payload: {} }) });
  assert.deepEqual(await ask('/api/broadcast', { body: messages(11), headers }).then(([status]) => status), 429);
  const statuses = [];
  await until(async () => { // eleven within a second, however slow the machine is
    statuses.push(...await Promise.all(Array.from({ length: 22 }, (_, n) => ask(...(n % 2 ? ['/api/broadcast/room/events/e', { headers }] : ['/api/broadcast', { body: messages(1), headers }])).then(([status]) => status))));
    return statuses.includes(429);
  }, 'a request too many');
  assert.ok(statuses.includes(202));
});

test('handshakes without what they need, frames that are none: a status, a code, and the end', async () => {
  for (const [query, status, said] of [[`apikey=${sidecar.anonKey}&vsn=3.0.0`, 403, 'Unsupported serializer version'], ['vsn=2.0.0', 401, 'API key is missing'], ['apikey=x&vsn=2.0.0', 401, 'not a valid JWT']]) {
    const answer = await new Promise((resolve, reject) => {
      const socket = new WebSocket(`${sidecar.url.replace('http', 'ws')}/realtime/v1/websocket?${query}`);
      socket.on('error', () => {}).on('open', () => reject(new Error(`${query} is let in`)));
      socket.on('unexpected-response', (_, response) => response.setEncoding('utf8').on('data', (text) => resolve([response.statusCode, text])));
    });
    assert.deepEqual([answer[0], answer[1].includes(said)], [status, true], answer.join());
  }
  for (const [frame, code, vsn] of [['{', 1002], ['[null,null,"t"]', 1002], ['[null,null,1,"e",{}]', 1002], [Buffer.from([3, 0, 0]), 1002], [Buffer.from([3, 0, 0, 1, 1, 0, 1, 0xff, 0x65, 0x7b, 0x7d]), 1002],
    [binaryPush('1', '2', 'realtime:room', 'e', '{}'), 1002, '1.0.0'], ['x'.repeat(5_000_001), 1009]]) {
    const socket = await connect({ vsn });
    const closed = new Promise((resolve) => socket.socket.once('close', resolve));
    socket.socket.send(frame);
    assert.equal(await closed, code, String(frame).slice(0, 40));
  }
});

test('a frame in fragments is one frame', async () => {
  const socket = await connect();
  const text = JSON.stringify([null, '7', 'phoenix', 'heartbeat', { long: 'x'.repeat(10_000) }]);
  for (let at = 0; at < text.length; at += 4000) socket.socket.send(text.slice(at, at + 4000), { fin: at + 4000 >= text.length });
  assert.deepEqual(await socket.reply('7'), ok);
});

test('another token on a channel: a bad one ends it with the reason, one of the new keys is none', async () => {
  const socket = await connect();
  assert.deepEqual(await socket.join('room', token, '1', { private: false, broadcast: { ack: true } }), joined);
  for (const none of [{ access_token: 'sb_publishable_x' }, {}, { access_token: 1 }]) socket.send('1', null, 'realtime:room', 'access_token', none);
  socket.send('1', '2', 'realtime:room', 'broadcast', { type: 'broadcast', event: 'a' });
  assert.deepEqual(await socket.reply('2'), ok, 'the channel goes on, and a payload may be left out');
  socket.send('1', null, 'realtime:room', 'access_token', { access_token: 'x.y.z' });
  await socket.hears((f) => f[3] === 'phx_error' || f[3] === 'phx_close', 'the end of the channel');
  assert.ok(JSON.stringify(socket.frames).includes('not a valid JWT'));
  socket.send('1', '3', 'realtime:room', 'broadcast', { type: 'broadcast', event: 'a', payload: {} });
  assert.deepEqual(await socket.reply('3'), unmatched);
});
