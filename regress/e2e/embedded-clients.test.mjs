// Clients at the embedded endpoint, unchanged: what they do by themselves when a page sleeps, is mounted twice, or leaves while it joins.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { RealtimeClient } from '@supabase/realtime-js';
import { Presence, Socket } from 'phoenix';
import { createClient } from 'supabase-js-latest';
import WebSocket from 'ws';
import { Bed } from '../lib/bed.mjs';
import { until } from '../lib/wait.mjs';

const limit = 30000;
let bed, sidecar, conversation, topic;
let open = [];

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  topic = `conversation:${conversation}`;
  sidecar = await bed.sidecar();
});

after(() => bed.close());

afterEach(async () => {
  online = true;
  for (const close of open) await close();
  open = [];
});

let online = true;
const sockets = [];
/** Connections as a browser makes them, with a network that can be away. */
class Connection extends WebSocket {
  constructor(url, ...rest) {
    super(online ? url : 'ws://127.0.0.1:9/', ...rest);
    this.on('error', () => {});
    sockets.push(this);
  }
}
// The earlier one takes what a browser has: with a transport that it is given it waits for ever.
globalThis.WebSocket = Connection;
const { createClient: createEarlierClient } = await import('supabase-js-2024');
const options = { reconnectAfterMs: () => 100, heartbeatIntervalMs: 500, timeout: 5000 };
const auth = { persistSession: false, autoRefreshToken: false };

/** As part of supabase-js, now and two years ago, and alone. The earlier one is given each token, the others ask for it. */
const clients = {
  'supabase-js': (accessToken) => createClient(sidecar.url, sidecar.anonKey, { auth, accessToken, realtime: { ...options, transport: Connection } }).realtime,
  'supabase-js of 2024': () => createEarlierClient(sidecar.url, sidecar.anonKey, { auth, realtime: options }).realtime,
  'realtime-js alone': (accessToken) => new RealtimeClient(`${sidecar.url.replace('http', 'ws')}/realtime/v1`, { ...options, transport: Connection, params: { apikey: sidecar.anonKey }, accessToken }),
};

const isEarlier = (name) => name.endsWith('2024');

/** A client that has a token; sign gives it another one. */
async function client(name, token = sidecar.token(bed.owner)) {
  let current = token;
  const realtime = clients[name](async () => current);
  open.push(async () => {
    await realtime.removeAllChannels();
    await realtime.disconnect();
  });
  const sign = (next) => {
    current = next;
    return realtime.setAuth(...(isEarlier(name) ? [next] : []));
  };
  await sign(token);
  return { realtime, sign };
}

/** A channel that notes what it hears and becomes. */
function listen({ realtime }, config = {}, prepare = () => {}) {
  const channel = realtime.channel(topic, { config: { private: true, ...config } });
  const heard = [];
  const states = [];
  channel.on('broadcast', { event: 'message.new' }, (said) => heard.push(said.payload.content));
  prepare(channel);
  channel.subscribe((state) => states.push(state));
  return { channel, heard, states, joined: (times = 1) => until(() => states.filter((s) => s === 'SUBSCRIBED').length >= times, () => `SUBSCRIBED ${times}: ${states}`, limit) };
}

async function hears(one, content) {
  await bed.message(conversation, content);
  await until(() => one.heard.includes(content), () => `${content}: ${one.heard}; ${one.states}`, limit);
}

const refusedTokens = () => sidecar.metric('chat_realtime_embedded_refused_joins_total', 'reason="token"');

