// HistorySync of ten thousand messages: nobody's telephone rings, nothing that is newer changes, and it can come again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { sleep, until } from '../lib/wait.mjs';

const chats = 40;
const each = 250;
const past = 1_700_000_000; // seconds
let bed, subscriber, receiver, current;

const jid = (n) => `${5511900000000 + n}@s.whatsapp.net`;
/** A message of the history, oldest first: every third is ours, with every status that WhatsApp has. */
const message = (chat, n) => ({ message: { key: { ID: `H${chat}-${n}`, fromMe: n % 3 === 0, remoteJID: jid(chat) }, messageTimestamp: past + n * 60, status: n % 6,
  message: n % 10 === 0 ? { imageMessage: { mimetype: 'image/jpeg', caption: '' } } : { conversation: `old ${n}` } } });
const history = { type: 'HistorySync', event: { Data: { conversations: Array.from({ length: chats }, (_, chat) => ({
  ID: jid(chat), name: `Contact ${chat}`, unreadCount: chat % 4, messages: Array.from({ length: each }, (_, n) => message(chat, each - 1 - n)) })) } } };

before(async () => {
  bed = await Bed.create();
  const sidecar = await bed.sidecar();
  receiver = await bed.receiver(['*']);
  current = await bed.conversation('Contact 0', jid(0));
  subscriber = await bed.subscriber(sidecar);
  await subscriber.join(`user:${bed.owner}:inbox`);
  await subscriber.join(`conversation:${current}`);
  await bed.message(current, 'newer than all of it');
  await subscriber.hears((m) => m.payload.content === 'newer than all of it', 'the message before', 30000);
  const due = (await rows(bed.db, 'SELECT id FROM chat.events WHERE webhook IS NOT NULL')).map(({ id }) => `evt_${id}`);
  await until(() => due.every((id) => receiver.deliveries.some((d) => d.id === id)), 'the webhooks of what was before', 30000);
  await bed.db.query(`CREATE TABLE statements (n int); CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.statements VALUES (1); RETURN NULL; END $$;
    CREATE TRIGGER noted AFTER INSERT ON public.chat_messages FOR EACH STATEMENT EXECUTE FUNCTION noted()`);
});

after(() => bed.close());

test('all of it is stored, by one statement', async () => {
  const deliveries = receiver.attempts.length;
  const answer = await bed.ingest(history);
  assert.deepEqual(answer, { action: 'history', conversations: chats, messages: chats * each, duplicates: 0, names: 0, skipped: 0 });
  assert.equal(await value(bed.db, 'SELECT count(*) FROM statements'), 1);
  assert.equal(await value(bed.db, 'SELECT count(*) FROM public.chat_messages'), chats * each + 1);
  // What is told of it: conversations that are new or changed, to the inbox; a message sent afterwards comes behind all of that.
  await bed.message(current, 'afterwards');
  await subscriber.hears((m) => m.payload.content === 'afterwards', 'the next message', 60000);
  await until(() => receiver.deliveries.some((d) => d.body.data.content === 'afterwards'), 'its webhook', 60000);
  assert.deepEqual(subscriber.heard.filter((m) => m.event.startsWith('message.')).map((m) => m.payload.content), ['newer than all of it', 'afterwards']);
  const told = new Set(receiver.attempts.slice(deliveries).map((a) => a.id));
  assert.ok(told.size <= 2, `${told.size} webhooks: of the message afterwards and its conversation`);
  await until(() => new Set(subscriber.heard.filter((m) => m.event === 'conversation.new').map((m) => m.payload.id)).size === chats - 1, 'the new conversations', 30000);
});

test('last messages, unread counts and statuses are those of the history, and what is newer stays', async () => {
  const all = await rows(bed.db, `SELECT contact_jid, contact_name, last_message_preview, extract(epoch FROM last_message_at)::int AS at, unread_count FROM public.conversations ORDER BY contact_jid`);
  assert.deepEqual([all[0].contact_jid, all[0].last_message_preview], [jid(0), 'afterwards']);
  for (let chat = 1; chat < chats; chat++) {
    assert.deepEqual(all[chat], { contact_jid: jid(chat), contact_name: `Contact ${chat}`, last_message_preview: `old ${each - 1}`, at: past + (each - 1) * 60, unread_count: chat % 4 });
  }
  const statuses = Object.fromEntries((await rows(bed.db, `SELECT direction || ' ' || status AS s, count(*) FROM public.chat_messages WHERE message_id LIKE 'H%' GROUP BY 1`)).map((r) => [r.s, r.count]));
  const incoming = Array.from({ length: each }, (_, n) => n).filter((n) => n % 3).length * chats;
  const unread = all.slice(1).reduce((sum, { unread_count: n }) => sum + n, 0);
  const ours = (status) => Array.from({ length: each }, (_, n) => n).filter((n) => n % 3 === 0 && n % 6 === status).length * chats;
  // WhatsApp's 0 is an error, 3 is delivered; the others are not of messages that are ours here.
  assert.deepEqual(statuses, { 'incoming delivered': unread, 'incoming read': incoming - unread, 'outgoing sent': ours(0), 'outgoing delivered': ours(3) });
  assert.equal(await value(bed.db, 'SELECT chat.recount()'), 0);
});

test('a second time changes nothing and tells nothing', async () => {
  const mark = await value(bed.db, 'SELECT max(id) FROM chat.events');
  const fingerprint = () => value(bed.db, `SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM (SELECT * FROM public.chat_messages) t`);
  const before = await fingerprint();
  const last = await value(bed.db, 'SELECT id::text FROM chat.events WHERE topic = $1 ORDER BY chat.events.id DESC LIMIT 1', [`user:${bed.owner}:inbox`]);
  await subscriber.hears((m) => m.id === last, 'the last of what was told', 30000);
  const heard = subscriber.heard.length;
  assert.deepEqual(await bed.ingest(history), { action: 'history', conversations: chats, messages: 0, duplicates: chats * each, names: 0, skipped: 0 });
  assert.equal(await fingerprint(), before);
  assert.equal(await value(bed.db, 'SELECT max(id) FROM chat.events'), mark);
  await sleep(1500); // the sidecar looks once a second in any case
  assert.equal(subscriber.heard.length, heard);
});

test('a history that overlaps adds what is new, in the past', async () => {
  const [first] = history.event.Data.conversations;
  const more = { ...first, messages: [...first.messages.slice(0, 10), ...Array.from({ length: 5 }, (_, n) => message(0, -1 - n))] };
  const answer = await bed.ingest({ type: 'HistorySync', event: { Data: { conversations: [more] } } });
  assert.deepEqual([answer.messages, answer.duplicates], [5, 10]);
  assert.equal(await value(bed.db, 'SELECT last_message_preview FROM public.conversations WHERE id = $1', [current]), 'afterwards');
});
