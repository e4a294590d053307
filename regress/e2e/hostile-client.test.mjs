// The example backend against clients that mean it no good: whatever they send is answered with a 4xx and a code, as the OpenAPI
// document says, never with a 5xx, and nothing tells them of what is another's.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Backend, call } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { sign } from '../lib/jwt.mjs';

let bed, backend, key, otherKey, talk, message, webhook, apiKey, other, logged;

const api = (method, route, options = {}) => call(backend, method, route, options.token || 'key' in options ? options : { key, ...options });

/** A clear refusal, or success: never a 5xx, never a text of the database. */
function wellBehaved({ status, body, headers }, what) {
  assert.ok(status < 500, `${what}: ${status} ${JSON.stringify(body)}`);
  if (status < 400) return;
  assert.match(body.code, /^[A-Z_]+$/, what);
  assert.match(headers.get('Content-Type'), /^application\/json/, what);
  assert.doesNotMatch(JSON.stringify(body), /chat\.|public\.|syntax|relation|column|SQL|postgres|\bat .*\.m?js|node:|stack/i, what);
}

/** Bytes as they are, answered until the server closes or says nothing for a while: {status, body}. */
function raw(bytes) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(backend.port, '127.0.0.1');
    let answer = '';
    const done = () => {
      socket.destroy();
      const [head, body] = answer.split('\r\n\r\n');
      resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), body: body?.startsWith('{') ? JSON.parse(body) : body });
    };
    socket.on('data', (chunk) => {
      answer += chunk;
      const length = /content-length: (\d+)/i.exec(answer)?.[1];
      if (length !== undefined && answer.split('\r\n\r\n')[1]?.length >= Number(length)) done();
    });
    socket.on('close', done);
    socket.on('error', reject);
    socket.write(bytes);
  });
}

async function newKey(owner) {
  const made = await api('POST', '/api-keys', { body: { name: 'test', scopes: ['chat:admin'], rateLimit: 1_000_000 }, token: backend.token(owner) });
  return made.body.data;
}

/** A user with one of everything. */
async function furnish(owner) {
  const made = await newKey(owner);
  const conversation = (await api('POST', '/conversations', { key: made.key, body: { contactJid: '5511900000001@s.whatsapp.net' } })).body.data.id;
  const sent = (await api('POST', `/conversations/${conversation}/messages`, { key: made.key, body: { content: 'a secret' } })).body.data.id;
  const hook = (await api('POST', '/webhooks', { key: made.key, body: { url: 'https://example.com/hook', events: ['*'] } })).body.data.id;
  return { key: made.key, apiKey: (await newKey(owner)).id, conversation, message: sent, webhook: hook };
}

before(async () => {
  bed = await Bed.create();
  backend = await Backend.unlimited(bed, { wuzapi: [{ userID: 'w', token: 'wuzapi-token', owner: bed.owner }] });
  ({ key, apiKey, conversation: talk, message, webhook } = await furnish(bed.owner));
  other = await furnish(randomUUID());
  otherKey = other.key;
});

after(() => bed.close());

/** Every route that takes an id, with a body that would be good. */
const routes = () => [
  ['GET', '/conversations/:id', talk, other.conversation], ['PATCH', '/conversations/:id', talk, other.conversation, { status: 'open' }],
  ['DELETE', '/conversations/:id', talk, other.conversation], ['POST', '/conversations/:id/read', talk, other.conversation, {}],
  ['POST', '/conversations/:id/typing', talk, other.conversation, {}], ['GET', '/conversations/:id/messages', talk, other.conversation],
  ['POST', '/conversations/:id/messages', talk, other.conversation, { content: 'x' }], ['PATCH', '/messages/:id', message, other.message, { content: 'x' }],
  ['DELETE', '/messages/:id', message, other.message], ['PATCH', '/webhooks/:id', webhook, other.webhook, { isActive: true }],
  ['POST', '/webhooks/:id/test', webhook, other.webhook, {}], ['POST', '/webhooks/:id/rotate-secret', webhook, other.webhook, {}],
  ['DELETE', '/webhooks/:id', webhook, other.webhook],
];
const keyRoutes = () => [['PATCH', '/api-keys/:id', apiKey, other.apiKey, { name: 'x' }], ['POST', '/api-keys/:id/regenerate', apiKey, other.apiKey, {}],
  ['DELETE', '/api-keys/:id', apiKey, other.apiKey]];

