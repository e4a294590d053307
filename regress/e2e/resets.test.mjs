// Connections that Realtime and receivers of webhooks end in the real way: RST in place of an answer, in the middle of
// a body, an idle connection closed. What arrived is compared with what was committed, bodies included.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { allDelivered, Load } from '../lib/load.mjs';
import { RawHttp } from '../lib/raw-http.mjs';
import { RealtimeProcess } from '../lib/realtime-process.mjs';
import { until } from '../lib/wait.mjs';

const messages = 60; // of one statement: one batch of more than 64 KB
const times = 4; // a fault is done
const retryLimit = 25000; // a webhook's first retry is due after 5 s

let bed, realtime, process, hook, sidecar, conversations;
let accepted; // messages answered with 202, or with a part of it
let answer = { status: 202 }; // Realtime's
let received; // webhooks answered with 200, or with a part of it

const isCanary = (head) => head.startsWith('POST /api/broadcast/canary');
const key = roleToken('service_role', 'x'.repeat(32));

before(async () => {
  bed = await Bed.create({ settings: { 'chat_realtime.max_payload_bytes': '1MB' } });
  accepted = [];
  received = [];
  realtime = await RawHttp.start(({ head, body }) => {
    if (answer.status === 202 && !isCanary(head)) accepted.push(...JSON.parse(body).messages);
    return answer;
  });
  hook = await RawHttp.start(({ body }) => {
    received.push(JSON.parse(body));
    return { status: 200, body: '{"ok":true}' };
  });
  bed.closing.push(() => realtime.down(), () => hook.down());
  await value(bed.db, `SELECT chat.create_webhook($1, $2, '{message.received}')`, [bed.owner, `${hook.url}/hook`]);
  conversations = [];
  for (let i = 0; i < 4; i++) conversations.push(await bed.conversation(`Contact ${i}`));
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_KEY: key, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
});

after(() => bed.close());

beforeEach(() => {
  for (const server of [realtime, hook]) {
    server.fault = () => undefined;
    server.faults = {};
    server.idle = 0;
  }
});

/** One transaction with so many messages of 4 kB, one of them with 100 kB beside it. */
function write(text, count = messages) {
  return bed.db.query(`INSERT INTO public.chat_messages (conversation_id, content, direction, metadata)
    SELECT ($1::bigint[])[1 + n % 4], $2 || ' ' || n || ' ' || repeat('x', 4000), 'incoming',
           CASE n WHEN 1 THEN jsonb_build_object('note', repeat('y', 100000)) ELSE '{}' END
      FROM generate_series(1, $3) n`,
  [conversations, text, count]);
}

async function bodies(column) {
  const found = await rows(bed.db, `SELECT id::text, payload::jsonb AS payload FROM chat.events WHERE ${column} IS NOT NULL`);
  return new Map(found.map(({ id, payload }) => [id, payload]));
}

/** Each event of the log arrived, in order, with the body that it has in the log. */
async function allArrived(list = () => accepted) {
  const result = await allDelivered(bed.db, list, { limit: retryLimit }).catch((error) => {
    throw new Error(`${error.message}; ${sidecar.tail()}`);
  });
  const log = await bodies('topic');
  for (const message of list()) assert.deepEqual(message.payload, log.get(message.id), `the body of ${message.id}`);
  assert.deepEqual(result.unknown, []);
  assert.deepEqual(result.disorder, []);
}

async function allReceived() {
  const deliveries = () => received.map(({ id, type, data }) => ({ id: id.slice('evt_'.length), event: type, payload: data }));
  const result = await allDelivered(bed.db, deliveries, { limit: retryLimit, only: (event) => event.webhook === 'message.received', every: true });
  const log = await bodies('webhook');
  for (const { id, payload } of deliveries()) assert.deepEqual(payload, log.get(id), `the body of ${id}`);
  assert.deepEqual(result.unknown, []);
  assert.deepEqual(result.disorder, []);
}

/** A fault for each webhook message once at most: a second failure is tried again only after minutes. */
function once(fault) {
  const done = new Set();
  return (at) => {
    const id = /^webhook-id: (.*)$/im.exec(at.head)[1];
    const how = !done.has(id) && fault(at);
    if (how) done.add(id);
    return how;
  };
}

const arrived = (server) => (server === hook ? received : accepted.filter(({ event }) => event === 'message.new')).length;

/** Writes until a server has done its fault often enough, and then without it. afterCanary: what becomes of a connection that had one. */
async function faulty(server, stage, fault, text, afterCanary) {
  let left = times;
  server.cut();
  server.fault = (at) => {
    if (left > 0 && at.stage === 'answered' && isCanary(at.head)) return afterCanary;
    const how = left > 0 && at.stage === stage && (stage === 'idle' || !isCanary(at.head)) ? fault(at) : undefined;
    if (how) left--;
    return how;
  };
  for (let n = 0; left > 0; n++) {
    assert.ok(n < 100, `${server.faults[stage] ?? 0} of ${times} times`);
    const had = arrived(server);
    await write(`${text} ${n}`);
    await until(() => left === 0 || arrived(server) >= had + messages, () => `what was written: ${sidecar.tail()}`, retryLimit);
  }
  await write(`${text} afterwards`);
  assert.equal(server.faults[stage], times);
}

