// Copies of a database: restored from a dump, a promoted standby, an upgraded cluster. What was committed and not
// delivered is delivered, what was delivered is not sent again.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { restored, restoredBeside, standby, upgraded } from '../lib/copies.mjs';
import { rows, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { allDelivered, events } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';

const beds = [];
after(async () => {
  for (const bed of beds) await bed.close();
});

/** A bed with a sidecar and a stand-in for Realtime; two conversations, 40 messages delivered. */
async function start(options) {
  const bed = await Bed.create(options);
  beds.push(bed);
  bed.realtime = await FaultyRealtime.start();
  bed.closing.unshift(() => bed.realtime.down());
  bed.env = { REALTIME_URL: bed.realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000', WEBHOOKS: 'off' };
  bed.running = await bed.sidecar(bed.env);
  bed.first = await bed.conversation('Ana');
  bed.second = await bed.conversation('Bia');
  await messages(bed, bed.first, 40);
  await delivered(bed, bed);
  return bed;
}

async function messages(bed, conversation, count, db = bed.db) {
  await db.query(`INSERT INTO public.chat_messages (conversation_id, content, direction)
    SELECT $1, 'message ' || g, 'incoming' FROM generate_series(1, $2) g`, [conversation, count]);
}

const delivered = (bed, original) => allDelivered(bed.db, () => original.realtime.accepted, { limit: 60000 });
const lastId = (bed) => value(bed.db, 'SELECT max(id) FROM chat.events');
const position = (bed) => value(bed.db, `SELECT last_id FROM chat.consumer WHERE name = 'realtime'`);

/**
 * Leaves a bed as a crash would: delivered events, a transaction that drew low ids and commits after the position was
 * saved, and events that nobody has read. Returns the late transaction's lowest id.
 */
async function leaveBehind(bed) {
  const late = await bed.connect();
  await late.query('BEGIN');
  await messages(bed, bed.second, 3, late);
  const from = await value(late, `SELECT min(id) FROM chat.events WHERE xid = pg_current_xact_id()`);
  await messages(bed, bed.first, 20);
  await delivered(bed, bed);
  await until(async () => (await position(bed)) >= (await lastId(bed)), 'the position to be saved', 30000);
  await bed.running.kill('SIGKILL');
  await late.query('COMMIT');
  await messages(bed, bed.first, 10);
  return from;
}

/** Starts a sidecar on a copy, and checks what it sends. from: below it nothing may be sent again. */
async function goOn(copy, original, from) {
  const before = original.realtime.accepted.length;
  const known = new Set(original.realtime.accepted.map((event) => event.id));
  const last = await lastId(copy);
  const sidecar = await copy.sidecar(original.env);
  await delivered(copy, original);
  await messages(copy, original.first, 5);
  await delivered(copy, original);
  const newest = await rows(copy.db, 'SELECT id FROM chat.events WHERE id > $1 ORDER BY id', [last]);
  assert.ok(newest.length > 0 && newest[0].id >= last + 1_000_000, `ids go on at ${newest[0]?.id} after ${last}`);
  const again = original.realtime.accepted.slice(before).filter((event) => known.has(event.id)).map((event) => Number(event.id));
  assert.deepEqual(again.filter((id) => id < from), []);
  // Once more: a restart has nothing to send again.
  await until(async () => (await position(copy)) >= (await lastId(copy)), 'the position to be saved', 30000);
  await sidecar.kill('SIGTERM');
  const settled = original.realtime.accepted.length;
  await copy.sidecar(original.env);
  await messages(copy, original.second, 1);
  await delivered(copy, original);
  const sent = original.realtime.accepted.slice(settled);
  assert.ok(sent.every((event) => Number(event.id) > newest.at(-1).id), 'sent again after a restart');
  return again.length;
}

test('a dump restored into a new cluster: undelivered events come, late ones too, the rest not again', async () => {
  const bed = await start();
  await bed.db.query('SELECT * FROM chat.maintain()');
  await bed.db.query('SELECT chat.set_rollout(30)');
  const from = await leaveBehind(bed);
  const copy = await restored(bed);
  assert.deepEqual(await events(copy.db), await events(bed.db));
  assert.equal(await value(copy.db, 'SELECT percent FROM chat.rollout'), 30);
  assert.equal(await value(copy.db, 'SELECT count(*)::int FROM chat.attachment'), 1);
  await goOn(copy, bed, from);
  assert.equal(await value(copy.db, 'SELECT unread_count FROM public.conversations WHERE id = $1', [bed.first]), 75);
  // A dump of the restored one, with rows of two clusters in its log.
  copy.realtime = bed.realtime;
  const second = await restored(copy);
  const sent = bed.realtime.accepted.length;
  await second.sidecar(bed.env);
  await messages(second, bed.first, 1);
  await delivered(second, bed);
  assert.ok(bed.realtime.accepted.length - sent < 10, 'nearly nothing is sent again');
});

test('tables restored beside the live ones: writing to them fails, and reaches no live conversation, until they are attached', async () => {
  const bed = await Bed.create();
  beds.push(bed);
  const conversation = await bed.conversation('Ana');
  await messages(bed, conversation, 3);
  const last = await lastId(bed);
  await restoredBeside(bed);
  for (const sql of ['DELETE FROM public.chat_messages', 'UPDATE public.chat_messages SET status = \'read\'', 'TRUNCATE public.chat_messages',
    'INSERT INTO public.chat_messages (conversation_id, content, direction) SELECT id, \'x\', \'incoming\' FROM public.conversations',
    'DELETE FROM public.conversations', 'UPDATE public.conversations SET contact_name = \'x\'',
    'INSERT INTO public.conversations (user_id, contact_jid) SELECT user_id, \'x\' FROM public.conversations']) {
    await assert.rejects(bed.db.query(sql), (error) => {
      assert.equal(error.code, '55000', `${sql}: ${error.message}`);
      assert.match(error.message, /table public\.(conversations|chat_messages) .* live\.conversations and live\.chat_messages/);
      assert.match(error.hint, /chat\.attach/);
      return true;
    });
  }
  assert.equal(await value(bed.db, 'SELECT unread_count FROM live.conversations'), 3);
  assert.equal(await lastId(bed), last);
  const hints = async () => (await value(bed.db, 'SELECT chat.status()')).hints.map(({ hint }) => hint).filter((hint) => hint.startsWith('triggers'));
  const named = await hints();
  assert.equal(named.length, 2);
  assert.match(named[0], /"00_chat_realtime_after", .* of public\.chat_messages belong to live\.conversations and live\.chat_messages/);
  await bed.db.query(`SELECT * FROM chat.attach('public.conversations', 'public.chat_messages')`);
  assert.deepEqual(await hints(), []);
  await bed.db.query('DELETE FROM public.chat_messages WHERE id = (SELECT min(id) FROM public.chat_messages)');
  assert.equal(await value(bed.db, 'SELECT unread_count FROM public.conversations'), 2);
  assert.equal(await value(bed.db, 'SELECT unread_count FROM live.conversations'), 3);
});

test('a publication of all tables: set-up, webhooks, retention, a dump restored, and its positions mended', async () => {
  const bed = await start({ before: 'CREATE PUBLICATION everything FOR ALL TABLES', settings: { wal_level: 'logical', 'chat_realtime.retention': '2s' } });
  const receiver = await bed.receiver(['message.received']);
  await bed.running.kill('SIGTERM');
  bed.env = { ...bed.env, WEBHOOKS: 'on', WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
  bed.running = await bed.sidecar(bed.env);
  // Tried again after a failure: a delivery is stored, changed and deleted.
  receiver.answer = () => 503;
  await messages(bed, bed.first, 3);
  await until(() => value(bed.db, 'SELECT count(*) > 0 FROM chat.webhook_delivery'), 'a delivery that waits', 30000);
  receiver.answer = () => 200;
  const wanted = await rows(bed.db, `SELECT 'evt_' || id AS id FROM chat.events WHERE webhook = 'message.received' ORDER BY id DESC LIMIT 3`);
  await until(async () => {
    await bed.db.query('UPDATE chat.webhook_delivery SET next_attempt_at = now() WHERE next_attempt_at > now()');
    return wanted.every(({ id }) => receiver.deliveries.some((delivery) => delivery.id === id));
  }, 'the webhook', 60000, 200);
  await until(() => value(bed.db, 'SELECT count(*) = 0 FROM chat.webhook_delivery'), 'deliveries done', 30000);
  // Attempts that are past their days, in the default partition; the log by partitions.
  await bed.db.query(`UPDATE chat.webhook_attempt SET at = at - interval '9 days'`);
  const done = [];
  await until(async () => {
    done.push(...await rows(bed.db, 'SELECT * FROM chat.maintain()'));
    await messages(bed, bed.first, 1);
    return done.filter(({ action }) => /dropped|emptied/.test(action)).length >= 2;
  }, () => JSON.stringify(done), 60000, 200);
  assert.deepEqual(done.filter(({ action }) => action.startsWith('failed')), []);
  assert.equal(await value(bed.db, `SELECT count(*)::int FROM chat.webhook_attempt WHERE at < now() - interval '8 days'`), 0);
  await bed.db.query(`ALTER SYSTEM SET chat_realtime.retention = '1 h'`);
  await bed.db.query('SELECT pg_reload_conf()');
  const from = await leaveBehind(bed);
  const copy = await restored(bed);
  assert.equal(await value(copy.db, 'SELECT puballtables FROM pg_publication'), true);
  await goOn(copy, bed, from);
  const swept = await rows(copy.db, 'SELECT * FROM chat.maintain()');
  assert.deepEqual(swept.filter(({ action }) => action.startsWith('failed')), []);
});

test('a standby promoted: positions hold, ids go on beyond what was delivered, prepared transactions too', async () => {
  const bed = await start();
  const copy = await standby(bed);
  const third = await bed.conversation('Cai');
  const prepared = await bed.connect();
  await prepared.query('BEGIN');
  await messages(bed, third, 1, prepared);
  await prepared.query(`PREPARE TRANSACTION 'before'`);
  const from = (await lastId(bed)) - 1; // what is not replicated may be sent again
  await messages(bed, bed.first, 20);
  await delivered(bed, bed);
  await until(async () => (await position(bed)) >= (await lastId(bed)), 'the position to be saved', 30000);
  await bed.running.kill('SIGKILL');
  await messages(bed, bed.first, 10);
  const lsn = await value(bed.db, 'SELECT pg_current_wal_flush_lsn()');
  await until(() => value(copy.db, 'SELECT pg_last_wal_replay_lsn() >= $1', [lsn]), 'the standby to catch up', 60000);
  await bed.cluster.stop('immediate');
  await copy.db.query('SELECT pg_promote()');
  await until(() => value(copy.db, 'SELECT NOT pg_is_in_recovery()'), 'the promotion', 60000);
  await goOn(copy, bed, from);
  assert.ok((await value(copy.db, 'SELECT timeline FROM chat.origin')) > 1);
  await copy.db.query(`COMMIT PREPARED 'before'`);
  await delivered(copy, bed);
});

test('pg_upgrade keeps transaction ids: undelivered events come, nothing again', async () => {
  const bed = await start();
  await leaveBehind(bed);
  const copy = await upgraded(bed);
  assert.equal(await goOn(copy, bed, Infinity), 0);
});
