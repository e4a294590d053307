// The example backend, with everything behind it: PostgreSQL, the extension, the sidecar and a webhook receiver.
// Every answer is held against its OpenAPI document (see lib/backend.mjs).
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Backend, call, document } from '../lib/backend.mjs';
import { Bed, fixture } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { Receiver } from '../lib/receiver.mjs';
import { until } from '../lib/wait.mjs';
import { root } from '../lib/workspace.mjs';

const hmacKey = 'k'.repeat(32);
const phone = '5511900000001@s.whatsapp.net';
let bed, backend, sidecar, token, key;

/** A request as the owner, with its key unless options say otherwise. */
const api = (method, route, options) => call(backend, method, route, options?.token || options?.key !== undefined ? options : { key, ...options });
const get = (route, options) => api('GET', route, options);
const post = (route, body = {}, options = {}) => api('POST', route, { body, ...options });

async function newKey(owner, settings = {}) {
  const made = await post('/api-keys', { name: 'test', scopes: ['chat:admin'], rateLimit: 1_000_000, ...settings }, { token: backend.token(owner) });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.data.key;
}

const conversation = async (name = 'Ana', jid = `${5511900000000 + Math.floor(Math.random() * 1e8)}@s.whatsapp.net`, options = {}) =>
  (await post('/conversations', { contactJid: jid, contactName: name }, options)).body.data;

before(async () => {
  bed = await Bed.create();
  await bed.role('chat_backend', 'grant_backend');
  await bed.role('chat_backend_unlimited', 'grant_backend');
  await bed.db.query('ALTER ROLE chat_backend_unlimited SET chat_realtime.rate_limits = off');
  sidecar = await bed.sidecar();
  backend = await Backend.start(bed.cluster, { user: 'chat_backend_unlimited', wuzapi: [
    { userID: 'signed', owner: bed.owner, hmacKey },
    { userID: 'by-token', token: 'wuzapi-token', owner: bed.owner },
  ] });
  bed.closing.push(() => backend.stop());
  token = backend.token(bed.owner);
  key = await newKey(bed.owner);
});

after(() => bed.close());

test('the document is OpenAPI 3.1 and describes exactly the routes there are', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors));
  const { createApp } = await import(path.join(root, 'examples/node/app.mjs'));
  const chat = createApp({ db: {}, jwtSecret: 'x' }).router.stack.map((layer) => layer.handle.stack).find((stack) => stack?.length > 10);
  const routes = chat.filter((layer) => layer.route).flatMap(({ route }) =>
    Object.keys(route.methods).map((method) => `${method} ${route.path.replaceAll(/:(\w+)/g, '{$1}')}`));
  const described = Object.entries(document.paths).flatMap(([route, item]) =>
    Object.keys(item).filter((method) => method !== 'parameters').map((method) => `${method} ${route}`));
  assert.deepEqual([...routes, 'post /wuzapi'].sort(), described.sort());
});

test('a conversation from beginning to end', async () => {
  const made = await conversation('Ana', '5511900000042@s.whatsapp.net');
  assert.deepEqual([made.contactName, made.status, made.unreadCount], ['Ana', 'open', 0]);
  assert.equal((await conversation('Other', '5511900000042@s.whatsapp.net')).id, made.id, 'made once');
  const here = `/conversations/${made.id}`;

  const sent = await post(`${here}/messages`, { content: 'Bom dia', metadata: { keep_this: 1 } });
  assert.equal(sent.status, 201);
  assert.deepEqual([sent.body.data.content, sent.body.data.direction, sent.body.data.metadata], ['Bom dia', 'outgoing', { keep_this: 1 }]);
  await bed.message(made.id, 'Oi!');
  await bed.message(made.id, 'Tudo bem?');

  const listed = await get('/conversations?hasUnread=true');
  assert.deepEqual(listed.body.data.map(({ id, unreadCount, lastMessagePreview }) => [id, unreadCount, lastMessagePreview]), [[made.id, 2, 'Tudo bem?']]);
  const messages = await get(`${here}/messages?limit=2`);
  assert.deepEqual(messages.body.data.map((m) => m.content), ['Oi!', 'Tudo bem?']);
  assert.equal(messages.body.pagination.hasMore, true);
  const older = await get(`${here}/messages?limit=2&cursor=${encodeURIComponent(messages.body.pagination.cursor)}`);
  assert.deepEqual(older.body.data.map((m) => m.content), ['Bom dia']);

  const read = await post(`${here}/read`);
  assert.deepEqual(read.body, { success: true, message: 'Conversation marked as read', data: { updated: 2 } });
  assert.equal((await get(here)).body.data.unreadCount, 0);

  const agent = randomUUID();
  const changed = await api('PATCH', here, { body: { status: 'pending', assignedAgentId: agent, isMuted: true } });
  assert.deepEqual([changed.body.data.status, changed.body.data.assignedAgentId, changed.body.data.isMuted], ['pending', agent, true]);
  assert.deepEqual((await get(`/conversations?assignedTo=${agent}&status=pending`)).body.data.map((c) => c.id), [made.id]);

  const edited = await api('PATCH', `/messages/${sent.body.data.id}`, { body: { content: 'Bom dia, Ana' } });
  assert.equal(edited.body.data.content, 'Bom dia, Ana');
  assert.deepEqual((await get(`/search/messages?conversationId=${made.id}&q=dia,`)).body.data.map((m) => m.id), [sent.body.data.id]);
  assert.deepEqual((await get('/search/conversations?q=00042@s')).body.data.map((c) => c.id), [made.id]);
  assert.deepEqual((await get('/search/conversations?q=%25')).body.data, [], 'a wildcard is a letter');
  assert.equal((await api('DELETE', `/messages/${sent.body.data.id}`)).status, 200);
  assert.equal((await api('DELETE', `/messages/${sent.body.data.id}`)).status, 404);

  assert.equal((await api('DELETE', here)).body.data.status, 'resolved');
  assert.deepEqual((await get('/conversations?status=resolved')).body.data.map((c) => c.id), [made.id]);
});

