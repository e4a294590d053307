// Starting, stopping, watching and misconfiguring the sidecar.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { RawHttp, request } from '../lib/http-wire.mjs';
import { Listener } from '../lib/http.mjs';
import { roleToken, sign } from '../lib/jwt.mjs';
import { freePort } from '../lib/ports.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { until, within } from '../lib/wait.mjs';
import { sidecarBinary } from '../lib/workspace.mjs';

let bed, conversation;

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
});

after(() => bed.close());

/** Runs the sidecar until it ends: {code, signal, text}. */
async function ends(env, args) {
  const sidecar = new Sidecar(env, args).run();
  try {
    const end = await within(sidecar.exited, 'the sidecar does not end', 8000);
    return { ...end, text: sidecar.tail(), lines: sidecar.log.length + sidecar.output.trim().split('\n').filter(Boolean).length };
  } catch (error) {
    await sidecar.kill();
    throw new Error(`${error.message}: ${sidecar.tail()}`);
  }
}

for (const [what, env, args, names] of [
  ['an unknown option', {}, ['--no-such-option'], /no-such-option/],
  ['an option without its value', {}, ['--http-listen'], /"--http-listen" lacks its value/],
  ['a port beyond all', { EMBEDDED_LISTEN: '127.0.0.1:65536' }, [], /EMBEDDED_LISTEN: .*65535/],
  ['a port with letters behind it', { HTTP_LISTEN: '127.0.0.1:9464x' }, [], /HTTP_LISTEN: .*65535/],
  ['an unknown format of the log', { LOG_FORMAT: 'xml' }, [], /LOG_FORMAT/],
  ['an unknown level of the log', {}, ['--log-level=in'], /LOG_LEVEL/],
  ['a number with a blank', { WEBHOOK_TIMEOUT_MS: ' 1' }, [], /WEBHOOK_TIMEOUT_MS/],
  ['a number that is too large', { WEBHOOK_MAX_INFLIGHT: '99999999999999999999' }, [], /WEBHOOK_MAX_INFLIGHT/],
  ['a host of Realtime of two words', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: roleToken('service_role', 's'), REALTIME_HOST: 'a b' }, [], /REALTIME_HOST/],
  ['an empty host of Realtime', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: roleToken('service_role', 's') }, ['--realtime-host='], /REALTIME_HOST/],
  ['authorities that are missing', { WEBHOOK_CA_FILE: '/nowhere/ca.pem' }, [], /WEBHOOK_CA_FILE: .*No such file/],
  ['authorities that are none', { WEBHOOK_CA_FILE: '/dev/null' }, [], /WEBHOOK_CA_FILE: .*no certificate/],
  ['a secret and its file, too', { EMBEDDED_JWT_SECRET: 'hush-hush', EMBEDDED_JWT_SECRET_FILE: '/dev/null' }, [], /^chat-sidecar: EMBEDDED_JWT_SECRET: (?!.*hush).*too/],
  ['an empty file of a secret', { EMBEDDED_JWT_SECRET_FILE: '/dev/null' }, [], /EMBEDDED_JWT_SECRET_FILE/],
  ['a port of the database that is none', { DATABASE_URL: 'host=127.0.0.1 port=hush-hush' }, [], /^chat-sidecar: DATABASE_URL: (?!.*hush).*port/],
  ['a port that is none', { HTTP_LISTEN: '127.0.0.1:port' }, [], /HTTP_LISTEN/],
  ['a number that is none', { WEBHOOK_TIMEOUT_MS: 'soon' }, [], /WEBHOOK_TIMEOUT_MS/],
  ['a yes-or-no that is neither', { WEBHOOK_ALLOW_HTTP: 'perhaps' }, [], /WEBHOOK_ALLOW_HTTP/],
  ['networks that are none', { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8,everywhere' }, [], /WEBHOOK_ALLOW_CIDRS/],
  ['a REALTIME_URL that is no URL', { REALTIME_URL: 'realtime' }, [], /REALTIME_URL/],
  ['an unknown transport', { REALTIME_TRANSPORT: 'pigeon' }, [], /REALTIME_TRANSPORT/],
  ['a canary that has nowhere to go', { REALTIME_TRANSPORT: 'database', REALTIME_CANARY: 'true' }, [], /REALTIME_URL: is needed with REALTIME_CANARY/],
  ['a canary without a key', { REALTIME_TRANSPORT: 'database', REALTIME_CANARY: 'true', REALTIME_URL: 'http://127.0.0.1:1' }, [], /REALTIME_KEY: is needed/],
  ['a canary whose certificate is another host\'s', { REALTIME_URL: 'https://127.0.0.1:1', REALTIME_KEY: roleToken('service_role', 's'), REALTIME_HOST: 'x', REALTIME_CANARY: 'true' }, [], /REALTIME_CANARY: cannot be with https and REALTIME_HOST/],
  ['a REALTIME_URL without its key', { REALTIME_URL: 'http://127.0.0.1:1' }, [], /REALTIME_KEY/],
  ['a key that is no token', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: 'two words' }, [], /REALTIME_KEY/],
  ['a key that is one word', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: 'secret' }, [], /REALTIME_KEY: is neither/],
  ['a key of three parts', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: 'a.b.c' }, [], /REALTIME_KEY: is neither/],
  ['a publishable key', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: 'sb_publishable_abc' }, [], /REALTIME_KEY: is a publishable key/],
  ['a secret key without its secret', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: 'sb_secret_' }, [], /REALTIME_KEY: is neither/],
  ['a token with role anon', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: roleToken('anon', 's') }, [], /REALTIME_KEY: is the anon key/],
  ['a token with another role', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: roleToken('authenticated', 's') }, [], /REALTIME_KEY: .*service_role/],
  ['a token without a role', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: sign({ exp: 4e9 }, 's') }, [], /REALTIME_KEY: .*service_role/],
  ['a token with two roles', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: `e30.${Buffer.from('{"role":"anon","role":"service_role","exp":4000000000}').toString('base64url')}.x` }, [], /REALTIME_KEY: is neither/],
  ['a token that has expired', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: roleToken('service_role', 's', { expiresIn: -1 }) }, [], /REALTIME_KEY: .*expired/],
  ['a token that never expires', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: sign({ role: 'service_role' }, 's') }, [], /REALTIME_KEY: .*without exp/],
  ['a secret as an option', {}, ['--realtime-key=hush-hush'], /^chat-sidecar: REALTIME_KEY: (?!.*hush).*REALTIME_KEY_FILE/],
  ['another secret as an option', {}, ['--embedded-jwt-secret', 'hush-hush'], /^chat-sidecar: EMBEDDED_JWT_SECRET: (?!.*hush).*EMBEDDED_JWT_SECRET_FILE/],
  ['a database as an option', {}, ['--database-url', 'postgresql://u:hush-hush@h/d'], /^chat-sidecar: DATABASE_URL: (?!.*hush).*DATABASE_URL_FILE/],
  ['a secret behind a misspelt option', {}, ['--database-urls=postgresql://u:hush-hush@h/d'], /^chat-sidecar: arguments: "--database-urls" (?!.*hush)/],
  ['a secret without an option', {}, ['postgresql://u:hush-hush@h/d'], /^chat-sidecar: arguments: (?!.*hush)/],
  ['a secret in the place of its file', { REALTIME_KEY_FILE: 'hush-hush' }, [], /^chat-sidecar: REALTIME_KEY: (?!.*hush)REALTIME_KEY_FILE/],
  ['the URL of the database in the place of Realtime\'s', { REALTIME_URL: 'postgresql://u:hush-hush@h/d' }, [], /^chat-sidecar: REALTIME_URL: (?!.*hush)/],
  ['a secret that is too short', { EMBEDDED_JWT_SECRET: 'short' }, [], /EMBEDDED_JWT_SECRET/],
  ['a file of a secret that is missing', { EMBEDDED_JWT_SECRET_FILE: '/nowhere/secret' }, [], /EMBEDDED_JWT_SECRET_FILE/],
  ['a channel that is none of the adapter\'s', { SOCKETIO_CHANNEL: 'chat' }, [], /SOCKETIO_CHANNEL: "chat" is not the adapter's prefix, # and a namespace/],
  ['a channel that is too long', { SOCKETIO_CHANNEL: `socket.io#/${'x'.repeat(60)}` }, [], /SOCKETIO_CHANNEL: has more than 63 bytes/],
  ['a table without a schema', { SOCKETIO_CHANNEL: 'socket.io#/chat', SOCKETIO_TABLE: 'socket_io_attachments' }, [], /SOCKETIO_TABLE/],
  ['a DATABASE_URL that cannot be read', { DATABASE_URL: 'postgresql://[half' }, [], /DATABASE_URL/],
]) {
  test(`${what} ends it with 2 and a line that names it`, async () => {
    const end = await ends(env, args);
    assert.equal(end.code, 2, end.text);
    assert.match(end.text, names);
    assert.equal(end.lines, 1, end.text);
  });
}

