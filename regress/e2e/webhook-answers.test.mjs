// What the sidecar says of webhooks that it may not call or that fail: in the attempt's row, at the webhook, in the log.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { freePort } from '../lib/ports.mjs';
import { RawHttp } from '../lib/raw-http.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { createAuthority, receiveOverTls } from '../lib/tls.mjs';
import { until } from '../lib/wait.mjs';
import { temporaryDirectory } from '../lib/workspace.mjs';

let bed, conversation, sidecar, trusted, foreign;

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  trusted = await createAuthority('Trusted');
  foreign = await createAuthority('Foreign');
  sidecar = await bed.sidecar();
});

after(() => bed.close());

async function restart(env) {
  await sidecar.kill('SIGTERM');
  sidecar = await bed.sidecar(env);
}

/** Makes a webhook and a message for it; returns its id. */
async function webhook(url) {
  await bed.db.query('UPDATE public.chat_external_webhooks SET is_active = false');
  const { id } = await value(bed.db, `SELECT chat.create_webhook($1, $2, '{message.received}')`, [bed.owner, url]);
  await bed.message(conversation, `for ${id}`);
  return id;
}

/** The first attempt of a webhook that left an error: {status, error, response}. */
const failure = (id) => until(async () => (await rows(bed.db,
  'SELECT status, error, response FROM chat.webhook_attempt WHERE webhook = $1 AND error IS NOT NULL ORDER BY attempt LIMIT 1', [id]))[0],
() => `an attempt with an error: ${sidecar.tail()}`);

const linesAbout = (id) => sidecar.log.filter((line) => line.webhook === id && line.msg === 'a webhook fails');

async function raw(answer) {
  const server = await RawHttp.start(answer);
  bed.closing.push(() => server.down());
  return server;
}

test('an address that is not public: never connected to, and the row, the webhook and the log say what would allow it', async () => {
  await restart({ WEBHOOK_ALLOW_CIDRS: '10.99.0.0/16' });
  const server = await raw(() => ({ status: 200 }));
  const id = await webhook(`${server.url}/secret-path`);
  const { status, error } = await failure(id);
  assert.equal(status, 0);
  assert.match(error, /not public.*WEBHOOK_ALLOW_CIDRS/);
  assert.equal(await value(bed.db, 'SELECT last_error FROM public.chat_external_webhooks WHERE id = $1', [id]), error);
  assert.equal(server.connections, 0);
  const [line] = await until(() => linesAbout(id).length && linesAbout(id), 'a line in the log');
  assert.equal(line.error, error);
  assert.equal(line.address, '127.0.0.1');
  assert.equal(line.url, server.url);
  assert.ok(!sidecar.tail(1000).includes('secret-path'), sidecar.tail());
});

