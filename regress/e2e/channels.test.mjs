// The embedded endpoint: who may join, both serializers, and connections that misbehave.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Bed } from '../lib/bed.mjs';
import { roleToken, sign, userToken } from '../lib/jwt.mjs';
import { until, within } from '../lib/wait.mjs';

let bed, sidecar, conversation, witness;

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  sidecar = await bed.sidecar();
  // Joined the whole time: whatever others do, it stays connected.
  witness = await bed.subscriber(sidecar);
  await witness.join(`conversation:${conversation}`);
});

after(() => bed.close());

async function stillDelivers(subscriber = witness) {
  const text = `ping ${randomUUID()}`;
  await bed.message(conversation, text);
  return subscriber.hears((m) => m.payload.content === text, text);
}

test('the owner hears its conversation, with the event id as message id', async () => {
  const message = await stillDelivers();
  const { rows } = await bed.db.query(`SELECT e.id::text FROM chat.events e WHERE e.event = 'message.new' ORDER BY e.id DESC LIMIT 1`);
  assert.equal(message.id, rows[0].id);
});

for (const vsn of ['1.0.0', '2.0.0']) {
  test(`serializer ${vsn}: supabase-js joins, hears and leaves`, async () => {
    const subscriber = await bed.subscriber(sidecar, { options: { vsn } });
    const channel = await subscriber.join(`conversation:${conversation}`);
    await stillDelivers(subscriber);
    assert.equal(await channel.unsubscribe(), 'ok');
    await stillDelivers();
    const heard = subscriber.heard.length;
    await stillDelivers();
    assert.equal(subscriber.heard.length, heard);
    await subscriber.close();
  });
}

test('a foreign user is refused a conversation and an inbox', async () => {
  const foreigner = await bed.subscriber(sidecar, { user: randomUUID() });
  await assert.rejects(foreigner.join(`conversation:${conversation}`), /Unauthorized|permission/i);
  await assert.rejects(foreigner.join(`user:${bed.owner}:inbox`), /Unauthorized|permission/i);
  await stillDelivers();
  assert.equal(foreigner.heard.length, 0);
});

test('anon, an expired token and a forged one are refused', async () => {
  const secret = sidecar.env.EMBEDDED_JWT_SECRET;
  for (const token of [roleToken('anon', secret), sidecar.token(bed.owner, { expiresIn: -10 }), userToken(bed.owner, 'another secret'),
    sign({ sub: bed.owner, role: 'authenticated', exp: 4e9 }, '', { alg: 'none', typ: 'JWT' })]) {
    const subscriber = await bed.subscriber(sidecar);
    subscriber.token = token;
    await assert.rejects(subscriber.join(`conversation:${conversation}`), (error) => !/SUBSCRIBED/.test(error.message));
    await subscriber.close();
  }
});

test('topics that are none of ours are refused as private channels', async () => {
  for (const topic of ['conversation:', 'conversation:999999', 'conversation:1 OR 1=1', "conversation:';", `user:${bed.owner}`, 'anything']) {
    await assert.rejects(witness.join(topic), undefined, topic);
  }
  await stillDelivers();
});

test('an assigned agent may join the conversation', async () => {
  const agent = randomUUID();
  const subscriber = await bed.subscriber(sidecar, { user: agent });
  await assert.rejects(subscriber.join(`conversation:${conversation}`));
  await bed.db.query('UPDATE public.conversations SET assigned_agent_id = $1 WHERE id = $2', [agent, conversation]);
  await subscriber.join(`conversation:${conversation}`);
  await stillDelivers(subscriber);
});

test('two subscribers of a topic both hear, a public channel of the same name is refused', async () => {
  const second = await bed.subscriber(sidecar);
  await second.join(`conversation:${conversation}`);
  const outsider = await bed.subscriber(sidecar, { user: randomUUID() });
  await assert.rejects(outsider.join(`conversation:${conversation}`, { isPrivate: false }), /PrivateOnly/);
  await Promise.all([stillDelivers(second), stillDelivers()]);
  assert.equal(outsider.heard.length, 0);
});

