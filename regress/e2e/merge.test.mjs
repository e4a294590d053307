// A merge as those see it who listen: conversation.merged and one conversation.updated, at supabase-js clients and webhook receivers
// what the log has, and of no message anything; what comes for the old address arrives under the conversation that stays. On the
// design's tables and on the existing project's. More than 1,000 messages are moved by the sidecar's calls, one soon after the other.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { liveModel } from '../lib/live-model.mjs';
import { Receiver } from '../lib/receiver.mjs';
import { until } from '../lib/wait.mjs';

const hidden = '140000000000777@lid';
const phone = '5531988880001@s.whatsapp.net';
const everything = ['message.received', 'message.sent', 'message.status', 'message.updated', 'message.deleted', 'conversation.created', 'conversation.updated',
  'conversation.closed', 'conversation.assigned', 'conversation.merged'];
let bed, sidecar;

before(async () => {
  bed = await Bed.create();
  await liveModel(bed.db, randomUUID(), { empty: true });
  sidecar = await bed.sidecar();
});

after(() => bed.close());

/** A user with tables of one model. */
const owners = {
  async design() {
    const owner = randomUUID();
    await bed.db.query("INSERT INTO public.conversations (user_id, contact_jid) VALUES ($1, '5500000000000@s.whatsapp.net')", [owner]);
    return owner;
  },
  async live() {
    const owner = randomUUID();
    await bed.db.query("INSERT INTO live.accounts (name, owner_user_id) VALUES ('An account', $1)", [owner]);
    await bed.db.query("INSERT INTO live.conversations (account_id, contact_jid) SELECT id, '5500000000000@s.whatsapp.net' FROM live.accounts WHERE owner_user_id = $1", [owner]);
    return owner;
  },
};

const ingest = (owner, body) => value(bed.db, 'SELECT chat.ingest_wuzapi($1, $2)', [owner, body]);

/** A text of the contact's, under one of its addresses. */
const said = (owner, chat, id, timestamp) => ingest(owner, { type: 'Message', event: { Info: { Chat: chat, Sender: chat, ID: id, IsFromMe: false, Timestamp: timestamp },
  Message: { conversation: `text ${id}` } } });

/** Who listens from the start, at a webhook, and from a join on, as a client. */
async function listeners(owner) {
  const receiver = await Receiver.start();
  bed.closing.push(() => receiver.down());
  let since = await value(bed.db, 'SELECT max(id)::text FROM chat.events');
  receiver.secret = (await value(bed.db, 'SELECT chat.create_webhook($1, $2, $3)', [owner, receiver.url, everything])).secret;
  const subscriber = await bed.subscriber(sidecar, { user: owner });
  const joined = [];
  let delivered = 0;
  return {
    async join(...topics) {
      for (const topic of topics) await subscriber.join(topic);
      joined.push(...topics);
    },
    /** Waits for all that is new in the log; {told, rung, realtime, webhooks}: what clients and receivers have to get, and what they got. */
    async news() {
      const log = await rows(bed.db, `SELECT id::text, topic, event, webhook, payload::jsonb AS payload FROM chat.events
        WHERE id > $1 AND (owner = $2 OR topic = ANY ($3)) ORDER BY id`, [since, owner, joined]);
      const told = log.filter((row) => joined.includes(row.topic));
      const rung = log.filter((row) => row.webhook);
      const heard = () => subscriber.heard.filter((one) => BigInt(one.id) > BigInt(since));
      const arrived = () => receiver.deliveries.slice(delivered);
      await until(() => heard().length >= told.length, () => `clients: ${JSON.stringify(heard())} of ${JSON.stringify(told)}`);
      await until(() => arrived().length >= rung.length, () => `webhooks: ${JSON.stringify(arrived())} of ${JSON.stringify(rung)}`);
      const news = { log, told, rung, realtime: heard(), webhooks: arrived() };
      since = log.at(-1)?.id ?? since;
      delivered += news.webhooks.length;
      return news;
    },
  };
}

/** What arrived is what the log has, the same payloads; webhooks in its order. */
function agree({ told, rung, realtime, webhooks }) {
  const byId = (a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1);
  assert.deepEqual(realtime.map(({ id, topic, event, payload }) => ({ id, topic, event, payload })).sort(byId),
    told.map(({ id, topic, event, payload }) => ({ id, topic, event, payload })));
  assert.deepEqual(webhooks.map((one) => [one.type, one.problem, one.body.data]), rung.map((row) => [row.webhook, null, row.payload]));
}