/** Passwords that are not percent-encoded, and what else libpq may take a piece of the password for. */
const unencoded = ['p@hush-ss', 'hush@ss#w', 'hush/p@ss', 'p/hush', 'hush?p', 'p?hush=ss', 'hush:p@ss', '12/hush', '5432/hush@p', 'hush%zz', '[hush', 'p@[hush', 'p@hush,ss'];

for (const password of unencoded) {
  test(`the password ${password}, not percent-encoded: no piece of it is written anywhere`, async () => {
    for (const tail of ['@127.0.0.1:1/chat', '@no-such-host.invalid/chat', '@127.0.0.1/chat?sslmode=sometimes', '@127.0.0.1:1/chat?connect_timeout=2']) {
      const listen = `127.0.0.1:${await freePort()}`;
      const sidecar = new Sidecar({ DATABASE_URL: `postgresql://u:${password}${tail}`, HTTP_LISTEN: listen, EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}`, LOG_LEVEL: 'debug' }).run();
      const said = () => (sidecar.log.some((line) => /cannot connect/.test(line.msg)) || !sidecar.running) && sidecar.tail(1000);
      const text = await until(said, () => `an error: ${sidecar.tail()}`, 8000);
      const page = sidecar.running ? await (await sidecar.get('/readyz')).text() : '';
      assert.ok(!/hush/.test(text + page), text + page);
      assert.ok(!/ss#w|zz/.test(text + page), text + page);
      if (sidecar.running) await sidecar.kill('SIGTERM');
      else assert.match(text, /DATABASE_URL/);
    }
  });
}

test('what is nearly the name of a setting is warned of; what is not, is not', async () => {
  const end = await ends({ WEBHOOK_ALLOW_CIDR: '10.0.0.0/8', REALTME_KEY: 'x', ['X'.repeat(100)]: 'x', WEBHOOKS_PORT_80_TCP: 'tcp://10.0.0.1:80', LOGLEVEL: 'debug', HTTP_PROXY: 'x', REALTIME_KEY: 'hush-hush' }, ['--check-config']);
  assert.equal(end.code, 0, end.text);
  for (const [variable, setting] of [['WEBHOOK_ALLOW_CIDR', 'WEBHOOK_ALLOW_CIDRS'], ['REALTME_KEY', 'REALTIME_KEY'], ['LOGLEVEL', 'LOG_LEVEL']]) {
    assert.match(end.text, new RegExp(`variable ${variable} .*${setting} meant`), end.text);
  }
  assert.ok(!/WEBHOOKS_PORT|HTTP_PROXY|PATH|hush/.test(end.text), end.text);
  assert.match(end.text, /REALTIME_KEY is of no use without REALTIME_URL/);
});

test('the same is warned of in the log at start', async () => {
  const sidecar = await bed.sidecar({ WEBHOOK_ALLOW_CIDR: '10.0.0.0/8', REALTIME_KEY: 'hush-hush' });
  const warnings = sidecar.log.filter((line) => line.level === 'warn').map((line) => line.msg).join('\n');
  assert.match(warnings, /WEBHOOK_ALLOW_CIDRS meant/);
  assert.match(warnings, /REALTIME_KEY is of no use without REALTIME_URL/);
  await sidecar.kill('SIGTERM');
});

test('a database of Supabase without REALTIME_URL is warned of, and one without Realtime is not', async () => {
  const warned = (sidecar) => sidecar.log.some((line) => line.level === 'warn' && /schema, and REALTIME_URL is not set/.test(line.msg));
  const asked = (sidecar) => until(async () => await sidecar.metric('chat_api_requests_total') >= 0 && (await (await sidecar.get('/metrics')).text()).includes('chat_api_requests_total'), 'statistics', 20000);
  const plain = await bed.sidecar();
  await asked(plain);
  assert.ok(!warned(plain), plain.tail());
  await plain.kill('SIGTERM');
  await bed.db.query('CREATE SCHEMA realtime');
  const sidecar = await bed.sidecar();
  await until(() => warned(sidecar), () => `a warning: ${sidecar.tail()}`);
  await sidecar.kill('SIGTERM');
  const realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  const remote = await bed.sidecar({ REALTIME_URL: realtime.url });
  await asked(remote);
  assert.ok(!warned(remote), remote.tail());
  await remote.kill('SIGTERM');
  await bed.db.query('DROP SCHEMA realtime');
});

test('--check-config accepts good settings without connecting or listening', async () => {
  const end = await ends({ DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/nothing' }, ['--check-config']);
  assert.equal(end.code, 0, end.text);
});

test('--version and --help print and end with 0', async () => {
  for (const option of ['--version', '--help']) {
    const end = await ends({}, [option]);
    assert.equal(end.code, 0, end.text);
    assert.ok(end.text.trim().length > 0);
  }
});

test('a busy port ends it with 1 and a line that names the setting', async () => {
  const squatter = await new Listener(() => {}, await freePort()).up();
  const listen = `127.0.0.1:${squatter.port}`;
  try {
    for (const name of ['HTTP_LISTEN', 'EMBEDDED_LISTEN']) {
      const other = { HTTP_LISTEN: `127.0.0.1:${await freePort()}`, EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}` };
      const end = await ends({ DATABASE_URL: bed.cluster.url({ user: 'chat_sidecar', database: 'chat' }), EMBEDDED_JWT_SECRET: 'x'.repeat(32), ...other, [name]: listen });
      assert.equal(end.code, 1, end.text);
      assert.match(end.text, new RegExp(name));
    }
  } finally {
    await squatter.down();
  }
});

