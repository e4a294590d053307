// The example backend's front door: health, access log, pages of other origins, published keys, wrong keys by address, and its image.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID, sign as signBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { networkOf } from '../../examples/node/strangers.mjs';
import { Backend, call } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { Listener } from '../lib/http.mjs';
import { sign } from '../lib/jwt.mjs';
import { until } from '../lib/wait.mjs';
import { root } from '../lib/workspace.mjs';
import { instructions } from '../packaging/dockerfile.mjs';

const origin = 'https://desk.example.com';
let bed, backend, login, published, key;

/** A login with keys of its own, as Supabase publishes them: {token, jwk}. */
function newLogin(kid) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const encode = (text) => Buffer.from(JSON.stringify(text)).toString('base64url');
  const token = (claims, head = {}) => {
    const signed = `${encode({ alg: 'ES256', typ: 'JWT', kid, ...head })}.${encode({ aud: 'authenticated', role: 'authenticated', exp: Math.floor(Date.now() / 1000) + 600, ...claims })}`;
    return `${signed}.${signBytes('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  return { token, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' } };
}

before(async () => {
  bed = await Bed.create();
  await bed.role('chat_backend', 'grant_backend');
  login = newLogin('one');
  published = await new Listener((request, response) => response.end(JSON.stringify({ keys: [login.jwk] }))).up();
  bed.closing.push(() => published.down());
  backend = await Backend.start(bed.cluster, { env: { SUPABASE_JWKS_URL: `${published.url}/jwks.json`, CORS_ORIGINS: `${origin}, http://localhost:5173`, TRUST_PROXY: 'loopback' } });
  bed.closing.push(() => backend.stop());
  key = await value(bed.db, `SELECT chat.create_api_key($1, 'test') ->> 'key'`, [bed.owner]);
});

after(() => bed.close());

const from = (address) => ({ 'X-Forwarded-For': address });
const list = (options) => call(backend, 'GET', '/conversations', options);
const get = (route, headers = {}, method = 'GET') => fetch(backend.url + route, { method, headers });

test('it says that it lives, and whether it can serve', async () => {
  const said = async (route) => {
    const answer = await get(route);
    return [answer.status, await answer.json()];
  };
  assert.deepEqual(await said('/healthz'), [200, { status: 'ok' }]);
  assert.deepEqual(await said('/readyz'), [200, { status: 'ok' }]);
  await bed.cluster.stop('immediate');
  await until(async () => (await said('/readyz'))[0] === 503, 'it not to be ready');
  assert.deepEqual(await said('/readyz'), [503, { status: 'unavailable' }]);
  assert.deepEqual(await said('/healthz'), [200, { status: 'ok' }]);
  await bed.cluster.start();
  await bed.reconnect();
  await until(async () => (await said('/readyz'))[0] === 200, 'it to be ready again', 30_000);
});

test('each request is a line, without a secret', async () => {
  const token = backend.token(bed.owner);
  const search = 'what somebody looks for';
  await list({ key, headers: from('192.0.2.7') });
  await call(backend, 'GET', `/search/conversations?q=${encodeURIComponent(search)}`, { token });
  const wrong = 'csk_a-key-that-is-wrong';
  await list({ key: wrong });
  const lines = () => backend.output.split('\n').filter((line) => line.includes('"level":"info"')).map((line) => JSON.parse(line));
  const one = await until(() => lines().find(({ by, address }) => by === 'key' && address === '192.0.2.7'), () => `the line: ${backend.output}`);
  assert.deepEqual(Object.keys(one), ['time', 'level', 'id', 'method', 'path', 'status', 'ms', 'address', 'by', 'owner']);
  assert.deepEqual([one.method, one.path, one.status, one.owner], ['GET', '/api/v1/chat/conversations', 200, bed.owner]);
  await until(() => lines().some(({ status }) => status === 401), 'the refusal');
  assert.equal(lines().find(({ status }) => status === 401).owner, undefined);
  for (const secret of [key, token, wrong, 'looks', backend.jwtSecret]) assert.ok(!backend.output.includes(secret), secret);
});