for (const model of Object.keys(owners)) {
  test(`${model} tables: WhatsApp tells that two are one`, async () => {
    const owner = await owners[model]();
    const all = await listeners(owner);
    const into = (await said(owner, phone, 'PHONE0000000001', '2026-09-01T10:00:00Z')).conversationId;
    const from = (await said(owner, hidden, 'HIDDEN000000001', '2026-09-01T10:01:00Z')).conversationId;
    assert.notEqual(from, into);
    await said(owner, hidden, 'HIDDEN000000002', '2026-09-01T10:02:00Z');
    const inbox = `user:${owner}:inbox`;
    await all.news();
    await all.join(inbox, `conversation:${from}`, `conversation:${into}`);

    await ingest(owner, { type: 'HistorySync', event: { Data: { conversations: [], phoneNumberToLidMappings: [{ lidJID: hidden, pnJID: phone }] } } });
    const merge = await all.news();
    agree(merge);
    assert.deepEqual(merge.realtime.map((one) => `${one.topic} ${one.event}`).sort(),
      [`conversation:${from} conversation.merged`, `${inbox} conversation.merged`, `${inbox} conversation.updated`].sort());
    assert.deepEqual(merge.webhooks.map((one) => one.type), ['conversation.merged', 'conversation.updated']);
    assert.deepEqual(merge.webhooks[0].body.data, { from, into });
    for (const one of merge.realtime) if (one.event === 'conversation.merged') assert.deepEqual(one.payload, { from, into });
    const updated = merge.realtime.find((one) => one.event === 'conversation.updated').payload;
    assert.deepEqual([updated.id, updated.unreadCount, updated.lastMessagePreview], [into, 3, 'text HIDDEN000000002']);
    assert.deepEqual([merge.webhooks[1].body.data.id, merge.webhooks[1].body.data.unreadCount], [into, 3]);

    assert.equal((await said(owner, hidden, 'HIDDEN000000003', '2026-09-01T10:03:00Z')).conversationId, into);
    const later = await all.news();
    agree(later);
    assert.deepEqual(later.realtime.map((one) => `${one.topic} ${one.event}`).sort(), [`conversation:${into} message.new`, `${inbox} conversation.updated`].sort());
    assert.deepEqual(later.webhooks.map((one) => one.type).sort(), ['conversation.updated', 'message.received']);
    const received = later.webhooks.find((one) => one.type === 'message.received').body.data;
    assert.deepEqual([received.conversationId, received.content], [into, 'text HIDDEN000000003']);

    // Told again: nothing
    await ingest(owner, { type: 'HistorySync', event: { Data: { conversations: [], phoneNumberToLidMappings: [{ lidJID: hidden, pnJID: phone }] } } });
    assert.deepEqual((await all.news()).log, []);
  });
}

test('a merge of 20,000 messages is done by the sidecar, call after call', async () => {
  const owner = await owners.design();
  const [into, from] = await value(bed.db, `WITH made AS (INSERT INTO public.conversations (user_id, contact_jid) VALUES ($1, $2), ($1, $3) RETURNING id)
    SELECT array_agg(id::int ORDER BY id) FROM made`, [owner, phone, hidden]);
  await bed.db.query('SET chat_realtime.import = on');
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, message_id, direction, content, status, "timestamp")
    SELECT $1, 'PORTION' || g, 'incoming', 'm' || g, 'delivered', '2026-01-01'::timestamptz + g * interval '1 s' FROM generate_series(1, 20000) g`, [from]);
  await bed.db.query('RESET chat_realtime.import');
  await sidecar.kill('SIGTERM');
  const since = await value(bed.db, 'SELECT max(id)::text FROM chat.events');
  assert.deepEqual(await value(bed.db, 'SELECT chat.merge_conversations($1, $2)', [from, into]), { from, into, moved: 1000, dropped: 0, finished: false });
  // Its first call comes soon after it has started, the next ones each minute unless there is more to do.
  sidecar = await bed.sidecar();
  await until(() => value(bed.db, 'SELECT finished_at IS NOT NULL FROM chat.merged_conversation WHERE from_id = $1', [`${from}`]), () => `the end of the merge: ${sidecar.tail()}`, 45000);
  const calls = await until(() => {
    const lines = sidecar.log.filter((line) => line.msg === 'maintenance' && /merged into/.test(line.action)).map((line) => line.action);
    return lines.some((line) => /, 20000 messages$/.test(line)) && lines;
  }, () => `the last call: ${sidecar.tail()}`);
  assert.ok(calls.filter((line) => /goes on$/.test(line)).length > 1, calls.join());
  assert.deepEqual(await rows(bed.db, 'SELECT id::int, unread_count FROM public.conversations WHERE id = ANY ($1::bigint[]) ORDER BY unread_count', [[from, into]]),
    [{ id: from, unread_count: 0 }, { id: into, unread_count: 20000 }]);
  assert.deepEqual(await rows(bed.db, 'SELECT webhook FROM chat.events WHERE id > $1 AND webhook IS NOT NULL ORDER BY id', [since]),
    [{ webhook: 'conversation.merged' }, { webhook: 'conversation.updated' }]);
});
