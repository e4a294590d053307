// The sidecar behind a connection pooler: in session mode it works, in any other it says what to change, and takes nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { pool, rows, value } from '../lib/db.mjs';
import { Pooler } from '../lib/pooler.mjs';
import { freePort } from '../lib/ports.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { until } from '../lib/wait.mjs';

let bed;

before(async () => {
  bed = await Bed.create();
});

after(() => bed.close());

async function start(mode, settings) {
  const pooler = await Pooler.start(bed.cluster, mode, settings);
  bed.closing.push(() => pooler.stop());
  return pooler;
}

const url = (pooler) => pooler.url({ user: 'chat_sidecar', database: 'chat' });

/** Runs a sidecar until all of its connections were refused, and ends it. */
async function refused(pooler) {
  const sidecar = new Sidecar({ DATABASE_URL: url(pooler), HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
    EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}`, EMBEDDED_JWT_SECRET: 'x'.repeat(32), LOG_LEVEL: 'debug' }).run();
  try {
    for (const connection of ['realtime', 'webhooks', 'embedded']) {
      await until(() => !sidecar.running || sidecar.log.some((line) => line.connection === connection && /transaction pooler/.test(line.error) && /5432/.test(line.hint)),
        () => `${connection} to be refused: ${sidecar.tail()}`);
    }
    assert.ok(sidecar.running, sidecar.tail());
    assert.ok(!sidecar.log.some((line) => /leading|connected to the database/.test(line.msg)), sidecar.tail());
    const ready = await sidecar.get('/readyz');
    assert.equal(ready.status, 503);
    assert.match((await ready.json()).reasons.database, /session mode/);
  } finally {
    assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
  }
  assert.deepEqual(await rows(bed.db, 'SELECT name FROM chat.consumer WHERE owner IS NOT NULL'), []);
}

test('a transaction pool that nobody else uses is refused', async () => {
  await refused(await start('transaction'));
});

test('a busy transaction pool is refused, whichever connection it gives', async () => {
  const pooler = await start('transaction', { default_pool_size: 6 });
  const clients = pool({ url: (options) => pooler.url(options) }, { user: 'chat_sidecar' });
  bed.closing.push(() => clients.end().catch(() => {}));
  let busy = true;
  const work = Array.from({ length: 4 }, async () => {
    while (busy) await clients.query('SELECT pg_sleep(random() * 0.004)');
  });
  try {
    for (let n = 0; n < 3; n++) await refused(pooler);
  } finally {
    busy = false;
    await Promise.all(work);
  }
});

test('a transaction pool of one connection is refused', async () => {
  await refused(await start('transaction', { default_pool_size: 1 }));
});

test('a pool in statement mode is refused', async () => {
  await refused(await start('statement'));
});

test('other users of a transaction pool find their connections as they were', async () => {
  const pooler = await start('transaction', { default_pool_size: 2 });
  const client = await bed.connect();
  await refused(pooler);
  const clients = pool({ url: (options) => pooler.url(options) }, { user: 'chat_sidecar' });
  bed.closing.push(() => clients.end().catch(() => {}));
  const settings = await Promise.all(Array.from({ length: 4 }, async () => (await clients.query(
    `SELECT pg_backend_pid() AS pid, current_setting('search_path') || ' ' || current_setting('synchronous_commit') AS now, pg_sleep(0.05)`)).rows[0]));
  assert.deepEqual([...new Set(settings.map((row) => row.now))], ['"$user", public on']);
  await client.end();
});

test('a session pool works from end to end, through a takeover, too', async () => {
  const pooler = await start('session');
  const receiver = await bed.receiver(['message.received']);
  const conversation = await bed.conversation('Ana');
  const env = { DATABASE_URL: url(pooler), EMBEDDED_JWT_SECRET: 'y'.repeat(32) };
  const first = await bed.sidecar(env);
  const subscriber = await bed.subscriber(first);
  await subscriber.join(`conversation:${conversation}`);
  for (let n = 0; n < 20; n++) await bed.message(conversation, `before ${n}`);
  await until(() => subscriber.heard.filter((m) => m.event === 'message.new').length === 20, () => `20 messages, not ${subscriber.heard.length}`);
  await until(() => receiver.deliveries.length === 20, () => `20 deliveries, not ${receiver.deliveries.length}`);

  // What it holds belongs to its own session, as the server sees it.
  const led = await rows(bed.db, `SELECT c.name FROM chat.consumer c JOIN pg_stat_activity a USING (pid, backend_start) WHERE a.usename = 'chat_sidecar' ORDER BY 1`);
  assert.deepEqual(led.map((row) => row.name), ['webhooks']);

  const second = await bed.sidecar(env);
  first.child.kill('SIGSTOP');
  await until(async () => (await second.metric('chat_realtime_leader')) === 2, 'the second one to lead', 30000);
  for (let n = 0; n < 20; n++) await bed.message(conversation, `after ${n}`);
  const contents = () => new Set(receiver.deliveries.map(({ body }) => body.data.content));
  await until(() => contents().size === 40, () => `all 40, not ${contents().size}`, 20000);
  first.child.kill('SIGCONT');
  await until(() => first.log.some((line) => line.msg === 'not leading any more'), () => `the first to notice: ${first.tail()}`);
  await subscriber.close();
  for (const sidecar of [first, second]) assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
  assert.equal(await value(bed.db, 'SELECT count(*) FROM chat.consumer WHERE owner IS NOT NULL'), 0);
});
