// The way to the database: names, addresses, and networks that cut, stall and lie. The sidecar says what is wrong, goes on by
// itself, and nothing is lost.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { allDelivered } from '../lib/load.mjs';
import { freePort } from '../lib/ports.mjs';
import { slowNames } from '../lib/preload.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { until } from '../lib/wait.mjs';

let bed, proxy, realtime, conversation;

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  proxy = await Proxy.start(bed.cluster.port);
  bed.closing.push(() => proxy.stop());
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
});

after(() => bed.close());

const toRealtime = () => ({ REALTIME_URL: realtime.url, REALTIME_KEY: roleToken('service_role', 'x'.repeat(32)), REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
const through = (port) => bed.cluster.url({ user: 'chat_sidecar', database: 'chat' }).replace(/:\d+\/chat/, `:${port}/chat`);
const says = (sidecar, pattern, limit) => until(() => pattern.test(sidecar.tail(100)), () => `a line that says ${pattern}: ${sidecar.tail()}`, limit);

async function allArrives() {
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000 });
  assert.deepEqual(result.disorder, []);
  assert.deepEqual(result.unknown, []);
}

test('a host name is looked up, and each of its addresses is tried', async () => {
  const url = bed.cluster.url({ user: 'chat_sidecar', database: 'chat' }).replace('127.0.0.1', 'localhost');
  const sidecar = await bed.sidecar({ ...toRealtime(), DATABASE_URL: url });
  await bed.message(conversation, 'by name');
  await allArrives();
  assert.equal((await sidecar.kill('SIGTERM')).code, 0);
});

test('a name in PGHOST counts where DATABASE_URL has none, and none is looked up where there is an address', async () => {
  const named = bed.cluster.url({ user: 'chat_sidecar', database: 'chat' });
  for (const env of [
    { DATABASE_URL: named.replace(/@.*\/chat/, '@/chat'), PGHOST: 'localhost', PGPORT: String(bed.cluster.port) },
    { DATABASE_URL: `${named.replace('127.0.0.1', 'nowhere.invalid')}?hostaddr=127.0.0.1` },
    { DATABASE_URL: named.replace('127.0.0.1', 'nowhere.invalid'), PGHOSTADDR: '127.0.0.1' },
    { DATABASE_URL: `${named.replace(/@.*\/chat/, '@/chat')}?host=${bed.cluster.dir}`, PGPORT: String(bed.cluster.port) },
    { DATABASE_URL: `${named}?client_encoding=LATIN1` },
  ]) {
    const sidecar = await bed.sidecar({ ...toRealtime(), ...env });
    assert.equal((await sidecar.kill('SIGTERM')).code, 0);
  }
});

test('a name that is none: said, and tried again', async () => {
  const sidecar = new Sidecar({ ...toRealtime(), DATABASE_URL: through(bed.cluster.port).replace('127.0.0.1', 'nowhere.invalid'),
    HTTP_LISTEN: `127.0.0.1:${await freePort()}`, LOG_LEVEL: 'debug' }).run();
  await says(sidecar, /cannot be resolved[^]*cannot be resolved/);
  assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
});

for (const [what, mode, pattern] of [
  ['ends every connection at once', 'close', /server closed the connection unexpectedly/],
  ['is no PostgreSQL', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /cannot connect to the database/],
]) {
  test(`a server that ${what}: said; once it is one, all arrives`, async () => {
    proxy.mode = mode;
    const sidecar = new Sidecar({ ...toRealtime(), DATABASE_URL: through(proxy.port), HTTP_LISTEN: `127.0.0.1:${await freePort()}` }).run();
    await bed.message(conversation, what);
    await says(sidecar, pattern);
    proxy.mode = 'pass';
    await sidecar.ready(20000);
    await allArrives();
    assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
  });
}

/** The server's error, in its protocol. */
function serverError(code, message) {
  const fields = Buffer.from(`SERROR\0C${code}\0M${message}\0\0`);
  const length = Buffer.alloc(4);
  length.writeInt32BE(fields.length + 4);
  return Buffer.concat([Buffer.from('E'), length, fields, Buffer.from([0x5a, 0, 0, 0, 5, 0x49])]);
}

for (const [what, instead, pattern] of [
  ['refuses the settings of a new session', { on: /extra_float_digits/, say: serverError('22023', 'no such setting here') }, /no such setting here.*22023/],
  ['ends a new session at its settings', { on: /extra_float_digits/, end: true }, /cannot connect to the database.*server closed the connection/],
  ['ends a session while it is found out whether it is a pooler', { on: /^Q....LISTEN/s, end: true }, /cannot connect to the database.*server closed the connection/],
  ['is cut off while it is found out whether it is a pooler', { on: /^Q....LISTEN/s, reset: true }, /cannot connect to the database.*(reset by peer|server closed the connection)/],
]) {
  test(`a server that ${what}: said, and tried again`, async () => {
    proxy.instead = instead;
    const sidecar = await bed.sidecar({ ...toRealtime(), DATABASE_URL: through(proxy.port) });
    await says(sidecar, pattern);
    await bed.message(conversation, what);
    await allArrives();
    assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
  });
}

