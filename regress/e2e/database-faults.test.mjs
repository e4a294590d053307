// The database refuses or loses single statements of a sidecar that runs: it says so, goes on by itself once it can, and
// nothing is lost. What arrived is compared with the log.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { allDelivered } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';

let bed, realtime, sidecar, receiver, conversation;
let lines; // of the log, when the test began
let number = 0;

before(async () => {
  bed = await Bed.create();
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  conversation = await bed.conversation('Ana');
  receiver = await bed.receiver(['message.received']);
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
});

after(() => bed.close());

beforeEach(() => { lines = sidecar.log.length; });

const said = (pattern) => until(() => sidecar.log.slice(lines).find((line) => pattern.test(JSON.stringify(line))),
  () => `a line that says ${pattern}: ${sidecar.tail()}`, 20000);

async function write(count = 3) {
  for (let i = 0; i < count; i++) await bed.message(conversation, `message ${number++}`);
}

/** All of the log has arrived at both, in order, and is noted as done. */
async function allArrive() {
  const result = await allDelivered(bed.db, () => realtime.accepted, { limit: 40000 });
  assert.deepEqual(result.disorder, []);
  assert.deepEqual(result.unknown, []);
  const deliveries = () => receiver.deliveries.map(({ id, type, body }) => ({ id: id.slice('evt_'.length), event: type, payload: body.data }));
  const hooks = await allDelivered(bed.db, deliveries, { only: (event) => event.webhook === 'message.received', every: true, limit: 40000 });
  assert.deepEqual(hooks.disorder, []);
  await until(() => value(bed.db, 'SELECT bool_and(last_id >= (SELECT max(id) FROM chat.events)) FROM chat.consumer'), 'positions at the end', 20000);
  await until(() => value(bed.db, 'SELECT count(*) = 0 FROM chat.webhook_delivery'), 'no stored delivery', 20000);
}

/** The sidecar's role may not call a function of schema chat while during() runs. */
async function without(name, during) {
  const [{ signature }] = await rows(bed.db,
    `SELECT oid::regprocedure::text AS signature FROM pg_proc WHERE pronamespace = 'chat'::regnamespace AND proname = $1`, [name]);
  await bed.db.query(`REVOKE EXECUTE ON FUNCTION ${signature} FROM chat_sidecar`);
  try {
    await during();
  } finally {
    await bed.db.query(`GRANT EXECUTE ON FUNCTION ${signature} TO chat_sidecar`);
  }
}

for (const [name, line] of [
  ['read_log', /the event log could not be read.*42501.*grant_sidecar/],
  ['webhook_terms', /who gets the events could not be read.*42501.*grant_sidecar/],
  ['consumer_save', /a position could not be saved.*grant_sidecar/],
  ['consumer_renew', /does not let this consumer start.*42501.*grant_sidecar/],
  ['webhook_save', /saving webhook deliveries failed.*webhook_save/],
  ['webhook_due', /reading due webhook deliveries failed.*webhook_due/],
]) {
  test(`${name} is revoked: said, and all arrives once it is granted`, async () => {
    await without(name, async () => {
      await write();
      await said(line);
      await write();
    });
    await allArrive();
  });
}

test('statistics are revoked: delivery goes on', async () => {
  for (const name of ['sidecar_stats', 'api_stats', 'webhook_pending']) {
    await without(name, async () => {
      await write();
      await allArrive();
    });
  }
});

test('another process takes the lease of a sidecar that runs: it stops, and begins behind the position', async () => {
  await write();
  await bed.db.query('UPDATE chat.consumer SET epoch = epoch + 1');
  await write();
  await said(/another process took the lease/);
  await allArrive();
});

test('... and so does one that has nothing to do, at its next renewal', async () => {
  await bed.db.query('UPDATE chat.consumer SET epoch = epoch + 1');
  await said(/another process took the lease/);
  await write();
  await allArrive();
});

