// Socket.IO: an unchanged server of two nodes with @socket.io/postgres-adapter, and clients of it. What arrives is compared with
// what was committed, through restarts of everything.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { SocketIoClient, SocketIoNode } from '../lib/socketio-cluster.mjs';
import { patience, sleep, until } from '../lib/wait.mjs';

const channel = 'socket.io#/chat';
const table = 'CREATE TABLE public.socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea)';
const clients = []; // the first two are the owner's, one at each node
const nodes = [];
const conversations = [];
let bed, sidecar;

async function client(node, user, of = conversations) {
  const connected = await SocketIoClient.connect(node, user, of);
  clients.push(connected);
  return connected;
}

/** A user whose bucket of the rollout is in this half. */
async function user(upper) {
  for (;;) {
    const id = randomUUID();
    if ((await value(bed.db, 'SELECT chat.rollout_bucket($1)', [id]) >= 50) === upper) return id;
  }
}

/** Messages in the order of their commits, which is that of their events. */
const committed = (conversation, after) => value(bed.db, `SELECT COALESCE(array_agg((payload::jsonb ->> 'id')::int ORDER BY id), '{}') FROM chat.events
  WHERE event = 'message.new' AND topic = 'conversation:' || $1 AND (payload::jsonb ->> 'id')::int > $2`, [conversation, after]);

/** Waits until these clients have every message of these conversations, each and in order. */
async function haveAll(of, ids = conversations, after = 0) {
  for (const id of ids) {
    const wanted = await committed(id, after);
    for (const each of of) {
      const heard = () => each.messages(id).filter((message) => message > after);
      await until(() => heard().length >= wanted.length, () => `${heard().length} of ${wanted.length} messages of ${id}; ${sidecar.tail()}`, 40000);
      assert.deepEqual(heard(), wanted);
    }
  }
}

const newest = async () => await value(bed.db, 'SELECT COALESCE(max(id), 0)::int FROM public.chat_messages');

before(async () => {
  bed = await Bed.create();
  await bed.cluster.psql(`CREATE ROLE help_desk LOGIN PASSWORD '${bed.cluster.password}'`);
  await bed.db.query('SELECT chat.set_rollout(0)');
  await bed.db.query(`${table}; ALTER TABLE public.socket_io_attachments OWNER TO help_desk; SELECT chat.grant_sidecar('chat_sidecar')`);
  for (const name of ['Ana', 'Bia', 'Caio']) conversations.push(await bed.conversation(name));
  sidecar = await bed.sidecar({ SOCKETIO_CHANNEL: channel, WEBHOOKS: 'off' });
  bed.closing.push(async () => {
    for (const each of clients) each.close();
    for (const node of nodes) if (node.child.exitCode === null && node.child.signalCode === null) await node.down();
  });
});

after(() => bed?.close());

test('a server that comes is heard of, and its clients hear', async () => {
  for (let n = 0; n < 2; n++) nodes.push(await SocketIoNode.start(bed.cluster.url({ user: 'help_desk', database: 'chat' })));
  for (const node of nodes) await client(node, bed.owner);
  await until(async () => await sidecar.metric('chat_realtime_socketio_servers') === 2, 'both nodes', 30000, 100);
  const start = await newest();
  for (const id of conversations) await bed.message(id, 'to everybody');
  await haveAll(clients, conversations, start);
});

test('without the table of attachments nothing is sent, and it is said how to make it', async () => {
  const start = await newest();
  await bed.db.query('DROP TABLE public.socket_io_attachments');
  await sidecar.kill('SIGTERM');
  sidecar.run();
  await bed.message(conversations[0], 'while there is no table');
  const reason = () => sidecar.get('/readyz').then((answer) => answer.json()).then(({ reasons }) => reasons.socketio ?? '');
  await until(async () => /there is no table public\.socket_io_attachments: CREATE TABLE/.test(await reason()), 'a reason', 20000);
  await bed.db.query(`${table}; ALTER TABLE public.socket_io_attachments OWNER TO help_desk`);
  await until(async () => (await reason()).includes(': GRANT'), 'another reason', 20000, 200);
  await bed.db.query(`GRANT ${(await reason()).split(': GRANT')[1]}`);
  await haveAll(clients, conversations, start);
  await sidecar.ready();
});