test('an answer that nobody waits for is a line of its own', async () => {
  await bed.db.query('BEGIN; LOCK TABLE public.conversations');
  const socket = net.connect(backend.port, '127.0.0.1');
  socket.write(`GET /api/v1/chat/conversations?page=7 HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\n\r\n`);
  await until(async () => await value(bed.db, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chat-backend' AND wait_event_type = 'Lock'`) > 0, 'the request to wait');
  socket.destroy();
  await until(() => backend.output.includes('"status":499'), () => `the line: ${backend.output}`);
  await bed.db.query('COMMIT');
});

test('pages of the origins that are listed may ask, and no other', async () => {
  const allowed = async (headers, method) => {
    const answer = await get('/api/v1/chat/conversations', headers, method);
    return [answer.status, answer.headers.get('Access-Control-Allow-Origin'), answer.headers.get('Vary')];
  };
  const asks = { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-api-key' };
  assert.deepEqual(await allowed({ Origin: origin, 'X-API-Key': key }), [200, origin, 'Origin']);
  assert.deepEqual(await allowed({ Origin: origin, ...asks }, 'OPTIONS'), [204, origin, 'Origin']);
  for (const other of ['https://desk.example.com.evil.example', 'http://desk.example.com', 'https://desk.example.com:8443', 'null', 'https://DESK.example.com']) {
    assert.deepEqual((await allowed({ Origin: other, 'X-API-Key': key })).slice(1), [null, 'Origin'], other);
    assert.equal((await allowed({ Origin: other, ...asks }, 'OPTIONS'))[1], null, other);
  }
  assert.equal((await allowed({ Origin: origin }))[1], origin, 'a page may read why it is refused');
});

test('tokens by published keys, beside those by the secret; neither is taken for the other', async () => {
  const status = async (token) => (await list({ token, headers: from('192.0.2.20') })).status;
  assert.equal(await status(login.token({ sub: bed.owner })), 200);
  assert.equal(await status(backend.token(bed.owner)), 200);
  for (const [what, token] of [
    ['of another key', newLogin('one').token({ sub: bed.owner })], ['that is over', login.token({ sub: bed.owner, exp: 1 })], ['of nobody', login.token({})],
    ['for another audience', login.token({ sub: bed.owner, aud: 'other' })], ['without an end', login.token({ sub: bed.owner, exp: undefined })],
    ['signed with the public key as a secret', sign({ sub: bed.owner, aud: 'authenticated', exp: 4e9 }, JSON.stringify(login.jwk), { alg: 'HS256', kid: 'one' })],
    ['of an algorithm that is none', login.token({ sub: bed.owner }, { alg: 'none' })], ['of an unknown key', newLogin('two').token({ sub: bed.owner })],
  ]) assert.equal(await status(token), 401, what);
});

test('where keys cannot be fetched, or are none, a token is not called wrong; whatever a token says, it is', async () => {
  let reply;
  const keys = await new Listener((request, response) => reply(response)).up();
  const other = await Backend.start(bed.cluster, { env: { SUPABASE_JWKS_URL: keys.url } });
  const said = async (token) => {
    const { status, body } = await call(other, 'GET', '/conversations', { token });
    return [status, body.code];
  };
  try {
    for (const way of [
      (response) => response.writeHead(302, { Location: published.url }).end(), (response) => response.writeHead(500).end(), (response) => response.end('<h1>Soon back</h1>'),
      (response) => response.end('{}'), (response) => response.socket.destroy(),
    ]) {
      reply = way;
      assert.deepEqual(await said(login.token({ sub: bed.owner })), [503, 'SERVICE_UNAVAILABLE'], String(way));
    }
    await keys.down();
    assert.deepEqual(await said(login.token({ sub: bed.owner })), [503, 'SERVICE_UNAVAILABLE']);
    for (const words of ['fetch failed', 'Expected 200 OK from the JSON Web Key Set']) {
      assert.deepEqual(await said(login.token({ sub: bed.owner }, { crit: [words], [words]: 1 })), [401, 'INVALID_TOKEN']);
    }
  } finally {
    await other.stop();
    await keys.down();
  }
});

test('wrong keys: an address that gives too many is not looked at, and others are; a good token always is', async () => {
  const wrong = { key: `csk_${'0'.repeat(55)}`, headers: from('2001:db8:1:2::1') };
  const statuses = [];
  for (let tries = 0; tries < 25; tries++) statuses.push(await list(wrong));
  assert.deepEqual(statuses.map(({ status }) => status), [...Array(20).fill(401), ...Array(5).fill(429)]);
  assert.equal(statuses[0].headers.get('RateLimit-Policy'), '"wrong-key";q=20;w=60');
  assert.match(statuses[0].headers.get('RateLimit'), /^"wrong-key";r=19;t=\d+$/);
  const { body, headers } = statuses.at(-1);
  assert.deepEqual([body.code, body.retryAfter > 0, Number(headers.get('Retry-After')) > 0], ['RATE_LIMIT_EXCEEDED', true, true]);
  assert.match(headers.get('RateLimit'), /^"wrong-key";r=0;t=\d+$/);

  const neighbour = from('2001:db8:1:2:ffff::2'); // of the same network
  assert.equal((await list({ key, headers: neighbour })).status, 429);
  assert.equal((await list({ token: backend.token(bed.owner), headers: neighbour })).status, 200);
  assert.equal((await list({ token: 'a.b.c', headers: neighbour })).status, 429);
  const event = (options) => call(backend, 'POST', '/wuzapi', { raw: '{"userID":"unknown"}', ...options });
  assert.equal((await event({ headers: neighbour })).status, 429);
  assert.equal((await list({ key, headers: from('2001:db8:1:3::1') })).status, 200);

  for (let tries = 0; tries < 25; tries++) {
    assert.equal((await list({ token: backend.token(bed.owner, { expiresIn: -10 }), headers: from('192.0.2.30') })).status, 401, 'a token that is over is nobody\'s guess');
    assert.equal((await call(backend, 'GET', '/conversations', { headers: from('192.0.2.30') })).body.code, 'API_KEY_MISSING');
  }
});

test('networks: an IPv4 address, or 64 bits of IPv6', () => {
  assert.deepEqual(['192.0.2.1', '::ffff:192.0.2.1', '2001:db8::1', '2001:0db8:0:0:1::', '::1', 'fe80::1%eth0', undefined].map(networkOf),
    ['192.0.2.1', '192.0.2.1', '2001:db8:0:0::/64', '2001:db8:0:0::/64', '0:0:0:0::/64', 'fe80:0:0:0::/64', '']);
});

test('bodies of senders whom nobody knows yet are bounded together, those of a network, too, and what is compressed counts as the longest', async () => {
  const sockets = [];
  const longest = 64 * 1024 * 1024;
  /** A request whose body does not come. Who may go on hears 100, and is held for that many bytes from then on. */
  const begin = async (wanted, address, bytes, header = '') => {
    const socket = net.connect(backend.port, '127.0.0.1');
    let said = '';
    socket.on('data', (chunk) => { said += chunk; });
    socket.on('error', () => {});
    socket.write(`POST /api/v1/chat/wuzapi HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${address}\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n${header}Content-Length: ${bytes}\r\n\r\n`);
    sockets.push(socket);
    await until(() => wanted.test(said), () => `${wanted} for ${bytes} bytes of ${address}, not ${said}`);
  };
  const admitted = (...request) => begin(/^HTTP\/1\.1 100 /, ...request);
  const refused = (...request) => begin(/HTTP\/1\.1 503 [^]*SERVICE_UNAVAILABLE/, ...request);
  await admitted('192.0.2.40', 1024, 'Content-Encoding: gzip\r\n');
  await refused('192.0.2.40', 1024);
  await admitted('2001:db8:5::1', longest);
  await refused('2001:db8:5::2', 1024);
  await refused('192.0.2.42', 1024);
  for (const socket of sockets) socket.destroy();
  await until(async () => (await call(backend, 'POST', '/wuzapi', { raw: '{}', headers: from('192.0.2.41') })).status === 401, 'the others to be heard again');
});

test('settings that cannot be meant are named, with exit code 2', async () => {
  for (const [env, text] of [
    [{ CORS_ORIGINS: 'desk.example.com' }, /CORS_ORIGINS: "desk\.example\.com" is no origin/], [{ CORS_ORIGINS: '*' }, /"\*" is no origin/],
    [{ SUPABASE_JWKS_URL: 'jwks.json' }, /SUPABASE_JWKS_URL must be/], [{ WRONG_KEYS_PER_MINUTE: '0' }, /WRONG_KEYS_PER_MINUTE/], [{ ACCESS_LOG: 'yes' }, /ACCESS_LOG/],
    [{ TRUST_PROXY: 'somewhere' }, /invalid IP address: somewhere/], [{ JWT_SECRET: '' }, /JWT_SECRET or SUPABASE_JWKS_URL/],
  ]) {
    await assert.rejects(Backend.start(bed.cluster, { env }), text);
  }
});

test('the image: packages of the lock file, not as root, asked whether it lives', () => {
  const directory = path.join(root, 'examples/node');
  const steps = instructions(path.join(directory, 'Dockerfile'));
  const of = (name) => steps.filter((step) => step.name === name).map(({ text }) => text);
  assert.match(of('RUN')[0], /^npm ci --omit=dev /);
  assert.deepEqual(of('USER'), ['node']);
  assert.deepEqual(JSON.parse(of('CMD')[0]), ['node', 'server.mjs']);
  assert.match(of('HEALTHCHECK')[0], /healthz/);
  assert.ok(readFileSync(path.join(directory, '.dockerignore'), 'utf8').includes('node_modules'));
});
