// Events as rows of realtime.messages, streamed by what stands in for Realtime: whatever happens to its slot, to the server or
// to the sidecar, what committed arrives there, in order.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { allDelivered, Load } from '../lib/load.mjs';
import { clockAhead } from '../lib/preload.mjs';
import { schema, StreamingRealtime } from '../lib/streaming-realtime.mjs';
import { sleep, until } from '../lib/wait.mjs';

let bed, realtime, sidecar, conversations;
const refused = new Set(); // ids of events

const settings = { REALTIME_TRANSPORT: 'database', REALTIME_MAX_EVENTS_PER_SECOND: '0' };
const ready = async () => (await sidecar.get('/readyz')).json();
const inserted = () => value(bed.db, 'SELECT count(*) FROM realtime.messages');
const load = () => new Load(bed.cluster, conversations, { writers: 2, pause: 2 });
const streams = () => value(bed.db, `SELECT active_pid FROM pg_replication_slots WHERE slot_name ~ '^supabase_realtime'`);

/** All of the log is there, but what the table refused, in order. */
async function arrived() {
  const result = await allDelivered(bed.db, () => realtime.received, { only: (event) => !refused.has(event.id) });
  assert.deepEqual(result.disorder, []);
  assert.deepEqual(result.unknown, []);
  return result;
}

/** The position is past everything: all of it was confirmed. */
async function done() {
  await until(async () => await value(bed.db, `SELECT c.last_id >= (SELECT max(id) FROM chat.events) FROM chat.consumer c WHERE c.name = 'realtime'`),
    () => `the position to move: ${sidecar.tail()}`);
}

async function troubled(pattern) {
  await until(async () => pattern.test((await ready()).reasons.realtime), async () => `${pattern} on /readyz: ${JSON.stringify(await ready())}`, 20000);
}

before(async () => {
  bed = await Bed.create({ settings: { wal_level: 'logical' }, before: schema });
  realtime = new StreamingRealtime(bed.cluster);
  sidecar = await bed.sidecar({ ...settings, ...await clockAhead(86400) }); // ready while nothing waits; its machine is in tomorrow
  conversations = [await bed.conversation('Ana'), await bed.conversation('Bia'), await bed.conversation('Cai')];
});

after(async () => {
  await realtime.disconnect().catch(() => {});
  await bed.close();
});

test('while nobody streams, nothing is inserted, and /readyz says so', async () => {
  await bed.message(conversations[0], 'early');
  await troubled(/nobody streams realtime\.messages/);
  assert.equal(await inserted(), 0);
  assert.equal(await value(bed.db, `SELECT last_id < (SELECT max(id) FROM chat.events) FROM chat.consumer WHERE name = 'realtime'`), true);
});

test('a slot that is still being made is nobody: what commits before it is there it does not tell', async () => {
  const other = await bed.connect();
  await other.query('BEGIN; CREATE TABLE held (id int)');
  const connecting = realtime.connect();
  await until(async () => await streams(), 'the slot to be begun');
  await bed.message(conversations[0], 'while it is made');
  await sleep(700); // nothing is to happen
  assert.equal(await inserted(), 0);
  await other.query('ROLLBACK');
  await connecting;
  await arrived();
  await done();
  await until(async () => (await ready()).ready, async () => JSON.stringify(await ready()));
});

test('rows are as Realtime reads them, and replays them in order', async () => {
  const log = new Map((await rows(bed.db, 'SELECT e.id::text, e.topic, e.event, e.payload FROM chat.events e')).map((e) => [e.id, e]));
  for (const row of realtime.received) {
    const { topic, event, payload } = log.get(row.id);
    assert.deepEqual([row.topic, row.event, row.payload, row.extension, row.private], [topic, event, JSON.parse(payload), 'broadcast', 't']);
    assert.match(row.uuid, /^00000000-0000-8000-8000-[0-9a-f]{12}$/);
  }
  await bed.db.query(`INSERT INTO chat_messages (conversation_id, content, direction) SELECT $1, 'm' || n, 'incoming' FROM generate_series(1, 300) n`, [conversations[1]]);
  await arrived();
  assert.equal(await value(bed.db, 'SELECT count(*) - count(DISTINCT inserted_at) FROM realtime.messages'), 0);
  assert.equal(await value(bed.db, `SELECT bool_and(abs(extract(epoch FROM inserted_at - now() AT TIME ZONE 'UTC')) < 600) FROM realtime.messages`), true);
  const replayed = await rows(bed.db, 'SELECT id FROM realtime.messages WHERE topic = $1 ORDER BY inserted_at', [`conversation:${conversations[1]}`]);
  assert.deepEqual(replayed.map((row) => row.id), realtime.received.filter((row) => row.topic === `conversation:${conversations[1]}`).map((row) => row.uuid));
});

