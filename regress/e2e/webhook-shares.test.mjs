// Webhooks of several owners: an owner whose receivers hang, with much to be delivered, delays nobody else's, and a host is
// not asked for more at a time than it may be. What arrived is compared with what was committed, in its order; no time is measured.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { Listener, readBody } from '../lib/http.mjs';
import { freePort } from '../lib/ports.mjs';
import { until } from '../lib/wait.mjs';

let bed, sidecar;

before(async () => {
  bed = await Bed.create();
});

after(() => bed.close());

/** A receiver of many paths, which counts what it is asked for at a time, by path and altogether. */
class Host {
  static async start(answer) {
    const host = Object.assign(new Host(), { arrived: [], now: 0, most: 0, held: [] });
    host.listener = new Listener(async (request, response) => {
      host.now += 1;
      host.most = Math.max(host.most, host.now);
      const { data } = JSON.parse(await readBody(request));
      host.arrived.push({ path: request.url, content: data.content, conversation: data.conversationId });
      await answer?.(host);
      host.now -= 1;
      response.end('ok');
    }, await freePort());
    await host.listener.up();
    bed.closing.push(() => host.listener.down());
    return host;
  }

  async hooks(owner, count) {
    await bed.db.query(`SELECT chat.create_webhook($1, $2 || g, '{message.received}') FROM generate_series(1, $3) g`, [owner, `${this.listener.url}/`, count]);
  }
}

/** An answer that waits until it is let go. */
function heldBack() {
  let open;
  const gate = new Promise((resolve) => { open = resolve; });
  return { gate, open };
}

async function conversations(owner, count) {
  return (await rows(bed.db, `INSERT INTO public.conversations (user_id, contact_jid, contact_name)
    SELECT $1, (5511900000000 + floor(random() * 1e8))::bigint || '@s.whatsapp.net', 'Contact ' || g FROM generate_series(1, $2) g RETURNING id`, [owner, count])).map(({ id }) => id);
}

/** Messages in one statement, one after the other to the conversations in turn. */
async function write(among, count, text) {
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content)
    SELECT ($1::bigint[])[1 + g % cardinality($1::bigint[])], 'incoming', $3 || ' ' || g FROM generate_series(1, $2) g`, [among, count, text]);
}

/** What arrived at a path for each conversation, in order. */
function inOrder(host, path) {
  const byConversation = new Map();
  for (const { path: at, content, conversation } of host.arrived) {
    if (at !== path) continue;
    byConversation.set(conversation, [...byConversation.get(conversation) ?? [], Number(content.split(' ').at(-1))]);
  }
  return [...byConversation.values()].every((numbers) => numbers.every((n, i) => i === 0 || numbers[i - 1] < n));
}

test('receivers that hang, with much to be delivered to them: another owner\'s get theirs, in order, meanwhile', async () => {
  const { gate, open } = heldBack();
  const other = randomUUID();
  const hanging = await Host.start(() => gate);
  const healthy = await Host.start();
  await hanging.hooks(bed.owner, 20);
  await healthy.hooks(other, 1);
  const [of, theirs] = [await conversations(bed.owner, 50), await conversations(other, 5)];
  await write(of, 1000, 'hanging'); // 20,000 deliveries
  await write(theirs, 100, 'before');
  sidecar = await bed.sidecar({ WEBHOOK_MAX_INFLIGHT: '64', WEBHOOK_TIMEOUT_MS: '120000' });
  await until(() => healthy.arrived.length >= 100, () => `100 deliveries, ${healthy.arrived.length} came`, 60000);
  for (let i = 0; i < 5; i++) {
    await write(of, 20, 'hanging, too');
    await write(theirs, 10, `beside ${i}`);
    await until(() => healthy.arrived.length >= 100 + 10 * (i + 1), () => `delivery ${i}, ${healthy.arrived.length} came`, 30000);
  }
  assert.equal(new Set(healthy.arrived.map(({ content }) => content)).size, 150);
  assert.ok(hanging.most <= 24, `${hanging.most} requests of one owner at one host`);
  assert.equal(hanging.arrived.length, hanging.now, 'nothing of the receivers that hang was answered');
  open();
  await sidecar.kill('SIGKILL');
});

test('webhooks of 60 owners that hang at the host of another\'s, which answers: that one gets its events, in order', async () => {
  const { gate, open } = heldBack();
  const other = randomUUID();
  const hanging = await Host.start(() => gate);
  const healthy = await Host.start();
  await healthy.hooks(other, 1);
  const theirs = await conversations(other, 3);
  sidecar = await bed.sidecar({ WEBHOOK_TIMEOUT_MS: '120000' });
  await write(theirs, 10, 'before');
  await until(() => healthy.arrived.length >= 10, () => `10 deliveries, ${healthy.arrived.length} came`, 30000);
  for (let i = 0; i < 60; i++) {
    const owner = randomUUID();
    await hanging.hooks(owner, 2);
    await write(await conversations(owner, 2), 4, 'hanging');
  }
  await until(() => hanging.now >= 20, () => `requests that hang, ${hanging.now} came`, 30000);
  for (let i = 0; i < 5; i++) {
    await write(theirs, 10, `beside ${i}`);
    await until(() => healthy.arrived.length >= 10 * (i + 2), () => `delivery ${i}, ${healthy.arrived.length} came, ${hanging.now} hang`, 30000);
  }
  assert.equal(new Set(healthy.arrived.map(({ content }) => content)).size, 60);
  assert.ok(hanging.most <= 28, `${hanging.most} requests that hang at one host`);
  assert.equal(hanging.arrived.length, hanging.now, 'nothing of the receivers that hang was answered');
  open();
  await sidecar.kill('SIGKILL');
});

test('400 events of one INSERT: no more requests at a time than one host may get', async () => {
  const host = await Host.start(() => new Promise((resolve) => setTimeout(resolve, 20)));
  const owner = randomUUID();
  await host.hooks(owner, 1);
  const among = await conversations(owner, 400);
  sidecar = await bed.sidecar({ WEBHOOK_MAX_PER_HOST: '10' });
  await write(among, 400, 'at once');
  await until(() => host.arrived.length >= 400, () => `400 deliveries, ${host.arrived.length} came`, 60000);
  assert.equal(host.arrived.length, 400);
  assert.ok(host.most > 1 && host.most <= 10, `${host.most} at a time`);
});

test('100 webhooks of one owner: each gets each event once and in order, beside another owner\'s at the same host', async () => {
  const host = await Host.start();
  const [mine, another] = [randomUUID(), randomUUID()];
  await host.hooks(mine, 100);
  await bed.db.query(`SELECT chat.create_webhook($1, $2, '{message.received}')`, [another, `${host.listener.url}/other`]);
  const [of, theirs] = [await conversations(mine, 3), await conversations(another, 1)];
  await write(of, 60, 'mine');
  await write(theirs, 20, 'theirs');
  const paths = Array.from({ length: 100 }, (_, i) => `/${i + 1}`);
  await until(() => host.arrived.length >= 6020, () => `6020 deliveries, ${host.arrived.length} came`, 60000);
  assert.equal(host.arrived.length, 6020);
  for (const path of [...paths, '/other']) {
    const contents = host.arrived.filter((one) => one.path === path).map(({ content }) => content);
    assert.equal(new Set(contents).size, path === '/other' ? 20 : 60, path);
    assert.ok(inOrder(host, path), path);
  }
  assert.ok(host.most <= 10, `${host.most} at a time`);
  await assert.rejects(bed.db.query(`SELECT chat.create_webhook($1, 'https://example.com/', '{*}')`, [mine]), { code: '54000' });
});
