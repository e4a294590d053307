// What the embedded endpoint takes as proof of who somebody is: several secrets, public keys, API keys; and the command
// that makes and checks tokens.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { Listener } from '../lib/http.mjs';
import { roleToken, userToken } from '../lib/jwt.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { until } from '../lib/wait.mjs';
import { sidecarBinary } from '../lib/workspace.mjs';

const secret = 's'.repeat(40);
const now = () => Math.floor(Date.now() / 1000);
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
let bed, conversation, topic;

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  topic = `conversation:${conversation}`;
});

after(() => bed.close());

/** A pair of keys: its part of a JWKS, and a function that signs claims. */
function signer(algorithm, kid, extra = {}) {
  const [type, options] = { RS256: ['rsa', { modulusLength: 2048 }], RS1024: ['rsa', { modulusLength: 1024 }], ES256: ['ec', { namedCurve: 'P-256' }], EdDSA: ['ed25519', {}] }[algorithm];
  const { publicKey, privateKey } = generateKeyPairSync(type, options);
  const key = algorithm === 'ES256' ? { key: privateKey, dsaEncoding: 'ieee-p1363' } : privateKey;
  return {
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', ...extra },
    token(claims = {}, header = {}) {
      const text = `${encode({ alg: algorithm.replace('1024', '256'), kid, typ: 'JWT', ...header })}.${encode({ sub: bed.owner, role: 'authenticated', exp: now() + 600, ...claims })}`;
      return `${text}.${sign(algorithm === 'EdDSA' ? null : 'sha256', Buffer.from(text), key).toString('base64url')}`;
    },
  };
}

const file = (name, text) => {
  const where = path.join(bed.cluster.dir, name);
  writeFileSync(where, text);
  return where;
};

/** What a broadcast over HTTP with a token, or an API key, is answered. */
async function answer(sidecar, token, header = 'authorization') {
  const headers = { 'content-type': 'application/json', [header]: header === 'apikey' ? token : `Bearer ${token}` };
  return (await fetch(`${sidecar.url}/api/broadcast`, { method: 'POST', headers, body: '{"messages":[]}' })).status;
}
/** 422: who it is was found to be good, and the body empty. */
const accepts = async (...args) => (await answer(...args)) !== 401;

async function joins(sidecar, token, key = sidecar.anonKey) {
  const socket = await RawSocket.open(sidecar, { key });
  try {
    return await socket.join(topic, token, '1');
  } finally {
    socket.close();
  }
}

test('users with tokens of public keys join their conversations; such a key speaks for no service', async () => {
  const keys = ['RS256', 'ES256', 'EdDSA'].map((algorithm) => signer(algorithm, algorithm));
  const [weak, foreign, other] = [signer('RS1024', 'weak'), signer('ES256', 'ES256'), signer('ES256', 'enc', { use: 'enc' })];
  const jwks = { keys: [{ kty: 'oct', k: Buffer.from('o'.repeat(40)).toString('base64url'), kid: 'oct', alg: 'HS256' }, weak.jwk, other.jwk, ...keys.map((key) => key.jwk)] };
  const sidecar = await bed.sidecar({ EMBEDDED_JWT_SECRET: secret, EMBEDDED_JWKS: file('jwks.json', JSON.stringify(jwks)) });
  for (const key of keys) {
    assert.equal((await joins(sidecar, key.token())).status, 'ok', key.jwk.kid);
    assert.equal((await joins(sidecar, key.token({}, { kid: undefined }))).status, 'ok', `${key.jwk.kid} without its id`);
    assert.ok(!await accepts(sidecar, key.token({ role: 'service_role' })), `${key.jwk.kid} as service`);
    assert.ok(!await accepts(sidecar, key.token({}, { kid: 'weak' })), 'under the id of another key');
    assert.ok(!await accepts(sidecar, key.token().replace(/.{6}$/, 'AAAAAA')), 'another signature');
    assert.ok(!await accepts(sidecar, key.token().replace(/\.[^.]*$/, '.')), 'no signature');
    assert.ok(!await accepts(sidecar, key.token({ exp: now() - 1 })), 'late');
  }
  assert.ok(!await accepts(sidecar, weak.token()), 'a short key');
  assert.ok(!await accepts(sidecar, foreign.token()), 'a key of the same name');
  assert.ok(!await accepts(sidecar, other.token()), 'a key for something else');
  // The public key's own text as a secret, and the symmetric key of the set.
  for (const guess of [JSON.stringify(keys[0].jwk), keys[0].jwk.n, 'o'.repeat(40)])
    assert.ok(!await accepts(sidecar, userToken(bed.owner, guess)), 'HS256 with what is public');
  assert.equal((await joins(sidecar, keys[1].token({ sub: '00000000-0000-4000-8000-000000000000' }))).status, 'error', 'a stranger with a good token');
  await sidecar.kill('SIGTERM');
});