for (const [what, listen, pattern] of [
  ['no host', ':0', /is not host:port/],
  ['a name instead of an address', 'localhost:0', /is not an address to listen on/],
  ['a host longer than any', `${'1'.repeat(200)}:0`, /is not host:port/],
  ['brackets around nothing', '[]:0', /is not an address to listen on/],
  ['an address of another machine', '192.0.2.1:0', /cannot listen on/],
]) {
  test(`${what} to listen on ends it with 1 and a line that names the setting`, async () => {
    for (const name of ['HTTP_LISTEN', 'EMBEDDED_LISTEN']) {
      const end = await ends({ DATABASE_URL: 'host=127.0.0.1 port=1', EMBEDDED_JWT_SECRET: 'x'.repeat(32), HTTP_LISTEN: '127.0.0.1:0', EMBEDDED_LISTEN: '127.0.0.1:0', [name]: listen });
      assert.equal(end.code, 1, end.text);
      assert.match(end.text, new RegExp(`${name}: .*${pattern.source}`), end.text);
    }
  });
}

for (const [what, url, pattern] of [
  ['a wrong password', () => bed.cluster.url({ user: 'chat_sidecar', database: 'chat', password: 'wrong' }), /password/],
  ['a database that is missing', () => bed.cluster.url({ user: 'chat_sidecar', database: 'nowhere' }), /nowhere/],
  ['a database without the extension', () => bed.cluster.url({ user: 'chat_sidecar', database: 'postgres' }), /extension|chat_realtime/i],
  ['a server that is not there', async () => `postgresql://chat_sidecar@127.0.0.1:${await freePort()}/chat`, /connection refused/i],
]) {
  test(`${what}: a clear line, /readyz 503, and it goes on trying`, async () => {
    const sidecar = new Sidecar({ DATABASE_URL: await url(), HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
      EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}`, EMBEDDED_JWT_SECRET: 'x'.repeat(32) }).run();
    try {
      await until(() => pattern.test(sidecar.tail()), () => `a line that says ${pattern}: ${sidecar.tail()}`);
      assert.equal((await sidecar.get('/readyz')).status, 503);
      assert.equal((await sidecar.get('/healthz')).status, 200);
      assert.ok(sidecar.running);
    } finally {
      assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
    }
  });
}

test('/healthz, /readyz and /metrics answer; anything else is 404', async () => {
  const sidecar = await bed.sidecar();
  assert.equal((await sidecar.get('/healthz')).status, 200);
  assert.equal((await sidecar.get('/readyz')).status, 200);
  assert.equal((await sidecar.get('/nothing')).status, 404);
  const subscriber = await bed.subscriber(sidecar);
  await subscriber.join(`conversation:${conversation}`);
  await bed.message(conversation, 'counted');
  await subscriber.hears((m) => m.payload.content === 'counted', 'the message');
  const metrics = await sidecar.get('/metrics');
  assert.match(metrics.headers.get('content-type'), /text\/plain/);
  const page = await metrics.text();
  for (const name of ['chat_realtime_connections', 'chat_realtime_delivery_latency_seconds_bucket', 'chat_realtime_broadcasts_total']) {
    assert.match(page, new RegExp(`^${name}`, 'm'), page);
  }
  await until(async () => (await sidecar.metric('chat_realtime_broadcasts_total')) > 0, 'a counted broadcast');
  assert.ok((await sidecar.metric('chat_realtime_connections')) >= 1);
  await subscriber.close();
  await sidecar.kill('SIGTERM');
});

test('/readyz names policies of an earlier version until chat.setup has replaced them', async () => {
  await bed.db.query(`CREATE ROLE authenticated NOLOGIN;
    CREATE SCHEMA realtime;
    CREATE TABLE realtime.messages (topic text NOT NULL, extension text NOT NULL);
    CREATE FUNCTION realtime.topic() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('realtime.topic', true) $$;
    CREATE POLICY chat_realtime_write ON realtime.messages FOR INSERT TO authenticated WITH CHECK
      (extension IN ('broadcast', 'presence') AND (SELECT chat.can_join((SELECT realtime.topic()), true)))`);
  const hints = async (sidecar) => (await (await sidecar.get('/readyz')).json()).hints;
  let sidecar = await bed.sidecar();
  await until(async () => (await hints(sidecar)).length > 0, 'a hint');
  assert.match((await hints(sidecar)).join(), /^policy chat_realtime_write on realtime\.messages is an earlier version's.*SELECT \* FROM chat\.setup\(\)$/);
  assert.equal((await sidecar.get('/readyz')).status, 200, 'it delivers all the same');
  await sidecar.kill('SIGTERM');
  await bed.db.query(`SELECT * FROM chat.setup();
    ALTER POLICY chat_realtime_read ON realtime.messages USING (extension IN ('broadcast', 'presence') AND (SELECT chat.can_join((SELECT realtime.topic()))))`);
  sidecar = await bed.sidecar();
  await until(async () => (await hints(sidecar)).length > 0, 'the hint at the other one');
  assert.deepEqual((await hints(sidecar)).map((hint) => hint.split(' ')[1]), ['chat_realtime_read']);
  await sidecar.kill('SIGTERM');
  await bed.db.query('DROP SCHEMA realtime CASCADE');
});

test('without EMBEDDED_JWT_SECRET it makes one and warns; no secret is ever in the log', async () => {
  const sidecar = new Sidecar({ DATABASE_URL: bed.cluster.url({ user: 'chat_sidecar', database: 'chat' }),
    HTTP_LISTEN: `127.0.0.1:${await freePort()}`, EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}` }).run();
  await sidecar.ready();
  assert.ok(sidecar.log.some((line) => line.level === 'warn' && /EMBEDDED_JWT_SECRET/.test(JSON.stringify(line))), sidecar.tail());
  assert.ok(!sidecar.tail(1000).includes(bed.cluster.password));
  await sidecar.kill('SIGTERM');
});

