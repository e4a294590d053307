// Schema chat through PostgREST's conventions, called by supabase-js: users by their JWT, programs by an API key, the service.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createClient } from '@supabase/supabase-js';
import { Bed, fixture } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { roleToken, userToken } from '../lib/jwt.mjs';
import { PostgrestFront } from '../lib/postgrest.mjs';
import ws from 'ws';

const secret = randomBytes(24).toString('hex');
const other = randomUUID();
let bed, front, ann, bob, anon, service, conversation, foreign;

/** A client as a browser has it: with the anon key, and what else it sends. */
function client({ user, token = user && userToken(user, secret), key } = {}) {
  const supabase = createClient(front.url, roleToken('anon', secret), {
    ...(token ? { accessToken: async () => token } : { auth: { persistSession: false, autoRefreshToken: false } }),
    global: { headers: key === undefined ? {} : { 'X-API-Key': key } },
    realtime: { transport: ws },
  });
  const chat = supabase.schema('chat');
  return async (name, args, options) => chat.rpc(name, args, options);
}

/** What a call gives back, which must be well. */
async function result(answer) {
  const { data, error, status } = await answer;
  assert.equal(error, null, JSON.stringify(error));
  assert.equal(status, 200);
  return data;
}

async function refused(answer, status, code) {
  const { data, error, status: given } = await answer;
  assert.deepEqual([given, error?.code, data], [status, code, null], JSON.stringify(error));
  return error;
}

before(async () => {
  bed = await Bed.create();
  await bed.db.query(`CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN; CREATE ROLE service_role NOLOGIN BYPASSRLS;
    CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD '${bed.cluster.password}'; GRANT anon, authenticated, service_role TO authenticator`);
  await bed.db.query('SELECT * FROM chat.setup()');
  front = await PostgrestFront.start(bed.cluster, { user: 'authenticator', secret });
  bed.closing.push(() => front.close());
  [ann, bob] = [bed.owner, other].map((user) => client({ user }));
  anon = client();
  service = client({ token: roleToken('service_role', secret) });
  conversation = (await result(ann('create_conversation', { owner: bed.owner, contact_jid: '5511900000001@s.whatsapp.net', contact_name: 'Ana' }))).id;
  foreign = (await result(bob('create_conversation', { owner: other, contact_jid: '5511900000001@s.whatsapp.net' }))).id;
});

after(() => bed.close());

test('a user: conversations and messages from beginning to end', async () => {
  const id = String(conversation);
  const sent = await result(ann('save_message', { conversation_id: id, message: { content: 'olá', messageId: 'M1', metadata: { a_b: [1, null, 'ü'] } } }));
  assert.deepEqual([sent.content, sent.direction, sent.metadata], ['olá', 'outgoing', { a_b: [1, null, 'ü'] }]);
  assert.equal((await result(ann('save_message', { conversation_id: id, message: { content: 'again', messageId: 'M1' } }))).id, sent.id);
  await result(service('save_message', { conversation_id: id, message: { content: 'oi', direction: 'incoming', messageId: 'M2' } }));
  assert.equal((await result(ann('get_conversation', { conversation_id: id }))).unreadCount, 1);
  assert.equal((await result(ann('update_message_status', { message_id: String(sent.id), status: 'delivered', at: '2026-06-18T13:19:38Z' }))).status, 'delivered');
  assert.equal((await result(ann('edit_message', { message_id: String(sent.id), content: 'olá!' }))).content, 'olá!');
  assert.equal(await result(ann('mark_read', { conversation_id: id })), 1);
  assert.deepEqual((await result(ann('list_messages', { conversation_id: id, limit: 1 }))).data.map((m) => m.content), ['oi']);
  assert.deepEqual((await result(ann('search_messages', { conversation_id: id, search: 'OLÁ' }))).data.map((m) => m.id), [sent.id]);
  assert.equal((await result(ann('delete_message', { message_id: String(sent.id) }))).id, sent.id);
  assert.equal((await result(ann('update_conversation', { conversation_id: id, changes: { status: 'pending' } }))).status, 'pending');
  assert.equal((await result(ann('archive_conversation', { conversation_id: id }))).status, 'resolved');
  assert.equal((await result(ann('presence', { conversation_id: id, state: 'typing', username: 'Ann' }))).isTyping, true);
  assert.equal(await result(ann('realtime_provider', {})), 'supabase');
  const missed = await result(ann('events_since', { topic: `conversation:${id}`, after_id: 0 }));
  assert.ok(missed.length >= 4 && missed.every((e) => e.id > 0 && e.payload), 'a set of rows is an array');
  const page = await result(ann('topic_events', { topic: `conversation:${id}`, after_id: missed[0].id, limit: 2 }));
  assert.deepEqual([page.data.map((e) => e.id), page.hasMore], [missed.slice(1, 3).map((e) => e.id), true]);
  assert.equal((await result(ann('ingest_wuzapi', { owner: bed.owner, payload: fixture('text.json') }))).action, 'message');
});

