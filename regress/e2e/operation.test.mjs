// Starting, stopping, watching and misconfiguring the sidecar.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { Listener } from '../lib/http.mjs';
import { freePort } from '../lib/ports.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { until, within } from '../lib/wait.mjs';

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
  ['a port that is none', { HTTP_LISTEN: '127.0.0.1:port' }, [], /HTTP_LISTEN/],
  ['a number that is none', { WEBHOOK_TIMEOUT_MS: 'soon' }, [], /WEBHOOK_TIMEOUT_MS/],
  ['a yes-or-no that is neither', { WEBHOOK_ALLOW_HTTP: 'perhaps' }, [], /WEBHOOK_ALLOW_HTTP/],
  ['networks that are none', { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8,everywhere' }, [], /WEBHOOK_ALLOW_CIDRS/],
  ['a REALTIME_URL that is no URL', { REALTIME_URL: 'realtime' }, [], /REALTIME_URL/],
  ['an unknown transport', { REALTIME_TRANSPORT: 'pigeon' }, [], /REALTIME_TRANSPORT/],
  ['a DATABASE_URL that cannot be read', { DATABASE_URL: 'postgresql://[half' }, [], /DATABASE_URL/],
]) {
  test(`${what} ends it with 2 and a line that names it`, async () => {
    const end = await ends(env, args);
    assert.equal(end.code, 2, end.text);
    assert.match(end.text, names);
    assert.equal(end.lines, 1, end.text);
  });
}

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

for (const [what, url, pattern] of [
  ['a wrong password', () => bed.cluster.url({ user: 'chat_sidecar', database: 'chat', password: 'wrong' }), /password/],
  ['a database that is missing', () => bed.cluster.url({ user: 'chat_sidecar', database: 'nowhere' }), /nowhere/],
  ['a database without the extension', () => bed.cluster.url({ user: 'chat_sidecar', database: 'postgres' }), /extension|chat_realtime/i],
  ['a server that is not there', async () => `postgresql://chat_sidecar@127.0.0.1:${await freePort()}/chat`, /refused|connect/i],
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
  const env = { REALTIME_URL: realtime.url, REALTIME_KEY: 'secret' };
  const sidecar = await bed.sidecar(env);
  const done = await value(bed.db, 'SELECT max(id)::text FROM chat.event');
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