test('a message that is sent twice with one messageId is one message', async () => {
  const { id } = await conversation();
  const body = { content: 'once', messageId: randomUUID() };
  const answers = await Promise.all(Array.from({ length: 8 }, () => post(`/conversations/${id}/messages`, body)));
  assert.equal(new Set(answers.map((answer) => answer.body.data.id)).size, 1);
  assert.equal((await get(`/conversations/${id}/messages`)).body.data.length, 1);
});

test('API keys: shown once, listed without the key, changed, regenerated, revoked', async () => {
  const login = { token };
  const made = await post('/api-keys', { name: 'CRM', scopes: ['chat:read'], rateLimit: 50, expiresAt: '2099-01-01T00:00:00Z' }, login);
  const { id, key: first } = made.body.data;
  assert.match(first, /^csk_[0-9A-Za-z]{55}$/);
  const find = async () => (await get('/api-keys', login)).body.data.find((k) => k.id === id);
  assert.deepEqual([(await find()).name, (await find()).keyPrefix, (await find()).rateLimit], ['CRM', first.slice(0, 10), 50]);
  assert.equal((await get('/conversations', { key: first })).status, 200);
  const refused = await post('/conversations', { contactJid: phone }, { key: first });
  assert.deepEqual([refused.status, refused.body.code, refused.body.missingScopes], [403, 'INSUFFICIENT_SCOPES', ['chat:write']]);
  const changed = await api('PATCH', `/api-keys/${id}`, { body: { name: 'CRM 2', scopes: ['chat:read', 'chat:write'] }, ...login });
  assert.deepEqual([changed.body.data.name, changed.body.data.scopes], ['CRM 2', ['chat:read', 'chat:write']]);
  assert.equal((await post('/conversations', { contactJid: phone }, { key: first })).status, 201);
  const second = (await post(`/api-keys/${id}/regenerate`, {}, login)).body.data;
  assert.notEqual(second.key, first);
  for (const valid of [first, second.key]) assert.equal((await get('/conversations', { key: valid })).status, 200, 'both, for a day');
  assert.equal((await api('DELETE', `/api-keys/${second.id}`, login)).status, 200);
  const gone = await get('/conversations', { key: second.key });
  assert.deepEqual([gone.status, gone.body.code], [401, 'API_KEY_INVALID']);
  const unknown = await post('/api-keys', { name: 'x', scopes: ['chat:read', 'all'] }, login);
  assert.deepEqual(unknown.body, { error: 'Invalid scopes', code: 'INVALID_VALUE', field: 'scopes', hint: 'Use chat:read, chat:write, chat:admin.', invalidScopes: ['all'], validScopes: ['chat:read', 'chat:write', 'chat:admin'] });
  assert.equal((await get('/api-keys')).body.code, 'AUTH_REQUIRED', 'a key makes no keys');
});

test('who calls: key or JWT, and neither hides the other', async () => {
  const stranger = backend.token(randomUUID());
  assert.equal((await get('/conversations', { token })).status, 200);
  assert.equal((await get('/conversations', { token: key })).status, 200, 'a key as Bearer');
  const both = await call(backend, 'GET', '/conversations', { key, token: stranger });
  assert.ok(both.body.data.length > 0, 'the key counts');
  for (const [what, options, status, code] of [
    ['nothing', { key: undefined, headers: {} }, 401, 'API_KEY_MISSING'],
    ['a key of the wrong form', { key: 'chat_sk_abc' }, 401, 'API_KEY_INVALID_FORMAT'],
    ['an empty key', { key: '' }, 401, undefined],
    ['a key with a wrong checksum', { key: `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}` }, 401, 'API_KEY_INVALID_FORMAT'],
    ['a JWT of another secret', { token: backend.token(bed.owner).replace(/.{6}$/, 'AAAAAA') }, 401, 'INVALID_TOKEN'],
    ['a JWT that is over', { token: backend.token(bed.owner, { expiresIn: -10 }) }, 401, 'INVALID_TOKEN'],
    ['a JWT of nobody', { token: backend.token(undefined) }, 401, 'INVALID_TOKEN'],
    ['a JWT for another audience', { token: backend.token(bed.owner, { aud: 'other' }) }, 401, 'INVALID_TOKEN'],
  ]) {
    const answer = await call(backend, 'GET', '/conversations', options);
    assert.equal(answer.status, status, what);
    if (code) assert.equal(answer.body.code, code, what);
  }
});

