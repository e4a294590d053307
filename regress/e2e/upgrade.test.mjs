// From one major version of PostgreSQL to another: pg_upgrade, a dump of the whole cluster, and logical replication,
// with real data of every kind. What was committed and not delivered is delivered once, what was delivered is not sent
// again. UPGRADE_FROM: pg_config of the older versions, separated by colons; regress/matrix/run sets it.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { dumpedWhole, upgraded } from '../lib/copies.mjs';
import { rows, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { liveModel } from '../lib/live-model.mjs';
import { allDelivered } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';
import { otherWorkspace, workspace } from '../lib/workspace.mjs';

const limit = 120000;
const beds = [];
after(async () => {
  for (const bed of beds) await bed.close();
});

const delivered = (bed, original) => allDelivered(bed.db, () => original.realtime.accepted, { limit });

/** Every row of every table, but of what a new cluster or sidecar changes, and of when chat.maintain was last done here. */
async function contents(db) {
  const result = {};
  const tables = await rows(db, `SELECT c.oid::regclass::text AS name FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text IN ('chat', 'public', 'live')
      AND c.oid NOT IN ('chat.origin'::regclass, 'chat.consumer'::regclass, 'chat.maintenance'::regclass) ORDER BY 1`);
  for (const { name } of tables) {
    result[name] = await value(db, `SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text COLLATE "C")), '') FROM ${name} t`);
  }
  return result;
}

const drifting = (db) => value(db, 'SELECT count(*)::int FROM chat.attachment a, chat.drifted(a)');

async function messages(bed, conversation, count, db = bed.db) {
  await db.query(`INSERT INTO public.chat_messages (conversation_id, content, direction)
    SELECT $1, 'message ' || g, 'incoming' FROM generate_series(1, $2) g`, [conversation, count]);
}

/** A bed of another version with both models attached, a key, webhooks of which one fails, and three partitions. */
async function populated(shared) {
  const bed = await Bed.create({ shared, settings: { shared_preload_libraries: 'chat_realtime', wal_level: 'logical' } });
  beds.push(bed);
  bed.realtime = await FaultyRealtime.start();
  bed.closing.unshift(() => bed.realtime.down());
  bed.env = { REALTIME_URL: bed.realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' };
  bed.live = await liveModel(bed.db, bed.owner);
  bed.key = await value(bed.db, `SELECT chat.create_api_key($1, 'a key') ->> 'key'`, [bed.owner]);
  bed.good = await bed.receiver(['message.received']);
  bed.bad = await bed.receiver(['message.received']);
  bed.bad.answer = () => 500;
  bed.running = await bed.sidecar(bed.env);
  bed.first = await bed.conversation('Ana');
  bed.second = await bed.conversation('Bia');
  await until(async () => {
    await messages(bed, bed.first, 10);
    await bed.live.messages(10);
    await bed.db.query(`UPDATE chat.event SET created_at = created_at - interval '7 h'`);
    await bed.db.query('SELECT * FROM chat.maintain()');
    return value(bed.db, 'SELECT last_value >> 32 = 2 FROM chat.event_seq');
  }, 'events in three partitions', limit);
  return bed;
}

const allRead = (bed) => until(() => value(bed.db, `SELECT count(*) = 2 AND bool_and(c.last_id >= (SELECT max(id) FROM chat.events))
  FROM chat.consumer c`), async () => JSON.stringify(await value(bed.db, `SELECT chat.status() -> 'consumers'`)), limit);

/** Ends the sidecar amid work: a transaction with low ids that commits late, and events that nobody has read. */
async function leaveBehind(bed) {
  const late = await bed.connect();
  await late.query('BEGIN');
  await messages(bed, bed.second, 3, late);
  await messages(bed, bed.first, 10);
  await delivered(bed, bed);
  await until(async () => bed.good.deliveries.length >= await incoming(bed) && bed.bad.attempts.length > 0, 'the webhooks', limit);
  await allRead(bed);
  await bed.running.kill('SIGTERM');
  await late.query('COMMIT');
  await messages(bed, bed.first, 5);
  await bed.live.messages(5);
  await bed.db.query(`SELECT chat.save_message($1, '{"direction": "incoming", "content": "saved", "messageId": "one"}')`, [String(bed.first)]);
}

const incoming = (bed) => value(bed.db, `SELECT (SELECT count(*) FROM public.chat_messages WHERE direction = 'incoming')
  + (SELECT count(*) FROM live.chat_messages WHERE direction = 'incoming')`);

const repeated = (ids) => ids.length - new Set(ids).size;

/** The copy's sidecar delivers what was left, once; the copy works as the original did. */
async function goOn(copy, original) {
  const { realtime, good, bad } = original;
  const last = await value(copy.db, 'SELECT max(id) FROM chat.events');
  bad.answer = () => 200;
  await copy.db.query('UPDATE chat.webhook_delivery SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL');
  const sidecar = await copy.sidecar(original.env);
  await delivered(copy, original);
  await messages(copy, original.first, 5);
  await original.live.messages(5, copy.db);
  await delivered(copy, original);
  assert.ok(await value(copy.db, 'SELECT max(id) > $1 FROM chat.events', [last]), 'ids go on');
  const expected = await incoming(copy);
  await until(() => good.deliveries.length >= expected && bad.deliveries.length >= expected,
    () => `${good.deliveries.length} and ${bad.deliveries.length} of ${expected} webhooks`, limit);
  assert.deepEqual([...good.deliveries, ...bad.deliveries].filter(({ problem }) => problem), []);
  assert.equal(repeated(good.deliveries.map(({ id }) => id)) + repeated(bad.deliveries.map(({ id }) => id)), 0);
  assert.equal(await drifting(copy.db), 0);
  await worksAsBefore(copy, original);
  await until(async () => (await value(copy.db, `SELECT chat.status() -> 'hints'`)).every(({ severity }) => severity === 'info'),
    async () => JSON.stringify(await value(copy.db, 'SELECT chat.status()')), limit);
  await sidecar.kill('SIGTERM');
  return repeated(realtime.accepted.map(({ id }) => id));
}

async function worksAsBefore(copy, original) {
  assert.equal(await value(copy.db, 'SELECT (chat.authenticate($1)).code', [original.key]), 'OK');
  assert.equal(await value(copy.db, `SELECT chat.save_message($1, '{"direction": "incoming", "content": "again", "messageId": "one"}') ->> 'content'`,
    [String(original.first)]), 'saved');
  assert.equal(await value(copy.db, 'SELECT chat.mark_read($1)', [String(original.first)]) > 0, true);
  await assert.rejects(copy.db.query(`INSERT INTO public.chat_messages (conversation_id, direction) VALUES ($1, 'sideways')`, [original.first]),
    { code: /^2[23]/ });
  const created = await value(copy.db, `SELECT chat.create_conversation($1, '5511888888888@s.whatsapp.net') ->> 'id'`, [copy.owner]);
  assert.ok(Number(created) > original.second);
  await copy.db.query('ALTER EXTENSION chat_realtime UPDATE');
  await copy.db.query('SELECT * FROM chat.maintain()');
  assert.deepEqual(await rows(copy.db, 'SELECT * FROM chat.setup()'), []);
  await copy.cluster.psql('CREATE DATABASE another');
  await copy.cluster.psql('CREATE EXTENSION chat_realtime', { database: 'another' });
}

/** Rate limits need preloading before 17: the newer server does without. */
const unloaded = ({ pg }) => (pg.major >= 17 ? { shared_preload_libraries: '' } : {});

const here = await workspace();
for (const pgConfig of (process.env.UPGRADE_FROM ?? '').split(':').filter(Boolean)) {
  const from = await otherWorkspace(pgConfig);
  const way = `${from.pg.major} to ${here.pg.major}`;

  test(`pg_upgrade ${way}: all data, undelivered events once, nothing again`, async () => {
    const bed = await populated(from);
    await leaveBehind(bed);
    const before = await contents(bed.db);
    const copy = await upgraded(bed, here, unloaded(here));
    assert.deepEqual(await contents(copy.db), before);
    assert.equal(await value(copy.db, 'SHOW server_version_num').then((version) => Math.floor(version / 10000)), here.pg.major);
    assert.equal(await goOn(copy, bed), 0, 'events that Realtime got twice');
  });

  test(`pg_dumpall ${way}: all data, undelivered events come, what was delivered before the first open one not again`, async () => {
    const bed = await populated(from);
    await leaveBehind(bed);
    const before = await contents(bed.db);
    const copy = await dumpedWhole(bed, here, unloaded(here));
    assert.deepEqual(await contents(copy.db), before);
    const again = await goOn(copy, bed);
    assert.ok(again <= 20, `${again} events again: more than came since the first open transaction's`);
  });

  test(`logical replication ${way}: rows and counters as they are, events from the switch on`, async () => {
    const bed = await populated(from);
    const copy = await Bed.create({ shared: here, owner: bed.owner, settings: unloaded(here) });
    beds.push(copy);
    const live = await liveModel(copy.db, bed.owner, { empty: true });
    const tables = '{public.conversations,public.chat_messages,public.chat_api_keys,public.chat_external_webhooks,live.accounts,live.agents,live.conversations,live.chat_messages}';
    await bed.db.query(`CREATE PUBLICATION moving FOR TABLE ${tables.slice(1, -1)}`);
    await copy.db.query(`CREATE SUBSCRIPTION moving CONNECTION '${bed.cluster.url({ database: 'chat' })}' PUBLICATION moving`);
    await messages(bed, bed.first, 10);
    await bed.db.query(`UPDATE public.chat_messages SET status = 'read' WHERE id % 3 = 0`);
    await bed.live.messages(3);
    await bed.running.kill('SIGTERM');
    await caughtUp(bed, copy, tables);
    assert.equal(await value(copy.db, 'SELECT count(*)::int FROM chat.events'), 0);
    assert.equal(await drifting(copy.db), 0);
    await copy.db.query('DROP SUBSCRIPTION moving');
    await copy.db.query(`SELECT setval(pg_get_serial_sequence(t, 'id'), 1000) FROM unnest('{public.conversations,public.chat_messages}'::text[]) t`);
    const realtime = await FaultyRealtime.start();
    copy.closing.push(() => realtime.down());
    await copy.sidecar({ ...bed.env, REALTIME_URL: realtime.url });
    await messages(copy, bed.first, 2);
    await live.messages(2);
    await delivered(copy, { realtime });
    assert.equal(realtime.accepted.filter(({ event }) => event === 'message.new').length, 4);
    assert.equal(await drifting(copy.db), 0);
    assert.equal(await value(copy.db, 'SELECT (chat.authenticate($1)).code', [bed.key]), 'OK');
  });
}

/** Waits until the subscriber has what the publisher has. */
async function caughtUp(bed, copy, tables) {
  const all = await contents(bed.db);
  const wanted = tables.slice(1, -1).split(',').map((name) => [name, all[name] ?? all[name.replace('public.', '')]]);
  await until(async () => {
    const there = await contents(copy.db);
    return wanted.every(([name, rowsOf]) => (there[name] ?? there[name.replace('public.', '')]) === rowsOf);
  }, 'the subscriber to catch up', limit, 200);
}