test('ids of another owner answer like ids that are none: status, body and headers', async () => {
  const shown = ({ status, body, headers }) => ({ status, body, headers: [...headers.keys()].filter((name) => name !== 'date').sort() });
  for (const [method, route, , theirs, body] of [...routes(), ...keyRoutes()]) {
    const options = { body, ...(route.startsWith('/api-keys') ? { token: backend.token(bed.owner) } : {}) };
    const missing = typeof theirs === 'number' ? 999999999 : randomUUID();
    const [foreign, nothing] = [await api(method, route.replace(':id', theirs), options), await api(method, route.replace(':id', missing), options)];
    assert.deepEqual(shown(foreign), shown(nothing), `${method} ${route}`);
    assert.equal(foreign.status, 404, `${method} ${route}`);
  }
  for (const route of [`/search/messages?q=secret&conversationId=${other.conversation}`, `/events?after=0&topic=conversation:${other.conversation}`]) {
    assert.deepEqual(shown(await api('GET', route)), shown(await api('GET', route.replace(other.conversation, '999999999'))));
  }
  assert.equal((await api('GET', `/conversations/${other.conversation}`, { key: otherKey })).body.data.status, 'open', 'nothing happened to it');
  assert.equal((await api('GET', '/webhooks', { key: otherKey })).body.data.length, 1);
});

test('... and do the same work: it takes no longer to be told of one than of the other', async () => {
  // Blocks that a call touches stand for its time, which a busy machine makes noise of.
  const blocks = async (sql, params) => {
    const { rows: [row] } = await bed.db.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`, params);
    return row['QUERY PLAN'][0].Plan['Shared Hit Blocks'];
  };
  for (const [call, theirs] of [['get_conversation(%)', other.conversation], ['list_messages(%)', other.conversation], [`save_message(%, '{"content": "x"}')`, other.conversation],
    ['mark_read(%)', other.conversation], [`edit_message(%, 'x')`, other.message], ['delete_message(%)', other.message], [`update_message_status(%, 'read')`, other.message]]) {
    const sql = (id) => `SELECT chat.${call.replace('%', `'${id}'`).replace(/\)$/, `, owner => '${bed.owner}')`)}`;
    await blocks(sql(theirs));
    const [foreign, missing] = [await blocks(sql(theirs)), await blocks(sql(999999999))];
    assert.ok(Math.abs(foreign - missing) <= 4, `${call}: ${foreign} blocks for another's, ${missing} for none`);
  }
});

const long = 'x'.repeat(1024 * 1024);
const deep = (n, open, close) => open.repeat(n) + close.repeat(n);
const strings = [null, '', ' ', '\u0000', 'a\u0000b', '\ud800', 'a\udfffb', '\ufffe\uffff', '\u202e', "'; DROP TABLE conversations; --", '$1', '%s%n', '../../etc/passwd',
  0, -1, 1e9, 1e308, 0.1, true, false, [], [null], {}, { $gt: '' }, [[]], { toString: 'x' }];