test('SIGTERM: what is in flight is finished, the position saved, exit code 0, and nothing comes twice', async () => {
  const realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  realtime.delay = 300;
  const env = { REALTIME_URL: realtime.url };
  const sidecar = await bed.sidecar(env);
  const done = await value(bed.db, 'SELECT max(id)::text FROM chat.events');
  await until(async () => (await value(bed.db, `SELECT last_id >= $1 FROM chat.consumer WHERE name = 'realtime'`, [done])), 'an up-to-date position');
  realtime.accepted.length = 0;
  await bed.message(conversation, 'in flight');
  await until(() => Object.values(realtime.parallel).some((n) => n > 0), 'a request in flight');
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
  const position = await rows(bed.db, `SELECT last_id::text FROM chat.consumer WHERE name = 'realtime'`);
  const sent = realtime.accepted.map((message) => BigInt(message.id));
  assert.ok(sent.length > 0);
  const newest = sent.reduce((a, b) => (a > b ? a : b));
  assert.equal(position[0].last_id, String(newest));
  sidecar.run();
  await sidecar.ready();
  await bed.message(conversation, 'afterwards');
  await until(() => realtime.accepted.some((m) => m.payload.content === 'afterwards'), 'the next message');
  const ids = realtime.accepted.map((message) => message.id);
  assert.equal(new Set(ids).size, ids.length);
  await sidecar.kill('SIGTERM');
});

