// The API's functions called by many at the same moment: what is to happen once happens once, and is told once.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Bed, fixture } from '../lib/bed.mjs';
import { connect, rows, value } from '../lib/db.mjs';

const many = 16;
let bed, clients;

before(async () => {
  bed = await Bed.create();
  await bed.role('chat_backend', 'grant_backend');
  await bed.db.query('ALTER ROLE chat_backend SET chat_realtime.rate_limits = off');
  clients = await Promise.all(Array.from({ length: many }, () => connect(bed.cluster, { user: 'chat_backend' })));
});

after(async () => {
  for (const client of clients) await client.end();
  await bed.close();
});

/** The answers of as many callers as there are, all at once; sql and parameters may depend on which. */
const together = (call) => Promise.all(clients.map((client, n) => {
  const [sql, params] = call(n);
  return value(client, `SELECT chat.${sql}`, params);
}));
const events = (conversation, event) => rows(bed.db, `SELECT event, payload::jsonb AS payload FROM chat.events WHERE conversation = $1 AND event LIKE $2 ORDER BY id`, [String(conversation), event]);
const distinct = (list) => new Set(list).size;

for (const direction of ['incoming', 'outgoing']) {
  test(`one messageId, ${many} callers, ${direction}: one message, whatever each of them wrote`, async () => {
    const here = await bed.conversation();
    const answers = await together((n) => ['save_message($1, $2)', [String(here), { content: `by ${n}`, messageId: 'ONCE', direction }]]);
    assert.equal(distinct(answers.map((m) => m.id)), 1);
    assert.equal(distinct(answers.map((m) => m.content)), 1, 'all see what was stored');
    assert.equal((await events(here, 'message.new')).length, 1);
    assert.equal(await value(bed.db, 'SELECT unread_count FROM public.conversations WHERE id = $1', [here]), direction === 'incoming' ? 1 : 0);
  });
}

test('one messageId in two conversations is two messages', async () => {
  const [here, there] = [await bed.conversation(), await bed.conversation()];
  const answers = await together((n) => ['save_message($1, $2)', [String(n % 2 ? here : there), { content: 'x', messageId: 'SHARED' }]]);
  assert.equal(distinct(answers.map((m) => m.id)), 2);
  assert.deepEqual(answers.map((m) => m.conversationId), clients.map((_, n) => (n % 2 ? here : there)));
  assert.deepEqual(await rows(bed.db, `SELECT count(*) FROM public.chat_messages WHERE message_id = 'SHARED' GROUP BY conversation_id`), [{ count: 1 }, { count: 1 }]);
});

test('save_message and ingest_wuzapi of one message, both at once', async () => {
  const body = fixture('text.json');
  const contact = await bed.conversation('Ana', body.event.Info.Chat);
  const message = { content: 'x', direction: 'incoming', messageId: body.event.Info.ID };
  await together((n) => (n % 2 ? ['ingest_wuzapi($1, $2)', [bed.owner, body]] : ['save_message($1, $2)', [String(contact), message]]));
  assert.equal((await events(contact, 'message.new')).length, 1);
});

test('a contact is one conversation', async () => {
  const owner = randomUUID();
  const answers = await together((n) => ['create_conversation($1, $2, $3)', [owner, `5511900000002${n % 2 ? ':7' : ''}@s.whatsapp.net`, `name ${n}`]]);
  assert.equal(distinct(answers.map((c) => c.id)), 1);
  assert.equal((await events(answers[0].id, 'conversation.new')).length, 1);
});

test('a message is deleted once, and audited once', async () => {
  const here = await bed.conversation();
  const message = await bed.message(here, 'goes');
  const answers = await together(() => ['delete_message($1)', [String(message)]]);
  assert.equal(answers.filter((answer) => answer !== null).length, 1);
  assert.equal((await events(here, 'message.deleted')).length, 1);
  assert.equal(await value(bed.db, `SELECT count(*) FROM chat.audit_log WHERE action = 'message.deleted' AND object = $1`, [String(message)]), 1);
});