test('a name with an address that is refused and one that is merely down is tried again', async () => {
  await restart({ WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' }); // not ::1, which localhost is, too
  const bodies = [];
  const port = await freePort();
  const id = await webhook(`http://localhost:${port}/hook`);
  assert.doesNotMatch((await failure(id)).error, /refused:/);
  const server = await RawHttp.start(({ body }) => {
    bodies.push(JSON.parse(body));
    return { status: 200 };
  }, port);
  bed.closing.push(() => server.down());
  await until(() => bodies.some(({ data }) => data.content === `for ${id}`), () => `the second attempt: ${sidecar.tail()}`, 20000);
});

test('http where https is needed: the row and the log name WEBHOOK_ALLOW_HTTP', async () => {
  await restart({ WEBHOOK_ALLOW_HTTP: 'false' });
  const server = await raw(() => ({ status: 200 }));
  const id = await webhook(`${server.url}/hook`);
  assert.match((await failure(id)).error, /https.*WEBHOOK_ALLOW_HTTP/);
  await until(() => linesAbout(id).some((line) => /WEBHOOK_ALLOW_HTTP/.test(line.error)), 'a line in the log');
  assert.equal(server.connections, 0);
  await restart();
});

test('a webhook that fails leaves a line in the log, and not one for each message', async () => {
  const server = await raw(() => ({ status: 500 }));
  const id = await webhook(`${server.url}/hook`);
  for (let i = 0; i < 8; i++) await bed.message(await bed.conversation(`Contact ${i}`), 'fails');
  await until(() => server.requests >= 9, () => `an attempt for each message: ${sidecar.tail()}`);
  await until(() => linesAbout(id).length > 0, 'a line in the log');
  assert.ok(linesAbout(id).length < 4, sidecar.tail(40)); // one a minute, at first
  assert.equal(linesAbout(id)[0].status, 500);
});

test('what a receiver answers is stored without control characters', async () => {
  const location = 'http://else/\x1b[2J\u009b31m\u202etxt.exe';
  const server = await raw(() => ({ status: 302, head: `location: ${location}\r\n`, body: 'a\x1b[2J\u202eb\nc\x00d' }));
  const { status, error, response } = await failure(await webhook(`${server.url}/hook`));
  assert.equal(status, 302);
  assert.equal(error, 'HTTP 302: redirect to http://else/ [2J 31m txt.exe is not followed');
  assert.equal(response, 'a [2J b\nc d');
});

test('a receiver that hangs keeps nobody back; its answer after the connection to the database was lost finishes nothing', async () => {
  await restart({ WEBHOOK_TIMEOUT_MS: '5000' });
  let release;
  const hang = new Promise((resolve) => { release = resolve; });
  const ids = [];
  const server = await raw(async ({ body }) => {
    ids.push(JSON.parse(body).id);
    if (ids.length === 1) await hang;
    return { status: 200 };
  });
  const hook = await webhook(`${server.url}/hook`);
  await until(() => ids.length === 1, 'a request');
  await until(() => value(bed.db, `SELECT last_id = (SELECT max(id) FROM chat.events) FROM chat.consumer WHERE name = 'webhooks'`),
    'the position past the message that hangs');
  await bed.db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chat_sidecar'`);
  await until(() => sidecar.log.some((line) => line.msg === 'not leading any more' && line.consumer === 'webhooks'), 'the end of the lease');
  release();
  await until(() => ids.filter((id) => id === ids[0]).length === 2, () => `the message again: ${sidecar.tail()}`, 40000);
  await until(() => value(bed.db, 'SELECT count(*) = 0 FROM chat.webhook_delivery WHERE webhook = $1', [hook]), 'nothing left to deliver');
});

for (const [what, header] of [
  ['many lines', Array.from({ length: 300 }, (_, i) => `x-line-${i}: ${'x'.repeat(1000)}\r\n`).join('')],
  ['one line', `x-line: ${'x'.repeat(300000)}\r\n`],
]) {
  test(`an answer with 300 kB of header in ${what}: the error says that it is too long`, async () => {
    const server = await raw(() => ({ status: 200, head: header }));
    assert.equal((await failure(await webhook(`${server.url}/hook`))).error, 'the header of the answer is longer than 64 KiB');
  });
}

test('a receiver with a certificate of a private authority: refused, and delivered to with WEBHOOK_CA_FILE', async () => {
  const receiver = await receiveOverTls(trusted);
  bed.closing.push(() => receiver.down());
  for (const env of [{}, { WEBHOOK_CA_FILE: foreign.authority }]) {
    await restart(env);
    const id = await webhook(receiver.url);
    assert.match((await failure(id)).error, /certificate/i);
    assert.deepEqual(receiver.bodies, []);
  }
  await restart({ WEBHOOK_CA_FILE: trusted.authority });
  const id = await webhook(receiver.url);
  await until(() => receiver.bodies.some(({ data }) => data.content === `for ${id}`), () => `a delivery: ${sidecar.tail()}`);
});

test('WEBHOOK_CA_FILE that cannot be used ends it with 2, at start and in --check-config', async () => {
  const dir = temporaryDirectory();
  const file = (name, text) => {
    writeFileSync(path.join(dir, name), text);
    return path.join(dir, name);
  };
  const damaged = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
  for (const [name, says] of [
    [path.join(dir, 'missing'), /cannot be read/],
    [dir, /certificate/],
    [file('empty', ''), /no certificate/],
    [trusted.key, /no certificate/],
    [file('damaged', damaged), /certificate 1 is damaged/],
  ]) {
    for (const args of [[], ['--check-config']]) {
      const other = new Sidecar({ WEBHOOK_CA_FILE: name, HTTP_LISTEN: `127.0.0.1:${await freePort()}`, EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}` }, args).run();
      assert.equal((await other.exited).code, 2, other.tail());
      assert.match(other.tail(), /WEBHOOK_CA_FILE/);
      assert.match(other.tail(), says);
    }
  }
  const good = new Sidecar({ WEBHOOK_CA_FILE: trusted.authority }, ['--check-config']).run();
  assert.equal((await good.exited).code, 0, good.tail());
});