test('LOG_FORMAT=text prints lines for people', async () => {
  const sidecar = await bed.sidecar({ LOG_FORMAT: 'text' });
  assert.equal(sidecar.log.length, 0);
  assert.ok(sidecar.output.length > 0);
  await sidecar.kill('SIGTERM');
});

test('SIGHUP reads the file of a secret again; a bad one changes nothing', async () => {
  const file = path.join(bed.cluster.dir, 'jwt_secret');
  const [first, second] = ['1'.repeat(40), '2'.repeat(40)];
  writeFileSync(file, `${first}\n`);
  const sidecar = await bed.sidecar({ EMBEDDED_JWT_SECRET: '', EMBEDDED_JWT_SECRET_FILE: file });
  const accepts = async (secret) => {
    const authorization = `Bearer ${roleToken('service_role', secret)}`;
    const body = JSON.stringify({ messages: [{ topic: 'a', event: 'e', payload: {} }] });
    return (await fetch(`${sidecar.url}/api/broadcast`, { method: 'POST', body, headers: { authorization, 'content-type': 'application/json' } })).status === 202;
  };
  assert.deepEqual([await accepts(first), await accepts(second)], [true, false]);
  writeFileSync(file, 'short');
  sidecar.child.kill('SIGHUP');
  await until(() => sidecar.log.some((line) => /EMBEDDED_JWT_SECRET_FILE/.test(line.error)), 'a line that names the file');
  assert.ok(await accepts(first));
  writeFileSync(file, second);
  sidecar.child.kill('SIGHUP');
  await until(() => accepts(second), 'the new secret');
  assert.ok(!await accepts(first));
  await bed.message(conversation, 'after SIGHUP');
  await until(async () => (await sidecar.metric('chat_realtime_broadcasts_total', 'result="ok"')) > 0, 'a broadcast under the new secret');
  await sidecar.kill('SIGTERM');
});