test('webhooks: made, listed without secrets, delivered, tested, rotated, changed, deleted', async () => {
  const receiver = await Receiver.start();
  bed.closing.push(() => receiver.down());
  const made = await post('/webhooks', { url: receiver.url, events: ['message.sent', 'message.received'] });
  assert.equal(made.status, 201);
  const { id, secret } = made.body.data;
  receiver.secret = secret;
  const { id: talk } = await conversation();
  await post(`/conversations/${talk}/messages`, { content: 'to the webhook' });
  const delivery = await until(() => receiver.deliveries.find((d) => d.body.data.content === 'to the webhook'), 'the webhook', 30000);
  assert.deepEqual([delivery.type, delivery.problem], ['message.sent', null]);

  const tested = await post(`/webhooks/${id}/test`);
  await until(() => receiver.deliveries.some((d) => d.id === tested.body.data.messageId), 'the test event', 30000);
  const rotated = await post(`/webhooks/${id}/rotate-secret`);
  assert.notEqual(rotated.body.data.secret, secret);
  const shown = (await get('/webhooks')).body.data.find((w) => w.id === id);
  assert.deepEqual([shown.url, shown.events, shown.isActive], [receiver.url, ['message.received', 'message.sent'], true]);
  const off = await api('PATCH', `/webhooks/${id}`, { body: { isActive: false, events: ['*'] } });
  assert.deepEqual([off.body.data.isActive, off.body.data.events], [false, ['*']]);
  assert.equal((await api('PATCH', `/webhooks/${id}`, { body: { isActive: true } })).body.data.isActive, true);
  const invalid = await post('/webhooks', { url: receiver.url, events: ['message.sent', 'nothing'] });
  assert.deepEqual([invalid.status, invalid.body.error, invalid.body.invalidEvents], [400, 'Invalid event types', ['nothing']]);
  assert.equal((await api('DELETE', `/webhooks/${id}`)).status, 200);
  assert.equal((await api('DELETE', `/webhooks/${id}`)).status, 404);
  assert.ok(!(await get('/webhooks')).body.data.some((w) => w.id === id));
});

test('webhooks as their owner manages them: options, attempts, what was sent, again, health', async () => {
  const receiver = await Receiver.start();
  bed.closing.push(() => receiver.down());
  const { id: talk } = await conversation();
  const { id: other } = await conversation();
  const made = await post('/webhooks', { url: receiver.url, events: ['message.sent'], headers: { 'X-Tenant': 'seven' }, conversations: [talk], ed25519: true });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { id, secret, publicKey, headers, conversations } = made.body.data;
  assert.deepEqual([headers, conversations, publicKey.slice(0, 5)], [['X-Tenant'], [String(talk)], 'whpk_']);
  receiver.secret = secret;
  for (const to of [other, talk]) await post(`/conversations/${to}/messages`, { content: `to ${to}` });
  const delivery = await until(() => receiver.deliveries[0], 'the webhook', 30000);
  assert.deepEqual([delivery.body.data.content, delivery.headers['x-tenant'], delivery.problem], [`to ${talk}`, 'seven', null]);

  const tested = await post(`/webhooks/${id}/test`, { event: 'conversation.closed' });
  assert.deepEqual([tested.status, tested.body.data.type], [202, 'conversation.closed']);
  await until(() => receiver.deliveries.some((d) => d.id === tested.body.data.messageId && d.body.data.test === true), 'the test', 30000);
  assert.equal((await post(`/webhooks/${id}/test`, { event: 'nothing' })).body.field, 'event');

  const attempts = await until(async () => {
    const listed = await get(`/webhooks/${id}/attempts?limit=10`);
    return listed.body.data.length === 2 && listed.body.data;
  }, 'both attempts', 30000);
  assert.deepEqual(attempts.map(({ type, status, error }) => [type, status, error]), [['conversation.closed', 200, null], ['message.sent', 200, null]]);
  const page = await get(`/webhooks/${id}/attempts?limit=1`);
  assert.equal((await get(`/webhooks/${id}/attempts?limit=1&cursor=${page.body.pagination.cursor}`)).body.data[0].id, attempts[1].id);
  const sent = await get(`/webhook-attempts/${attempts[1].id}`);
  assert.deepEqual(sent.body.data.body, delivery.body);
  assert.equal(sent.body.data.response, '{"ok":true}');

  const again = await post(`/webhook-attempts/${attempts[1].id}/redeliver`);
  assert.deepEqual([again.status, again.body.data.messageId], [202, delivery.id]);
  await until(() => receiver.deliveries.filter((d) => d.id === delivery.id).length === 2, 'it again', 30000);
  const range = await post(`/webhooks/${id}/redeliver`, { since: new Date(Date.now() - 3600000).toISOString() });
  assert.deepEqual([range.status, range.body.data], [202, { messages: 1 }]); // a test is in no log
  await until(() => receiver.deliveries.filter((d) => d.id === delivery.id).length === 3, 'it once more', 30000);
  for (const [body, field] of [[{}, 'since'], [{ since: 'yesterday' }, 'since'], [{ since: '2026-01-02T00:00:00Z', until: '2026-01-01T00:00:00Z' }, 'since']]) {
    const refused = await post(`/webhooks/${id}/redeliver`, body);
    assert.deepEqual([refused.status, refused.body.field], [400, field], JSON.stringify(body));
  }

  const health = (await get('/webhooks/health')).body.data.find((w) => w.id === id);
  assert.deepEqual([health.isActive, health.successRate, health.lastFailure], [true, 1, null]);
  const changed = await api('PATCH', `/webhooks/${id}`, { body: { rateLimit: 600, conversations: null, headers: null, ed25519: false } });
  assert.deepEqual([changed.body.data.rateLimit, changed.body.data.conversations, changed.body.data.headers, changed.body.data.publicKey], [600, null, [], null]);
  for (const [option, field] of [[{ headers: { Host: 'x' } }, 'headers'], [{ rateLimit: 0 }, 'rateLimit'], [{ inboxes: ['x'] }, 'inboxes'], [{ conversations: [] }, 'conversations']]) {
    const refused = await api('PATCH', `/webhooks/${id}`, { body: option });
    assert.deepEqual([refused.status, refused.body.code, refused.body.field], [400, 'INVALID_VALUE', field], JSON.stringify(option));
  }
  for (const [method, route] of [['GET', `/webhooks/${randomUUID()}/attempts`], ['GET', '/webhook-attempts/1000000000'], ['POST', '/webhook-attempts/1000000000/redeliver']]) {
    assert.equal((await api(method, route)).status, 404, route);
  }
  assert.equal((await api('POST', `/webhooks/${randomUUID()}/redeliver`, { body: { since: '2026-01-01T00:00:00Z' } })).status, 404);
  assert.equal((await api('DELETE', `/webhooks/${id}`)).status, 200);
});

