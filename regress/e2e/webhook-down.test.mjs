// Webhook receivers that fail: what failed is stored and tried again in order, the others go on meanwhile.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { until } from '../lib/wait.mjs';

const retryLimit = 15000; // the first retry is due after 5 s, with jitter
let bed, sidecar, conversation, failing, healthy;

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  failing = await bed.receiver(['message.received']);
  healthy = await bed.receiver(['message.received']);
  sidecar = await bed.sidecar();
});

after(() => bed.close());

const texts = (receiver) => receiver.deliveries.map(({ body }) => body.data.content);
const has = (receiver, text) => until(() => texts(receiver).includes(text), () => `"${text}"; came: ${texts(receiver)}\n${sidecar.tail()}`, retryLimit);

test('both signatures and the body are what receivers expect', async () => {
  await bed.message(conversation, 'hello');
  await has(failing, 'hello');
  const { body, headers, problem, id } = failing.deliveries[0];
  assert.equal(problem, null);
  assert.equal(body.type, 'message.received');
  assert.equal(body.event, body.type);
  assert.equal(body.data.conversationId, conversation);
  assert.ok(!Number.isNaN(Date.parse(body.timestamp)));
  assert.equal(String(body.id), id);
  assert.equal(headers['x-webhook-event'], 'message.received');
  assert.equal(headers['x-webhook-delivery'], id);
  assert.match(headers['content-type'], /^application\/json/);
});

test('a receiver that is down gets everything once it is back, in order; the other is not held up', async () => {
  await failing.down();
  for (let i = 0; i < 3; i++) await bed.message(conversation, `down ${i}`);
  await has(healthy, 'down 2'); // while the failing one gets nothing
  await failing.up();
  await has(failing, 'down 2');
  assert.deepEqual(texts(failing).filter((text) => text.startsWith('down')), ['down 0', 'down 1', 'down 2']);
});

test('an answer of 500 is tried again under the same webhook-id, and every attempt is recorded', async () => {
  failing.answer = () => 500;
  await bed.message(conversation, 'five hundred');
  await until(() => failing.attempts.some((attempt) => attempt.status === 500), 'a first attempt');
  failing.answer = () => 200;
  await has(failing, 'five hundred');
  const last = failing.deliveries.at(-1);
  const tries = failing.attempts.filter((attempt) => attempt.id === last.id);
  assert.deepEqual(tries.map((attempt) => attempt.status), [500, 200]);
  assert.equal(last.problem, null);
  // The other webhook has the same message, under the same id.
  const recorded = () => rows(bed.db, 'SELECT status, attempt FROM chat.webhook_attempt WHERE webhook = $1 AND message_id = $2 ORDER BY attempt',
    [failing.webhook.id, last.id]);
  await until(async () => (await recorded()).length === 2, 'two attempts recorded');
  assert.deepEqual(await recorded(), [{ status: 500, attempt: 1 }, { status: 200, attempt: 2 }]);
});

test('another conversation of a failing receiver is not held up', async () => {
  const other = await bed.conversation('Bia');
  failing.answer = ({ body }) => (body.data.conversationId === conversation ? 500 : 200);
  await bed.message(conversation, 'held up');
  await until(() => failing.attempts.at(-1).status === 500, 'a failed attempt');
  await bed.message(other, 'goes on');
  await has(failing, 'goes on'); // while what was before it fails at every attempt
  failing.answer = () => 200;
  await has(failing, 'held up');
});

test('what is stored for retry survives the sidecar', async () => {
  failing.answer = () => 500;
  await bed.message(conversation, 'stored');
  await until(() => failing.attempts.at(-1).status === 500, 'a failed attempt');
  await until(async () => (await value(bed.db, 'SELECT count(*) FROM chat.webhook_delivery')) > 0, 'a stored delivery');
  await sidecar.kill('SIGKILL');
  failing.answer = () => 200;
  sidecar = await bed.sidecar();
  await has(failing, 'stored');
});

test('while a secret is replaced, receivers with either secret accept', async () => {
  const old = healthy.secret;
  const rotated = await value(bed.db, 'SELECT chat.rotate_webhook_secret($1)', [healthy.webhook.id]);
  await bed.message(conversation, 'two signatures');
  await has(healthy, 'two signatures');
  const { raw, headers } = healthy.deliveries.at(-1);
  assert.equal(headers['webhook-signature'].split(' ').length, 2);
  for (const secret of [old, rotated.secret]) new Webhook(secret).verify(raw, headers);
  healthy.secret = rotated.secret;
});

test('a redirect is not followed, and where it points to is recorded', async () => {
  const target = await bed.receiver(['conversation.closed']);
  healthy.answer = () => ({ status: 302, headers: { location: target.url } });
  await bed.message(conversation, 'redirected');
  await until(() => value(bed.db, 'SELECT count(*) > 0 FROM chat.webhook_attempt WHERE webhook = $1 AND status = 302', [healthy.webhook.id]), 'a recorded attempt');
  const error = await value(bed.db, 'SELECT error FROM chat.webhook_attempt WHERE webhook = $1 AND status = 302', [healthy.webhook.id]);
  assert.ok(error.includes(target.url), error);
  healthy.answer = () => 200;
  await has(healthy, 'redirected');
  assert.equal(target.attempts.length, 0);
});

test('webhook-delivery: abort-message gives a message up', async () => {
  healthy.answer = () => ({ status: 400, headers: { 'webhook-delivery': 'abort-message' } });
  await bed.message(conversation, 'unwanted');
  await until(() => healthy.attempts.at(-1).status === 400, 'an attempt');
  healthy.answer = () => 200;
  await bed.message(conversation, 'wanted');
  await has(healthy, 'wanted');
  assert.ok(!texts(healthy).includes('unwanted'));
});

test('410 disables the webhook at once', async () => {
  failing.answer = () => 410;
  await bed.message(conversation, 'gone');
  await until(() => value(bed.db, 'SELECT NOT is_active FROM public.chat_external_webhooks WHERE id = $1', [failing.webhook.id]), 'is_active false');
  const attempts = failing.attempts.length;
  await bed.message(conversation, 'after gone');
  await has(healthy, 'after gone');
  assert.equal(failing.attempts.length, attempts);
});
