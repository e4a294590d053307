// What the sidecar's /metrics tell of the API: requests by code, and the time of each function, as calls were made.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Backend, call } from '../lib/backend.mjs';
import { Bed, fixture } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { until } from '../lib/wait.mjs';
import { root } from '../lib/workspace.mjs';

let bed, backend, sidecar, token, key;

const api = (method, route, options = {}) => call(backend, method, route, 'key' in options || options.token ? options : { key, ...options });

/** Waits for a series to have a value; the sidecar asks the database now and then. */
const shows = (name, labels, wanted) => until(async () => await sidecar.metric(name, labels) === wanted,
  async () => `${name}{${labels}} to be ${wanted}, not ${await sidecar.metric(name, labels)}`, 60000, 200);
const answered = (code, wanted) => shows('chat_api_authentications_total', `code="${code}"`, wanted);
const called = (name, wanted) => shows('chat_api_request_seconds_count', `function="${name}"`, wanted);

before(async () => {
  bed = await Bed.create();
  await bed.role('chat_backend', 'grant_backend');
  sidecar = await bed.sidecar();
  backend = await Backend.start(bed.cluster);
  bed.closing.push(() => backend.stop());
  token = backend.token(bed.owner);
  key = await newKey();
});

after(() => bed.close());

async function newKey(settings = {}) {
  return (await api('POST', '/api-keys', { body: { name: 'test', scopes: ['chat:admin'], rateLimit: 10_000, ...settings }, token })).body.data.key;
}

test('every series is there from the start, with 0', async () => {
  const page = await until(async () => {
    const text = await (await sidecar.get('/metrics')).text();
    return text.includes('chat_api_authentications_total{') && text;
  }, 'the first answer', 20000);
  for (const code of ['OK', 'API_KEY_MISSING', 'API_KEY_INVALID_FORMAT', 'API_KEY_INVALID', 'API_KEY_EXPIRED', 'INSUFFICIENT_SCOPES', 'RATE_LIMIT_EXCEEDED']) {
    assert.match(page, new RegExp(`^chat_api_authentications_total\\{code="${code}"\\} 0$`, 'm'));
  }
  const names = await rows(bed.db, `SELECT name FROM chat.api_stats() WHERE kind = 'function'`);
  assert.ok(names.length > 30);
  for (const { name } of names) assert.match(page, new RegExp(`^chat_api_request_seconds_count\\{function="${name}"\\} \\d+$`, 'm'));
  assert.match(page, /^chat_api_request_seconds_bucket\{function="search_messages",le="\+Inf"\} 0$/m);
  assert.match(page, /^chat_api_request_seconds_sum\{function="search_messages"\} 0$/m);
});

test('requests by what chat.authenticate answered', async () => {
  for (let n = 0; n < 5; n++) await api('GET', '/conversations');
  for (let n = 0; n < 4; n++) await api('GET', '/conversations', { key: undefined });
  for (let n = 0; n < 3; n++) await api('GET', '/conversations', { key: 'x' });
  await api('GET', '/conversations', { key: await value(bed.db, `SELECT chat.create_api_key($1, 'gone') ->> 'key'`, [bed.owner]) });
  await bed.db.query(`SELECT chat.revoke_api_key(id) FROM public.chat_api_keys WHERE name = 'gone'`);
  const reading = await newKey({ scopes: ['chat:read'] });
  for (let n = 0; n < 2; n++) await api('POST', '/conversations', { key: reading, body: { contactJid: 'x' } });
  const slow = await newKey({ rateLimit: 1 });
  const statuses = [];
  for (let n = 0; n < 3; n++) statuses.push((await api('GET', '/conversations', { key: slow })).status);
  assert.deepEqual(statuses, [200, 429, 429]);
  for (const [code, wanted] of [['OK', 7], ['API_KEY_MISSING', 4], ['API_KEY_INVALID_FORMAT', 3], ['INSUFFICIENT_SCOPES', 2], ['RATE_LIMIT_EXCEEDED', 2]]) {
    await answered(code, wanted);
  }
});