test('typing reaches who listens, and events since a position are what was missed', async () => {
  const { id } = await conversation();
  const topic = `conversation:${id}`;
  const { position } = (await get(`/events?topic=${topic}`)).body;
  const subscriber = await bed.subscriber(sidecar);
  await subscriber.join(topic);
  await post(`/conversations/${id}/typing`, { username: 'Bia' });
  const typing = await subscriber.hears((m) => m.event === 'presence.typing', 'typing');
  assert.deepEqual([typing.payload.username, typing.payload.isTyping], ['Bia', true]);
  for (const content of ['a', 'b', 'c']) await post(`/conversations/${id}/messages`, { content });
  const page = (await get(`/events?topic=${topic}&after=${position}&limit=2`)).body;
  assert.deepEqual([page.data.map((e) => e.payload.content), page.hasMore], [['a', 'b'], true]);
  const rest = (await get(`/events?topic=${topic}&after=${page.position}`)).body;
  assert.deepEqual([rest.data.map((e) => e.payload.content), rest.hasMore], [['c'], false]);
  await subscriber.hears((m) => m.payload.content === 'c', 'the last message');
  assert.deepEqual(subscriber.heard.filter((m) => m.event === 'message.new').map((m) => Number(m.id)), [...page.data, ...rest.data].map((e) => e.id));
  for (const foreign of ['conversation:999999999', `user:${randomUUID()}:inbox`, 'anything']) {
    assert.equal((await get(`/events?topic=${foreign}&after=0`)).status, 404, foreign);
  }
});

/** What WUZAPI posts. */
function wuzapi(body, { headers = {}, type = 'application/json', sign } = {}) {
  const raw = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const signature = sign && { 'x-hmac-signature': createHmac('sha256', sign).update(raw).digest('hex') };
  return call(backend, 'POST', '/wuzapi', { raw, headers: { 'Content-Type': type, ...signature, ...headers } });
}

test('WUZAPI: stored when it is answered, signed over the raw bytes, as JSON and as form', async () => {
  const event = { ...fixture('text.json'), userID: 'signed' };
  delete event.token;
  const raw = `${JSON.stringify(event, null, 3).replaceAll('&', '\\u0026')}\n`;
  const stored = await wuzapi(raw, { sign: hmacKey });
  assert.deepEqual([stored.status, stored.body.data.action], [200, 'message'], JSON.stringify(stored.body));
  assert.equal(await value(bed.db, 'SELECT count(*) FROM public.chat_messages WHERE id = $1', [stored.body.data.messageId]), 1);
  assert.equal((await wuzapi(raw, { sign: hmacKey })).body.data.action, 'duplicate');
  assert.equal((await wuzapi(`${raw} `, { headers: { 'x-hmac-signature': createHmac('sha256', hmacKey).update(raw).digest('hex') } })).body.code, 'INVALID_SIGNATURE');
  assert.equal((await wuzapi(raw)).body.code, 'INVALID_SIGNATURE');
  assert.equal((await wuzapi(raw, { sign: 'w'.repeat(32) })).status, 401);

  event.event.Info.ID = 'FORM1';
  const form = new URLSearchParams({ jsonData: JSON.stringify(event), userID: 'signed', instanceName: 'suporte' }).toString();
  const posted = await wuzapi(form, { type: 'application/x-www-form-urlencoded', sign: hmacKey });
  assert.deepEqual([posted.status, posted.body.data.action, posted.body.data.externalId], [200, 'message', 'FORM1']);

  event.event.Info.ID = 'TOKEN1';
  assert.equal((await wuzapi({ ...event, userID: 'by-token' }, { headers: { token: 'wuzapi-token' } })).body.data.action, 'message');
  for (const [what, body, options] of [
    ['a userID alone proves nothing', { ...event, userID: 'by-token' }],
    ['nobody', { ...event, userID: 'unknown' }],
    ['a wrong token', { ...event, userID: 'unknown' }, { headers: { token: 'wrong' } }],
    ['a scalar', '"text"'], ['null', 'null'], ['an array', '[]'],
  ]) {
    assert.equal((await wuzapi(body, options)).body.code, 'UNKNOWN_INSTANCE', what);
  }
});

test('a stranger\'s body is not parsed: one that takes long to is refused at once, and others are answered meanwhile', async () => {
  const nested = Buffer.from(`[${'[],'.repeat(10_000_000)}[]]`); // 30 MB: parsing them takes seconds
  for (const path of ['/wuzapi', '/conversations']) {
    const refused = await call(backend, 'POST', path, { raw: nested, headers: { 'Content-Type': 'application/json' } });
    assert.equal(refused.status, 401, path);
  }
  assert.equal((await wuzapi('{"userID":"unknown', {})).body.code, 'UNKNOWN_INSTANCE', 'nor is what is no JSON');
});