test('events have the names of the server and its payloads, at every node', async () => {
  const [here, there] = clients;
  const [conversation] = conversations;
  const content = 'Olá 👋🏽 "aspas" \\ \u2028 ação';
  const id = await bed.message(conversation, content, 'outgoing');
  await bed.db.query(`UPDATE public.chat_messages SET status = 'delivered' WHERE id = $1`, [id]);
  await bed.db.query('UPDATE public.chat_messages SET content = $2 WHERE id = $1', [id, 'edited']);
  await bed.db.query('DELETE FROM public.chat_messages WHERE id = $1', [id]);
  const fresh = await bed.conversation('Davi');
  await value(bed.db, `SELECT chat.presence($1, 'typing', $2, 'Ana')`, [conversation, bed.owner]);
  for (const each of [here, there]) {
    await until(() => each.of('typing_status').length > 0, 'typing', 20000);
    const message = each.of('new_message').find((it) => it.message.id === id);
    assert.deepEqual([message.conversationId, message.message.content, message.message.direction], [conversation, content, 'outgoing']);
    const [status] = each.of('message_status_update');
    assert.deepEqual([status.conversationId, status.messageId, status.status, typeof status.timestamp], [conversation, id, 'delivered', 'string']);
    const updates = each.of('message_update');
    assert.deepEqual(updates.map((it) => [it.conversationId, it.id, it.content, it.isDeleted]), [[conversation, id, 'edited', false], [conversation, id, 'edited', true]]);
    assert.equal(each.of('new_conversation').at(-1).conversation.id, fresh);
    const [typing] = each.of('typing_status');
    assert.deepEqual([typing.conversationId, typing.isTyping, typing.agent], [conversation, true, { id: bed.owner, username: 'Ana' }]);
    const update = each.of('conversation_update').findLast((it) => it.conversationId === conversation);
    assert.deepEqual([update.conversation.id, update.conversation.contactName], [conversation, 'Ana']);
  }
});

test('what is too long for a NOTIFY goes through the table, in order, and is cleared up', async () => {
  const listener = await bed.connect();
  const sizes = [];
  const names = [];
  listener.on('notification', ({ payload }) => {
    sizes.push(Buffer.byteLength(payload));
    if (payload.includes('attachmentId')) names.push(payload);
  });
  await listener.query(`LISTEN "${channel}"`);
  const [conversation] = conversations;
  const start = await newest();
  const add = (pad) => value(bed.db, `INSERT INTO public.chat_messages (conversation_id, content, direction, metadata) VALUES ($1, '👋', 'incoming', $2) RETURNING id::int`,
    [conversation, { ação: '👋'.repeat(10), pad: 'x'.repeat(pad) }]);
  await add(7000);
  const length = await until(() => sizes.find((size) => size > 7000), 'its NOTIFY', 20000);
  const border = 7000 + 7999 - length;
  for (const pad of [border - 1, border, border + 1, border + 2, 60000]) {
    await add(pad);
    await bed.message(conversation, `behind ${pad}`);
  }
  await haveAll(clients.slice(0, 2), conversations, start);
  for (const each of clients.slice(0, 2)) {
    const pads = each.of('new_message').filter((it) => it.message.id > start && it.message.metadata?.pad).map((it) => it.message.metadata);
    assert.deepEqual(pads.map(({ pad }) => pad.length), [7000, border - 1, border, border + 1, border + 2, 60000]);
    assert.ok(pads.every((metadata) => metadata.ação === '👋'.repeat(10)));
  }
  await until(() => names.length >= 3, () => `three that name an attachment: ${sizes}`); // by a connection of its own
  assert.ok(sizes.includes(7999) && sizes.every((size) => size < 8000), `${sizes}`);
  assert.equal(names.length, 3);
  assert.equal(await sidecar.metric('chat_realtime_socketio_attachments_total'), 3);
  await until(async () => await value(bed.db, 'SELECT count(*) FROM public.socket_io_attachments') === 0, 'the table to be empty', 30000, 200);
  await listener.end();
});

test('a private note is told as any message is', async () => {
  const id = await value(bed.db, `INSERT INTO public.chat_messages (conversation_id, content, direction, is_private_note) VALUES ($1, 'for us', 'outgoing', true) RETURNING id::int`, [conversations[1]]);
  const note = await until(() => clients[1].of('new_message').find((it) => it.message.id === id), 'the note', 20000);
  assert.equal(note.message.isPrivateNote, true);
});

