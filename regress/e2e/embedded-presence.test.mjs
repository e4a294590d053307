// Presence on the embedded endpoint: frames as they were observed of Supabase Realtime, and what supabase-js makes of them.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { Subscriber } from '../lib/client.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { until } from '../lib/wait.mjs';

const ok = { status: 'ok', response: {} };
const joined = { status: 'ok', response: { postgres_changes: [] } };
let bed, sidecar, conversation, topic, token;
let open = [];

before(async () => {
  bed = await Bed.create({ settings: { 'chat_realtime.presence_events': 'on' } });
  await bed.role('chat_endpoint', 'grant_endpoint');
  conversation = await bed.conversation('Ana');
  topic = `conversation:${conversation}`;
  sidecar = await bed.sidecar({ ENDPOINT_DATABASE_URL: bed.cluster.url({ user: 'chat_endpoint', database: 'chat' }) });
  token = sidecar.token(bed.owner);
});

after(() => bed.close());

afterEach(async () => {
  await Promise.all(open.map((one) => one.close()));
  open = [];
});

async function connect(options) {
  const socket = await RawSocket.open(sidecar, options);
  open.push(socket);
  return socket;
}

const enabled = (key = '') => ({ presence: { enabled: true, key } });
const name = (f) => f[3] ?? f.event;
const diffs = (socket) => socket.frames.filter((f) => name(f) === 'presence_diff').map((f) => f[4] ?? f.payload);

/** A member of a room of this test alone. */
async function member(room, key, { options, isPrivate = false, as = sidecar.anonKey } = {}) {
  const socket = await connect(options);
  assert.deepEqual(await socket.join(room, as, '1', { private: isPrivate, ...enabled(key) }), joined);
  await socket.hears((f) => name(f) === 'presence_state', 'presence_state');
  let calls = 10;
  socket.call = (event, payload) => {
    socket.send('1', `${++calls}`, `realtime:${room}`, 'presence', { type: 'presence', event, payload });
    return socket.reply(`${calls}`);
  };
  return socket;
}

test('track, track again, a second tab, untrack, the end of a socket: state and differences', async () => {
  const room = `room ${randomUUID()}`;
  const [witness, one] = [await member(room, 'w'), await member(room, 'k1')];
  assert.deepEqual(witness.frames.find((f) => f[3] === 'presence_state'), ['1', null, `realtime:${room}`, 'presence_state', {}]);
  assert.deepEqual(await one.call('track', { n: 'bob', deep: { a: [1] } }), ok);
  await witness.hears((f) => f[3] === 'presence_diff', 'the join');
  const first = witness.frames.find((f) => f[3] === 'presence_diff');
  const ref = first[4].joins.k1?.metas[0].phx_ref;
  assert.match(ref, /^[\w-]{16}$/);
  assert.deepEqual(first, [null, null, `realtime:${room}`, 'presence_diff', { joins: { k1: { metas: [{ phx_ref: ref, n: 'bob', deep: { a: [1] } }] } }, leaves: {} }]);
  assert.deepEqual(one.frames.slice(2).map(name), ['phx_reply', 'presence_diff'], 'the answer, then the difference, to the sender too');

  assert.deepEqual(await one.call('track', { n: 'bob', deep: { a: [1] } }), ok, 'unchanged');
  assert.deepEqual(await one.call('track', { n: 'eve' }), ok);
  await until(() => diffs(witness).length === 2, 'one difference, of the change');
  const [, changed] = diffs(witness);
  const second = changed.joins.k1.metas[0].phx_ref;
  assert.notEqual(second, ref);
  assert.deepEqual(changed, { joins: { k1: { metas: [{ phx_ref: second, phx_ref_prev: ref, n: 'eve' }] } }, leaves: { k1: { metas: [{ phx_ref: ref, n: 'bob', deep: { a: [1] } }] } } });

  const tab = await member(room, 'k1');
  assert.deepEqual(tab.frames.find((f) => f[3] === 'presence_state')[4], { k1: { metas: [{ phx_ref: second, phx_ref_prev: ref, n: 'eve' }] } });
  assert.deepEqual(await tab.call('track', { n: 'tab' }), ok);
  await until(() => diffs(witness).length === 3, 'the second tab');
  assert.deepEqual(diffs(witness)[2].joins.k1.metas.map((m) => m.n), ['tab']);
  tab.close();
  await until(() => diffs(witness).length === 4, 'the end of the second tab');
  assert.deepEqual([diffs(witness)[3].joins, diffs(witness)[3].leaves.k1.metas.map((m) => m.n)], [{}, ['tab']]);

  assert.deepEqual(await one.call('untrack'), ok);
  await until(() => diffs(witness).length === 5, 'untrack');
  assert.deepEqual(diffs(witness)[4].leaves.k1.metas.map((m) => m.n), ['eve']);
  const late = await member(room, 'late');
  assert.deepEqual(late.frames.find((f) => f[3] === 'presence_state')[4], {});
});