test('edits and statuses of one message: the last one stays, nothing goes back', async () => {
  const here = await bed.conversation();
  const message = String(await bed.message(here, 'first', 'outgoing'));
  const statuses = ['pending', 'sent', 'delivered', 'read', 'failed'];
  await together((n) => (n % 2 ? ['edit_message($1, $2)', [message, `edit ${n}`]] : ['update_message_status($1, $2)', [message, statuses[(n / 2) % 5]]]));
  const stored = await value(bed.db, 'SELECT chat.row_json(1, m) FROM public.chat_messages m WHERE id = $1', [message]);
  const told = (await events(here, 'message.updated')).map((e) => e.payload.content);
  assert.deepEqual([stored.status, stored.content, told.length], ['read', told.at(-1), 8]);
  const ranks = (await events(here, 'message.status')).map((e) => ['sent', 'delivered', 'read'].indexOf(e.payload.status));
  assert.deepEqual(ranks.filter((rank) => rank >= 0), ranks.filter((rank) => rank >= 0).toSorted());
});

test('reading while messages come: each is read by one caller, and the count is right', async () => {
  const here = await bed.conversation();
  for (let n = 0; n < 50; n++) await bed.message(here, `${n}`);
  const answers = await together((n) => (n % 4 ? ['mark_read($1)', [String(here)]] : ['save_message($1, $2)', [String(here), { content: 'x', direction: 'incoming', messageId: `N${n}` }]]));
  const last = await value(clients[0], 'SELECT chat.mark_read($1)', [String(here)]);
  assert.equal(answers.filter((answer) => typeof answer === 'number').reduce((a, b) => a + b, last), 54);
  assert.deepEqual(await rows(bed.db, `SELECT unread_count, (SELECT count(*) FROM public.chat_messages m WHERE m.conversation_id = c.id AND status <> 'read') AS unread FROM public.conversations c WHERE id = $1`, [here]),
    [{ unread_count: 0, unread: 0 }]);
});

test('an archived conversation is opened by the contact, once, and stays archived for what is ours', async () => {
  const here = await bed.conversation();
  await value(clients[0], 'SELECT chat.archive_conversation($1)', [String(here)]);
  await together((n) => ['save_message($1, $2)', [String(here), { content: 'ours', messageId: `O${n}` }]]);
  assert.equal(await value(bed.db, 'SELECT status FROM public.conversations WHERE id = $1', [here]), 'resolved');
  await together((n) => ['save_message($1, $2)', [String(here), { content: 'theirs', messageId: `T${n}`, direction: 'incoming' }]]);
  const told = (await events(here, 'conversation.updated')).map((e) => e.payload.status);
  assert.deepEqual([told[0], told.at(-1)], ['resolved', 'open']);
  assert.equal(told.filter((status, n) => n > 0 && status !== told[n - 1]).length, 1, 'it changed once');
});

test('assignment: told to the owner, to the new agent and to the one before, once each', async () => {
  const here = await bed.conversation();
  const [one, two] = [randomUUID(), randomUUID()];
  const assign = (agent) => value(clients[0], 'SELECT chat.update_conversation($1, $2)', [String(here), { assignedAgentId: agent }]);
  for (const agent of [one, one, two, null, null]) await assign(agent);
  const told = await rows(bed.db, `SELECT topic, payload::jsonb ->> 'assignedAgentId' AS agent FROM chat.events WHERE conversation = $1 AND event = 'conversation.assigned' ORDER BY id`, [String(here)]);
  const inbox = (user) => `user:${user}:inbox`;
  assert.deepEqual(told.map((e) => [e.topic, e.agent]), [[inbox(bed.owner), one], [inbox(one), one], [inbox(bed.owner), two], [inbox(two), two], [inbox(one), two], [inbox(bed.owner), null], [inbox(two), null]]);
  await together((n) => ['update_conversation($1, $2)', [String(here), { assignedAgentId: n % 2 ? one : two }]]);
  const kept = await value(bed.db, 'SELECT assigned_agent_id FROM public.conversations WHERE id = $1', [here]);
  assert.equal(await value(bed.db, `SELECT payload::jsonb ->> 'assignedAgentId' FROM chat.events WHERE conversation = $1 AND event = 'conversation.assigned' ORDER BY id DESC LIMIT 1`, [String(here)]), kept);
});
