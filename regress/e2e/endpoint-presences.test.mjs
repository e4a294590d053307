// Several endpoints behind one address see each other's presence: supabase-js clients at each of two, which die, stop, and lose their database.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows } from '../lib/db.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { until } from '../lib/wait.mjs';

let bed, proxy, conversation, topic, first, second;
const limit = 30000;

before(async () => {
  bed = await Bed.create({ settings: { 'chat_realtime.presence_events': 'on' } });
  await bed.role('chat_endpoint', 'grant_endpoint');
  conversation = await bed.conversation();
  topic = `conversation:${conversation}`;
  const url = bed.cluster.url({ user: 'chat_endpoint', database: 'chat' });
  first = await bed.sidecar({ ENDPOINT_DATABASE_URL: url });
  proxy = await Proxy.start(bed.cluster.port);
  bed.closing.push(() => proxy.stop());
  second = await bed.sidecar({ ENDPOINT_DATABASE_URL: url.replace(`:${bed.cluster.port}`, `:${proxy.port}`), EMBEDDED_JWT_SECRET: first.env.EMBEDDED_JWT_SECRET });
  await peers(1, first, second);
});

after(() => bed.close());

async function peers(count, ...sidecars) {
  for (const sidecar of sidecars) await until(async () => await sidecar.metric('chat_realtime_relay_peers') === count, () => `${count} others: ${sidecar.tail()}`, limit);
}

/** supabase-js on a private channel, under a key of presence; state is what it tracks whenever it has joined. */
async function client(sidecar, key, state, room = topic) {
  const subscriber = await bed.subscriber(sidecar);
  await subscriber.client.realtime.setAuth();
  const channel = subscriber.client.channel(room, { config: { private: true, presence: { key } } });
  const told = [];
  let joined = 0;
  for (const event of ['join', 'leave']) channel.on('presence', { event }, (said) => told.push(`${event} ${said.key}`));
  channel.on('presence', { event: 'sync' }, () => {});
  channel.subscribe(async (status) => {
    if (status !== 'SUBSCRIBED') return;
    if (state) await channel.track(state);
    joined++;
  });
  await until(() => joined > 0, `${key} to be there`, limit);
  return { channel, told, close: () => subscriber.close(),
    shown: () => Object.fromEntries(Object.entries(channel.presenceState()).map(([who, metas]) => [who, metas.map(({ presence_ref, ...rest }) => rest)]).sort()) };
}

const sees = (one, wanted, what) => until(() => JSON.stringify(one.shown()) === JSON.stringify(wanted), () => `${what}: ${JSON.stringify(one.shown())}`, limit);

test('who is at one is seen at the other: state for who comes, differences for who is there', async () => {
  const ann = await client(first, 'ann', { tab: 1 });
  const bob = await client(second, 'bob');
  await sees(bob, { ann: [{ tab: 1 }] }, 'who was there before');
  await bob.channel.track({ isTyping: true });
  await sees(ann, { ann: [{ tab: 1 }], bob: [{ isTyping: true }] }, 'who came');
  await bob.channel.untrack();
  await sees(ann, { ann: [{ tab: 1 }] }, 'who left');
  await ann.close();
  await sees(bob, {}, 'nobody any more');
  assert.deepEqual(bob.told.filter((said) => said.endsWith('bob')), ['join bob', 'leave bob']);
  await bob.close();
});

/** Frames, since supabase-js forgets the references of what it has under a key when another tab comes. */
async function tab(sidecar, room) {
  const socket = await RawSocket.open(sidecar);
  await socket.join(room, sidecar.anonKey, '1', { private: false, presence: { enabled: true, key: 'k' } });
  return Object.assign(socket, {
    call: (event, payload) => socket.send('1', `${event} ${payload?.n}`, `realtime:${room}`, 'presence', { type: 'presence', event, payload }),
    diffs: () => socket.frames.filter((f) => f[3] === 'presence_diff').map((f) => f[4]),
  });
}

test('frames are those of an endpoint alone: tabs under one key, changes that name the reference before, the end of a socket', async () => {
  const room = `room ${randomUUID()}`;
  const [one, other] = [await tab(first, room), await tab(second, room)];
  const changed = async (count) => { for (const socket of [one, other]) await until(() => socket.diffs().length === count, () => `change ${count}: ${JSON.stringify(socket.diffs())}`, limit); };
  one.call('track', { n: 1 });
  await changed(1);
  one.call('track', { n: 2 });
  await changed(2);
  other.call('track', { n: 3 });
  await changed(3);
  assert.deepEqual(other.diffs(), one.diffs());
  const [came, became, tabbed] = one.diffs();
  assert.deepEqual([became.leaves, became.joins.k.metas[0].phx_ref_prev], [came.joins, came.joins.k.metas[0].phx_ref]);
  const late = await tab(first, room);
  const { k: { metas } } = (await late.hears((f) => f[3] === 'presence_state', 'the state'))[4];
  assert.deepEqual(metas, [became.joins.k.metas[0], tabbed.joins.k.metas[0]]);
  late.close();
  one.close();
  await until(() => other.diffs().length === 4, 'the leave', limit);
  assert.deepEqual(other.diffs()[3], { joins: {}, leaves: became.joins });
  other.close();
});

