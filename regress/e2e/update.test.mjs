// ALTER EXTENSION ... UPDATE: from every version there was, beside writers, with events that nobody has delivered. What is
// updated is what is installed at once.
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { catalog, differences } from '../lib/catalog.mjs';
import { dumpedWhole, restored } from '../lib/copies.mjs';
import { connect, rows, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { liveModel } from '../lib/live-model.mjs';
import { Load, allDelivered, events } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';
import { root, temporaryDirectory, workspace } from '../lib/workspace.mjs';

const limit = 60000;
const beds = [];
after(async () => {
  for (const bed of beds) await bed.close();
});

const installed = (db) => value(db, `SELECT extversion FROM pg_extension WHERE extname = 'chat_realtime'`);
/** The log as 1.0 has it: a row an event. */
const oldestEvents = (db) => rows(db, 'SELECT id::text, topic, event, conversation, webhook FROM chat.event WHERE expires_at IS NULL ORDER BY chat.event.id');
const drifting = (db) => value(db, 'SELECT count(*)::int FROM chat.attachment a, chat.drifted(a)');
const delivered = (bed) => allDelivered(bed.db, () => bed.realtime.accepted, { limit });
/** Functions in the extension's schema that are no part of it. */
const leftOver = (db) => rows(db, `SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'chat'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')`);
/** Indexes that not all partitions of the log, or of the attempts, have. */
const partitionIndexes = `
  WITH p AS (SELECT inhparent AS parent, inhrelid AS partition FROM pg_inherits WHERE inhparent IN ('chat.event'::regclass, 'chat.webhook_attempt'::regclass)),
       i AS (SELECT p.parent, split_part(pg_get_indexdef(x.indexrelid), ' USING ', 2) AS index FROM p JOIN pg_index x ON x.indrelid = p.partition)
  SELECT i.parent::regclass, i.index FROM i GROUP BY i.parent, i.index HAVING count(*) < (SELECT count(*) FROM p WHERE p.parent = i.parent)`;
/** As its hint says: again, where writers on a slow machine have the tables all the time. */
const updateAtLast = (db) => until(() => update(db).then(() => true), 'the update to have the tables', limit);
const update = (db) => db.query('ALTER EXTENSION chat_realtime UPDATE');

/** A workspace with a stage of its own, in which the install scripts of earlier versions are, too. */
async function everyVersion() {
  const shared = { ...await workspace() };
  const stage = path.join(temporaryDirectory(0o755), 'stage');
  cpSync(shared.stage, stage, { recursive: true });
  const dir = path.join(`${stage}${shared.pg.sharedir}`, 'extension');
  const fixtures = path.join(root, 'regress/fixtures');
  for (const name of readdirSync(fixtures).filter((file) => file.startsWith('chat_realtime--'))) {
    copyFileSync(path.join(fixtures, name), path.join(dir, name));
  }
  return { ...shared, stage, scripts: dir };
}

/** Versions that have an install script. */
const installable = ({ scripts }) => readdirSync(scripts).map((name) => /^chat_realtime--((?:(?!--).)+)\.sql$/.exec(name)?.[1]).filter(Boolean);

/** A version after the newest: its files join those of the others. Returns its name. */
function addVersion({ scripts }, version) {
  const next = `${version}.next`;
  const control = path.join(scripts, 'chat_realtime.control');
  copyFileSync(path.join(root, 'regress/fixtures/next-version.sql'), path.join(scripts, `chat_realtime--${version}--${next}.sql`));
  writeFileSync(control, readFileSync(control, 'utf8').replace(/^default_version.*/m, `default_version = '${next}'`));
  return next;
}

/** A bed of a version, with a stand-in for Realtime; no sidecar runs yet. */
async function start(options) {
  const bed = await Bed.create(options);
  beds.push(bed);
  bed.realtime = await FaultyRealtime.start();
  bed.closing.unshift(() => bed.realtime.down());
  bed.env = { REALTIME_URL: bed.realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000', WEBHOOKS: 'off' };
  bed.first = await bed.conversation('Ana');
  bed.second = await bed.conversation('Bia');
  return bed;
}

async function messages(bed, conversation, count, db = bed.db) {
  await db.query(`INSERT INTO public.chat_messages (conversation_id, content, direction)
    SELECT $1, 'message ' || g, 'incoming' FROM generate_series(1, $2) g`, [conversation, count]);
}

/** Writers, also of a test that fails, until the bed is closed. */
function writers(bed, conversations, options) {
  const load = new Load(bed.cluster, conversations, options);
  bed.closing.push(() => load.stop());
  return load;
}

/** What Supabase has of what chat.setup looks for. */
const supabase = `
  CREATE ROLE authenticated;
  CREATE ROLE service_role BYPASSRLS;
  CREATE SCHEMA realtime;
  CREATE FUNCTION realtime.topic() RETURNS text LANGUAGE sql STABLE AS 'SELECT current_setting(''realtime.topic'', true)';
  CREATE TABLE realtime.messages (topic text NOT NULL, extension text NOT NULL, payload jsonb);
  ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY`;

/** The messages are partitioned, and belong to a role that is no superuser. */
const partitioned = `
  CREATE ROLE tenant;
  CREATE SCHEMA parted AUTHORIZATION tenant;
  CREATE TABLE parted.conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, contact_jid text NOT NULL,
    last_message_at timestamptz, last_message_preview text, unread_count integer DEFAULT 0, created_at timestamptz DEFAULT now());
  CREATE TABLE parted.messages (id uuid DEFAULT gen_random_uuid(), conversation_id uuid NOT NULL, content text, direction text NOT NULL,
    status text DEFAULT 'sent', created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
  CREATE TABLE parted.messages_all PARTITION OF parted.messages DEFAULT;
  ALTER TABLE parted.conversations OWNER TO tenant;
  ALTER TABLE parted.messages OWNER TO tenant;
  ALTER TABLE parted.messages_all OWNER TO tenant`;

/** Both models and a partitioned one, attached under 1.0, with a backend's role. */
async function attachedUnderOldest(bed) {
  await bed.role('chat_backend', 'grant_backend');
  bed.live = await liveModel(bed.db, bed.owner);
  await bed.db.query(partitioned);
  await bed.db.query(`SELECT * FROM chat.attach('parted.conversations', 'parted.messages')`);
  await bed.db.query('INSERT INTO parted.conversations (user_id, contact_jid) VALUES ($1, $2)', [bed.owner, '5511666666666@s.whatsapp.net']);
}

const intoPartition = (bed) => bed.db.query(`INSERT INTO parted.messages (conversation_id, content, direction) SELECT id, 'parted', 'incoming' FROM parted.conversations`);

/** Calls of a backend, until stop(): each saves a message, and sometimes reads the conversation. */
class Calls {
  constructor(bed) {
    bed.closing.push(() => this.stop());
    this.going = true;
    this.saved = [];
    this.refused = [];
    this.done = Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((caller) => this.run(bed, caller)));
  }

  async run(bed, caller) {
    const client = await connect(bed.cluster, { user: 'chat_backend' });
    for (let n = 0; this.going; n++) {
      const messageId = `call ${caller}.${n}`;
      try {
        await client.query(`SELECT chat.save_message($1, jsonb_build_object('direction', 'incoming', 'content', 'called', 'messageId', $2::text))`,
          [String(bed.first), messageId]);
        this.saved.push(messageId);
        // By one alone: 1.0's locked the messages before the conversation, so one of its calls and a later one may meet in a deadlock.
        if (caller === 1 && n % 10 === 9) await client.query('SELECT chat.mark_read($1)', [String(bed.first)]);
      } catch (error) {
        this.refused.push(error.message);
      }
    }
    await client.end();
  }

  async called(count) {
    const goal = this.saved.length + count;
    await until(() => this.saved.length >= goal, () => `${goal - this.saved.length} more calls: ${this.refused.slice(-3)}`, limit);
  }

  async stop() {
    this.going = false;
    await this.done;
  }
}

test('every version, updated, is what the newest one is when it is installed at once: objects, bodies, privileges, what is dumped', async () => {
  const shared = await everyVersion();
  const bed = await start({ shared });
  for (const version of installable(shared)) {
    await bed.cluster.psql('CREATE DATABASE old');
    const db = await bed.connect({ database: 'old' });
    await db.query(`CREATE EXTENSION chat_realtime VERSION '${version}'`);
    await update(db);
    await bed.cluster.psql('CREATE DATABASE fresh');
    const fresh = await bed.connect({ database: 'fresh' });
    await fresh.query('CREATE EXTENSION chat_realtime');
    assert.equal(await installed(db), await installed(fresh));
    assert.deepEqual(differences(await catalog(db), await catalog(fresh)), []);
    for (const [name, client] of [['old', db], ['fresh', fresh]]) {
      await client.end();
      await bed.cluster.psql(`DROP DATABASE ${name}`);
    }
  }
});

test('from 1.0 while both models are written: nothing fails, is lost or comes twice, and counters are exact', async () => {
  const shared = await everyVersion();
  const newest = installable(shared).sort().at(-1);
  const bed = await start({ shared, version: '1.0', before: supabase });
  await attachedUnderOldest(bed);
  await rows(bed.db, 'SELECT * FROM chat.maintain()');
  // The library is the new one, the functions are 1.0's.
  const load = writers(bed, [bed.first, bed.second], { writers: 3, pause: 2 });
  const calls = new Calls(bed);
  await load.wrote(100);
  await calls.called(30);
  await bed.live.messages(5);
  await intoPartition(bed);
  assert.equal(await drifting(bed.db), 0);
  assert.deepEqual(calls.refused, []);
  const log = await oldestEvents(bed.db);
  const notices = [];
  bed.db.on('notice', (notice) => notices.push(notice));
  await updateAtLast(bed.db);
  assert.equal(await installed(bed.db), newest);
  assert.deepEqual((await events(bed.db)).slice(0, log.length), log);
  assert.deepEqual(await rows(bed.db, partitionIndexes), []);
  await load.wrote(100);
  await calls.called(30);
  await load.stop();
  await calls.stop();
  assert.equal(load.failed, 0);
  assert.deepEqual(calls.refused, []);
  // Attached tables go on; what is new comes to them, too.
  await bed.live.messages(5);
  await intoPartition(bed);
  await bed.db.query('SET ROLE tenant');
  await bed.db.query(`CREATE TABLE parted.messages_2000 PARTITION OF parted.messages FOR VALUES FROM ('2000-01-01') TO ('2001-01-01')`);
  await bed.db.query('RESET ROLE');
  const third = await bed.conversation('Cai');
  await bed.db.query('DELETE FROM public.conversations WHERE id = $1', [third]);
  assert.equal(await value(bed.db, `SELECT count(*)::int FROM chat.event WHERE event = 'conversation.deleted' AND conversation = $1`, [String(third)]), 1);
  assert.equal(await drifting(bed.db), 0);
  assert.equal(await value(bed.db, `SELECT count(*)::int FROM public.chat_messages WHERE message_id LIKE 'call %'`), calls.saved.length);
  await rows(bed.db, 'SELECT * FROM chat.maintain()');
  assert.deepEqual(await leftOver(bed.db), []);
  // The sidecar's role has what is new, without being granted it again.
  const sidecar = await bed.sidecar(bed.env);
  await delivered(bed);
  await messages(bed, bed.first, 1);
  const { duplicates, disorder } = await delivered(bed);
  assert.deepEqual([duplicates, disorder], [0, []]);
  assert.equal(sidecar.log.some(({ level }) => level === 'error'), false, sidecar.tail());
  // Policies on realtime.messages wait for chat.setup(): the update says so.
  assert.deepEqual(notices.map(({ severity, message }) => `${severity} ${/policy \w+/.exec(message)}`),
    ['WARNING policy chat_realtime_read', 'WARNING policy chat_realtime_write']);
  const done = await rows(bed.db, 'SELECT * FROM chat.setup()');
  assert.equal(done.filter(({ action }) => /policy .* replaced/.test(action)).length, 2);
  // What tables lack since is said, with the statement.
  const [lacks, ...more] = await rows(bed.db, 'SELECT * FROM chat.setup()');
  assert.deepEqual([lacks.object, more], ['public.conversations', []]);
  await bed.db.query(/: (ALTER TABLE public.conversations ADD COLUMN metadata .*)$/.exec(lacks.action)[1]);
  assert.equal((await rows(bed.db, 'SELECT * FROM chat.setup()'))[0].action, 'columns looked up again');
  assert.deepEqual(await rows(bed.db, 'SELECT * FROM chat.setup()'), []);
  for (const [conversations, table] of [['live.conversations', 'live.chat_messages'], ['parted.conversations', 'parted.messages']]) {
    assert.deepEqual((await rows(bed.db, 'SELECT * FROM chat.attach($1, $2)', [conversations, table])).filter(({ action }) => /^(attached|columns|trigger)|drifting/.test(action)), []);
  }
  // What users were granted is theirs, and comes back from a dump.
  const copy = await dumpedWhole(bed, shared);
  for (const db of [bed.db, copy.db]) {
    assert.deepEqual(await rows(db, `SELECT r, f FROM (VALUES ('chat_sidecar', 'maintain'), ('chat_sidecar', 'sidecar_gauges'), ('chat_sidecar', 'consumer_save'),
      ('chat_backend', 'delete_conversation'), ('chat_backend', 'save_message'), ('authenticated', 'delete_conversation')) v (r, f)
      WHERE NOT chat.is_granted(r::regrole, f)`), []);
  }
  assert.deepEqual(await events(copy.db), await events(bed.db));
});

test('an update that cannot be made now changes nothing: a library from before, a transaction that holds the tables', async () => {
  const shared = await everyVersion();
  const script = path.join(shared.scripts, readdirSync(shared.scripts).find((name) => name.startsWith('chat_realtime--1.0--')));
  const bed = await start({ shared, version: '1.0' });
  const text = readFileSync(script, 'utf8');
  writeFileSync(script, text.replace(`'chat_library_version'`, `'chat_of_a_version_to_come'`));
  await assert.rejects(update(bed.db), { code: '55000', message: /library that is loaded is an earlier version/, hint: /Restart the server/ });
  writeFileSync(script, text);
  const holder = await bed.connect();
  await holder.query('BEGIN');
  await messages(bed, bed.second, 1, holder);
  const load = writers(bed, [bed.first], { writers: 2, pause: 2 });
  const refused = update(bed.db);
  await assert.rejects(refused, { code: '55P03', message: /could not lock the tables/, hint: /pg_stat_activity/ });
  assert.equal(await installed(bed.db), '1.0');
  await load.wrote(20);
  // A statement that has begun keeps what it may still call.
  const reader = await bed.connect();
  const reading = reader.query('SELECT pg_sleep(600)');
  reading.catch(() => {});
  await holder.query('COMMIT');
  await updateAtLast(bed.db);
  const left = await leftOver(bed.db);
  assert.ok(left.length > 0);
  await rows(bed.db, 'SELECT * FROM chat.maintain()');
  assert.deepEqual(await leftOver(bed.db), left);
  await value(bed.db, 'SELECT pg_cancel_backend($1)', [reader.processID]);
  await assert.rejects(reading, { code: '57014' });
  await until(async () => {
    await rows(bed.db, 'SELECT * FROM chat.maintain()');
    return (await leftOver(bed.db)).length === 0;
  }, 'functions of the version before to go', limit);
  await load.stop();
  assert.equal(load.failed, 0);
  assert.equal(await drifting(bed.db), 0);
});

test('a dump of 1.0 where the newest version alone is installed: its log comes back whole, and is gone on with', async () => {
  const shared = await everyVersion();
  const bed = await start({ shared, version: '1.0' });
  await rows(bed.db, 'SELECT * FROM chat.maintain()'); // makes a partition, which a dump has with the columns of its version
  await messages(bed, bed.first, 3);
  const log = await oldestEvents(bed.db);
  // Roles have privileges for functions that are gone.
  const copy = await restored(bed, shared, ['--no-privileges']);
  copy.realtime = bed.realtime;
  assert.notEqual(await installed(copy.db), '1.0');
  assert.deepEqual(await events(copy.db), log);
  assert.deepEqual((await rows(copy.db, partitionIndexes)).filter(({ parent }) => parent === 'chat.event'), []);
  await rows(copy.db, `SELECT * FROM chat.attach('public.conversations', 'public.chat_messages')`);
  await copy.db.query(`SELECT chat.grant_sidecar('chat_sidecar')`);
  await copy.sidecar(bed.env);
  await delivered(copy);
  // Ids go on a million later: in the partition that came with the dump, then in the next.
  await copy.db.query(`SELECT setval('chat.event_seq', 1::bigint << 32)`);
  await messages(copy, bed.first, 1);
  assert.equal(await value(copy.db, 'SELECT count(*)::int FROM chat.event_1 WHERE inbox IS NOT NULL'), 1);
  const { duplicates, disorder } = await delivered(copy);
  assert.deepEqual([duplicates, disorder], [0, []]);
  await rows(copy.db, 'SELECT * FROM chat.maintain()');
});

test('to a version that is to come, while it is used: its columns, tables and functions, and a dump of it', async () => {
  const shared = await everyVersion();
  const bed = await start({ shared });
  bed.running = await bed.sidecar(bed.env);
  const next = addVersion(shared, await installed(bed.db));
  // The server lists what is staged from version 18 on.
  const listed = await value(bed.db, `SELECT count(*) = 1 FROM pg_available_extensions WHERE name = 'chat_realtime'`);
  assert.equal(/ALTER EXTENSION chat_realtime UPDATE/.test(await value(bed.db, `SELECT chat.status() ->> 'hints'`)), listed);
  const log = await events(bed.db);
  const load = writers(bed, [bed.first, bed.second], { writers: 4, pause: 2 });
  await load.wrote(50);
  await update(bed.db);
  await load.wrote(50);
  await bed.db.query(`SELECT chat.grant_sidecar('chat_sidecar')`);
  await load.stop();
  assert.equal(load.failed, 0);
  assert.equal(await installed(bed.db), next);
  assert.deepEqual((await events(bed.db)).slice(0, log.length), log);
  await delivered(bed);
  await bed.sidecar(bed.env);
  await messages(bed, bed.first, 1);
  await delivered(bed);
  assert.equal(await drifting(bed.db), 0);
  assert.equal(await value(bed.db, `SELECT has_function_privilege('chat_sidecar', 'chat.maintain()', 'EXECUTE')`), true);
  await bed.db.query('INSERT INTO chat.next VALUES (1)');
  // What is dumped now comes back, the new version's table included.
  const copy = await restored(bed, shared);
  assert.deepEqual(await events(copy.db), await events(bed.db));
  assert.equal(await value(copy.db, 'SELECT count(*)::int FROM chat.next'), 1);
  assert.equal(await value(copy.db, `SELECT has_function_privilege('chat_sidecar', 'chat.maintain()', 'EXECUTE')`), true);
});