test('SIGHUP with a key that may not send: the old one stays in use, with a line that says why', async () => {
  const realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  const file = path.join(bed.cluster.dir, 'realtime_key');
  const [first, second] = ['1', '2'].map((secret) => roleToken('service_role', secret));
  writeFileSync(file, first);
  const sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_KEY: '', REALTIME_KEY_FILE: file });
  const key = async (content) => {
    await bed.message(conversation, content);
    return until(() => realtime.accepted.find((m) => m.payload.content === content)?.key, `"${content}"`);
  };
  assert.equal(await key('first key'), first);
  for (const [bad, why] of [[roleToken('anon', 's'), /anon key/], [roleToken('service_role', 's', { expiresIn: -1 }), /expired/], ['word', /neither/]]) {
    const lines = sidecar.log.length;
    writeFileSync(file, bad);
    sidecar.child.kill('SIGHUP');
    await until(() => sidecar.log.slice(lines).some((line) => /REALTIME_KEY_FILE/.test(line.error) && why.test(line.error)), () => `a line that says ${why}: ${sidecar.tail()}`);
    assert.equal(await key(`after ${why}`), first);
  }
  const lines = sidecar.log.length;
  writeFileSync(file, second);
  sidecar.child.kill('SIGHUP');
  await until(() => sidecar.log.slice(lines).some((line) => line.msg === 'reloaded'), 'the reload');
  assert.equal(await key('second key'), second);
  assert.ok(!sidecar.tail(1000).includes(first.split('.')[2]) && !sidecar.tail(1000).includes(second.split('.')[2]));
  await sidecar.kill('SIGTERM');
});

