// Rights that end when they end: who may not read a conversation any more loses its channels, at once, with Realtime's words,
// and nobody else does.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { until } from '../lib/wait.mjs';

let bed, sidecar;
const agent = randomUUID();

before(async () => {
  bed = await Bed.create();
  sidecar = await bed.sidecar();
});

after(() => bed.close());

/** A conversation with an agent, and both on its channels. */
async function talk() {
  const id = await bed.conversation();
  await bed.db.query('UPDATE public.conversations SET assigned_agent_id = $1 WHERE id = $2', [agent, id]);
  const sockets = {};
  for (const [who, user] of [['owner', bed.owner], ['agent', agent]]) {
    sockets[who] = await RawSocket.open(sidecar);
    for (const [n, topic] of [`conversation:${id}`, `presence:${id}`, `user:${user}:inbox`].entries()) {
      assert.equal((await sockets[who].join(topic, sidecar.token(user), `${n}`)).status, 'ok', topic);
    }
  }
  return { id, ...sockets };
}

const closed = (socket) => socket.frames.filter((f) => f[3] === 'phx_close').map((f) => f[2].replace('realtime:', '')).sort();

/** Both of a conversation's channels are closed, and say why. */
async function loses(socket, id) {
  await until(() => closed(socket).length >= 2, () => `its end; heard ${JSON.stringify(socket.frames)}`);
  await socket.settled();
  assert.deepEqual(closed(socket), [`conversation:${id}`, `presence:${id}`]);
  const reasons = socket.frames.filter((f) => f[3] === 'system' && f[4].status === 'error').map((f) => f[4].message).sort();
  assert.deepEqual(reasons, [`conversation:${id}`, `presence:${id}`].map((topic) => `You do not have permissions to read from this Channel topic: ${topic}`));
}

async function keeps(socket) {
  await socket.settled();
  assert.deepEqual(closed(socket), []);
}

const close = ({ owner, agent: other }) => [owner, other].forEach((socket) => socket.close());

test('another agent: the former one hears nothing more, its inbox goes on, and the owner keeps all', async () => {
  const conversation = await talk();
  await bed.db.query('UPDATE public.conversations SET assigned_agent_id = $1 WHERE id = $2', [randomUUID(), conversation.id]);
  await loses(conversation.agent, conversation.id);
  await bed.message(conversation.id, 'not for you');
  await conversation.owner.hears((f) => f[4]?.payload?.content === 'not for you', 'the owner\'s message');
  await keeps(conversation.owner);
  assert.ok(!conversation.agent.frames.some((f) => f[4]?.payload?.content === 'not for you'));
  assert.match((await conversation.agent.join(`conversation:${conversation.id}`, sidecar.token(agent), '9')).response.reason, /^Unauthorized/);
  assert.equal(await sidecar.metric('chat_realtime_embedded_ended_rights_total'), 2);
  close(conversation);
});

test('no agent any more', async () => {
  const conversation = await talk();
  await bed.db.query('UPDATE public.conversations SET assigned_agent_id = NULL WHERE id = $1', [conversation.id]);
  await loses(conversation.agent, conversation.id);
  await keeps(conversation.owner);
  close(conversation);
});

test('a new owner', async () => {
  const conversation = await talk();
  await bed.db.query('UPDATE public.conversations SET user_id = $1 WHERE id = $2', [randomUUID(), conversation.id]);
  await loses(conversation.owner, conversation.id);
  await keeps(conversation.agent);
  close(conversation);
});

test('a conversation that is deleted', async () => {
  const conversation = await talk();
  await bed.db.query('DELETE FROM public.conversations WHERE id = $1', [conversation.id]);
  await loses(conversation.owner, conversation.id);
  await loses(conversation.agent, conversation.id);
  close(conversation);
});

test('what changes back and forth ends as it is', async () => {
  const conversation = await talk();
  for (let n = 0; n < 4; n++) {
    await bed.db.query('BEGIN');
    await bed.db.query('UPDATE public.conversations SET assigned_agent_id = NULL WHERE id = $1', [conversation.id]);
    await bed.db.query('UPDATE public.conversations SET assigned_agent_id = $1 WHERE id = $2', [agent, conversation.id]);
    await bed.db.query('COMMIT');
  }
  const id = await bed.message(conversation.id, 'for both');
  await conversation.agent.hears((f) => f[4]?.payload?.id === id && f[4].event === 'message.new', 'it');
  await keeps(conversation.agent);
  await keeps(conversation.owner);
  close(conversation);
});

test('a message that is not told apart from others: rights of other conversations are not asked for', async () => {
  const [one, other] = [await talk(), await talk()];
  await bed.db.query('UPDATE public.conversations SET assigned_agent_id = NULL WHERE id = $1', [one.id]);
  await loses(one.agent, one.id);
  await keeps(other.agent);
  [one, other].forEach(close);
});

test('while the database cannot be asked a channel stays, and ends once it can', async () => {
  const conversation = await talk();
  await bed.db.query(`ALTER ROLE chat_sidecar RENAME TO chat_gone`);
  await bed.db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'chat-sidecar %'`);
  await bed.db.query('UPDATE public.conversations SET assigned_agent_id = NULL WHERE id = $1', [conversation.id]);
  await keeps(conversation.agent);
  await bed.db.query(`ALTER ROLE chat_gone RENAME TO chat_sidecar`);
  await loses(conversation.agent, conversation.id);
  close(conversation);
});