test('requests by who asks and how they ended, each counted once, by routes and by SQL', async () => {
  const counts = async () => Object.fromEntries((await rows(bed.db, "SELECT name, calls FROM chat.api_stats() WHERE kind = 'request'")).map(({ name, calls }) => [name, Number(calls)]));
  const before = await counts();
  assert.equal(Object.keys(before).length, 39);
  const wanted = { ...before };
  const count = (name, times = 1) => { wanted[name] += times; };
  for (let n = 0; n < 3; n++) await api('GET', '/conversations'); // authenticate, and a list
  count('key ok', 3);
  await api('GET', '/conversations', { token });
  count('jwt ok');
  await api('GET', '/conversations?limit=0');
  await api('POST', '/conversations', { body: {}, token });
  count('key 22');
  count('jwt 22');
  await api('GET', '/conversations', { key: 'x' });
  count('key 28');
  const reading = await newKey({ scopes: ['chat:read'], rateLimit: 2 }); // by a token
  count('jwt ok');
  await api('POST', '/conversations', { key: reading, body: { contactJid: 'x' } });
  count('key 42');
  for (let n = 0; n < 4; n++) await api('GET', '/conversations', { key: reading });
  count('key ok', 2);
  count('key PT', 2);
  // By SQL: functions that call others are one request; whoever has claims is a user, with a key's mark a key.
  const as = (claims, sql) => bed.db.query('SELECT set_config($1, $2, false)', ['request.jwt.claims', claims]).then(() => bed.db.query(sql)).catch(() => {});
  await as('', `SELECT chat.list_conversations('${bed.owner}')`);
  await as(JSON.stringify({ sub: bed.owner }), `SELECT chat.list_conversations('${bed.owner}'), chat.list_api_keys('${bed.owner}')`);
  await as(JSON.stringify({ sub: bed.owner, api_key_id: '1' }), `SELECT chat.list_conversations('${bed.owner}', 0)`);
  await as('', `SELECT chat.list_conversations('${bed.owner}', 0)`);
  count('service ok');
  count('jwt ok', 2);
  count('key 22');
  count('service 22');
  assert.deepEqual(await counts(), wanted);
  for (const name of ['key PT', 'service ok']) {
    const [by, outcome] = name.split(' ');
    await shows('chat_api_requests_total', `by="${by}",outcome="${outcome}"`, wanted[name]);
  }
  await assert.rejects(bed.db.query("SELECT chat.request_by('somebody')"), { code: '22023' });
});

test('how full the table of rate limits is, by what it is for', async () => {
  await bed.db.query("SELECT count(chat.check_rate_limit('n' || n, 1, '1 day')) FROM generate_series(1, 1000) n");
  await until(async () => await sidecar.metric('chat_api_rate_limit_buckets', 'for="names"') >= 1000, '1,000 names in use', 60000, 200);
  assert.equal(await sidecar.metric('chat_api_rate_limit_buckets_limit', 'for="names"'), 131072);
  assert.ok(await sidecar.metric('chat_api_rate_limit_buckets', 'for="keys"') < 100);
});

test('each function of the API: how often, how long, and a histogram that adds up', async () => {
  const { id } = (await api('POST', '/conversations', { body: { contactJid: '5511900000001@s.whatsapp.net' } })).body.data;
  const sent = [];
  for (let n = 0; n < 3; n++) sent.push((await api('POST', `/conversations/${id}/messages`, { body: { content: `${n}` } })).body.data.id);
  await api('GET', `/conversations/${id}`);
  await api('PATCH', `/conversations/${id}`, { body: { status: 'pending' } });
  for (let n = 0; n < 2; n++) await api('GET', `/conversations/${id}/messages`);
  await api('PATCH', `/messages/${sent[0]}`, { body: { content: 'edited' } });
  await api('DELETE', `/messages/${sent[1]}`);
  await api('POST', `/conversations/${id}/read`, { body: {} });
  await api('POST', `/conversations/${id}/typing`, { body: {} });
  await api('GET', `/events?topic=conversation:${id}&after=0`);
  await api('GET', `/search/messages?conversationId=${id}&q=edited`);
  await api('GET', '/search/conversations?q=55119');
  await api('DELETE', `/conversations/${id}`);
  await api('GET', `/conversations/${randomUUID()}`); // an error counts, too
  await bed.ingest(fixture('text.json'));
  await value(bed.db, `SELECT chat.update_message_status($1, 'read')`, [String(sent[2])]);
  for (const [name, wanted] of Object.entries({ create_conversation: 1, save_message: 3, get_conversation: 2, update_conversation: 2, list_messages: 2, edit_message: 1,
    delete_message: 1, mark_read: 1, presence: 1, topic_events: 1, search_messages: 1, archive_conversation: 1, ingest_wuzapi: 1, update_message_status: 1 })) await called(name, wanted);

  const page = await (await sidecar.get('/metrics')).text();
  const series = (name) => [...page.matchAll(new RegExp(`^${name}\\{function="save_message"(?:,le="([^"]+)")?\\} (\\S+)$`, 'gm'))].map(([, le, number]) => [le, Number(number)]);
  const buckets = series('chat_api_request_seconds_bucket');
  assert.ok(buckets.length > 10);
  buckets.forEach(([, count], n) => assert.ok(n === 0 || count >= buckets[n - 1][1], 'buckets are cumulative'));
  assert.deepEqual(buckets.at(-1), ['+Inf', 3]);
  const [[, sum]] = series('chat_api_request_seconds_sum');
  assert.ok(sum > 0 && sum < 60);
  assert.match(page, /^# TYPE chat_api_request_seconds histogram$/m);
  assert.match(page, /^# TYPE chat_api_authentications_total counter$/m);
});

test('every function that a backend may call is counted, but those that only ask who or how', async () => {
  // The list is read where it stands.
  const source = readFileSync(path.join(root, 'extension/keys/api_stats.c'), 'utf8');
  const counted = /functions\[\] = \{([^}]*)\}/.exec(source)[1].match(/\w+/g);
  const names = await value(bed.db, 'SELECT chat.backend_functions()');
  assert.deepEqual(counted, counted.toSorted(), 'it is searched by halving');
  assert.deepEqual(counted.filter((name) => !names.includes(name)), []);
  assert.deepEqual(names.filter((name) => !counted.includes(name)).sort(), ['api_stats', 'can_join', 'current_user_id', 'realtime_provider', 'request_by', 'status']);
});