const told = async (where) => (await rows(bed.db, `SELECT event FROM chat.events WHERE conversation = $1 AND event LIKE 'presence.%' ORDER BY id`, [`${where}`])).map((row) => row.event);

test('a user with tabs at both comes once and goes once, for backends', async () => {
  const other = await bed.conversation('Bia');
  const room = `conversation:${other}`;
  const tabs = [await client(first, 'a', { n: 1 }, room), await client(second, 'a', { n: 2 }, room)];
  for (const tab of tabs) await until(() => tab.shown().a?.length === 2, 'both tabs', limit);
  await Promise.all(tabs.map((tab) => tab.close()));
  await until(async () => (await told(other)).length === 2, 'that the user left', limit);
  for (const sidecar of [first, second]) await until(async () => await sidecar.metric('chat_realtime_embedded_presences') === 0, 'nobody to be there', limit);
  assert.deepEqual(await told(other), ['presence.join', 'presence.leave']);
});

test('an endpoint that is killed: its clients have left in the end, and are back when they are; backends hear of it', async () => {
  const other = await bed.conversation('Eva');
  const room = `conversation:${other}`;
  const bob = await client(second, 'bob', undefined, room);
  const ann = await client(first, 'ann', { n: 1 }, room);
  await sees(bob, { ann: [{ n: 1 }] }, 'her');
  await ann.close();
  const gone = await RawSocket.open(first);
  await gone.join(room, first.token(bed.owner), '1', { presence: { enabled: true, key: 'gone' } });
  gone.send('1', '2', `realtime:${room}`, 'presence', { type: 'presence', event: 'track', payload: { n: 2 } });
  await sees(bob, { gone: [{ n: 2 }] }, 'who will be gone');
  process.kill(first.endpointPid, 'SIGKILL');
  await sees(bob, {}, 'nobody');
  await until(async () => (await told(other)).at(-1) === 'presence.leave', 'that the user left', limit);
  await peers(1, first, second);
  const again = await client(first, 'ann', { n: 3 }, room);
  await sees(bob, { ann: [{ n: 3 }] }, 'her, back');
  await again.close();
  await bob.close();
});

test('cut off from the database: each side is alone in the end; then both are whole again, and nobody is there twice', async () => {
  const [ann, bob] = [await client(first, 'ann', { n: 1 }, topic), await client(second, 'bob', { n: 2 }, topic)];
  const both = { ann: [{ n: 1 }], bob: [{ n: 2 }] };
  for (const one of [ann, bob]) await sees(one, both, 'both');
  // For a moment: nobody notices.
  proxy.reset();
  await peers(1, second);
  const eve = await client(first, 'eve', { n: 3 }, topic);
  await sees(bob, { ...both, eve: [{ n: 3 }] }, 'who came meanwhile');
  await eve.close();
  await sees(bob, both, 'and left');
  assert.ok(!ann.told.includes('leave bob'), 'he was there all the time');
  proxy.mode = 'close';
  proxy.reset();
  await sees(bob, { bob: [{ n: 2 }] }, 'him alone');
  await until(() => ann.shown().bob === undefined, 'her alone', limit);
  proxy.mode = 'pass';
  await until(() => ann.shown().bob?.length === 1 && bob.shown().ann?.length === 1, () => `both again: ${JSON.stringify([ann.shown(), bob.shown()])}`, limit);
  await ann.close();
  await sees(bob, { bob: [{ n: 2 }] }, 'her gone');
  await bob.close();
});

test('one that is stopped says that its clients leave', async () => {
  const [ann, bob] = [await client(first, 'ann', { n: 1 }, topic), await client(second, 'bob', undefined, topic)];
  await sees(bob, { ann: [{ n: 1 }] }, 'her');
  assert.equal((await first.kill('SIGTERM')).code, 0);
  await sees(bob, {}, 'nobody');
  await peers(0, second);
  assert.deepEqual(await rows(bed.db, 'SELECT count(*)::int AS there FROM chat.relay_presence WHERE presence IS NOT NULL'), [{ there: 0 }]);
  await ann.close();
  await bob.close();
});