test('every value of every field', async () => {
  const login = { token: backend.token(bed.owner) };
  const fields = [
    ['POST', '/conversations', ['contactJid', 'contactName'], { contactJid: '1@s.whatsapp.net' }],
    ['PATCH', `/conversations/${talk}`, ['status', 'assignedAgentId', 'assignedBotId', 'isMuted', 'contactName', 'contactAvatarUrl', 'unreadCount', '__proto__', 'constructor'], {}],
    ['POST', `/conversations/${talk}/messages`, ['content', 'type', 'messageType', 'direction', 'status', 'messageId', 'replyToMessageId', 'metadata', 'timestamp', 'isPrivateNote',
      'senderType', 'senderAgentId', 'senderBotId', 'mediaUrl', 'mediaMimeType', 'mediaFilename', 'mediaSizeBytes', 'mediaDurationSeconds', 'id', '__proto__'], { content: 'x' }],
    ['POST', `/conversations/${talk}/read`, ['upTo'], {}], ['POST', `/conversations/${talk}/typing`, ['isTyping', 'username'], {}],
    ['PATCH', `/messages/${message}`, ['content'], {}], ['POST', '/webhooks', ['url', 'events', 'secret'], { url: 'https://example.com/', events: ['*'] }],
    ['PATCH', `/webhooks/${webhook}`, ['url', 'events', 'isActive', 'secret'], {}],
    ['POST', '/api-keys', ['name', 'scopes', 'rateLimit', 'expiresAt'], { name: 'x' }], ['PATCH', `/api-keys/${apiKey}`, ['name', 'scopes', 'rateLimit', 'isActive', 'expiresAt'], {}],
  ];
  const times = ['infinity', '-infinity', 'now', 'yesterday', 'epoch', '294277-01-01T00:00:00Z', '4714-11-24 BC', '2026-02-30T00:00:00Z', '2099-01-01'];
  for (const [method, route, names, good] of fields) {
    for (const name of names) {
      const large = ['content', 'contactName', 'contactJid', 'messageId', 'url', 'secret', 'events', 'name', 'upTo', 'metadata'].includes(name) ? [long] : [];
      await Promise.all([...strings, ...large, ...(/At$|upTo|timestamp/.test(name) ? times : [])].map(async (bad) => {
        const body = JSON.stringify(good).replace(/\}$/, `${Object.keys(good).length ? ',' : ''}${JSON.stringify(name)}:${JSON.stringify(bad)}}`);
        const answer = await api(method, route, { raw: body, headers: { 'Content-Type': 'application/json' }, ...(route.startsWith('/api-keys') ? login : {}) });
        wellBehaved(answer, `${method} ${route} ${name} = ${JSON.stringify(bad).slice(0, 40)}`);
      }));
    }
  }
  assert.equal(await value(bed.db, `SELECT count(*) FROM public.chat_messages WHERE content ~ '\\x00' OR direction = 'incoming'`), 0);
});

test('every value of every part of the address', async () => {
  const texts = ['', '0', '-1', '1e9', '1000000000', '99999999999999999999', '%00', '%F0%9F%98%80', '%ED%A0%80', '%C0%AF', '%FF', '%', '%zz', "'", '%27%20OR%201=1--', '..%2f..%2f', '%2e%2e', 'null', 'undefined',
    '[object Object]', 'NaN', '1%0d%0aX-Injected:%201', 'x'.repeat(4000), randomUUID(), randomUUID().toUpperCase(), '１'];
  for (const [method, route, , , body] of [...routes(), ...keyRoutes()]) {
    for (const text of texts) {
      if (text === '') continue;
      const answer = await api(method, route.replace(':id', text.includes('%') ? text : encodeURIComponent(text)),
        { body, described: false, ...(route.startsWith('/api-keys') ? { token: backend.token(bed.owner) } : {}) });
      wellBehaved(answer, `${method} ${route} with ${text.slice(0, 40)}`);
      assert.ok(answer.status >= 400, `${method} ${route} with ${text.slice(0, 40)}: ${answer.status}`);
      assert.equal(answer.headers.get('X-Injected'), null);
    }
  }
  const queries = { '/conversations': ['page', 'limit', 'status', 'assignedTo', 'cursor', 'hasUnread', 'search'], [`/conversations/${talk}/messages`]: ['limit', 'cursor'],
    '/search/conversations': ['q', 'limit'], [`/search/messages?conversationId=${talk}`]: ['q', 'limit'], '/search/messages?q=a': ['conversationId'],
    [`/events?topic=conversation:${talk}`]: ['after', 'limit'], '/events?after=0': ['topic'] };
  for (const [route, names] of Object.entries(queries)) {
    for (const name of names) {
      for (const text of texts) {
        const url = `${route}${route.includes('?') ? '&' : '?'}${name}=${text.includes('%') ? text : encodeURIComponent(text)}`;
        wellBehaved(await api('GET', url), url.slice(0, 120));
      }
      for (const shape of [`${name}[]=1`, `${name}[a]=1`, `${name}=1&${name}=2`, '__proto__=1', 'constructor=1&toString=2']) {
        wellBehaved(await api('GET', `${route}${route.includes('?') ? '&' : '?'}${shape}`), `${route} ${shape}`);
      }
    }
  }
});