test('a JWKS at a URL: fetched, refreshed when told, kept while the server is down or wrong', async () => {
  const [first, second] = [signer('ES256', 'first'), signer('ES256', 'second')];
  let page = '{"keys":"none"}';
  const server = await new Listener((request, response) => response.end(page)).up();
  const sidecar = await bed.sidecar({ EMBEDDED_JWT_SECRET: secret, EMBEDDED_JWKS: `http://127.0.0.1:${server.port}/auth/v1/.well-known/jwks.json` });
  const complaint = (text) => until(() => sidecar.log.some((line) => /EMBEDDED_JWKS/.test(line.message ?? line.msg ?? JSON.stringify(line)) && text.test(line.error)), () => `a line of ${text}: ${sidecar.tail()}`);
  await complaint(/is no JWKS/);
  page = JSON.stringify({ keys: [first.jwk] });
  await until(() => accepts(sidecar, first.token()), 'the keys, asked for again', 20000);
  page = JSON.stringify({ keys: [second.jwk] });
  sidecar.child.kill('SIGHUP');
  await until(() => accepts(sidecar, second.token()), 'the new key');
  assert.ok(!await accepts(sidecar, first.token()), 'the old one');
  page = '';
  sidecar.child.kill('SIGHUP');
  await complaint(/is empty/);
  page = ' '.repeat(70000);
  sidecar.child.kill('SIGHUP');
  await complaint(/more than 64 KiB/);
  await server.down();
  sidecar.child.kill('SIGHUP');
  await until(() => sidecar.log.filter((line) => line.have === 'the former keys').length >= 3, 'a line about the server that is gone');
  assert.ok(await accepts(sidecar, second.token()), 'what was fetched before');
  // An endpoint that is started again is told what the core knows.
  const pid = sidecar.endpointPid;
  process.kill(pid, 'SIGKILL');
  await until(async () => { try { return await accepts(sidecar, second.token()); } catch { return false; } }, 'the next endpoint', 20000);
  await sidecar.kill('SIGTERM');
});

test('secrets overlap while one is replaced; HS384 and HS512 are good', async () => {
  const [old, newer] = ['o'.repeat(32), 'n'.repeat(32)];
  const sidecar = await bed.sidecar({ EMBEDDED_JWT_SECRET: `${newer},${old}` });
  const key = roleToken('anon', old);
  for (const s of [old, newer]) assert.equal((await joins(sidecar, userToken(bed.owner, s), key)).status, 'ok');
  for (const [algorithm, digest] of [['HS384', 'sha384'], ['HS512', 'sha512']]) {
    const text = `${encode({ alg: algorithm })}.${encode({ role: 'service_role', exp: now() + 60 })}`;
    assert.ok(await accepts(sidecar, `${text}.${createHmac(digest, newer).update(text).digest('base64url')}`), algorithm);
    assert.ok(!await accepts(sidecar, `${text}.${createHmac('sha256', newer).update(text).digest('base64url')}`), `${algorithm}, signed with less`);
  }
  assert.ok(!await accepts(sidecar, roleToken('service_role', `${newer},${old}`)));
  await sidecar.kill('SIGTERM');
});

test('API keys stand for their role until the file says otherwise', async () => {
  const keys = file('api_keys', 'sb_publishable_0123456789 anon\nsb_secret_0123456789 service_role\n');
  const sidecar = await bed.sidecar({ EMBEDDED_JWT_SECRET: secret, EMBEDDED_API_KEYS: keys });
  assert.equal((await joins(sidecar, userToken(bed.owner, secret), 'sb_publishable_0123456789')).status, 'ok');
  // The client's own token is the API key again: that is who it is.
  assert.equal((await joins(sidecar, 'sb_publishable_0123456789', 'sb_publishable_0123456789')).status, 'error');
  assert.equal((await joins(sidecar, 'sb_secret_0123456789', 'sb_secret_0123456789')).status, 'ok');
  assert.ok(await accepts(sidecar, 'sb_secret_0123456789', 'apikey'));
  assert.ok(await accepts(sidecar, 'sb_secret_0123456789'));
  assert.ok(!await accepts(sidecar, 'sb_secret_0123456780'));
  assert.ok(!await accepts(sidecar, 'sb_'));
  file('api_keys', 'sb_secret_0123456789 postgres\n');
  sidecar.child.kill('SIGHUP');
  await until(() => sidecar.log.some((line) => line.setting === 'EMBEDDED_API_KEYS' && /none of anon/.test(line.error)), 'a line about the role');
  assert.ok(await accepts(sidecar, 'sb_secret_0123456789'));
  file('api_keys', '# none\n');
  sidecar.child.kill('SIGHUP');
  await until(async () => !await accepts(sidecar, 'sb_secret_0123456789'), 'the end of the key');
  assert.ok(!JSON.stringify(sidecar.log).includes('0123456789'), 'no key is in the log');
  await sidecar.kill('SIGTERM');
});

