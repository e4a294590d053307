// Replay by the embedded endpoint: what was broadcast before a join, in order, once, and to nobody who may not read it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { Subscriber } from '../lib/client.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { until } from '../lib/wait.mjs';

const joined = { status: 'ok', response: { postgres_changes: [] } };
let bed, sidecar, conversation, topic, token;
let open = [];

before(async () => {
  bed = await Bed.create();
  await bed.role('chat_endpoint', 'grant_endpoint');
  sidecar = await bed.sidecar({ ENDPOINT_DATABASE_URL: bed.cluster.url({ user: 'chat_endpoint', database: 'chat' }) });
  token = sidecar.token(bed.owner);
  conversation = await bed.conversation('Ana');
  topic = `conversation:${conversation}`;
  const witness = await RawSocket.open(sidecar);
  await witness.join(topic, token, '1');
  // One transaction, and one more later.
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content) SELECT $1, 'incoming', 'm' || g FROM generate_series(1, 5) g`, [conversation]);
  await bed.message(conversation, 'm6');
  await witness.hears((f) => f[4]?.payload?.content === 'm6', 'all of them, live'); // nobody hears them live later
  witness.close();
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

const ask = (replay) => ({ broadcast: { ack: false, self: false, replay } });
const body = (f) => f[4] ?? f.payload;
const broadcasts = (socket) => socket.frames.filter((f) => (f[3] ?? f.event) === 'broadcast').map(body);
const contents = (socket) => broadcasts(socket).map((said) => said.payload.content);

async function replayed(replay, wanted, { options, name = topic, as = token } = {}) {
  const socket = await connect(options);
  assert.deepEqual(await socket.join(name, as, '1', ask(replay)), joined);
  await until(() => broadcasts(socket).length >= wanted.length, () => `${wanted}; heard ${contents(socket)}`);
  await socket.settled();
  assert.deepEqual(contents(socket), wanted, JSON.stringify(replay));
  return socket;
}

test('by time: the newest since then, in order, behind the answer and marked', async () => {
  const socket = await replayed({ since: 0, limit: 100 }, ['m1', 'm2', 'm3', 'm4', 'm5', 'm6']);
  const [reply, first] = socket.frames;
  assert.equal(reply[3], 'phx_reply');
  assert.deepEqual(first.slice(0, 4), ['1', null, `realtime:${topic}`, 'broadcast']);
  assert.deepEqual(Object.keys(first[4]), ['event', 'meta', 'payload', 'type']);
  assert.deepEqual([first[4].event, first[4].type, first[4].meta], ['message.new', 'broadcast', { id: first[4].meta.id, replayed: true }]);
  assert.match(first[4].meta.id, /^\d+$/);
  await replayed({ since: 0, limit: 3 }, ['m4', 'm5', 'm6']);
  await replayed({ since: 0, limit: 0 }, ['m6']);
  await replayed({ since: Date.now() + 3_600_000, limit: 100 }, []);
  const old = await replayed({ since: Date.now() - 3_600_000, limit: 2 }, ['m5', 'm6'], { options: { vsn: '1.0.0' } });
  assert.deepEqual(old.frames.find((f) => f.event === 'broadcast').payload.meta.replayed, true);
});

test('by event id: the first after it, and from there on what comes', async () => {
  const [, second, third] = broadcasts(await replayed({ since: 0, limit: 100 }, ['m1', 'm2', 'm3', 'm4', 'm5', 'm6']));
  await replayed({ since_id: second.meta.id, limit: 2 }, ['m3', 'm4']);
  const socket = await replayed({ since_id: Number(third.meta.id) }, ['m4', 'm5', 'm6']);
  await bed.message(conversation, 'm7');
  await until(() => contents(socket).includes('m7'), 'what comes next');
  assert.equal(broadcasts(socket).at(-1).meta.replayed, undefined);
  const inbox = await connect();
  assert.deepEqual(await inbox.join(`user:${bed.owner}:inbox`, token, '1', ask({ since: 0, limit: 2 })), joined);
  await until(() => broadcasts(inbox).length === 2, 'events of the inbox');
  assert.ok(broadcasts(inbox).every((said) => said.event === 'conversation.updated'));
});

test('what is no replay, or not for this user', async () => {
  const socket = await connect();
  const reason = async (ref, name, as, config) => (await socket.join(name, as, ref, config)).response.reason;
  assert.equal(await reason('1', topic, token, ask({ since: 'yesterday' })), 'UnableToReplayMessages: Replay params are not valid');
  assert.equal(await reason('2', 'room', token, { private: false, ...ask({ since: 1 }) }), 'UnableToReplayMessages: Replay is not allowed for public channels');
  assert.match(await reason('3', topic, sidecar.token(randomUUID()), ask({ since: 1 })), /^Unauthorized: /);
  assert.deepEqual(await socket.join('anything', roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET), '4', ask({ since: 1 })), joined, 'a topic without events');
  assert.deepEqual(await socket.join(topic, token, '5', ask(null)), joined);
  assert.deepEqual(broadcasts({ frames: await socket.settled() }), []);
});

test('what comes while the database is asked waits, is in order, and comes once', async () => {
  const other = await bed.conversation('Bia');
  const name = `conversation:${other}`;
  // A database that takes its time before it looks, and after.
  await bed.db.query(`ALTER FUNCTION chat.replay RENAME TO replay_now;
    CREATE FUNCTION chat.replay(topic text, claims jsonb, since_ms bigint, since_id bigint, max_rows integer) RETURNS TABLE (id bigint, event text, payload text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(1);
        RETURN QUERY SELECT * FROM chat.replay_now(topic, claims, since_ms, since_id, max_rows);
        PERFORM pg_advisory_xact_lock_shared(2);
    END $$;
    GRANT EXECUTE ON FUNCTION chat.replay TO chat_endpoint`);
  const lock = await bed.connect();
  await lock.query('SELECT pg_advisory_lock(1), pg_advisory_lock(2)');
  const waits = (number) => until(async () => (await bed.db.query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = ${number} AND NOT granted`)).rowCount, `to wait at ${number}`);
  const [witness, socket] = [await connect(), await connect()];
  await witness.join(name, token, '1');
  const says = async (content) => {
    await bed.message(other, content);
    await until(() => contents(witness).includes(content), `${content}, live`);
  };
  await says('before');
  assert.deepEqual(await socket.join(name, token, '1', ask({ since: 0, limit: 100 })), joined);
  await waits(1);
  await says('read and heard');
  await lock.query('SELECT pg_advisory_unlock(1)');
  await waits(2);
  await says('heard only');
  assert.deepEqual((await socket.settled()) && contents(socket), [], 'nothing before the answer');
  await lock.query('SELECT pg_advisory_unlock(2)');
  await until(() => contents(socket).length === 3, 'all three');
  await says('after');
  await until(() => contents(socket).includes('after'), 'what came after it');
  assert.deepEqual(broadcasts(socket).map((said) => [said.payload.content, said.meta.replayed ?? false]),
    [['before', true], ['read and heard', true], ['heard only', false], ['after', false]]);

  // Who has gone meanwhile is not missed.
  await lock.query('SELECT pg_advisory_lock(1)');
  const leaving = await connect();
  assert.deepEqual(await leaving.join(name, token, '1', ask({ since: 0, limit: 1 })), joined);
  await waits(1);
  leaving.send('1', '2', `realtime:${name}`, 'phx_leave', {});
  await leaving.hears((f) => f[3] === 'phx_close', 'phx_close');
  await lock.query('SELECT pg_advisory_unlock(1)');

  // More than may wait ends the channel, and it alone.
  await lock.query('SELECT pg_advisory_lock(1)');
  const late = await connect();
  assert.deepEqual(await late.join(name, token, '1', ask({ since: 0, limit: 1 })), joined);
  await waits(1);
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content) SELECT $1, 'incoming', 'many ' || g FROM generate_series(1, 1100) g`, [other]);
  await until(() => contents(witness).includes('many 1100'), 'all of them, live');
  await lock.query('SELECT pg_advisory_unlock(1)');
  assert.match((await late.hears((f) => f[3] === 'system', 'the end'))[4].message, /^UnableToReplayMessages: /);
  await bed.db.query('DROP FUNCTION chat.replay; ALTER FUNCTION chat.replay_now RENAME TO replay');
});

test('supabase-js asks for what it missed, and gets it marked', async () => {
  const subscriber = new Subscriber({ url: sidecar.url, key: sidecar.anonKey, token });
  open.push(subscriber);
  await subscriber.client.realtime.setAuth();
  const heard = [];
  const channel = subscriber.client.channel(topic, { config: { private: true, broadcast: { replay: { since: Date.now() - 60_000, limit: 25 } } } });
  channel.on('broadcast', { event: '*' }, (said) => heard.push([said.payload.content, said.meta.replayed])).subscribe();
  await until(() => heard.length >= 7, 'the messages');
  assert.deepEqual(heard.map(([content]) => content), ['m1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7']);
  assert.ok(heard.every(([, isReplayed]) => isReplayed));
  assert.ok(await sidecar.metric('chat_realtime_embedded_replayed_total') > 20);
});

test('replay fails by itself: the channel says so and ends, and may be joined without it', async () => {
  await bed.db.query('REVOKE EXECUTE ON FUNCTION chat.replay FROM chat_endpoint');
  const socket = await connect();
  assert.deepEqual(await socket.join(topic, token, '1', ask({ since: 0 })), joined);
  assert.equal((await socket.hears((f) => f[3] === 'system', 'the end'))[4].message, 'UnableToReplayMessages: Realtime was unable to replay messages');
  await socket.hears((f) => f[3] === 'phx_close', 'phx_close');
  assert.deepEqual(await socket.join(topic, token, '2'), joined);
  assert.ok(sidecar.log.some((line) => line.msg === 'events could not be replayed'));
});
