// A sidecar whose machine has another time than the database, and a database that is away.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { freePort } from '../lib/ports.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { clockAhead } from '../lib/preload.mjs';
import { until } from '../lib/wait.mjs';

let bed, conversation;

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
});

after(() => bed.close());

/** The same user's is told once in a while. */
const typing = () => value(bed.db, `SELECT chat.presence($1, 'typing', $2, 'Ana', true)`, [String(conversation), randomUUID()]);
const warned = (sidecar) => sidecar.log.filter((line) => line.level === 'warn' && /clock/.test(line.msg));

for (const ahead of [6, -6]) {
  test(`${ahead} s ahead: typing arrives, latencies are right, and the difference is told`, async () => {
    const sidecar = await bed.sidecar(await clockAhead(ahead));
    const subscriber = await bed.subscriber(sidecar);
    await subscriber.join(`conversation:${conversation}`);
    for (let n = 1; n <= 5; n++) {
      await typing();
      await until(() => subscriber.heard.filter((m) => m.event === 'presence.typing').length === n, () => `typing ${n}: ${sidecar.tail()}`);
    }
    await bed.message(conversation, `ahead ${ahead}`);
    await subscriber.hears((m) => m.payload.content === `ahead ${ahead}`, 'the message');
    assert.equal(await sidecar.metric('chat_realtime_broadcasts_total', 'result="expired"'), 0);
    const count = await sidecar.metric('chat_realtime_delivery_latency_seconds_count');
    const sum = await sidecar.metric('chat_realtime_delivery_latency_seconds_sum');
    assert.ok(count >= 6 && sum > 0 && sum / count < 3, `${sum} s for ${count} events`);
    for (const consumer of ['realtime', 'webhooks']) {
      const skew = await sidecar.metric('chat_realtime_clock_skew_seconds', `consumer="${consumer}"`);
      assert.ok(Math.abs(skew - ahead) < 1, `${skew}`);
      assert.equal(warned(sidecar).filter((line) => line.consumer === consumer).length, 1, sidecar.tail());
    }
    await subscriber.close();
    await sidecar.kill('SIGTERM');
  });
}

test('half an hour ahead: webhooks are signed with the time of the database, latencies are right', async () => {
  const realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  const receiver = await bed.receiver(['message.received']);
  const sidecar = await bed.sidecar({ ...await clockAhead(1800), REALTIME_URL: realtime.url });
  await bed.message(conversation, 'half an hour');
  await until(() => receiver.deliveries.length > 0, () => `the webhook: ${sidecar.tail()}`);
  assert.equal(receiver.deliveries[0].problem, null);
  await until(() => realtime.accepted.some((m) => m.payload.content === 'half an hour'), 'the message');
  await until(async () => await sidecar.metric('chat_realtime_delivery_latency_seconds_count') > 0, 'a latency');
  assert.ok(await sidecar.metric('chat_realtime_delivery_latency_seconds_sum') < 60);
  await sidecar.kill('SIGTERM');
});

test('a clock that is right is not warned of', async () => {
  const sidecar = await bed.sidecar();
  await bed.message(conversation, 'in time');
  await until(async () => await sidecar.metric('chat_realtime_delivery_latency_seconds_count') > 0, 'a latency');
  assert.deepEqual(warned(sidecar), []);
  await sidecar.kill('SIGTERM');
});

test('while the database is away, the oldest undelivered event grows older; then it is as the database says', async () => {
  const sidecar = await bed.sidecar();
  const ages = async () => [await sidecar.metric('chat_realtime_oldest_undelivered_seconds', 'consumer="realtime"'),
    await sidecar.metric('chat_realtime_oldest_undelivered_seconds', 'consumer="webhooks"')];
  await until(async () => await sidecar.metric('chat_api_requests_total') >= 0 && (await ages()).every((age) => age === 0), 'nothing undelivered');
  await bed.cluster.stop('immediate');
  for (const least of [4, 8]) await until(async () => (await ages()).every((age) => age > least), async () => `ages above ${least}, not ${await ages()}`, 45000, 200);
  await bed.cluster.start();
  await bed.reconnect();
  await until(async () => (await ages()).every((age) => age === 0), async () => `nothing undelivered, not ${await ages()}`, 30000, 200);
  await sidecar.kill('SIGTERM');
});

test('a database that is away from the start: so it does', async () => {
  const sidecar = new Sidecar({ DATABASE_URL: `postgresql://nobody@127.0.0.1:${await freePort()}/nowhere`, HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
    EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}`, EMBEDDED_JWT_SECRET: 'x'.repeat(32) }).run();
  try {
    await until(async () => (await sidecar.get('/metrics')).status === 200, 'the page');
    assert.match(await (await sidecar.get('/metrics')).text(), /^chat_realtime_oldest_undelivered_seconds\{consumer="webhooks"\} \d/m);
    await until(async () => await sidecar.metric('chat_realtime_oldest_undelivered_seconds', 'consumer="webhooks"') > 4, 'it to grow', 30000, 200);
  } finally {
    await sidecar.kill('SIGTERM');
  }
});
