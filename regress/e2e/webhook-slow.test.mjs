// Webhook receivers that are slow, busy or cut connections, and a database that is slow to note what they said: nobody else
// waits, the position goes on, and every message arrives, in order. What arrived is compared with the log.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { allDelivered } from '../lib/load.mjs';
import { RawHttp } from '../lib/raw-http.mjs';
import { until } from '../lib/wait.mjs';

let bed, sidecar, slow, quick;
let conversations = [];

before(async () => {
  bed = await Bed.create();
  for (const name of ['Ana', 'Bia', 'Cai']) conversations.push(await bed.conversation(name));
  slow = await bed.receiver(['message.received']);
  quick = await bed.receiver(['message.received']);
  sidecar = await bed.sidecar();
});

afterEach(() => { slow.answer = () => 200; });
after(() => bed.close());

const position = () => value(bed.db, `SELECT last_id >= (SELECT max(id) FROM chat.events) FROM chat.consumer WHERE name = 'webhooks'`);
const stored = (webhook = slow.webhook.id) => value(bed.db, 'SELECT count(*)::int FROM chat.webhook_delivery WHERE webhook = $1', [webhook]);
const said = (pattern) => until(() => pattern.test(sidecar.tail(1000)), () => `a line that says ${pattern}: ${sidecar.tail()}`, 20000);

async function write(count, text, among = conversations) {
  for (let i = 0; i < count; i++) await bed.message(among[i % among.length], `${text} ${i}`);
}

/** All messages of the log came to a receiver, those of each conversation in order. Returns the judgement. */
async function allCome(receiver, limit = 40000) {
  const deliveries = () => receiver.deliveries.map(({ id, type, body }) => ({ id: id.slice('evt_'.length), event: type, payload: body.data }));
  const result = await allDelivered(bed.db, deliveries, { only: (event) => event.webhook === 'message.received', every: true, limit });
  assert.deepEqual(result.disorder, []);
  assert.deepEqual(result.unknown, []);
  assert.deepEqual(receiver.deliveries.filter((delivery) => delivery.problem), []);
  return result;
}

/** An answer that waits until it is let go. */
function heldBack() {
  let open;
  const gate = new Promise((resolve) => { open = resolve; });
  slow.answer = () => gate.then(() => 200);
  return open;
}

test('a receiver that takes long: the other one does not wait, the position goes on, nothing is sent twice', async () => {
  const attempts = slow.attempts.length;
  const letGo = heldBack();
  await write(6, 'long');
  await allCome(quick);
  await until(position, 'the position goes on');
  await until(async () => (await stored()) >= 6, 'what is under way and what waits is noted');
  letGo();
  assert.equal((await allCome(slow)).duplicates, 0);
  await until(async () => (await stored()) === 0, 'nothing is noted any more');
  const tries = slow.attempts.slice(attempts).map(({ id }) => id);
  assert.equal(new Set(tries).size, tries.length, 'a message was sent while it was under way');
});

test('killed while a message is under way for long: it comes again, and what waited behind it', async () => {
  const letGo = heldBack();
  await write(2, 'killed', [conversations[0]]);
  await until(async () => (await stored()) === 2, 'both noted');
  await sidecar.kill('SIGKILL');
  letGo();
  slow.answer = () => 200;
  sidecar = await bed.sidecar();
  // What was noted as under way is due when its time is over; here that is brought about.
  await bed.db.query(`UPDATE chat.webhook_delivery SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL`);
  await allCome(slow);
});

for (const status of [429, 503]) {
  test(`${status} with Retry-After: all of that receiver waits, and none of the other`, async () => {
    const attempts = slow.attempts.length;
    slow.answer = () => ({ status, headers: { 'retry-after': '2' } });
    await write(6, `busy ${status}`);
    await until(() => value(bed.db, 'SELECT count(*) > 0 FROM chat.webhook_attempt WHERE webhook = $1 AND status = $2', [slow.webhook.id, status]), 'its answer to be noted');
    // Nothing of these can be under way yet, and they wait for no other message of their conversation.
    await write(3, `later ${status}`, [await bed.conversation('Dea'), await bed.conversation('Eva'), await bed.conversation('Fia')]);
    await allCome(quick);
    slow.answer = () => 200;
    await allCome(slow);
    const later = new Set(slow.deliveries.filter(({ body }) => body.data.content.startsWith(`later ${status}`)).map(({ id }) => id));
    const sooner = slow.attempts.filter(({ id, at }) => later.has(id) && at - slow.attempts[attempts].at < 1990);
    assert.deepEqual([later.size, sooner], [3, []], 'it was asked again before its time');
  });
}

test('a kept connection that ends as it is used: sent again at once on another, and no failure', async () => {
  const bodies = [];
  const server = await RawHttp.start((request) => {
    bodies.push(JSON.parse(request.body).data.content);
    return { status: 200 };
  });
  server.fault = ({ stage, number }) => (stage === 'answer' && number === 2 ? 'reset' : undefined);
  bed.closing.push(() => server.down());
  const { id } = await value(bed.db, `SELECT chat.create_webhook($1, $2, '{message.received}')`, [bed.owner, `${server.url}/hook`]);
  for (const text of ['first', 'cut', 'after']) {
    await bed.message(conversations[0], text);
    await until(() => bodies.includes(text), () => `"${text}"; came: ${bodies}`);
  }
  assert.deepEqual(bodies, ['first', 'cut', 'after']);
  assert.deepEqual(server.faults, { answer: 1 });
  await until(async () => (await rows(bed.db, 'SELECT FROM chat.webhook_attempt WHERE webhook = $1', [id])).length === 3, 'three attempts');
  assert.equal(await value(bed.db, 'SELECT count(*)::int FROM chat.webhook_attempt WHERE webhook = $1 AND status <> 200', [id]), 0);
  await bed.db.query('DELETE FROM public.chat_external_webhooks WHERE id = $1', [id]);
});

