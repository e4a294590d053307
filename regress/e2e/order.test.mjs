// Order per conversation while 16 writers commit at the same time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { allDelivered, events, Load } from '../lib/load.mjs';

const topics = 8;
let bed, sidecar, receiver, subscriber, conversations;

before(async () => {
  bed = await Bed.create();
  conversations = [];
  for (let i = 0; i < topics; i++) conversations.push(await bed.conversation(`Contact ${i}`));
  receiver = await bed.receiver(['message.received', 'message.sent']);
  sidecar = await bed.sidecar();
  subscriber = await bed.subscriber(sidecar);
  await subscriber.join(`user:${bed.owner}:inbox`);
  for (const id of conversations) await subscriber.join(`conversation:${id}`);
  const load = new Load(bed.cluster, conversations, { writers: 16 });
  await load.wrote(2000, 60000);
  await load.stop();
});

after(() => bed.close());

test('a client hears every message of 16 writers, each conversation in order', async () => {
  const messages = (event) => event.event === 'message.new';
  const result = await allDelivered(bed.db, () => subscriber.heard, { only: messages });
  assert.deepEqual(result.disorder, []);
});

test('a webhook gets every message of 16 writers, each conversation in order', async () => {
  const log = (await events(bed.db)).filter((event) => event.event === 'message.new');
  // The webhook's id is its own; the message in it says which event it was.
  const byMessage = new Map((await bed.db.query(`SELECT payload::jsonb->>'id' AS message, id::text FROM chat.events WHERE event = 'message.new'`))
    .rows.map((row) => [row.message, row.id]));
  const deliveries = () => receiver.deliveries.map(({ body }) => ({ id: byMessage.get(String(body.data.id)) }));
  const result = await allDelivered(bed.db, deliveries, { only: (event) => event.event === 'message.new' });
  assert.equal(result.delivered, log.length);
  assert.deepEqual(result.disorder, []);
  assert.deepEqual(receiver.deliveries.filter((delivery) => delivery.problem), []);
});

test('the counters agree with the messages afterwards', async () => {
  const wrong = await value(bed.db, `SELECT count(*) FROM public.conversations c WHERE c.unread_count IS DISTINCT FROM
    (SELECT count(*) FROM public.chat_messages m WHERE m.conversation_id = c.id AND m.direction = 'incoming' AND m.status <> 'read')`);
  assert.equal(wrong, 0);
});

test('the last inbox event of each conversation is its final state', async () => {
  const { rows } = await bed.db.query('SELECT id, unread_count FROM public.conversations ORDER BY id');
  for (const { id, unread_count: unread } of rows) {
    await subscriber.hears((m) => m.event === 'conversation.updated' && m.payload.id === id && m.payload.unreadCount === unread,
      `conversation ${id} with unreadCount ${unread}`);
    const last = subscriber.heard.filter((m) => m.event === 'conversation.updated' && m.payload.id === id).at(-1);
    assert.equal(last.payload.unreadCount, unread);
  }
});
