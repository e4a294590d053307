// A queue of NOTIFY that is full, since a listener sits in a transaction: messages are saved and delivered all the same,
// and the doorbell rings again when the listener is gone. From PostgreSQL 17 on the queue can be made small; before it
// has 8 GB, which is filled only when asked for (FILL_QUEUE=1).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Backend, call } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { allDelivered } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';
import { workspace } from '../lib/workspace.mjs';

const { major } = (await workspace()).pg;
const small = major >= 17;
const skip = !small && !process.env.FILL_QUEUE && 'the queue of this version has 8 GB: FILL_QUEUE=1';
let bed, realtime, sidecar, conversation, listener;

const delivered = () => allDelivered(bed.db, () => realtime.accepted, { limit: 60000 });
const usage = () => value(bed.db, 'SELECT pg_notification_queue_usage()');

/** Sends NOTIFYs of a page each until one fails. */
async function fill() {
  let batch = small ? 8 : 20000;
  for (;;) {
    try {
      await bed.db.query(`SELECT pg_notify('filler', repeat('x', 7900) || n) FROM generate_series(1, $1::int) n`, [batch]);
    } catch (error) {
      assert.equal(error.code, '54000', error.message);
      if (batch === 1) return;
      batch = Math.ceil(batch / 4);
    }
  }
}

/** Messages of one, of many, and of many in a transaction, which all commit. */
async function save() {
  await bed.message(conversation, 'one');
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, content, direction)
    SELECT $1, 'many ' || n, 'incoming' FROM generate_series(1, 200) n`, [conversation]);
}

before(async () => {
  if (skip) return;
  bed = await Bed.create({ settings: small ? { max_notify_queue_pages: 64 } : {} });
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
  conversation = await bed.conversation();
  listener = await bed.connect();
  await listener.query(`SET application_name = 'stuck'; LISTEN other`);
  await listener.query('BEGIN; SELECT 1');
});

after(() => bed?.close());

test('messages are saved and delivered while the queue is full, in every mode', { skip }, async () => {
  await save();
  await delivered();
  await fill();
  await assert.rejects(bed.db.query(`SELECT pg_notify('filler', repeat('y', 7900))`), { code: '54000' });
  for (const mode of ['adaptive', 'always']) {
    await bed.db.query(`SET chat_realtime.notify = ${mode}`);
    for (let n = 0; n < 3; n++) await save();
    await delivered(); // found by polling
  }
});

test('the example backend saves as well', { skip }, async () => {
  const backend = await Backend.unlimited(bed);
  const answer = await call(backend, 'POST', `/conversations/${conversation}/messages`, { body: { content: 'x' }, token: backend.token(bed.owner) });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
});

test('status and metrics name the session that holds the queue', { skip }, async () => {
  const pid = await value(listener, 'SELECT pg_backend_pid()');
  const [{ severity, hint, statement }] = await rows(bed.db, `SELECT * FROM chat.hints() WHERE object = 'NOTIFY'`);
  assert.deepEqual([severity, statement], ['error', `SELECT pg_terminate_backend(${pid})`]);
  assert.match(hint, new RegExp(`the doorbell silent: process ${pid} \\(role postgres, database chat, stuck, `));
  await until(async () => {
    const page = await (await sidecar.get('/metrics')).text();
    return Number(/^chat_realtime_notify_queue_usage (.*)$/m.exec(page)[1]) > 0.9
      && Number(/^chat_realtime_notify_queue_oldest_pid (.*)$/m.exec(page)[1]) === pid;
  }, 'the metrics', 30000, 200);
});

test('more notifications than the queue has room for are none, and the messages are saved', { skip: skip || (!small && 'small queues only') }, async () => {
  await listener.query('COMMIT');
  await until(async () => (await usage()) < 0.1, usage, 30000);
  await bed.db.query(`SET chat_realtime.notify = always`);
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, content, direction)
    SELECT $1, repeat('z', 900) || n, 'incoming' FROM generate_series(1, 2000) n`, [conversation]);
  await delivered();
  await listener.query('BEGIN; SELECT 1');
  await fill();
});

test('when the listener is gone the doorbell rings again', { skip }, async () => {
  await listener.end();
  await bed.db.query('RESET chat_realtime.notify');
  const other = await bed.connect();
  const heard = [];
  other.on('notification', (message) => heard.push(message));
  await other.query('LISTEN chat_realtime');
  await until(async () => {
    await bed.message(conversation, 'again');
    return heard.length > 0;
  }, 'a NOTIFY', 30000, 100);
  await delivered();
  assert.ok((await usage()) < 0.5);
});
