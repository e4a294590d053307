// Bodies as WUZAPI sends them this year (fixtures/wuzapi/cases), in both models of tables: what is stored, counted, shown and
// told is what outcomes.mjs says; and were it written just now, what opens a closed conversation again.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { bia, outcomes, waiting } from '../fixtures/wuzapi/outcomes.mjs';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { liveModel } from '../lib/live-model.mjs';
import { root } from '../lib/workspace.mjs';

const dir = path.join(root, 'regress/fixtures/wuzapi/cases');
const cases = readdirSync(dir).filter((name) => name.endsWith('.json')).sort().map((name) => name.slice(0, -'.json'.length));
const day = Date.parse('2026-09-01T00:00:00Z');
let bed;

/** A database with one model of tables each, and how a user comes to own conversations there. */
const models = {
  design: {
    schema: 'public',
    owner: async () => randomUUID(),
    conversation: (owner, jid, status) => models.design.db.query('INSERT INTO public.conversations (user_id, contact_jid, status) VALUES ($1, $2, $3)', [owner, jid, status]),
    mine: 'c.user_id = $1',
  },
  live: {
    schema: 'live',
    async owner() {
      const user = randomUUID();
      await models.live.db.query("INSERT INTO live.accounts (name, owner_user_id) VALUES ('An account', $1)", [user]);
      return user;
    },
    conversation: (owner, jid, status) => models.live.db.query('INSERT INTO live.conversations (account_id, contact_jid, status) SELECT id, $2, $3 FROM live.accounts WHERE owner_user_id = $1', [owner, jid, status]),
    mine: 'c.account_id = (SELECT id FROM live.accounts WHERE owner_user_id = $1)',
  },
};

before(async () => {
  bed = await Bed.create();
  await bed.cluster.psql('CREATE DATABASE live');
  models.design.db = bed.db;
  models.live.db = await bed.connect({ database: 'live' });
  await models.live.db.query('CREATE EXTENSION chat_realtime');
  await liveModel(models.live.db, randomUUID(), { empty: true });
});

after(() => bed?.close());

const bodies = (name) => JSON.parse(readFileSync(path.join(dir, `${name}.json`), 'utf8'));

async function ingest(model, owner, list) {
  for (const body of list) await model.db.query('SELECT chat.ingest_wuzapi($1, $2)', [owner, JSON.stringify(body)]);
}

const conversationsOf = (model, owner) => rows(model.db, `SELECT c.*, EXISTS (SELECT FROM chat.merged_conversation m WHERE m.from_id = c.id::text) AS merged FROM ${model.schema}.conversations c
  WHERE ${model.mine} ORDER BY c.created_at, c.contact_jid`, [owner]);
const messagesOf = (model, id) => rows(model.db, `SELECT m.*, to_jsonb(m) ->> 'media_url' AS media_url, to_jsonb(m) ->> 'reply_to_message_id' AS reply_to
  FROM ${model.schema}.chat_messages m WHERE conversation_id = $1 ORDER BY COALESCE("timestamp", created_at), created_at, message_id`, [id]);

/** The events of an owner: their names, with a star where webhooks get message.received. */
const eventsOf = (model, owner) => value(model.db, `SELECT COALESCE(string_agg(event || CASE webhook WHEN 'message.received' THEN '*' ELSE '' END, ' ' ORDER BY id), '')
  FROM chat.events WHERE owner = $1`, [owner]);

/** What is expected of a value is there; it may hold more. */
function holds(actual, expected, where) {
  if (expected === null || typeof expected !== 'object') return assert.equal(actual, expected, where);
  assert.equal(typeof actual, 'object', `${where}: ${JSON.stringify(actual)}`);
  if (Array.isArray(expected)) assert.equal(actual?.length, expected.length, `${where}: ${JSON.stringify(actual)}`);
  for (const key of Object.keys(expected)) holds(actual?.[key], expected[key], `${where}.${key}`);
}