test('in serializer 1.0.0, without a key, and by phx_leave', async () => {
  const room = `room ${randomUUID()}`;
  const old = await member(room, '', { options: { vsn: '1.0.0' } });
  assert.deepEqual(old.frames.find((f) => f.event === 'presence_state'), { ref: null, event: 'presence_state', topic: `realtime:${room}`, payload: {} });
  assert.deepEqual(await old.call('track', {}), ok);
  const diff = await old.hears((f) => f.event === 'presence_diff', 'the join');
  const [[key, { metas }]] = Object.entries(diff.payload.joins);
  assert.match(key, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual(Object.keys(metas[0]), ['phx_ref']);
  const witness = await member(room, 'w');
  old.send('1', '99', `realtime:${room}`, 'phx_leave', {});
  await until(() => diffs(witness).length === 1, 'the leave');
  assert.deepEqual(Object.keys(diffs(witness)[0].leaves), [key]);
  assert.ok(!old.frames.some((f) => f.event === 'presence_diff' && Object.keys(f.payload.leaves).length), 'who leaves is not told');
});

test('without presence.enabled nothing is heard until one tracks: the answer, then differences with join_ref', async () => {
  const room = `room ${randomUUID()}`;
  const [quiet, silent, other] = [await connect(), await connect(), await member(room, 'o')];
  for (const socket of [quiet, silent]) assert.deepEqual(await socket.join(room, sidecar.anonKey, '7', { private: false }), joined);
  await other.call('track', { first: 1 });
  quiet.send('7', '8', `realtime:${room}`, 'presence', { type: 'presence', event: 'track', payload: { mine: 1 } });
  assert.deepEqual(await quiet.reply('8'), ok);
  await other.call('track', { second: 1 });
  await until(() => diffs(quiet).length === 2, 'its own and the next');
  assert.deepEqual(quiet.frames.slice(1).map((f) => [f[0], f[3]]), [['7', 'phx_reply'], ['7', 'presence_diff'], ['7', 'presence_diff']]);
  assert.deepEqual((await silent.settled()).map(name), ['phx_reply', 'phx_reply']);
});

test('what is no call of presence', async () => {
  const room = `room ${randomUUID()}`;
  const one = await member(room, 'k');
  assert.deepEqual(await one.call('track', [1]), { status: 'error', response: { reason: 'Presence track payload must be a map' } });
  assert.deepEqual(await one.call('dance', {}), { status: 'error', response: {} });
  assert.deepEqual(await one.call('UNTRACK'), ok);
  assert.deepEqual(await one.call('track', { phx_ref: 'forged', phx_ref_prev: 'forged', a: 1 }), ok);
  await until(() => diffs(one).length === 1, 'the difference');
  assert.ok(!JSON.stringify(diffs(one)).includes('forged'), 'references are the server\'s');
  const long = await connect();
  assert.match((await long.join(room, sidecar.anonKey, '1', { private: false, ...enabled('k'.repeat(256)) })).response.reason, /^InvalidJoinPayload: /);
});

test('the sixth call in half a minute is answered, and closes the channel; too large a payload does, too', async () => {
  const room = `room ${randomUUID()}`;
  const [one, witness] = [await member(room, 'k'), await member(room, 'w')];
  for (let n = 1; n <= 6; n++) assert.deepEqual(await one.call('track', { n }), ok);
  const system = await one.hears((f) => f[3] === 'system', 'the end');
  assert.equal(system[4].message, 'Client presence rate limit exceeded');
  await one.hears((f) => f[3] === 'phx_close', 'phx_close');
  await until(() => diffs(witness).length === 7, 'six changes, and that it is gone');
  const large = await member(room, 'large');
  large.send('1', '2', `realtime:${room}`, 'presence', { type: 'presence', event: 'track', payload: { x: 'x'.repeat(17000) } });
  assert.equal((await large.hears((f) => f[3] === 'system', 'the end'))[4].message, 'Track message size exceeded');
  assert.ok(await sidecar.metric('chat_realtime_embedded_refused_presences_total') >= 2);
  assert.ok(sidecar.log.some((line) => line.msg === 'presence refused'));
});

test('a channel holds so many bytes of presence, and no more; who is there stays', async () => {
  const room = `room ${randomUUID()}`;
  const answers = [];
  const payload = { x: 'x'.repeat(15900) };
  const sockets = await Promise.all(Array.from({ length: 75 }, () => connect()));
  for (const [n, socket] of sockets.entries()) {
    await socket.join(room, sidecar.anonKey, '1', { private: false });
    socket.send('1', '2', `realtime:${room}`, 'presence', { type: 'presence', event: 'track', payload: { n, ...payload } });
    answers.push(await socket.reply('2'));
  }
  const refused = answers.filter((answer) => answer.status === 'error');
  assert.ok(refused.length > 5 && refused.length < 15, `${refused.length}`);
  assert.deepEqual(refused[0], { status: 'error', response: { reason: 'Too many presences' } });
  assert.equal(await sidecar.metric('chat_realtime_embedded_presences'), 75 - refused.length);
  // A megabyte a join: who has it sent again and again is taken for one that sends as much.
  const greedy = await connect();
  const join = { config: { private: false, ...enabled('greedy') } };
  for (let n = 0; n < 40; n++) greedy.send(`${n}`, `${n}`, `realtime:${room}`, 'phx_join', join);
  await greedy.hears((f) => name(f) === 'system' && f[4].message === 'Too many messages per second', 'the end of it');
  await member(room, 'modest');
  for (const socket of sockets) socket.close();
  await until(async () => await sidecar.metric('chat_realtime_embedded_presences') === 0, 'all of them to be gone');
});

test('who may read a conversation may track there; nobody may on an inbox', async () => {
  for (const where of [topic, `presence:${conversation}`]) assert.deepEqual(await (await member(where, 'o', { isPrivate: true, as: token })).call('track', {}), ok, where);
  const inbox = await member(`user:${bed.owner}:inbox`, 'o', { isPrivate: true, as: token });
  assert.deepEqual(await inbox.call('track', {}), { status: 'error', response: {} });
  const stranger = await connect();
  assert.match((await stranger.join(topic, sidecar.token(randomUUID()), '1', enabled('s'))).response.reason, /^Unauthorized/);
  stranger.send('1', '2', `realtime:${topic}`, 'presence', { type: 'presence', event: 'track', payload: {} });
  assert.deepEqual(await stranger.reply('2'), { status: 'error', response: { reason: 'unmatched topic' } });
  const service = await member(`user:${bed.owner}:inbox`, 's', { isPrivate: true, as: roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET) });
  assert.deepEqual(await service.call('track', {}), ok);
});