test('bodies: depth, duplicates, encodings, types, sizes', async () => {
  const json = { 'Content-Type': 'application/json' };
  const targets = [['POST', '/conversations'], ['POST', `/conversations/${talk}/messages`], ['PATCH', `/conversations/${talk}`], ['POST', '/webhooks'], ['PATCH', `/webhooks/${webhook}`]];
  const bodies = [
    ['nested arrays', `{"content":"x","metadata":{"a":${deep(200_000, '[', ']')}}}`], ['nested objects', `{"content":"x","metadata":${deep(100_000, '{"a":', '}').replace('}', '1}')}}`],
    ['no end', deep(500_000, '[', '')], ['half of a surrogate', '{"content":"\\ud800"}'], ['NUL', '{"content":"a\\u0000b","metadata":{"a":"\\u0000"}}'],
    ['a key with NUL', '{"content":"x","metadata":{"a\\u0000":1}}'], ['a huge number', `{"content":"x","metadata":{"a":${'9'.repeat(200_000)}}}`], ['1e400', '{"content":"x","metadata":{"a":1e400}}'],
    ['many keys', JSON.stringify({ content: 'x', metadata: Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`k${n}`, n])) })],
    ['many unknown keys', JSON.stringify(Object.fromEntries(Array.from({ length: 50_000 }, (_, n) => [`k${n}`, n])))],
    ['a list', '[{"content":"x"}]'], ['a scalar', '7'], ['a BOM', '\ufeff{"content":"x"}'], ['trailing text', '{"content":"x"} x'], ['comments', '{/**/"content":"x"}'], ['nothing', ''],
    ['too much', `{"content":"${'x'.repeat(3 * 1024 * 1024)}"}`], ['not UTF-8', Buffer.from('{"content":"\xff\xfe"}', 'latin1')],
  ];
  for (const [method, route] of targets) {
    for (const [what, body] of bodies) wellBehaved(await api(method, route, { raw: body, headers: json }), `${method} ${route}: ${what}`);
  }
  const send = (body, headers) => api('POST', `/conversations/${talk}/messages`, { raw: body, headers });
  const twice = await send('{"content":"first","content":"second","messageId":"a","messageId":"b"}', json);
  assert.deepEqual([twice.body.data.content, twice.body.data.messageId], ['second', 'b'], 'the last one counts');
  for (const [what, body, headers] of [
    ['no type', '{"content":"x"}', {}], ['text', '{"content":"x"}', { 'Content-Type': 'text/plain' }], ['a form', 'content=x', { 'Content-Type': 'application/x-www-form-urlencoded' }],
    ['multipart', '--x\r\n\r\n--x--', { 'Content-Type': 'multipart/form-data; boundary=x' }], ['no such charset', '{"content":"x"}', { 'Content-Type': 'application/json; charset=none' }],
    ['broken type', '{"content":"x"}', { 'Content-Type': ';;;' }], ['broken gzip', '{"content":"x"}', { ...json, 'Content-Encoding': 'gzip' }],
    ['no such encoding', '{"content":"x"}', { ...json, 'Content-Encoding': 'zzz' }], ['a bomb', gzipSync(`{"content":"${'x'.repeat(20 * 1024 * 1024)}"}`), { ...json, 'Content-Encoding': 'gzip' }],
  ]) {
    const answer = await send(body, headers);
    wellBehaved(answer, what);
    assert.ok(answer.status >= 400, `${what}: ${answer.status}`);
  }
  for (const [what, body] of bodies) {
    const token = { token: 'wuzapi-token' };
    wellBehaved(await api('POST', '/wuzapi', { raw: body, headers: { ...json, ...token }, key: undefined }), `WUZAPI: ${what}`);
    wellBehaved(await api('POST', '/wuzapi', { raw: `jsonData=${encodeURIComponent(body)}`, headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...token }, key: undefined }), `WUZAPI's form: ${what}`);
    const event = `{"type":"Message","event":{"Info":{"ID":"1","Chat":"1@s.whatsapp.net","Timestamp":"2026-06-18T13:19:38Z"},"Message":{"futureMessage":${what.startsWith('nested') ? deep(100_000, '[', ']') : '{}'}}}}`;
    wellBehaved(await api('POST', '/wuzapi', { raw: event, headers: { ...json, ...token }, key: undefined }), `WUZAPI's message: ${what}`);
  }
});