function messageIs(actual, expected, model) {
  const where = expected.id;
  const direction = expected.direction ?? 'incoming';
  assert.equal(actual.message_id, expected.id);
  assert.equal(actual.direction, direction, where);
  assert.equal(actual.message_type, expected.type ?? 'text', where);
  assert.equal(actual.content, expected.text, where);
  assert.equal(actual.status, expected.status ?? (direction === 'outgoing' ? 'sent' : 'delivered'), where);
  holds(actual.metadata, expected.metadata ?? {}, `${where} metadata`);
  if (expected.at) assert.equal(actual.timestamp.toISOString(), expected.at, where);
  assert.equal(Date.now() - actual.timestamp < 600_000, expected.arrival ?? false, `${where}: ${actual.timestamp}`);
  if (model !== models.design) return; // the live model of the tests has no such columns
  assert.equal(actual.reply_to, expected.replyTo ?? null, where);
  if (expected.mediaUrl) assert.equal(actual.media_url, expected.mediaUrl, where);
}

/** Compares what is there with what should be; conversations that were merged into others stand aside. */
async function compare(model, owner, expected) {
  const all = await conversationsOf(model, owner);
  const actual = all.filter((c) => !(expected.merged ?? []).includes(c.contact_jid));
  assert.deepEqual(actual.map((c) => c.contact_jid), expected.conversations.map((c) => c.jid));
  for (const [n, c] of expected.conversations.entries()) {
    const { contact_name: name, unread_count: unread, last_message_preview: preview, status } = actual[n];
    const shown = c.preview instanceof RegExp && c.preview.test(preview) ? preview : c.preview;
    assert.deepEqual({ name, unread, preview, status }, { name: c.name, unread: c.unread, preview: shown, status: c.status });
    const messages = await messagesOf(model, actual[n].id);
    assert.deepEqual(messages.map((m) => m.message_id), c.messages.map((m) => m.id));
    for (const [i, m] of c.messages.entries()) messageIs(messages[i], m, model);
  }
  for (const c of all.filter((c) => !actual.includes(c))) {
    assert.equal(c.status, 'resolved');
    assert.deepEqual(await messagesOf(model, c.id), []);
  }
  assert.equal(await eventsOf(model, owner), expected.events);
}

/** The same body as if it came now: every time of that day is moved. */
function now(body) {
  const shift = Date.now() - 60_000 - (day + 13 * 3600_000);
  const text = JSON.stringify(body)
    .replace(/"2026-09-01T\d\d:\d\d:\d\d[^"]*"/g, (time) => JSON.stringify(new Date(Date.parse(JSON.parse(time)) + shift).toISOString()))
    .replace(/"2026-05-16T10:58:36"/, () => JSON.stringify(new Date(Date.now() - 60_000).toISOString().slice(0, 19)))
    .replace(/("messageTimestamp":"?)1788280000/g, (_, key) => key + Math.floor((Date.now() - 60_000) / 1000));
  return JSON.parse(text);
}

test('every case has an outcome', () => {
  assert.deepEqual(Object.keys(outcomes).sort(), cases);
});

for (const [modelName, model] of Object.entries(models)) {
  for (const name of cases) {
    test(`${modelName} tables: ${name}`, { skip: waiting.has(name) && 'its addresses are not told apart yet' }, async () => {
      const owner = await model.owner();
      await ingest(model, owner, bodies(name));
      await compare(model, owner, outcomes[name]);
      // once more: nothing is stored or counted twice
      await ingest(model, owner, bodies(name));
      await compare(model, owner, { ...outcomes[name], events: await eventsOf(model, owner) });
    });
  }
}

for (const status of ['resolved', 'snoozed']) {
  test(`${status} conversations are opened by what is new of the contact alone`, async () => {
    const wrong = [];
    for (const name of cases.filter((one) => !waiting.has(one))) {
      for (const [modelName, model] of Object.entries(models)) {
        const owner = await model.owner();
        const jids = outcomes[name].conversations.map((c) => c.jid);
        for (const jid of jids.length ? jids : [bia]) await model.conversation(owner, jid, status);
        await ingest(model, owner, bodies(name).map(now));
        for (const c of (await conversationsOf(model, owner)).filter((one) => !one.merged)) {
          if (c.status !== (outcomes[name].reopens ? 'open' : status)) wrong.push(`${modelName} ${name}: ${c.status}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
  });
}