test('where the clock goes back, or a batch into a day without a partition', async () => {
  const insert = async (last, ids) => {
    await bed.db.query(`BEGIN; SET LOCAL chat.realtime_last_time = '${last}'`);
    const messages = ids.map((id) => ({ topic: 'user:1:inbox', event: 'e', payload: {}, private: true, id }));
    for (const batch of [messages.slice(0, 2), messages.slice(2)]) await bed.db.query('SELECT chat.realtime_insert($1, $2)', [{ messages: batch }, '']);
    return rows(bed.db, `SELECT inserted_at::text AS at FROM realtime.messages WHERE inserted_at >= '${last}' ORDER BY id`);
  };
  const [tomorrow, end] = await value(bed.db, `SELECT ARRAY[now()::date + 1, now()::date + 4]::text[] FROM set_config('timezone', 'UTC', false)`);
  assert.deepEqual((await insert(`${tomorrow} 00:00:00.999998`, [1, 2, 3])).map((row) => row.at.slice(11)), ['00:00:00.999999', '00:00:01', '00:00:01.000001']);
  await bed.db.query('ROLLBACK');
  await assert.rejects(insert(`${end} 00:00:00`, [1, 2, 3]), { code: '23514' });
  await bed.db.query('ROLLBACK');
});

test('the slot ended and made again under load, three times: nothing lost, order kept', async () => {
  const writing = load();
  for (const gap of [0, 300, 1000]) {
    await writing.wrote(80);
    await bed.db.query(`SELECT pg_terminate_backend(${await streams()})`);
    await realtime.ended;
    await sleep(gap);
    realtime.suffix = `after_${gap}`; // that of another version of Realtime
    await realtime.connect();
  }
  await writing.wrote(80);
  await writing.stop();
  await arrived();
  await done();
  assert.ok(await sidecar.metric('chat_realtime_broadcasts_total', 'result="ok"') > 300);
});

test('what is not confirmed is inserted again for the next slot', async () => {
  realtime.confirms = false;
  await bed.message(conversations[2], 'not confirmed');
  await until(() => realtime.received.some((row) => row.payload.content === 'not confirmed'), 'it to be streamed');
  await realtime.disconnect();
  realtime.confirms = true;
  await realtime.connect();
  await until(() => realtime.received.filter((row) => row.payload.content === 'not confirmed').length === 2, 'it to come again');
  await done();
  assert.ok(await sidecar.metric('chat_realtime_broadcasts_total', 'result="lost"') > 0);
});

/** A message is there so many times, and it is known that it is. */
async function confirmed(content, times) {
  await until(() => realtime.received.filter((row) => row.payload.content === content).length === times, () => `${content} ${times} times: ${sidecar.tail()}`);
  await done();
  await arrived();
}

test('of two slots both have to confirm, while there are two', async () => {
  const other = new StreamingRealtime(bed.cluster, { suffix: 'other' });
  await other.connect();
  await bed.message(conversations[1], 'for two');
  await confirmed('for two', 1);
  assert.ok(other.received.some((row) => row.payload.content === 'for two'));
  other.confirms = false;
  await bed.message(conversations[1], 'one confirms');
  await until(() => [realtime, other].every(({ received }) => received.some((row) => row.payload.content === 'one confirms')), 'it to be streamed');
  await other.disconnect();
  await confirmed('one confirms', 2);
});