test('tokens and keys', async () => {
  const exp = Math.floor(Date.now() / 1000) + 600;
  const tokens = ['a.b.c', '..', '.', 'x'.repeat(7000) + '.', sign({ sub: bed.owner, aud: 'authenticated', exp }, '', { alg: 'none' }), sign({ sub: bed.owner, aud: 'authenticated', exp }, backend.jwtSecret, { alg: 'HS512' }),
    ...[null, 7, [], {}, { a: 1 }, [bed.owner], true, ''].map((sub) => sign({ sub, aud: 'authenticated', exp }, backend.jwtSecret)),
    sign({ sub: bed.owner, aud: 'authenticated' }, backend.jwtSecret), sign({ sub: bed.owner, aud: 'authenticated', exp: 'never' }, backend.jwtSecret)];
  for (const token of tokens) {
    const answer = await api('GET', '/conversations', { token });
    wellBehaved(answer, `token ${token.slice(0, 60)}`);
    assert.deepEqual([answer.status, answer.body.code], [401, 'INVALID_TOKEN'], `token ${Buffer.from(token.split('.')[1] ?? '', 'base64url')}`);
  }
  for (const sub of ['x', '\u0000', `${bed.owner}'`, 'x'.repeat(5000)]) { // well signed, and nobody
    for (const route of ['/conversations', '/api-keys', '/webhooks', '/events?topic=user:x:inbox']) {
      const answer = await api('GET', route, { token: backend.token(sub) });
      wellBehaved(answer, `${route} as ${sub.slice(0, 40)}`);
    }
  }
  for (const bad of ['x', 'csk_', `csk_${'0'.repeat(55)}`, `${key}x`, key.toUpperCase(), 'ü'.repeat(30), 'x'.repeat(15_000)]) {
    const answer = await api('GET', '/conversations', { key: encodeURI(bad) });
    assert.equal(answer.status, 401, bad.slice(0, 40));
  }
});

test('requests that are hardly HTTP', async () => {
  const request = (line, ...headers) => [`${line} HTTP/1.1`, 'Host: x', `X-API-Key: ${key}`, ...headers, '', ''].join('\r\n');
  const path = '/api/v1/chat/conversations';
  for (const [what, bytes] of [
    ['an unknown method', request(`FOO ${path}`)], ['an unknown verb of HTTP', request(`PROPFIND ${path}`)], ['TRACE', request(`TRACE ${path}`)], ['PUT', request(`PUT ${path}`, 'Content-Length: 0')],
    ['PATCH of a list', request(`PATCH ${path}`, 'Content-Length: 0')], ['a long header', request(`GET ${path}`, `X-Long: ${'x'.repeat(100_000)}`)],
    ['many headers', request(`GET ${path}`, ...Array.from({ length: 3000 }, (_, n) => `X-${n}: 1`))], ['a long address', request(`GET ${path}?q=${'x'.repeat(100_000)}`)],
    ['two lengths', request(`POST ${path}`, 'Content-Length: 2', 'Content-Length: 3') + '{}'], ['length and chunks', request(`POST ${path}`, 'Content-Length: 2', 'Transfer-Encoding: chunked') + '0\r\n\r\n'],
    ['a wrong chunk', request(`POST ${path}`, 'Content-Type: application/json', 'Transfer-Encoding: chunked') + 'zz\r\n'], ['NUL in a header', request(`GET ${path}`, 'X-A: a\0b')],
    ['no host', `GET ${path} HTTP/1.1\r\n\r\n`], ['not HTTP', 'hello\r\n\r\n'], ['TLS', Buffer.from([0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 13, 10, 13, 10])], ['an absolute address', request(`GET http://[::1/x`)],
    ['a path out of the tree', request(`GET /api/v1/chat/../../../etc/passwd`)], ['two slashes', request(`GET //api/v1/chat/conversations`)], ['nothing there', request('GET /')],
  ]) {
    const { status, body } = await raw(bytes);
    assert.ok(status >= 400 && status < 500, `${what}: ${status} ${JSON.stringify(body)}`);
    if (what !== 'no host') assert.match(body.code ?? body, /^[A-Z_]+$/, what); // that one Node answers itself
  }
  // A body that ends early harms nobody.
  await new Promise((resolve) => {
    const socket = net.connect(backend.port, '127.0.0.1', () => {
      socket.write(request(`POST ${path}`, 'Content-Type: application/json', 'Content-Length: 1000') + '{"contactJid"', () => socket.destroy());
    });
    socket.on('close', resolve);
  });
});

test('after all that it answers as before, and has found nothing worth its log', async () => {
  assert.equal((await api('GET', `/conversations/${talk}`)).status, 200);
  logged = backend.output.split('\n').filter((line) => line.includes('"level":"error"'));
  assert.deepEqual(logged, []);
});