/** chat-sidecar token: {status, stdout, stderr}. */
const token = (args, { input = '', ...env } = {}) => spawnSync(sidecarBinary, ['token', ...args], { input, encoding: 'utf8', env: { PATH: process.env.PATH, EMBEDDED_JWT_SECRET: secret, ...env } });

test('the command makes tokens that the endpoint takes', async () => {
  const sidecar = await bed.sidecar({ EMBEDDED_JWT_SECRET: secret });
  const made = token(['--sub', bed.owner]);
  assert.equal(made.status, 0, made.stderr);
  const claims = JSON.parse(Buffer.from(made.stdout.split('.')[1], 'base64url'));
  assert.deepEqual({ ...claims, iat: 0, exp: claims.exp - claims.iat }, { role: 'authenticated', iat: 0, exp: 3600, sub: bed.owner, aud: 'authenticated' });
  assert.equal((await joins(sidecar, made.stdout.trim())).status, 'ok');
  const service = token(['--role', 'service_role', '--expires', '60']).stdout.trim();
  assert.ok(await accepts(sidecar, service));
  assert.match(token(['--check'], { input: service }).stdout, /^the token is good: role service_role, user none, expires in (60|59|58) s\n$/);
  await sidecar.kill('SIGTERM');
});

for (const [what, args, env, wanted] of [
  ['no secret', ['--role', 'anon'], { EMBEDDED_JWT_SECRET: '' }, /^chat-sidecar: EMBEDDED_JWT_SECRET: is not set/],
  ['no user', [], {}, /--sub is needed/],
  ['a role that there is not', ['--role', 'postgres'], {}, /--role is none of anon/],
  ['no end', ['--sub', 'a', '--expires', '0'], {}, /--expires .* 31536000/],
  ['an end in two years', ['--sub', 'a', '--expires', '63072000'], {}, /--expires/],
  ['a line break in the user', ['--sub', 'a\nb'], {}, /--sub holds control characters/],
  ['an unknown option', ['--subject', 'a'], {}, /an option that it does not know/],
  ['an option without its value', ['--sub'], {}, /lacks its value/],
  ['the token as an argument', ['--check', 'ey.ey.ey'], {}, /standard input/],
]) {
  test(`the command refuses ${what}`, () => {
    const refused = token(args, env);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, wanted);
    assert.equal(refused.stdout, '');
  });
}

for (const [what, input, wanted, env] of [
  ['nothing', () => '', /standard input is empty/],
  ['no token', () => 'hello', /three parts with dots between/],
  ['an API key', () => 'sb_secret_1', /EMBEDDED_API_KEYS/],
  ['another secret', () => roleToken('anon', 'x'.repeat(32)), /signature\nit was signed with another secret/],
  ['a public key that is not named', () => signer('ES256', 'a').token(), /EMBEDDED_JWKS would have to name/],
  ['one that has expired', () => roleToken('anon', secret, { expiresIn: -100 }), /Token has expired 10\d s ago/],
  ['no role', () => userToken('a', secret, { role: undefined }), /the claims must have role/],
  ['one that is cut off', () => roleToken('anon', secret).slice(0, 40), /cut off/],
]) {
  test(`the command says what is wrong with ${what}`, () => {
    const checked = token(['--check'], { input: input(), ...env });
    assert.match(checked.stdout, wanted);
    assert.equal(checked.status, 1);
  });
}

for (const [what, env, wanted] of [
  ['a JWKS that is not there', { EMBEDDED_JWKS: '/nowhere/jwks.json' }, /EMBEDDED_JWKS: \/nowhere\/jwks.json: No such file/],
  ['a JWKS that is none', { EMBEDDED_JWKS: '/etc/passwd' }, /EMBEDDED_JWKS: .* is no JWKS/],
  ['a file of API keys that is none', { EMBEDDED_API_KEYS: '/etc/passwd' }, /EMBEDDED_API_KEYS: .* is not a key/],
  ['a device', { EMBEDDED_API_KEYS: '/dev/zero' }, /more than 64 KiB|is no text/],
  ['a short one among secrets', { EMBEDDED_JWT_SECRET: `${secret},short` }, /between commas, of less than 32 bytes/],
  ['nine secrets', { EMBEDDED_JWT_SECRET: Array(9).fill(secret).join() }, /more than 8/],
]) {
  test(`settings: ${what} is refused at the start`, () => {
    const checked = spawnSync(sidecarBinary, ['--check-config'], { encoding: 'utf8', env: { PATH: process.env.PATH, ...env } });
    assert.equal(checked.status, 2);
    assert.match(checked.stderr, wanted);
  });
}