test('who is served by Realtime alone hears nothing here, and nobody misses anything', async () => {
  const [moved, stays] = [await user(false), await user(true)];
  const [mine, yours] = [(await rows(bed.db, `INSERT INTO public.conversations (user_id, assigned_agent_id, contact_jid) VALUES ($1, $2, '1@s.whatsapp.net'), ($1, NULL, '2@s.whatsapp.net') RETURNING id`, [moved, stays]))].flat().map((row) => row.id);
  const [a, b] = [await client(nodes[0], moved, [mine, yours]), await client(nodes[1], stays, [mine])];
  const heard = async (content, by) => until(() => by.of('new_message').some((it) => it.message.content === content), content, 20000);
  await bed.db.query('SELECT chat.set_rollout(50)');
  await bed.message(mine, 'to both');
  await bed.message(yours, 'to the one who is moved');
  await heard('to both', b);
  await bed.db.query('SELECT chat.set_rollout(50, both_ways => true)');
  await bed.message(yours, 'both ways');
  await heard('both ways', a);
  await until(() => a.of('conversation_update').length > 0, 'the conversation behind it', 20000);
  assert.deepEqual(a.of('new_message').map((it) => it.message.content), ['both ways']);
  assert.deepEqual(a.of('conversation_update').map((it) => it.conversation.lastMessagePreview), ['both ways']);
  assert.deepEqual(b.of('new_message').map((it) => it.message.content), ['to both']);
  await bed.db.query('SELECT chat.set_rollout(0)');
});

/** 200 messages a second of all conversations, while something is done. */
async function during(fault, seconds = 2) {
  const start = await newest();
  const pool = bed.pool();
  const saved = [];
  let over = false;
  const write = async () => {
    for (let n = 0; !over || n < 50 * seconds; n++) {
      saved.push(pool.query(`INSERT INTO public.chat_messages (conversation_id, content, direction)
        SELECT c, $2 || g, 'incoming' FROM unnest($1::bigint[]) WITH ORDINALITY u (c, g) UNION ALL SELECT ($1::bigint[])[1], $2, 'outgoing'`, [conversations, `n ${n} `]).catch(() => {}));
      await sleep(20);
    }
  };
  const writing = write();
  await fault?.();
  over = true;
  await writing;
  await Promise.all(saved);
  return start;
}

describe('200 messages a second', () => {
  test('arrive at every client, in order', async () => {
    const start = await during();
    await haveAll(clients.slice(0, 2), conversations, start);
    assert.equal(await sidecar.metric('chat_realtime_socketio_repeated_total'), 0);
  });

  test('the sidecar is killed and started again', async () => {
    const start = await during(async () => {
      await sidecar.kill('SIGKILL');
      sidecar.run();
      await sidecar.ready();
    }, 1);
    await haveAll(clients.slice(0, 2), conversations, start);
  });

  test('a node is killed: clients of the other one miss nothing, its own hear again when it is back', async () => {
    const start = await during(async () => {
      await nodes[1].down('SIGKILL');
      await sleep(500);
      await nodes[1].up();
    }, 1);
    await haveAll(clients.slice(0, 1), conversations, start);
    await until(() => clients[1].socket.connected, 'the client to be back', 20000);
    await clients[1].joined;
    const later = await during(undefined, 1);
    await haveAll(clients.slice(0, 2), conversations, later);
  });

  test('a node loses its connection and makes another one: it gets what it has missed', async () => {
    const repeated = await sidecar.metric('chat_realtime_socketio_repeated_total');
    const start = await during(async () => {
      await bed.db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'socket.io' AND query ~ '^LISTEN' ORDER BY pid LIMIT 1`);
      await sleep(1000 * patience);
    }, 2);
    await haveAll(clients.slice(0, 2), conversations, start);
    assert.ok(await sidecar.metric('chat_realtime_socketio_repeated_total') > repeated);
  });

  test('PostgreSQL is restarted', async () => {
    const start = await during(async () => {
      await bed.cluster.restart('immediate');
      await bed.reconnect();
    }, 1);
    await haveAll(clients.slice(0, 2), conversations, start);
    assert.ok(clients.slice(0, 2).every((each) => each.socket.connected));
  });
});

test('nodes go on hearing each other, and count no node that there is not', async () => {
  nodes[0].emit(`conversation:${conversations[2]}`, 'agent_joined', { conversationId: conversations[2] });
  for (const each of clients.slice(0, 2)) await until(() => each.of('agent_joined').length === 1, 'the other node', 20000);
  await sidecar.ready();
  assert.equal(await sidecar.metric('chat_realtime_socketio_events_total', 'result="failed"'), 0);
});

test('it ends when it is told to, and another one goes on where it was', async () => {
  const start = await newest();
  for (let n = 0; n < 20; n++) await bed.message(conversations[n % 3], `last ${n}`);
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
  for (let n = 0; n < 20; n++) await bed.message(conversations[n % 3], `while away ${n}`);
  sidecar.run();
  await sidecar.ready();
  await haveAll(clients.slice(0, 2), conversations, start);
});