test('bytes that are no message of PostgreSQL: said, and all arrives over new connections', async () => {
  const sidecar = await bed.sidecar({ ...toRealtime(), DATABASE_URL: through(proxy.port) });
  await bed.message(conversation, 'before');
  await allArrives();
  proxy.say(Buffer.from([0x41, 0, 0, 0, 0]));
  await says(sidecar, /the database connection was lost.*synchronization/);
  await bed.message(conversation, 'after');
  await allArrives();
  assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
});

test('the connection is lost while the lease is given back: it ends all the same, and the next one goes on', async () => {
  const sidecar = await bed.sidecar({ ...toRealtime(), DATABASE_URL: through(proxy.port), WEBHOOKS: 'off' });
  await bed.message(conversation, 'leased');
  await allArrives();
  proxy.instead = { on: /consumer_release/, reset: true };
  assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
  assert.equal(proxy.instead, null, 'it was given back');
  const next = await bed.sidecar(toRealtime());
  await bed.message(conversation, 'by the next one');
  await allArrives();
  assert.equal((await next.kill('SIGTERM')).code, 0);
});

test('told to end while a name is looked up, it ends', async () => {
  const sidecar = new Sidecar({ ...toRealtime(), ...await slowNames(1000), DATABASE_URL: through(bed.cluster.port).replace('127.0.0.1', 'localhost') }).run();
  await until(() => sidecar.log.some((line) => line.msg === 'starting'), () => `the start: ${sidecar.tail()}`);
  await until(() => sidecar.output.includes('looking up localhost'), () => `the look-up: ${sidecar.tail()}`);
  assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
});

test('a server that says nothing is given up', async () => {
  proxy.mode = 'silent';
  const sidecar = new Sidecar({ ...toRealtime(), DATABASE_URL: through(proxy.port), HTTP_LISTEN: `127.0.0.1:${await freePort()}` }).run();
  await says(sidecar, /the server does not answer/, 20000);
  proxy.mode = 'pass';
  await sidecar.ready(20000);
  assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
});

test('connections that are cut at any byte of an answer: all arrives, in order', async () => {
  const sidecar = await bed.sidecar({ ...toRealtime(), DATABASE_URL: through(proxy.port) });
  const length = 12; // cuts, from the start of connecting into answers of rows
  for (let i = 0; i < length; i++) {
    proxy.cut = { after: Math.round(3 ** (i * 0.7)) };
    for (let n = 0; n < 3; n++) await bed.message(conversation, `cut ${i} ${n} ${'x'.repeat(500)}`);
    await until(() => proxy.cut === null, 'a cut', 20000);
  }
  await allArrives();
  assert.ok(sidecar.running);
  await sidecar.kill('SIGTERM');
});

test('while the database is away a private topic cannot be joined, and can be afterwards', async () => {
  const sidecar = await bed.sidecar({ DATABASE_URL: through(proxy.port) });
  const raw = await RawSocket.open(sidecar);
  proxy.mode = 'close';
  proxy.reset();
  await until(async () => (await sidecar.get('/readyz')).status === 503, 'not ready');
  const refused = await raw.join(`conversation:${conversation}`, sidecar.token(bed.owner), '1');
  assert.equal(refused.status, 'error', JSON.stringify(refused));
  proxy.mode = 'pass';
  await sidecar.ready(20000);
  await until(async () => (await raw.join(`conversation:${conversation}`, sidecar.token(bed.owner), String(Math.random()))).status === 'ok', 'a join', 20000);
  raw.close();
  await sidecar.kill('SIGTERM');
});

test('a reset connection: what was wrong is said in words of the network', async () => {
  const sidecar = await bed.sidecar({ ...toRealtime(), DATABASE_URL: through(proxy.port) });
  for (let n = 0; n < 6; n++) {
    const made = proxy.connections;
    proxy.reset();
    await until(() => proxy.connections > made + 1, 'the next connections', 20000);
  }
  await sidecar.ready(20000);
  const errors = sidecar.log.filter((line) => line.connection && line.error).map((line) => line.error);
  assert.ok(errors.length > 0);
  for (const error of errors) assert.match(error, /reset by peer|server closed the connection/);
  await sidecar.kill('SIGTERM');
});

test('a role that may not have so many connections: said, with what mends it, and nothing is begun', async () => {
  await bed.db.query('ALTER ROLE chat_sidecar CONNECTION LIMIT 1');
  const sidecar = new Sidecar({ ...toRealtime(), DATABASE_URL: bed.cluster.url({ user: 'chat_sidecar', database: 'chat' }), HTTP_LISTEN: `127.0.0.1:${await freePort()}` }).run();
  await says(sidecar, /53300.*CONNECTION LIMIT/);
  await bed.db.query('ALTER ROLE chat_sidecar CONNECTION LIMIT -1');
  await sidecar.ready(20000);
  await bed.message(conversation, 'with connections enough');
  await allArrives();
  assert.equal((await sidecar.kill('SIGTERM')).code, 0);
});