/** supabase-js on the conversation's channel, with the hook's own calls. */
async function agent(key) {
  const subscriber = new Subscriber({ url: sidecar.url, key: sidecar.anonKey, token });
  open.push(subscriber);
  await subscriber.client.realtime.setAuth();
  const channel = subscriber.client.channel(topic, { config: { private: true, presence: { key } } });
  const seen = [];
  for (const event of ['sync', 'join', 'leave']) channel.on('presence', { event }, (said) => seen.push({ ...said, event }));
  let joins = 0;
  channel.subscribe((status) => { joins += status === 'SUBSCRIBED'; });
  await until(() => joins === 1, 'SUBSCRIBED');
  const shown = () => Object.fromEntries(Object.entries(channel.presenceState()).map(([who, metas]) => [who, metas.map(({ presence_ref, ...rest }) => rest)]));
  return { subscriber, channel, seen, shown, joins: () => joins };
}

const becomes = (one, wanted, what) => until(() => JSON.stringify(one.shown()) === JSON.stringify(wanted), () => `${what}: ${JSON.stringify(one.shown())}`);

test('supabase-js: channel.track({isTyping}) on a conversation, seen by the others, back after a restart of the endpoint', async () => {
  const [ann, bob] = [await agent('ann'), await agent('bob')];
  assert.equal(await ann.channel.track({ isTyping: true }), 'ok');
  await becomes(bob, { ann: [{ isTyping: true }] }, 'who types');
  assert.equal(await ann.channel.untrack(), 'ok');
  await becomes(bob, {}, 'nobody any more');
  assert.deepEqual(bob.seen.filter((said) => said.event !== 'sync').map((said) => [said.event, said.key]), [['join', 'ann'], ['leave', 'ann']]);
  for (const isTyping of [true, false]) assert.equal(await ann.channel.track({ isTyping }), 'ok');
  // It forgets the reference of what it has under a key when another one joins there, and so keeps the former state beside it.
  await until(() => bob.shown().ann?.at(-1).isTyping === false, 'that she stopped');

  // It knows nobody after a restart; clients join again by themselves, and track on SUBSCRIBED as applications do.
  process.kill(sidecar.endpointPid, 'SIGKILL');
  await until(() => ann.joins() > 1 && bob.joins() > 1, 'both channels to be joined again', 30000);
  assert.equal(await ann.channel.track({ isTyping: true, again: true }), 'ok');
  await becomes(bob, { ann: [{ isTyping: true, again: true }] }, 'the state after the restart');
  await ann.subscriber.close();
  await becomes(bob, {}, 'nobody');
});

test('who comes to a conversation and goes is told to backends, once for all tabs, where the setting asks for it', async () => {
  const other = await bed.conversation('Bia');
  const room = `conversation:${other}`;
  const told = async () => (await bed.db.query(`SELECT event, topic, payload::jsonb ->> 'userId' AS who FROM chat.events WHERE conversation = $1 AND event LIKE 'presence.%' ORDER BY id`, [`${other}`])).rows;
  const tabs = [await member(room, 'a', { isPrivate: true, as: token }), await member(room, 'a', { isPrivate: true, as: token })];
  for (const tab of tabs) assert.deepEqual(await tab.call('track', {}), ok);
  await until(async () => (await told()).length === 1, 'the join');
  await tabs[0].call('untrack');
  tabs[1].close();
  await until(async () => (await told()).length === 2, 'the leave');
  assert.deepEqual(await told(), ['join', 'leave'].map((what) => ({ event: `presence.${what}`, topic: `presence:${other}`, who: bed.owner })));
});