test('WUZAPI: what cannot be stored is a 4xx, what is of no interest is ignored, many megabytes are nothing special', async () => {
  const headers = { token: 'wuzapi-token' };
  for (const body of ['{"type":', '', Buffer.from([0xff, 0xfe, 0x00])]) {
    assert.equal((await wuzapi(body, { headers })).body.code, 'INVALID_JSON');
  }
  const bad = await wuzapi({ type: 'Message', event: { Info: { Chat: phone } } }, { headers });
  assert.equal(bad.status, 400, JSON.stringify(bad.body));
  assert.equal((await wuzapi({ type: 'Nothing', event: {} }, { headers })).body.data.action, 'ignored');
  assert.equal((await wuzapi('jsonData=%7B%22broken', { headers, type: 'application/x-www-form-urlencoded' })).status, 400);
  const image = fixture('image_base64.json');
  image.event.Info.ID = 'BIG1';
  image.base64 = 'A'.repeat(12 * 1024 * 1024);
  const big = await wuzapi(image, { headers });
  assert.deepEqual([big.status, big.body.data.action], [200, 'message']);
});

test('100 clients at once: every message stored, counted and delivered once, in order', async () => {
  const clients = await Promise.all(Array.from({ length: 100 }, async (_, n) => {
    const owner = randomUUID();
    const own = await newKey(owner);
    const { id } = await conversation(`Client ${n}`, undefined, { key: own });
    return { n, owner, key: own, id };
  }));
  const subscriber = await bed.subscriber(sidecar, { user: clients[0].owner });
  await subscriber.join(`conversation:${clients[0].id}`);
  await Promise.all(clients.map(async ({ n, key: own, id }) => {
    for (let i = 0; i < 5; i++) {
      const [sent, listed] = await Promise.all([
        post(`/conversations/${id}/messages`, { content: `${n}.${i}` }, { key: own }),
        get('/conversations', { key: own }),
      ]);
      assert.equal(sent.status, 201, JSON.stringify(sent.body));
      assert.deepEqual(listed.body.data.map((c) => c.id), [id], 'its own and no other');
    }
    const { body } = await get(`/conversations/${id}/messages`, { key: own });
    assert.deepEqual(body.data.map((m) => m.content), [0, 1, 2, 3, 4].map((i) => `${n}.${i}`));
  }));
  await subscriber.hears((m) => m.payload.content === '0.4', 'the last message of the first client', 30000);
  assert.deepEqual(subscriber.heard.map((m) => m.payload.content), [0, 1, 2, 3, 4].map((i) => `0.${i}`));
});

// Bad input

const long = 'x'.repeat(1024 * 1024);
const strings = [null, '', long, 5, true, {}, [], ['a'], '\u0000', '\ud800'];
const ids = ['0', '-1', '999999999999999999', '99999999999999999999999999', 'abc', '1e3', ' 1', "1'--", '%00', '%ff', 'null', long.slice(0, 9000), randomUUID()];
const numbers = ['0', '-1', '1000000000', '1e99', 'abc', '', '1.5', 'NaN', '9999999999999999999'];

function wellBehaved(answer, what) {
  assert.ok(answer.status < 500, `${what}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`);
  if (answer.status < 400) return;
  assert.match(answer.body.code, /^[A-Z_]+$/, what);
  assert.doesNotMatch(JSON.stringify(answer.body), /chat\.|public\.|syntax|relation|column|SQL|postgres|\bjson\b type|invalid input/i, what);
}

test('bad input: ids', async () => {
  const foreign = await conversation('Foreign', undefined, { key: await newKey(randomUUID()) });
  const foreignMessage = await bed.message(foreign.id, 'secret');
  const routes = [['GET', '/conversations/:id'], ['PATCH', '/conversations/:id', { status: 'open' }], ['DELETE', '/conversations/:id'],
    ['GET', '/conversations/:id/messages'], ['POST', '/conversations/:id/messages', { content: 'x' }], ['POST', '/conversations/:id/read', {}],
    ['POST', '/conversations/:id/typing', {}], ['PATCH', '/messages/:id', { content: 'x' }], ['DELETE', '/messages/:id'],
    ['PATCH', '/webhooks/:id', { isActive: true }], ['DELETE', '/webhooks/:id'], ['POST', '/webhooks/:id/test'], ['POST', '/webhooks/:id/rotate-secret']];
  for (const [method, route, body] of routes) {
    for (const id of ids) {
      const answer = await api(method, route.replace(':id', id.includes('%') ? id : encodeURIComponent(id)), { body });
      wellBehaved(answer, `${method} ${route} with ${id.slice(0, 40)}`);
      assert.ok([400, 404].includes(answer.status), `${method} ${route} with ${id.slice(0, 40)}: ${answer.status}`);
    }
    if (route.startsWith('/webhooks')) continue;
    const other = await api(method, route.replace(':id', route.startsWith('/messages') ? foreignMessage : foreign.id), { body });
    const missing = await api(method, route.replace(':id', '999999999'), { body });
    assert.deepEqual([other.status, other.body], [missing.status, missing.body], 'of another owner is as if missing');
    assert.equal(other.status, 404);
  }
  assert.equal((await get(`/search/messages?conversationId=${foreign.id}&q=secret`)).status, 404);
});