test('a webhook without a secret gets no signature, where that is allowed', async () => {
  await bed.db.query(`SELECT chat.configure('public.chat_messages', '{"unsigned": true}')`);
  await bed.db.query('ALTER TABLE public.chat_external_webhooks ALTER COLUMN secret DROP NOT NULL');
  await bed.db.query('UPDATE public.chat_external_webhooks SET secret = NULL WHERE id = $1', [slow.webhook.id]);
  const { secret } = slow;
  slow.secret = null;
  await write(1, 'unsigned');
  await allCome(slow);
  assert.equal(slow.deliveries.at(-1).headers['webhook-signature'], undefined);
  await bed.db.query(`UPDATE public.chat_external_webhooks SET secret = $2 WHERE id = $1`, [slow.webhook.id, secret]);
  await bed.db.query(`SELECT chat.configure('public.chat_messages', '{"unsigned": null}')`);
  slow.secret = secret;
});

test('more stored messages of one receiver than are held in memory: all come once it is back, beside the other\'s', async () => {
  const many = [];
  for (let i = 0; i < 120; i++) many.push(await bed.conversation(`Many ${i}`));
  slow.answer = () => 500;
  await write(240, 'many', many);
  await allCome(quick);
  await until(async () => (await stored()) === 240, async () => `240 stored, ${await stored()}`, 30000);
  slow.answer = () => 200;
  await bed.db.query('UPDATE chat.webhook_delivery SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL');
  await allCome(slow);
  await until(async () => (await stored()) === 0, 'nothing stored');
});

test('saving fails while more is delivered: tried again, each attempt noted once, in order', async () => {
  const attempts = () => value(bed.db, 'SELECT count(*)::int FROM chat.webhook_attempt');
  await bed.db.query(`ALTER ROLE chat_sidecar SET lock_timeout = '700ms'`);
  await bed.db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chat_sidecar'`);
  await sidecar.ready();
  await until(() => value(bed.db, `SELECT count(*) >= 2 FROM pg_stat_activity WHERE usename = 'chat_sidecar'`), 'new connections');
  const before = await attempts();
  await bed.db.query('BEGIN');
  await bed.db.query('LOCK TABLE chat.webhook_attempt IN EXCLUSIVE MODE');
  const other = await bed.connect();
  for (let i = 0; i < 40; i++) {
    await other.query(`INSERT INTO public.chat_messages (conversation_id, content, direction) VALUES ($1, $2, 'incoming')`, [conversations[i % 3], `unsaved ${i}`]);
    await new Promise((resolve) => setTimeout(resolve, 20)); // so that they come while others are being saved
  }
  await said(/saving webhook deliveries failed/);
  await bed.db.query('COMMIT');
  await bed.db.query('ALTER ROLE chat_sidecar RESET lock_timeout');
  await allCome(slow);
  await allCome(quick);
  await until(position, 'the position goes on', 20000);
  assert.equal((await attempts()) - before, 80);
});

for (const [what, signals] of [['two SIGTERMs', 2], ['one SIGTERM', 1]]) {
  test(`${what} while deliveries are being saved and the database does not answer: it ends in time, and nothing is lost`, async () => {
    await bed.db.query('BEGIN');
    await bed.db.query('LOCK TABLE chat.webhook_attempt IN EXCLUSIVE MODE');
    const other = await bed.connect();
    await other.query(`INSERT INTO public.chat_messages (conversation_id, content, direction) VALUES ($1, $2, 'incoming')`, [conversations[0], what]);
    await until(() => quick.deliveries.at(-1)?.body.data.content === what, 'the message');
    await until(async () => (await rows(other, `SELECT FROM pg_stat_activity WHERE usename = 'chat_sidecar' AND wait_event_type = 'Lock'`)).length > 0, 'a save that waits');
    if (signals === 2) {
      sidecar.child.kill('SIGTERM');
      await until(() => sidecar.log.some((line) => line.msg === 'ending'), 'the first signal');
    }
    assert.equal((await sidecar.kill('SIGTERM', signals === 2 ? 5000 : 20000)).code, 0, sidecar.tail());
    await bed.db.query('COMMIT');
    sidecar = await bed.sidecar();
    await write(1, 'started again');
    await allCome(slow);
    await allCome(quick);
  });
}

test('SIGTERM while a receiver does not answer: given up in time, and the message comes later', async () => {
  const letGo = heldBack();
  await write(2, 'given up', [conversations[1]]);
  await until(() => slow.attempts.at(-1) !== undefined, 'an attempt');
  const end = await sidecar.kill('SIGTERM', 30000);
  assert.equal(end.code, 0, sidecar.tail());
  letGo();
  slow.answer = () => 200;
  sidecar = await bed.sidecar();
  await bed.db.query('UPDATE chat.webhook_delivery SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL');
  await allCome(slow);
});

test('http where only https is allowed: refused without a request', async () => {
  const attempts = slow.attempts.length;
  await sidecar.kill('SIGTERM');
  sidecar = await bed.sidecar({ WEBHOOK_ALLOW_HTTP: 'false' });
  await write(1, 'plain');
  await until(() => value(bed.db, `SELECT count(*) > 0 FROM chat.webhook_attempt WHERE error LIKE '%https%'`), 'a recorded refusal');
  assert.equal(slow.attempts.length, attempts);
});