const large = ({ n, length, received: got }) => n > 1 && length > 65536 && got < length;
const faults = [
  ['RST in place of the answer, on a connection that was used before', 'answer', ({ n }) => n > 1 && 'reset'],
  ['RST in place of the answer, on a new connection', 'answer', ({ n }) => n === 1 && 'reset', 'end'],
  ['the end of the connection in place of the answer', 'answer', ({ n }) => n > 1 && 'end'],
  ['RST as soon as the header of a request is there', 'head', ({ n, length }) => n > 1 && length > 65536 && 'reset'],
  ['RST in the middle of a body over 64 KB', 'body', (at) => large(at) && 'reset'],
  ['the end of the connection in the middle of a body over 64 KB', 'body', (at) => large(at) && 'end'],
  ['RST in the middle of the answer', 'answering', () => 'reset'],
  ['RST after the answer', 'answered', () => 'reset'],
  ['the end of the connection after three requests', 'answered', ({ n }) => n >= 3 && 'end'],
];

for (const [what, stage, fault, afterCanary] of faults) {
  test(`Realtime: ${what}`, async () => {
    await faulty(realtime, stage, fault, what, afterCanary);
    await allArrived();
  });

  test(`a webhook: ${what}`, async () => {
    await faulty(hook, stage, once(fault), what);
    await allReceived();
  });
}

/** An answer that nobody asked for waits on each connection when the next request goes out, which gets RST in place of its own. */
async function glued(server, text, fault) {
  let left = times;
  server.cut();
  server.idle = 20;
  server.fault = (at) => {
    if (at.stage === 'idle') return 'glue';
    const how = left > 0 && at.stage === 'answer' && at.n > 1 && fault(at);
    if (how) left--;
    return how;
  };
  for (let n = 0; n < times; n++) {
    const [had, talked] = [arrived(server), server.faults.idle ?? 0];
    await write(`${text} ${n}`, 8);
    await until(() => arrived(server) >= had + 8 && server.faults.idle > talked, () => `what was written: ${sidecar.tail()}`, retryLimit);
  }
}

test('Realtime: answers that nobody asked for are taken for none', async () => {
  await glued(realtime, 'glued', ({ head }) => !isCanary(head) && 'reset');
  await allArrived();
});

test('a webhook: answers that nobody asked for are taken for none', async () => {
  await glued(hook, 'glued', once(() => 'reset'));
  await allReceived();
});

for (const how of ['end', 'reset']) {
  test(`Realtime: an idle connection ended (${how})`, async () => {
    realtime.idle = 20;
    await faulty(realtime, 'idle', () => how, `idle ${how}`);
    await allArrived();
  });

  test(`a webhook: an idle connection ended (${how})`, async () => {
    hook.idle = 20;
    await faulty(hook, 'idle', () => how, `idle ${how}`);
    await allReceived();
  });
}

for (const status of [200, 204, 301]) {
  test(`what answers ${status} is not Realtime: the log and /readyz say so with its URL, and nothing is lost`, async () => {
    const had = realtime.requests;
    answer = { status, head: 'location: http://127.0.0.1:1/else\r\n' };
    await write(`${status}`, 8);
    await until(() => sidecar.log.some((line) => line.status === status && /not Realtime/.test(line.hint) && line.url.startsWith(realtime.url)),
      () => `a line in the log: ${sidecar.tail()}`);
    const page = await until(async () => {
      const ready = await sidecar.get('/readyz');
      return ready.status === 503 && ready.text();
    }, '/readyz 503');
    assert.ok(JSON.parse(page).reasons.realtime.includes(`${realtime.url}/api/broadcast answers ${status}`), page);
    assert.match(page, /not Realtime/);
    assert.ok(realtime.requests > had);
    answer = { status: 202 };
    sidecar.child.kill('SIGHUP');
    await allArrived();
    await until(async () => (await sidecar.get('/readyz')).status === 200, '/readyz 200');
  });
}

test('Realtime killed with SIGKILL under load', async () => {
  const killed = await RealtimeProcess.start();
  bed.closing.push(() => killed.kill());
  await sidecar.kill('SIGTERM');
  sidecar = await bed.sidecar({ REALTIME_URL: killed.url, REALTIME_KEY: key, REALTIME_MAX_EVENTS_PER_SECOND: '100000' });
  const load = new Load(bed.cluster, conversations, { writers: 4, pause: 40 }); // 100 messages/s
  for (let i = 0; i < 5; i++) {
    const had = killed.accepted.length;
    await load.wrote(40);
    await until(() => killed.accepted.length > had + 80, () => `deliveries before the kill: ${sidecar.tail()}`);
    await killed.kill();
    await load.wrote(10);
    await killed.up();
  }
  await load.stop();
  await allArrived(() => [...accepted, ...killed.accepted]);
  assert.deepEqual(sidecar.log.filter(({ level }) => level === 'error'), []);
});