test('bad input: limits, pages, cursors and filters', async () => {
  const { id } = await conversation();
  for (const content of ['1', '2', '3']) await post(`/conversations/${id}/messages`, { content });
  for (const route of ['/conversations', `/conversations/${id}/messages`, '/search/conversations?q=a', `/search/messages?q=a&conversationId=${id}`]) {
    const url = (name, text) => `${route}${route.includes('?') ? '&' : '?'}${name}=${encodeURIComponent(text)}`;
    for (const number of numbers.filter((text) => text !== '1000000000')) {
      const answer = await get(url('limit', number));
      assert.equal(answer.status, 400, `${route} limit ${number}: ${JSON.stringify(answer.body)}`);
      wellBehaved(answer, `${route} limit ${number}`);
    }
    for (const number of [100, 101, 500, 1000000000]) {
      const { status, body } = await get(url('limit', number));
      assert.deepEqual([status, body.pagination.limit], [200, 100], `${route} limit ${number}`);
    }
    assert.equal((await get(`${url('limit', '1')}&limit=2`)).body.code, 'INVALID_VALUE', 'twice');
  }
  for (const number of numbers) wellBehaved(await get(`/conversations?page=${number}`), `page ${number}`);
  const { cursor } = (await get(`/conversations/${id}/messages?limit=1`)).body.pagination;
  const inbox = (await get('/conversations?limit=1')).body.pagination.cursor;
  assert.ok(cursor && inbox);
  const middle = Math.floor(cursor.length / 2);
  for (const tampered of [cursor.slice(1), cursor.slice(0, -2), `${cursor.slice(0, middle)}${cursor[middle] === 'A' ? 'B' : 'A'}${cursor.slice(middle + 1)}`, 'x', '!', inbox, `${cursor}${cursor}`]) {
    const answer = await get(`/conversations/${id}/messages?cursor=${encodeURIComponent(tampered)}`);
    assert.deepEqual([answer.status, answer.body.code], [400, 'INVALID_VALUE'], tampered);
  }
  assert.equal((await get(`/conversations?cursor=${encodeURIComponent(cursor)}`)).status, 400, "another list's cursor");
  for (const query of ['status=closed', 'assignedTo=nobody', 'hasUnread=perhaps', 'status=open&status=pending']) {
    assert.equal((await get(`/conversations?${query}`)).status, 400, query);
  }
  for (const route of ['/search/conversations', `/search/messages?conversationId=${id}`, '/search/messages?q=a', '/events', '/events?topic=conversation:1&after=x',
    `/events?topic=conversation:${id}&after=0&limit=0`]) {
    assert.equal((await get(route)).status, 400, route);
  }
});

test('a 400 names the field and says what it may hold', async () => {
  const { id } = await conversation();
  const hook = (await post('/webhooks', { url: 'https://example.com/hook', events: ['*'] })).body.data.id;
  const message = (await post(`/conversations/${id}/messages`, { content: 'x' })).body.data.id;
  const messages = `/conversations/${id}/messages`;
  for (const [method, route, body, field, options = {}] of [
    ['GET', '/conversations?status=closed', undefined, 'status'], ['GET', '/conversations?assignedTo=nobody', undefined, 'assignedTo'],
    ['GET', '/conversations?hasUnread=perhaps', undefined, 'hasUnread'], ['GET', '/conversations?limit=x', undefined, 'limit'],
    ['GET', '/conversations?limit=0', undefined, 'limit'], ['GET', '/conversations?page=0', undefined, 'page'], ['GET', '/conversations?page=-1', undefined, 'page'],
    ['GET', '/conversations?cursor=x', undefined, 'cursor'], ['GET', '/conversations/x', undefined, 'conversationId'], ['GET', `${messages}?cursor=x`, undefined, 'cursor'],
    ['GET', '/conversations?status=open&status=pending', undefined, 'status'], ['GET', '/search/conversations', undefined, 'q'],
    ['GET', `/search/messages?conversationId=${id}`, undefined, 'q'], ['GET', '/search/messages?q=a', undefined, 'conversationId'],
    ['GET', '/events', undefined, 'topic'], ['GET', `/events?topic=conversation:${id}&after=x`, undefined, 'after'],
    ['POST', '/conversations', { contactJid: 'a b' }, 'contactJid'], ['POST', '/conversations', { contactJid: 5 }, 'contactJid'],
    ['PATCH', `/conversations/${id}`, { status: 'closed' }, 'status'], ['PATCH', `/conversations/${id}`, { colour: 'red' }, 'colour'],
    ['POST', messages, {}, 'content'], ['POST', messages, { content: 'x', contnt: 'y' }, 'contnt'],
    ['POST', messages, { content: 'x'.repeat(4097) }, 'content'],
    ['POST', messages, { content: 'x', senderType: 'ghost' }, 'senderType'], ['POST', `/conversations/${id}/read`, { upTo: 'tomorrow' }, 'upTo'],
    ['POST', `/conversations/${id}/typing`, { isTyping: 'very' }, 'isTyping'], ['POST', `/conversations/${id}/presence`, { username: 5 }, 'username'],
    ['PATCH', '/messages/x', { content: 'y' }, 'messageId'], ['PATCH', `/messages/${message}`, { content: 5 }, 'content'],
    ['POST', '/webhooks', { url: 'ftp://example.com', events: ['*'] }, 'url'], ['POST', '/webhooks', { url: 'https://example.com', events: ['x'] }, 'events'],
    ['POST', '/webhooks', { url: 'https://example.com', events: [] }, 'events'], ['PATCH', `/webhooks/${hook}`, { isActive: 'yes' }, 'isActive'],
    ['PATCH', `/webhooks/${hook}`, { secret: 'whsec_' }, 'secret'], ['POST', '/api-keys', { name: '' }, 'name', { token }],
    ['POST', '/api-keys', { name: 'x', scopes: ['all'] }, 'scopes', { token }], ['POST', '/api-keys', { name: 'x', expiresAt: '2001-01-01T00:00:00Z' }, 'expiresAt', { token }],
  ]) {
    const { status, body: answer } = await api(method, route, { body, ...options });
    assert.deepEqual([status, answer.field], [400, field], `${method} ${route} ${JSON.stringify(body)?.slice(0, 80)}: ${JSON.stringify(answer)}`);
    assert.ok(answer.error && answer.code && answer.hint, JSON.stringify(answer));
  }
});