test('GET: arguments in the query string, in a transaction that only reads', async () => {
  const list = await result(ann('list_conversations', { owner: bed.owner, limit: 1 }, { get: true }));
  assert.deepEqual([list.data.length, list.pagination.limit], [1, 1]);
  assert.equal((await result(ann('list_messages', { conversation_id: String(conversation), limit: 5 }, { get: true }))).success, true);
  await refused(ann('mark_read', { conversation_id: String(conversation) }, { get: true }), 405, '25006');
});

test('pages by cursor: all rows, once', async () => {
  const owner = randomUUID();
  await bed.db.query(`INSERT INTO public.conversations (user_id, contact_jid) SELECT $1, n FROM generate_series(1, 45) n`, [owner]);
  const seen = [];
  for (let cursor = null; cursor !== undefined;) {
    const { data, pagination } = await result(client({ user: owner })('list_conversations', { owner, page: null, limit: 10, cursor }));
    seen.push(...data.map((row) => row.id));
    cursor = pagination.cursor ?? undefined;
  }
  assert.deepEqual([seen.length, new Set(seen).size], [45, 45]);
});

test('of another owner is as if missing; nobody and other users are told so', async () => {
  const calls = [['get_conversation', {}], ['list_messages', {}], ['mark_read', {}], ['archive_conversation', {}], ['save_message', { message: { content: 'x' } }],
    ['update_conversation', { changes: { status: 'open' } }], ['presence', { state: 'join' }]];
  for (const [name, args] of calls) {
    for (const id of [foreign, 999999999]) assert.equal(await result(ann(name, { conversation_id: String(id), ...args })), null, name);
    await refused(anon(name, { conversation_id: String(conversation), ...args }), 401, '42501');
  }
  await refused(ann('list_conversations', { owner: other }), 403, '42501');
  await refused(ann('events_since', { topic: `conversation:${foreign}`, after_id: 0 }), 403, '42501');
  assert.equal((await result(service('get_conversation', { conversation_id: String(foreign) }))).id, foreign, 'the service acts for all');
});

test('bad input is 400 with its SQLSTATE', async () => {
  const id = String(conversation);
  for (const [name, args, code] of [
    ['get_conversation', { conversation_id: null }, '22004'], ['get_conversation', { conversation_id: 'x' }, '22P02'],
    ['list_messages', { conversation_id: id, limit: 0 }, '22023'], ['list_messages', { conversation_id: id, limit: -1 }, '22023'],
    ['list_messages', { conversation_id: id, limit: 'x' }, '22P02'], ['list_messages', { conversation_id: id, cursor: 'tampered' }, '22023'],
    ['save_message', { conversation_id: id, message: [] }, '22023'], ['save_message', { conversation_id: id, message: { content: 'x', type: 'hologram' } }, '23514'],
    ['update_conversation', { conversation_id: id, changes: { unreadCount: 9 } }, '22023'],
    ['ingest_wuzapi', { owner: bed.owner, payload: { type: 'Message' } }, '22004'],
  ]) await refused(ann(name, args), 400, code);
  assert.equal((await result(ann('list_messages', { conversation_id: id, limit: 1e9 }))).pagination.limit, 100);
  await refused(ann('list_messages', { conversation: id }), 404, 'PGRST202');
  await refused(ann('authenticate', { key: 'x' }), 403, '42501');
});

const newKey = async (settings = {}, user = ann) =>
  (await result(user('create_api_key', { owner: bed.owner, name: 'program', ...settings }))).key;