for (const name of Object.keys(clients)) {
  test(`${name}: asleep until its token has expired, it comes back with the next one`, async () => {
    const one = await client(name);
    const channel = listen(one);
    await channel.joined();
    online = false;
    sockets.at(-1).terminate();
    await until(() => !one.realtime.isConnected(), 'that it is offline', limit);
    const before = await refusedTokens();
    await one.sign(sidecar.token(bed.owner, { expiresIn: -60 })); // the page wakes, and its session is not renewed yet
    online = true;
    await until(async () => await refusedTokens() > before, 'a join with the old token', limit);
    await one.sign(sidecar.token(bed.owner));
    // As applications do it: a channel that ended is made anew. The earlier client never takes the answer of a join after a refused one;
    // the others may still hand over the old token, just after they have joined with the new one, and that ends the channel.
    let back = channel;
    for (let n = 1; !back.heard.length; n++) {
      assert.ok(n < 5, `${back.states}`);
      if (isEarlier(name) || back.states.at(-1) === 'CLOSED') {
        await one.realtime.removeAllChannels();
        back = listen(one);
      }
      await until(() => ['SUBSCRIBED', 'CLOSED'].includes(back.states.at(-1)), () => `SUBSCRIBED: ${back.states}`, limit);
      await bed.message(conversation, `${name} awake ${n}`);
      await until(() => back.heard.length || back.states.at(-1) === 'CLOSED', () => `${back.states}`, limit);
    }
  });

  test(`${name}: mounted twice at once, as by StrictMode, it hears everything once`, async () => {
    const one = await client(name);
    const first = listen(one);
    const removed = one.realtime.removeChannel(first.channel);
    const second = listen(one);
    await removed;
    await second.joined();
    await hears(second, `${name} once`);
    await hears(second, `${name} and no more`);
    assert.equal(second.heard.filter((content) => content === `${name} once`).length, 1);
    assert.deepEqual(first.heard, []);
  });

  test(`${name}: removed while it joins, a channel leaves nothing behind`, async () => {
    const one = await client(name);
    const kept = listen(await client(name));
    await kept.joined();
    const lock = await bed.connect();
    await lock.query('BEGIN; LOCK TABLE public.conversations IN ACCESS EXCLUSIVE MODE');
    const gone = listen(one);
    await until(() => one.realtime.isConnected(), 'a connection', limit);
    const removed = one.realtime.removeChannel(gone.channel);
    await lock.query('COMMIT');
    assert.equal(await removed, 'ok');
    await hears(kept, `${name} gone`);
    assert.deepEqual(gone.heard, []);
    const again = listen(one);
    await again.joined();
    await hears(again, `${name} again`);
  });

  test(`${name}: setAuth before and after the join; under somebody else's token the channel ends`, async () => {
    const one = await client(name);
    const channel = listen(one);
    await channel.joined();
    await one.sign(sidecar.token(bed.owner, { expiresIn: 7200 }));
    await hears(channel, `${name} renewed`);
    await one.sign(sidecar.token(randomUUID()));
    await until(() => channel.states.some((state) => state !== 'SUBSCRIBED'), () => `the end: ${channel.states}`, limit);
  });

  test(`${name}: without an answer to its heartbeat it connects again`, async () => {
    const channel = listen(await client(name));
    await channel.joined();
    const { endpointPid } = sidecar;
    const connection = sockets.at(-1);
    process.kill(endpointPid, 'SIGSTOP');
    try {
      await until(() => connection.readyState !== WebSocket.OPEN, 'it gives the connection up', 8000);
    } finally {
      process.kill(endpointPid, 'SIGCONT');
    }
    await channel.joined(2);
    await hears(channel, `${name} beats`);
  });

  test(`${name}: who types, by channel.track on the conversation`, async () => {
    const said = [];
    const watcher = listen(await client(name), { presence: { key: 'watcher', ...(isEarlier(name) && { enabled: true }) } }, (channel) => channel.on('presence', { event: 'sync' }, () => said.push(structuredClone(channel.presenceState()))));
    const typist = listen(await client(name), { presence: { key: 'typist' } });
    await Promise.all([watcher.joined(), typist.joined()]);
    assert.equal(await typist.channel.track({ isTyping: true }), 'ok');
    await until(() => said.some((state) => state.typist?.[0].isTyping), () => `typing: ${JSON.stringify(said)}`, limit);
    assert.equal(await typist.channel.untrack(), 'ok');
    await until(() => Object.keys(said.at(-1)).length === 0, () => `nobody: ${JSON.stringify(said)}`, limit);
  });
}

test('the client of Phoenix itself: a message, a broadcast, presence, and the end of its token', async () => {
  const name = `presence:${conversation}`;
  const members = [];
  for (const key of ['a', 'b']) {
    const socket = new Socket(`${sidecar.url.replace('http', 'ws')}/realtime/v1`, { transport: WebSocket, params: { apikey: sidecar.anonKey }, heartbeatIntervalMs: 500 });
    open.push(() => new Promise((resolve) => { socket.disconnect(resolve); }));
    socket.connect();
    const join = (room, expiresIn) => {
      const channel = socket.channel(`realtime:${room}`, { access_token: sidecar.token(bed.owner, { expiresIn }), config: { private: true, broadcast: { self: false }, presence: { enabled: true, key }, postgres_changes: [] } });
      const member = { channel, heard: [], presence: new Presence(channel), closed: false };
      channel.on('broadcast', (message) => member.heard.push(message));
      channel.onClose(() => { member.closed = true; });
      return new Promise((resolve, reject) => { channel.join().receive('ok', () => resolve(member)).receive('error', reject).receive('timeout', () => reject(new Error('timeout'))); });
    };
    members.push({ ...await join(name), join });
  }
  const [a, b] = members;
  a.channel.push('broadcast', { type: 'broadcast', event: 'typed', payload: { n: 1 } });
  await until(() => b.heard.some((message) => message.event === 'typed' && message.payload.n === 1), 'the broadcast', limit);
  a.channel.push('presence', { type: 'presence', event: 'track', payload: { name: 'Ana' } });
  await until(() => b.presence.list((key, { metas }) => `${key} ${metas[0].name}`).join() === 'a Ana', 'presence', limit);
  a.channel.leave();
  await until(() => a.channel.state === 'closed' && b.presence.list().length === 0, 'that it left', limit);
  const inbox = await b.join(topic, 3);
  await bed.message(conversation, 'phoenix');
  await until(() => inbox.heard.some((message) => message.payload.content === 'phoenix'), 'the message', limit);
  await until(() => inbox.channel.state !== 'joined', 'the end of the token', limit);
});