test('connections are ended while the log is being read: read again', async () => {
  await write();
  await bed.db.query('BEGIN');
  await bed.db.query('LOCK TABLE chat.event IN ACCESS EXCLUSIVE MODE');
  const waiting = `SELECT pid FROM pg_stat_activity WHERE usename = 'chat_sidecar' AND wait_event_type = 'Lock'`;
  await until(async () => (await rows(bed.db, waiting)).length >= 2, 'reads that wait', 20000);
  await bed.db.query(`SELECT pg_terminate_backend(pid) FROM (${waiting}) w`);
  await bed.db.query('COMMIT');
  await write();
  await said(/not leading any more/);
  await allArrive();
});

test('a read that takes longer than the role may: said, with its code, and read again', async () => {
  await bed.db.query(`ALTER ROLE chat_sidecar SET statement_timeout = '300ms'`);
  await bed.db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chat_sidecar'`);
  await until(() => value(bed.db, `SELECT count(*) >= 2 FROM pg_stat_activity WHERE usename = 'chat_sidecar'`), 'new connections', 20000);
  await bed.db.query('BEGIN');
  await bed.db.query('LOCK TABLE chat.event IN ACCESS EXCLUSIVE MODE');
  await said(/the event log could not be read.*57014/);
  await bed.db.query('COMMIT');
  await bed.db.query('ALTER ROLE chat_sidecar RESET statement_timeout');
  await write();
  await allArrive();
});

test('the lease runs out while the database does not answer: nothing is sent under it, all arrives later', async () => {
  await bed.db.query('BEGIN');
  await bed.db.query('LOCK TABLE chat.consumer IN ACCESS EXCLUSIVE MODE');
  await write();
  await said(/the lease ran out/);
  await bed.db.query('COMMIT');
  await allArrive();
});

test('maintenance is not there: said by a sidecar that starts, and delivery goes on', async () => {
  await bed.db.query('ALTER FUNCTION chat.maintain() RENAME TO maintain_elsewhere');
  await sidecar.kill('SIGTERM');
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
  lines = 0;
  await said(/maintenance failed.*maintain.*42883/);
  await write();
  await allArrive();
  await bed.db.query('ALTER FUNCTION chat.maintain_elsewhere() RENAME TO maintain');
});

test('more consumers than are shown, as a later version may have: the first ones are', async () => {
  await bed.db.query('ALTER TABLE chat.consumer DROP CONSTRAINT consumer_name_check');
  await bed.db.query(`INSERT INTO chat.consumer (name) SELECT 'many_' || chr(97 + n) FROM generate_series(0, 20) n`);
  const other = await bed.sidecar({ REALTIME_URL: realtime.url });
  await until(async () => /consumer_lag_events\{consumer="many_a"\}/.test(await (await other.get('/metrics')).text()), 'a consumer', 25000);
  const page = await (await other.get('/metrics')).text();
  assert.doesNotMatch(page, /many_t/);
  await other.kill('SIGTERM');
  await bed.db.query(`DELETE FROM chat.consumer WHERE name NOT IN ('realtime', 'webhooks')`);
});

/** Locks the stored deliveries while the sidecar asks for those that are due; another statement of the same connection may have come first. */
const lockedInDue = () => until(async () => {
  await bed.db.query('BEGIN');
  await bed.db.query('LOCK TABLE chat.webhook_delivery IN ACCESS EXCLUSIVE MODE');
  const query = await until(() => value(bed.db, `SELECT query FROM pg_stat_activity WHERE application_name = 'chat-sidecar webhooks' AND wait_event_type = 'Lock'`), 'a statement that waits', 20000);
  if (query.includes('chat.webhook_due(')) return true;
  await bed.db.query('COMMIT');
  return false;
}, 'due deliveries that are asked for', 60000);

test('told to end at once while due deliveries are asked for, it ends', async () => {
  await lockedInDue();
  sidecar.child.kill('SIGTERM');
  await said(/"ending"/);
  assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
  await bed.db.query('COMMIT');
});