test('an API key acts as its user, whatever token is beside it, and no further than its scopes', async () => {
  const [read, write, admin] = await Promise.all([newKey({ scopes: ['chat:read'] }), newKey(), newKey({ scopes: ['chat:admin'] })]);
  const id = String(conversation);
  for (const token of [undefined, userToken(other, secret), roleToken('service_role', secret)]) {
    const program = client({ key: read, token });
    assert.equal((await result(program('get_conversation', { conversation_id: id }))).id, conversation);
    assert.equal(await result(program('get_conversation', { conversation_id: String(foreign) })), null);
    assert.equal((await result(program('list_messages', { conversation_id: id }, { get: true }))).success, true);
    const { message } = await refused(program('mark_read', { conversation_id: id }), 403, 'INSUFFICIENT_SCOPES');
    assert.equal(message, 'Insufficient permissions');
  }
  assert.equal((await result(client({ key: write })('save_message', { conversation_id: id, message: { content: 'by key' } }))).content, 'by key');
  await refused(client({ key: write })('create_webhook', { owner: bed.owner, url: 'https://example.com', events: ['*'] }), 403, 'INSUFFICIENT_SCOPES');
  assert.match((await result(client({ key: admin })('create_webhook', { owner: bed.owner, url: 'https://example.com', events: ['*'] }))).secret, /^whsec_/);
  assert.ok(await value(bed.db, 'SELECT bool_or(last_used_at IS NOT NULL) FROM public.chat_api_keys'));
});

test('keys that are none: 401 with the code, and nothing is done', async () => {
  const gone = await newKey();
  await result(ann('revoke_api_key', { id: await value(bed.db, 'SELECT id FROM public.chat_api_keys ORDER BY created_at DESC LIMIT 1') }));
  for (const [key, code] of [['', 'API_KEY_MISSING'], ['x', 'API_KEY_INVALID_FORMAT'], ['x'.repeat(8000), 'API_KEY_INVALID_FORMAT'], [gone, 'API_KEY_INVALID']]) {
    const program = client({ key, user: bed.owner });
    await refused(program('save_message', { conversation_id: String(conversation), message: { content: 'never' } }), 401, code);
  }
  assert.equal(await value(bed.db, `SELECT count(*) FROM public.chat_messages WHERE content = 'never'`), 0);
});

/** One request as it is on the wire. */
const wire = (name, args, headers) => fetch(`${front.url}/rest/v1/rpc/${name}`, {
  method: 'POST', headers: { 'Content-Type': 'application/json', 'Content-Profile': 'chat', ...headers }, body: JSON.stringify(args) });

test('limits: told with every answer, 429 beyond, and requests that are rolled back count', async () => {
  const key = await newKey({ rate_limit: 6 });
  const ask = (name = 'get_conversation', args = { conversation_id: String(conversation) }) => wire(name, args, { 'X-API-Key': key });
  const first = await ask();
  assert.equal(first.headers.get('RateLimit-Policy'), '"default";q=6;w=60');
  assert.match(first.headers.get('RateLimit'), /^"default";r=\d;t=\d+$/);
  assert.equal(first.headers.get('X-RateLimit-Limit'), '6');
  const failing = await Promise.all(Array.from({ length: 10 }, () => ask('list_messages', { conversation_id: String(conversation), limit: -1 })));
  const counts = { 400: 0, 429: 0 };
  for (const { status } of failing) counts[status]++;
  assert.ok(counts[400] <= 6 && counts[429] >= 4 && counts[400] + counts[429] === 10, JSON.stringify(counts));
  const over = failing.find(({ status }) => status === 429);
  assert.ok(Number(over.headers.get('Retry-After')) >= 1);
  assert.equal(over.headers.get('X-RateLimit-Remaining'), '0');
  assert.deepEqual(Object.keys(await over.json()).sort(), ['code', 'details', 'hint', 'message']);
  assert.equal((await wire('list_messages', { conversation_id: 'x' }, { 'X-API-Key': 'x' })).headers.get('WWW-Authenticate'), 'ApiKey');
});

test('more than 10 messages of a user in a second are 429', async () => {
  const sends = await Promise.all(Array.from({ length: 40 }, (_, n) => ann('save_message', { conversation_id: String(conversation), message: { content: `${n}`, messageId: `B${n}` } })));
  const tooMany = sends.filter(({ status }) => status === 429);
  assert.ok(tooMany.length > 0 && tooMany.every(({ error }) => error.code === 'PT429'));
  const stored = await value(bed.db, `SELECT count(*) FROM public.chat_messages WHERE message_id LIKE 'B%'`);
  assert.equal(stored, sends.filter(({ status }) => status === 200).length);
});

test('a token of another secret, one that is over, and a role that it may not take', async () => {
  await refused(client({ token: userToken(bed.owner, 'x'.repeat(32)) })('current_user_id', {}), 401, 'PGRST301');
  await refused(client({ token: userToken(bed.owner, secret, { expiresIn: -60 }) })('current_user_id', {}), 401, 'PGRST303');
  await refused(client({ token: userToken(bed.owner, secret, { role: 'postgres' }) })('current_user_id', {}), 403, '42501');
  assert.equal(await result(ann('current_user_id', {})), bed.owner);
  assert.equal(await result(anon('current_user_id', {})), null);
});