test('who has a conversation open: presence is told to those who look at it, in its own name', async () => {
  const { id } = await conversation();
  const looking = await bed.subscriber(sidecar);
  await looking.join(`presence:${id}`);
  const came = await post(`/conversations/${id}/presence`, { username: 'Carla' });
  assert.deepEqual([came.status, came.body.data.userId, came.body.data.username, came.body.data.isTyping], [200, bed.owner, 'Carla', false]);
  const join = await looking.hears((m) => m.event === 'presence.join', 'the join');
  assert.deepEqual(join.payload, came.body.data);
  const gone = await api('DELETE', `/conversations/${id}/presence`);
  const leave = await looking.hears((m) => m.event === 'presence.leave', 'the leave');
  assert.deepEqual([gone.status, leave.payload], [200, gone.body.data]);
  const stranger = { token: backend.token(randomUUID()) };
  for (const method of ['POST', 'DELETE']) assert.equal((await api(method, `/conversations/${id}/presence`, stranger)).status, 404, 'a stranger');
  await bed.message(id, 'last');
  assert.deepEqual(looking.heard.map(({ event }) => event), ['presence.join', 'presence.leave']);
});

test('bad input: bodies', async () => {
  const { id } = await conversation();
  const message = (await post(`/conversations/${id}/messages`, { content: 'x' })).body.data.id;
  const hook = (await post('/webhooks', { url: 'https://example.com/hook', events: ['*'] })).body.data.id;
  const requests = [
    ['POST', '/conversations', ['contactJid', 'contactName'], { contactJid: phone }],
    ['PATCH', `/conversations/${id}`, ['status', 'assignedAgentId', 'assignedBotId', 'isMuted', 'contactName', 'unknown'], {}],
    ['POST', `/conversations/${id}/messages`, ['content', 'type', 'messageType', 'messageId', 'replyToMessageId', 'metadata', 'mediaUrl', 'mediaMimeType',
      'mediaSizeBytes', 'isPrivateNote', 'timestamp', 'senderType', 'unknown'], { content: 'x' }],
    ['POST', `/conversations/${id}/read`, ['upTo'], {}],
    ['POST', `/conversations/${id}/typing`, ['isTyping', 'username'], {}],
    ['PATCH', `/messages/${message}`, ['content'], {}],
    ['POST', '/webhooks', ['url', 'events', 'secret'], { url: 'https://example.com/', events: ['*'] }],
    ['PATCH', `/webhooks/${hook}`, ['url', 'events', 'isActive', 'unknown'], {}],
    ['POST', '/api-keys', ['name', 'scopes', 'rateLimit', 'expiresAt'], { name: 'x' }],
  ];
  for (const [method, route, fields, body] of requests) {
    const login = route === '/api-keys' ? { token } : {};
    for (const field of fields) {
      for (const bad of strings) {
        const answer = await api(method, route, { body: { ...body, [field]: bad }, ...login });
        wellBehaved(answer, `${method} ${route} ${field} = ${JSON.stringify(bad)?.slice(0, 40)}`);
      }
    }
    for (const raw of ['[]', '[1]', '"text"', '5', 'null', '{', '', '{"content":"\\u0000"}', `{"content":"${long}${long}"}`, Buffer.from('{"content":"\xff"}', 'latin1')]) {
      const answer = await api(method, route, { raw, headers: { 'Content-Type': 'application/json' }, ...login });
      wellBehaved(answer, `${method} ${route} with the body ${String(raw).slice(0, 20)}`);
    }
    wellBehaved(await api(method, route, { raw: 'content=x', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, ...login }), 'a form');
  }
  const expect = async (method, route, body, status, code) => {
    const answer = await api(method, route, { body });
    assert.deepEqual([answer.status, answer.body.code], [status, code], `${method} ${route} ${JSON.stringify(body)}`);
  };
  await expect('POST', `/conversations/${id}/messages`, {}, 400, 'INVALID_VALUE');
  await expect('POST', `/conversations/${id}/messages`, { content: {} }, 400, 'INVALID_VALUE');
  await expect('POST', `/conversations/${id}/messages`, { content: 'x', type: 'hologram' }, 400, 'CHECK_VIOLATION');
  await expect('POST', '/conversations', {}, 400, 'VALUE_MISSING');
  await expect('PATCH', `/conversations/${id}`, {}, 400, 'INVALID_VALUE');
  await expect('PATCH', `/conversations/${id}`, { status: 'closed' }, 400, 'INVALID_VALUE');
  await expect('PATCH', `/messages/${message}`, { content: '' }, 400, 'INVALID_VALUE');
  await expect('POST', '/webhooks', { url: 'ftp://example.com', events: ['*'] }, 400, 'INVALID_VALUE');
  await expect('POST', '/webhooks', { url: 'https://example.com', events: [] }, 400, 'INVALID_VALUE');
  // What is wrong is named, as the database's functions say it.
  const says = async (method, route, body, wanted) => {
    const { error, field, hint } = (await api(method, route, { body })).body;
    assert.match(JSON.stringify({ error, field, hint }), wanted, `${method} ${route} ${JSON.stringify(body)}`);
  };
  await says('POST', `/conversations/${id}/messages`, { contnt: 'x' }, /"\\"contnt\\" is no key of message".*"hint":"Keys: content, messageType, /);
  await says('POST', `/conversations/${id}/messages`, { content: 'x', mediaSizeBytes: 'large' }, /mediaSizeBytes.* must be an integer/);
  await says('PATCH', `/conversations/${id}`, { unreadCount: 1 }, /unreadCount.* is no key of changes.*"hint":"Keys: status, /);
  await says('POST', '/webhooks', { url: 'ftp://example.com', events: ['*'] }, /must be an http or https URL.*"field":"url".*"hint":"Give a complete URL/);
  await says('POST', '/webhooks', { url: 'https://example.com', events: ['*'], secret: 'short' }, /"field":"secret","hint":"Give whsec_ and the base64/);
  await says('POST', `/conversations/${id}/messages`, { content: 'x', type: 'hologram' }, /"A value is not allowed"|"field":"messageType","hint":".*text, image, /);
  for (const type of [undefined, 'text/plain', 'application/x-www-form-urlencoded', ';']) {
    const answer = await api('POST', '/conversations', { raw: Buffer.from(JSON.stringify({ contactJid: phone })), headers: type ? { 'Content-Type': type } : {} });
    assert.deepEqual([answer.status, answer.body.code], [415, 'UNSUPPORTED_MEDIA_TYPE'], `${type}`);
  }
  await expect('POST', '/nothing', {}, 404, 'ROUTE_NOT_FOUND').catch((error) => assert.match(error.message, /not in the document/));
});

test('limits: the key, the sends of a user, and what is told of them', async () => {
  const limited = await Backend.start(bed.cluster, { jwtSecret: backend.jwtSecret });
  try {
    const owner = randomUUID();
    const slow = await newKey(owner, { rateLimit: 5 });
    const answers = await Promise.all(Array.from({ length: 12 }, () => call(limited, 'GET', '/conversations', { key: slow })));
    const refused = answers.filter((answer) => answer.status === 429);
    assert.equal(refused.length, 7);
    assert.deepEqual([refused[0].body.error, refused[0].body.code], ['Rate limit exceeded', 'RATE_LIMIT_EXCEEDED']);
    assert.ok(refused[0].body.retryAfter >= 1);
    assert.ok(Number(refused[0].headers.get('Retry-After')) >= 1);
    const passed = answers.find((answer) => answer.status === 200).headers;
    assert.equal(passed.get('RateLimit-Policy'), '"key";q=5;w=60');
    assert.match(passed.get('RateLimit'), /^"key";r=\d;t=\d+$/);
    assert.equal(passed.get('X-RateLimit-Limit'), '5');
    assert.match(passed.get('X-RateLimit-Reset'), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);

    const fast = await newKey(owner);
    const { id } = await conversation('Ana', undefined, { key: fast });
    const sends = await Promise.all(Array.from({ length: 70 }, (_, n) => call(limited, 'POST', `/conversations/${id}/messages`, { body: { content: `${n}` }, key: fast })));
    const stored = await value(bed.db, 'SELECT count(*) FROM public.chat_messages WHERE conversation_id = $1', [id]);
    assert.equal(stored, sends.filter((answer) => answer.status === 201).length);
    const tooMany = sends.filter((answer) => answer.status === 429);
    assert.ok(stored >= 10 && tooMany.length >= 8 && stored + tooMany.length === 70, `${stored} stored, ${tooMany.length} refused`);
    for (const answer of tooMany) assert.equal(answer.body.code, 'RATE_LIMIT_EXCEEDED');
  } finally {
    await limited.stop();
  }
});

test('what fails at COMMIT for want of room, as a full queue of NOTIFY does, is 503, to be tried again', async () => {
  const { id } = await conversation();
  await bed.db.query(`CREATE FUNCTION full_queue() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE 'too many notifications in the NOTIFY queue' USING ERRCODE = 'program_limit_exceeded'; END $$;
    CREATE CONSTRAINT TRIGGER full_queue AFTER INSERT ON public.chat_messages DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION full_queue()`);
  const answer = await post(`/conversations/${id}/messages`, { content: 'x' });
  assert.deepEqual([answer.status, answer.body.code, answer.headers.get('Retry-After')], [503, 'SERVICE_UNAVAILABLE', '1']);
  await bed.db.query('DROP TRIGGER full_queue ON public.chat_messages; DROP FUNCTION full_queue');
  assert.equal((await post(`/conversations/${id}/messages`, { content: 'x' })).status, 201);
});

test('while PostgreSQL is away requests are answered with 503, afterwards all is well', async () => {
  await bed.cluster.stop('immediate');
  const answer = await get('/conversations');
  assert.deepEqual([answer.status, answer.body.code, answer.headers.get('Retry-After')], [503, 'SERVICE_UNAVAILABLE', '1']);
  await bed.cluster.start();
  await until(async () => (await get('/conversations')).status === 200, 'the backend to be well again', 30000);
  await bed.reconnect();
  assert.deepEqual(await rows(bed.db, `SELECT 1 AS one`), [{ one: 1 }]);
});

test('SIGTERM ends it with 0', async () => {
  const other = await Backend.start(bed.cluster);
  assert.equal(await other.stop(), 0);
});
