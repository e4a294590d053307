// Setting up and attaching: beside writers, without a superuser, without a preloaded library; rows restored into tables
// that are set up; files that are replaced while others read them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { rowsOnly } from '../lib/copies.mjs';
import { connect, rows, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { allDelivered } from '../lib/load.mjs';
import { runProgram } from '../lib/program.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { until } from '../lib/wait.mjs';
import { root, temporaryDirectory } from '../lib/workspace.mjs';

const closing = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

/** A cluster with a database "chat" that has the extension and nothing else. */
async function bare(settings) {
  const cluster = await Cluster.create(settings);
  closing.push(() => cluster.remove());
  await cluster.psql('CREATE DATABASE chat');
  await cluster.psql('CREATE EXTENSION chat_realtime', { database: 'chat' });
  return cluster;
}

async function session(cluster, options) {
  const client = await connect(cluster, options);
  closing.push(() => client.end().catch(() => {}));
  return client;
}

test('attach gives way to writers until a transaction ends, and reports the drift of that moment', async () => {
  const cluster = await bare();
  const [db, holder, attacher, writer] = await Promise.all([1, 2, 3, 4].map(() => session(cluster)));
  await db.query(`
    CREATE TABLE c (id bigint PRIMARY KEY, user_id uuid NOT NULL DEFAULT gen_random_uuid(), unread_count int NOT NULL DEFAULT 0);
    CREATE TABLE m (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, conversation_id bigint NOT NULL REFERENCES c, direction text NOT NULL DEFAULT 'incoming',
      status text NOT NULL DEFAULT 'delivered', content text, created_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO c (id) SELECT generate_series(1, 500);
    INSERT INTO m (conversation_id) SELECT 1 + n % 100 FROM generate_series(1, 1000) n`);
  await holder.query('BEGIN; UPDATE c SET unread_count = 0 WHERE id = 500');
  const pid = await value(attacher, 'SELECT pg_backend_pid()');
  let settled = false;
  const attached = rows(attacher, "SELECT * FROM chat.attach('c', 'm')").finally(() => { settled = true; });
  const refused = assert.rejects(attached, (error) => error.code === '55P03' && /pg_stat_activity/.test(error.hint));
  await until(() => value(db, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1", [pid]), 'attach waits for the lock');
  let written = 0;
  while (!settled) {
    await writer.query('INSERT INTO m (conversation_id) VALUES ($1)', [101 + (written % 300)]);
    if (!settled) written++;
  }
  await refused;
  assert.ok(written >= 20, `${written} rows were written while attach tried`);
  assert.equal(await value(db, 'SELECT count(*) FROM chat.attachment'), 0);

  // The same with an end: what was written until then counts.
  const again = rows(attacher, "SELECT * FROM chat.attach('c', 'm')");
  await until(() => value(db, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1", [pid]), 'attach waits for the lock');
  for (let id = 401; id <= 450; id++) await writer.query('INSERT INTO m (conversation_id) VALUES ($1)', [id]);
  await writer.query('UPDATE c SET unread_count = 10 WHERE id <= 20'); // what it is: mended by hand meanwhile
  await holder.query('COMMIT');
  const actions = (await again).map(({ action }) => action);
  const wrong = await value(db, `SELECT count(*) FROM c WHERE unread_count <> (SELECT count(*) FROM m WHERE conversation_id = c.id)`);
  assert.ok(wrong > 0);
  assert.ok(actions.includes(`${wrong} conversations with drifting counters: run SELECT chat.recount()`), `${wrong}: ${actions.join('; ')}`);
  assert.equal(await value(db, 'SELECT chat.recount()'), wrong);
});

test('a role that owns the tables, and is no superuser, does all of it once a superuser has made the extension', async () => {
  const cluster = await bare();
  const superuser = await session(cluster);
  for (const role of ['app', 'chat_sidecar', 'chat_backend']) await superuser.query(`CREATE ROLE ${role} LOGIN PASSWORD '${cluster.password}'`);
  await superuser.query("GRANT CREATE ON SCHEMA public TO app; SELECT chat.grant_admin('app')");
  const app = await session(cluster, { user: 'app' });
  assert.ok((await rows(app, 'SELECT * FROM chat.setup_plan()')).length > 0);
  assert.ok((await rows(app, 'SELECT * FROM chat.setup()')).length > 0);
  assert.deepEqual(await rows(app, 'SELECT * FROM chat.setup()'), []);
  await app.query("SELECT chat.grant_sidecar('chat_sidecar'); SELECT chat.grant_backend('chat_backend')");
  const realtime = await FaultyRealtime.start();
  closing.push(() => realtime.down());
  const sidecar = await Sidecar.start(cluster, { REALTIME_URL: realtime.url, WEBHOOKS: 'off' });
  closing.push(() => sidecar.running && sidecar.kill());
  const backend = await session(cluster, { user: 'chat_backend' });
  const owner = '11111111-1111-4111-8111-111111111111';
  const conversation = (await value(backend, "SELECT chat.create_conversation($1, '5511900000001@s.whatsapp.net')", [owner])).id;
  for (let n = 0; n < 10; n++) await backend.query('SELECT chat.save_message($1, $2)', [conversation, { content: `message ${n}`, direction: 'incoming' }]);
  await app.query("INSERT INTO chat_messages (conversation_id, direction, content) VALUES ($1, 'incoming', 'by the owner')", [conversation]);
  await allDelivered(superuser, () => realtime.accepted);
  assert.equal(await value(app, 'SELECT unread_count FROM conversations'), 11);
  assert.deepEqual((await value(app, 'SELECT chat.status()')).attachments.map(({ messages }) => messages), ['chat_messages'].map((name) => `public.${name}`));
  assert.equal(await value(app, 'SELECT chat.recount()'), 0);
  await app.query('SELECT * FROM chat.maintain()');
  assert.deepEqual(await rows(app, 'SELECT * FROM chat.hints()'), []);
  assert.ok((await rows(app, "SELECT * FROM chat.detach('chat_messages')")).length > 0);
  assert.ok((await rows(app, "SELECT * FROM chat.attach('conversations', 'chat_messages')")).length > 0);
});

test('a library that is not preloaded is named by setup and status, with the statement that mends it', async (t) => {
  const cluster = await bare({ shared_preload_libraries: '' });
  if (cluster.major >= 17) return t.skip('needs no preload');
  let db = await session(cluster);
  const said = await rows(db, 'SELECT * FROM chat.setup()');
  assert.match(said.at(-1).action, /ALTER SYSTEM SET shared_preload_libraries = 'chat_realtime'/);
  const named = (hints) => hints.filter(({ object }) => object === 'shared_preload_libraries');
  const [hint] = named((await value(db, 'SELECT chat.status()')).hints);
  await db.query(hint.statement);
  await db.end();
  await cluster.restart();
  db = await session(cluster);
  assert.deepEqual(named((await value(db, 'SELECT chat.status()')).hints), []);
  assert.deepEqual(await rows(db, 'SELECT * FROM chat.setup()'), []);
});

test('rows alone are restored into tables that are set up: counters are right, and no client is told', async () => {
  const original = await Bed.create();
  closing.push(() => original.close());
  const conversation = await original.conversation('Ana');
  await original.db.query("INSERT INTO chat_messages (conversation_id, direction, content) SELECT $1, 'incoming', g FROM generate_series(1, 20) g", [conversation]);
  const cluster = await bare();
  const db = await session(cluster);
  await db.query('SELECT chat.setup()');
  await rowsOnly(original.cluster, cluster);
  const kept = 'SELECT id, unread_count, last_message_at, last_message_preview FROM conversations ORDER BY id';
  assert.deepEqual(await rows(db, kept), await rows(original.db, kept));
  assert.equal(await value(db, 'SELECT count(*) FROM chat_messages'), 20);
  assert.equal(await value(db, 'SELECT count(*)::int FROM chat.attachment a, chat.drifted(a)'), 0);
  assert.equal(await value(db, "SELECT count(*)::int FROM chat.events WHERE event ~ '^message'"), 0);
});

test('make install replaces files in one step', async () => {
  const plan = await runProgram('make', ['-n', 'install'], { cwd: root });
  assert.match(plan, /packaging\/replace 755 chat_realtime\.so/);
  assert.match(plan, /packaging\/replace 755 \S*chat-sidecar/);
  const dir = temporaryDirectory();
  const versions = ['a', 'b'].map((letter) => letter.repeat(2_000_000));
  const sources = ['a', 'b'].map((name) => path.join(dir, name));
  sources.forEach((file, n) => writeFileSync(file, versions[n]));
  const target = path.join(dir, 'library.so');
  await runProgram(path.join(root, 'packaging/replace'), ['755', sources[0], target]);
  const script = `for n in $(seq 50); do "$0" 755 "$1" "$3"; "$0" 755 "$2" "$3"; done`;
  const child = spawn('sh', ['-c', script, path.join(root, 'packaging/replace'), ...sources, target], { stdio: 'inherit' });
  let ended;
  child.once('exit', (code) => { ended = code; });
  while (ended === undefined) {
    assert.ok(versions.includes(readFileSync(target, 'latin1')), 'a file that is neither the old nor the new one');
    await new Promise(setImmediate);
  }
  assert.equal(ended, 0);
});