test('a forged NOTIFY delivers nothing, what was rolled back neither; a prepared transaction does once it commits', async () => {
  const sidecar = await bed.sidecar();
  const subscriber = await bed.subscriber(sidecar);
  await subscriber.join(`conversation:${conversation}`);
  await bed.db.query(`SELECT pg_notify('chat_realtime', '{"id":1,"topic":"conversation:${conversation}","event":"message.new","payload":{"content":"forged"}}')`);
  const insert = (text) => bed.db.query('INSERT INTO public.chat_messages (conversation_id, content, direction) VALUES ($1, $2, $3)', [conversation, text, 'incoming']);
  await bed.db.query('BEGIN');
  await insert('rolled back');
  await bed.db.query('ROLLBACK');
  await bed.db.query('BEGIN');
  await insert('kept');
  await bed.db.query('SAVEPOINT s');
  await insert('undone');
  await bed.db.query('ROLLBACK TO SAVEPOINT s');
  await bed.db.query('COMMIT');
  await bed.db.query('BEGIN');
  await insert('prepared');
  await bed.db.query(`PREPARE TRANSACTION 'later'`);
  await subscriber.hears((m) => m.payload.content === 'kept', 'what was committed');
  assert.ok(!subscriber.heard.some((m) => m.payload.content === 'prepared'));
  await bed.db.query(`COMMIT PREPARED 'later'`);
  await subscriber.hears((m) => m.payload.content === 'prepared', 'what was prepared', 20000);
  const contents = subscriber.heard.map((m) => m.payload.content);
  assert.deepEqual(contents, ['kept', 'prepared']);
  await subscriber.close();
  await sidecar.kill('SIGTERM');
});

test('a second SIGTERM ends it at once', async () => {
  const realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  const sidecar = await bed.sidecar({ REALTIME_URL: realtime.url });
  realtime.mode = 'silent';
  await bed.message(conversation, 'never answered');
  await until(() => realtime.requests.silent > 0, 'a request in flight');
  sidecar.child.kill('SIGTERM');
  await until(() => sidecar.log.some((line) => line.msg === 'ending'), 'the first signal');
  assert.ok(sidecar.running);
  assert.equal((await sidecar.kill('SIGTERM', 5000)).code, 0, sidecar.tail());
});

test('while no descriptor is left a port rests, with a line in the log, and goes on once there is one', async () => {
  const sidecar = await bed.sidecar();
  const limit = (files) => execFileSync('prlimit', ['--pid', `${sidecar.endpointPid}`, `--nofile=${files}:`]);
  limit(8);
  const answer = fetch(`${sidecar.url}/api/broadcast`);
  await until(() => sidecar.log.some((line) => line.msg === 'no room for more connections' && /open files/.test(line.reason)), () => `a line: ${sidecar.tail()}`);
  limit(4096);
  assert.equal((await answer).status, 404);
  assert.equal(await sidecar.metric('chat_realtime_port_refused_total', 'port="embedded",reason="full"') >= 1, true);
  await sidecar.kill('SIGTERM');
});

test('where every connection is the service\'s, none of them makes room for another one', async () => {
  const sidecar = await bed.sidecar({}, { files: 160 });
  const most = Number(sidecar.log.find((line) => /limits by the number/.test(line.msg)).connections);
  const token = roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET);
  const body = JSON.stringify({ messages: [{ topic: 'a', event: 'e', payload: {} }] });
  const head = request('/api/broadcast', { length: body.length, headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', Expect: '100-continue' } });
  const port = Number(new URL(sidecar.url).port);
  const service = [];
  for (let n = 0; n < most; n++) {
    service.push(await RawHttp.open(port));
    service[n].write(head);
    await until(() => service[n].received.includes('100 Continue'), 'its head was read');
  }
  const stranger = await RawHttp.open(port);
  await within(stranger.closed, 'a connection that is closed at once');
  assert.equal(stranger.received.length, 0);
  const gone = service.pop();
  gone.write(body.slice(0, 5));
  gone.socket.end();
  assert.deepEqual(await gone.toTheEnd(), [], 'who ends within a body gets no answer');
  for (const one of service) {
    one.write(body);
    assert.equal((await one.answers(1))[0].status, 202);
    one.close();
  }
  await sidecar.kill('SIGTERM');
});

test('where there can be no thread for the watchdog it says so, and works without one', async () => {
  const sidecar = await bed.sidecar({}, { command: ['sh', '-c', 'ulimit -s 1000000000000 && exec "$0"', sidecarBinary] });
  assert.ok(sidecar.log.some((line) => /no thread for the watchdog/.test(line.msg)), sidecar.tail());
  const subscriber = await bed.subscriber(sidecar);
  await subscriber.join(`conversation:${conversation}`);
  await bed.message(conversation, 'unwatched');
  await subscriber.hears((m) => m.payload.content === 'unwatched', 'the message');
  await subscriber.close();
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});