test('a slot that stays, taken over by another process, and one that the server gives up', async () => {
  await realtime.disconnect();
  Object.assign(realtime, { kept: true, confirms: false, suffix: 'kept' });
  await realtime.connect();
  await bed.message(conversations[2], 'taken over');
  await until(() => realtime.received.some((row) => row.payload.content === 'taken over'), 'it to be streamed');
  await realtime.disconnect();
  realtime.confirms = true;
  await realtime.connect();
  await confirmed('taken over', 3); // once more from the slot, and inserted again
  realtime.confirms = false;
  await bed.db.query(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
  await bed.db.query('SELECT pg_reload_conf()');
  await bed.message(conversations[2], 'given up');
  await until(async () => {
    await bed.db.query('SELECT pg_switch_wal()');
    await bed.db.query('CHECKPOINT');
    return await value(bed.db, `SELECT wal_status FROM pg_replication_slots WHERE slot_name = '${realtime.slot}'`) === 'lost';
  }, 'the slot to be lost', 30000, 100);
  await troubled(/nobody streams realtime\.messages/);
  await bed.db.query(`ALTER SYSTEM RESET max_slot_wal_keep_size`);
  await bed.db.query(`SELECT pg_reload_conf(), pg_drop_replication_slot('${realtime.slot}')`);
  Object.assign(realtime, { kept: false, confirms: true, suffix: 'test' });
  const times = realtime.received.filter((row) => row.payload.content === 'given up').length;
  await realtime.connect();
  await confirmed('given up', times + 1);
});

test('slots that cannot be looked at are told, and nothing counts as delivered', async () => {
  await bed.db.query('REVOKE EXECUTE ON FUNCTION chat.realtime_slots() FROM chat_sidecar');
  await bed.message(conversations[0], 'unseen');
  await troubled(/cannot be looked at/);
  assert.equal(sidecar.log.filter((line) => line.level === 'warn' && /cannot be looked at/.test(line.msg)).length, 1);
  assert.equal(await value(bed.db, `SELECT last_id < (SELECT max(id) FROM chat.events) FROM chat.consumer WHERE name = 'realtime'`), true);
  await bed.db.query('GRANT EXECUTE ON FUNCTION chat.realtime_slots() TO chat_sidecar');
  await confirmed('unseen', 1);
});

test('a partition that is missing is named, and what waited for it arrives', async () => {
  const partition = await value(bed.db, `SELECT to_char(now() AT TIME ZONE 'UTC', '"messages_"YYYY_MM_DD')`);
  await bed.db.query(`ALTER TABLE realtime.messages DETACH PARTITION realtime.${partition}`);
  await bed.message(conversations[0], 'no room');
  await troubled(new RegExp(`partition realtime\\.${partition} is missing`));
  await bed.db.query(`DO $$ BEGIN EXECUTE format('ALTER TABLE realtime.messages ATTACH PARTITION realtime.${partition} FOR VALUES FROM (%L) TO (%L)',
    (now() AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date + 1); END $$`);
  await arrived();
});

test('a row that the table refuses is set aside alone', async () => {
  await bed.db.query(`ALTER TABLE realtime.messages ADD CONSTRAINT clean CHECK (payload ->> 'content' IS DISTINCT FROM 'poison')`);
  await bed.message(conversations[0], 'before');
  await bed.message(conversations[0], 'poison');
  await bed.message(conversations[0], 'behind');
  const line = await until(() => sidecar.log.find((entry) => /refuses an event/.test(entry.msg)), () => `a line in the log: ${sidecar.tail()}`);
  assert.match(line.error, /clean/);
  refused.add(`${line.event_id}`);
  await arrived();
  assert.ok(realtime.received.some((row) => row.payload.content === 'behind'));
  await bed.db.query('ALTER TABLE realtime.messages DROP CONSTRAINT clean');
});

test('without the right nothing is lost; the hint has the statements', async () => {
  const owner = await value(bed.db, `SELECT proowner::regrole FROM pg_proc WHERE proname = 'realtime_insert'`);
  await bed.db.query('CREATE ROLE weak; GRANT USAGE ON SCHEMA chat TO weak; GRANT EXECUTE ON FUNCTION chat.realtime_slots() TO weak; ALTER FUNCTION chat.realtime_insert(jsonb, text) OWNER TO weak');
  await bed.message(conversations[0], 'no right');
  await troubled(/may not insert there: SELECT \* FROM chat\.hints\(\)/);
  for (const expected of [/^GRANT USAGE ON SCHEMA realtime TO weak; GRANT INSERT/, /^CREATE POLICY/]) {
    const [hint] = await rows(bed.db, `SELECT * FROM chat.hints() WHERE object = 'realtime.messages'`);
    assert.match(hint.statement, expected);
    await bed.db.query(hint.statement);
  }
  assert.equal((await rows(bed.db, `SELECT * FROM chat.hints() WHERE object = 'realtime.messages'`)).length, 0);
  sidecar.child.kill('SIGHUP');
  await until(() => realtime.received.some((row) => row.payload.content === 'no right'), () => `the event: ${sidecar.tail()}`);
  await bed.db.query(`ALTER FUNCTION chat.realtime_insert(jsonb, text) OWNER TO ${owner}`);
});

test('the sidecar killed and the server crashing under load: nothing lost, order kept', async () => {
  const writing = load();
  await writing.wrote(50);
  await sidecar.kill('SIGKILL');
  await writing.wrote(50);
  sidecar = await bed.sidecar(settings);
  await writing.wrote(50);
  await bed.cluster.restart('immediate');
  await realtime.ended;
  await bed.reconnect();
  await writing.wrote(50);
  await realtime.connect();
  await writing.wrote(50);
  await writing.stop();
  await arrived();
  await done();
});

test('it ends at once, and with nothing left to do', async () => {
  assert.deepEqual(await sidecar.kill('SIGTERM'), { code: 0, signal: null });
});