function raw(vsn = '2.0.0', key = sidecar.anonKey) {
  return new WebSocket(`${sidecar.url.replace('http', 'ws')}/realtime/v1/websocket?apikey=${key}&vsn=${vsn}`);
}

const garbage = {
  'text that is no JSON': 'hello',
  'JSON that is no frame': '{"a":[1,2,3]}',
  'a frame with wrong types': '[1,{"a":1},null,[],"x"]',
  'an array too short': '["1","1"]',
  'deeply nested JSON': '['.repeat(100000),
  'an unknown binary type': Buffer.from([99, 1, 2, 3]),
  'a binary push that ends early': Buffer.from([3, 255, 255, 255, 255, 255, 1]),
  'an empty binary frame': Buffer.alloc(0),
};

for (const [what, frame] of Object.entries(garbage)) {
  test(`raw WebSocket: ${what} harms no one else`, async () => {
    const socket = raw();
    socket.on('error', () => {});
    await within(once(socket, 'open'), 'a connection');
    socket.send(frame);
    // Either the server closes this connection, or it goes on to answer heartbeats.
    const closed = once(socket, 'close').then(() => 'closed');
    const answered = new Promise((resolve) => {
      socket.on('message', (data) => {
        if (String(data).includes('"beat"')) resolve('answered');
      });
    });
    socket.send('[null,"beat","phoenix","heartbeat",{}]');
    assert.ok(['closed', 'answered'].includes(await within(Promise.race([closed, answered]), 'neither closed nor answered')));
    socket.terminate();
    await stillDelivers();
  });
}

test('raw WebSocket: text that is not UTF-8 closes that connection', async () => {
  const socket = raw();
  socket.on('error', () => {});
  await within(once(socket, 'open'), 'a connection');
  socket.send(Buffer.from([0x22, 0xff, 0xfe, 0x22]), { binary: false });
  await within(once(socket, 'close'), 'the connection to be closed');
  await stillDelivers();
});

test('raw WebSocket: a frame that is too long closes that connection', async () => {
  const socket = raw();
  socket.on('error', () => {});
  await within(once(socket, 'open'), 'a connection');
  socket.send(`["1","1","realtime:x","broadcast",{"x":"${'y'.repeat(5_100_000)}"}]`);
  await within(once(socket, 'close'), 'the connection to be closed');
  await stillDelivers();
});

test('a connection without a key or with a bad one is refused', async () => {
  for (const key of ['', 'nonsense', userToken(bed.owner, 'another secret')]) {
    const socket = raw('2.0.0', key);
    const refused = new Promise((resolve) => {
      socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
      socket.on('error', () => resolve('error'));
      socket.on('open', () => resolve('open'));
      socket.on('close', () => resolve('closed'));
    });
    const end = await within(refused, 'an answer');
    socket.terminate();
    assert.notEqual(end, 'open');
  }
});

test('HTTP broadcast: 202 with a service key, 401 without, 422 and 400 for what is no batch', async () => {
  const post = (body, headers) => fetch(`${sidecar.url}/api/broadcast`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
  const service = { authorization: `Bearer ${roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET)}` };
  const batch = JSON.stringify({ messages: [{ topic: `conversation:${conversation}`, event: 'custom', payload: { a: 1 }, private: true, id: 'x-1' }] });
  assert.equal((await post(batch, service)).status, 202);
  const message = await witness.hears((m) => m.event === 'custom', 'the broadcast');
  assert.deepEqual([message.id, message.payload], ['x-1', { a: 1 }]);
  assert.equal((await post(batch, {})).status, 401);
  assert.equal((await post('{"messages":[]}', service)).status, 422);
  assert.equal((await post('{"messages":[{"topic":"a"}]}', service)).status, 422);
  assert.equal((await post('{', service)).status, 400);
  assert.equal((await fetch(`${sidecar.url}/nothing`)).status, 404);
});

test('a client hears again after the sidecar was killed and came back', async () => {
  await sidecar.kill('SIGKILL');
  sidecar.run();
  await sidecar.ready();
  await until(async () => {
    await bed.message(conversation, 'back again');
    return witness.heard.some((m) => m.payload.content === 'back again');
  }, 'the client to join again by itself', 20000, 500);
});
