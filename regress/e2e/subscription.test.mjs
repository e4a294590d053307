// Logical replication: what a subscription applies has been told where it was written; its triggers stay silent.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { connect, rows, value } from '../lib/db.mjs';
import { until } from '../lib/wait.mjs';

let bed, cluster, subscriber, conversation;

before(async () => {
  bed = await Bed.create({ settings: { wal_level: 'logical' } });
  cluster = await Cluster.create();
  await cluster.psql('CREATE DATABASE chat');
  subscriber = await connect(cluster);
  await subscriber.query('CREATE EXTENSION chat_realtime');
  await subscriber.query('SELECT count(*) FROM chat.setup()');
  conversation = await bed.conversation();
  await bed.message(conversation, 'there before the subscription');
  await bed.db.query('CREATE PUBLICATION chat FOR TABLE public.conversations, public.chat_messages');
  await subscriber.query(`CREATE SUBSCRIPTION chat CONNECTION '${bed.cluster.url({ database: 'chat' })}' PUBLICATION chat`);
});

after(async () => {
  await subscriber.query('DROP SUBSCRIPTION chat').catch(() => {});
  await subscriber.end();
  await cluster.remove();
  await bed.close();
});

const contents = () => rows(subscriber, 'SELECT content, status FROM public.chat_messages ORDER BY id');
const state = (db) => rows(db, 'SELECT id, unread_count, last_message_preview FROM public.conversations ORDER BY id');

/** Waits until the subscriber has what the publisher has. */
async function caughtUp() {
  const wanted = JSON.stringify([await rows(bed.db, 'SELECT content, status FROM public.chat_messages ORDER BY id'), await state(bed.db)]);
  await until(async () => JSON.stringify([await contents(), await state(subscriber)]) === wanted, 'the subscriber does not catch up', 60000);
}

test('rows are copied and applied, counters with them', async () => {
  await caughtUp();
  const id = await bed.message(conversation, 'afterwards');
  await bed.db.query(`UPDATE public.chat_messages SET status = 'read' WHERE id = $1`, [id]);
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content) SELECT $1, 'incoming', 'bulk ' || g FROM generate_series(1, 100) g`, [conversation]);
  await bed.db.query(`DELETE FROM public.chat_messages WHERE content LIKE 'bulk 1_'`);
  await caughtUp();
  assert.equal(await value(subscriber, 'SELECT count(*) FROM chat.drifted((SELECT a FROM chat.attachment a))'), 0);
});

test('the apply worker writes no events', async () => {
  const told = await value(subscriber, `SELECT count(*) FROM chat.events WHERE payload LIKE '%bulk%' OR payload LIKE '%afterwards%'`);
  assert.equal(told, 0);
});

test('a message written at the subscriber itself is counted and told there', async () => {
  const before = await value(subscriber, 'SELECT unread_count FROM public.conversations');
  await subscriber.query(`INSERT INTO public.chat_messages (id, conversation_id, direction, content) VALUES (1000000, $1, 'incoming', 'local')`, [conversation]);
  assert.equal(await value(subscriber, 'SELECT unread_count FROM public.conversations'), before + 1);
  assert.equal(await value(subscriber, `SELECT count(*) FROM chat.events WHERE payload LIKE '%local%' AND event = 'message.new'`), 1);
});
