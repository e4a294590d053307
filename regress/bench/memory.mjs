// Memory of its own (anonymous) of the sidecar's processes, the most that was seen: idle, with WEBHOOKS of many owners, with EVENTS that wait for 400
// webhooks of four owners that do not answer, with one late transaction of LATE messages, and with a Realtime that hangs and payloads of 60 kB.
// Beside each, what a healthy webhook of another owner waits from the commit.
import net from 'node:net';
import { randomUUID } from 'node:crypto';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { memory } from '../lib/usage.mjs';
import { sleep, until } from '../lib/wait.mjs';

const webhooks = Number(process.env.WEBHOOKS ?? 10_000);
const events = Number(process.env.EVENTS ?? 1_000_000);
const late = Number(process.env.LATE ?? 1_000_000); // messages: two events each
const large = Number(process.env.LARGE ?? 5_000);
const healthyMessages = Number(process.env.HEALTHY ?? 30);

/** A server that takes connections and never answers, at a host of its own: WEBHOOK_MAX_PER_HOST is by name. */
async function hang(bed) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket)).resume();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.2', resolve));
  bed.closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.2:${server.address().port}`;
}

/** Looks at the processes until it is told to stop; the most of each. */
function watch(sidecar) {
  const most = [0, 0];
  const timer = setInterval(() => {
    try {
      [sidecar.child.pid, sidecar.endpointPid].forEach((pid, i) => { if (pid) most[i] = Math.max(most[i], memory(pid)); });
    } catch { /* one has ended */ }
  }, 50);
  return { most, stop: () => clearInterval(timer) };
}

/** From the commit to a healthy webhook of an owner of its own, in ms: median and 99 %. */
async function healthy(bed, healthyReceiver, conversation) {
  const took = [];
  for (let i = 0; i < healthyMessages; i++) {
    const before = healthyReceiver.deliveries.length;
    await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content) VALUES ($1, 'incoming', 'Olá')`, [conversation]);
    const start = performance.now();
    await until(() => healthyReceiver.deliveries.length > before, () => `the healthy webhook: ${bed.watched?.tail()}`, 300_000, 1);
    took.push(performance.now() - start);
    await sleep(20);
  }
  took.sort((a, b) => a - b);
  return [0.5, 0.99].map((share) => took[Math.floor(took.length * share)]);
}

async function measure(name, goal, prepare, { env = {}, wait = async () => {} } = {}) {
  const bed = await Bed.create({ settings: { max_wal_size: '8GB' } });
  const bystander = randomUUID();
  const receiver = await bed.receiver(['message.received'], { owner: bystander });
  const conversation = await value(bed.db, `INSERT INTO public.conversations (user_id, contact_jid) VALUES ($1, 'bystander@s.whatsapp.net') RETURNING id`, [bystander]);
  const context = await prepare(bed) ?? {};
  const sidecar = await bed.sidecar({ WEBHOOK_TIMEOUT_MS: '15000', ...env, ...context.env });
  bed.watched = sidecar;
  const seen = watch(sidecar);
  await context.begin?.(bed, sidecar);
  const [p50, p99] = await healthy(bed, receiver, conversation);
  await wait(bed, sidecar);
  await sleep(5000);
  seen.stop();
  const mib = (bytes) => (bytes / 1048576).toFixed(1);
  console.log(`  ${name.padEnd(64)} core ${mib(seen.most[0]).padStart(6)} MiB, endpoint ${mib(seen.most[1]).padStart(6)} MiB    goal ${goal}`);
  console.log(`    a healthy webhook beside it, from the commit: median ${p50.toFixed(0)} ms, 99 % ${p99.toFixed(0)} ms`);
  await bed.close();
}

const messages = (bed, conversations, count, content = `'Olá, tudo bem? Queria saber do meu pedido ' || g`) => bed.db.query(
  `INSERT INTO public.chat_messages (conversation_id, direction, content) SELECT ($1::bigint[])[1 + g % cardinality($1::bigint[])], 'incoming', ${content} FROM generate_series(1, $2) g`, [conversations, count]);

const conversationOf = (bed, owner, jid) => value(bed.db, 'INSERT INTO public.conversations (user_id, contact_jid) VALUES ($1, $2) RETURNING id', [owner, jid]);

async function manyWebhooks(bed) {
  const url = await hang(bed);
  const owners = Array.from({ length: webhooks / 100 }, () => randomUUID());
  for (const owner of owners) {
    await bed.db.query(`SELECT chat.create_webhook($1, $2 || g, '{message.received}') FROM generate_series(1, 100) g`, [owner, `${url}/`]);
    await messages(bed, [await conversationOf(bed, owner, '1@s.whatsapp.net')], 1);
  }
}

async function waiting(bed) {
  const url = await hang(bed);
  const conversations = [];
  for (let i = 0; i < 4; i++) {
    const owner = randomUUID();
    await bed.db.query(`SELECT chat.create_webhook($1, $2 || g, '{message.received}') FROM generate_series(1, 100) g`, [owner, `${url}/`]);
    for (let k = 0; k < 25; k++) conversations.push(await conversationOf(bed, owner, `${k}@s.whatsapp.net`));
  }
  await messages(bed, conversations, events / 100);
}

async function lateTransaction(bed) {
  const conversations = [];
  for (let i = 0; i < 100; i++) conversations.push(await conversationOf(bed, bed.owner, `${i}@s.whatsapp.net`));
  const other = await bed.connect();
  await other.query('BEGIN');
  await messages({ db: other }, conversations, late);
  return { begin: () => other.query('COMMIT') };
}

async function deadRealtime(bed) {
  const url = await hang(bed);
  const conversations = [];
  for (let i = 0; i < 20; i++) conversations.push(await conversationOf(bed, bed.owner, `${i}@s.whatsapp.net`));
  await bed.db.query('SET chat_realtime.max_content_bytes = 65536');
  await messages(bed, conversations, large, `repeat(md5(g::text), 1900)`);
  return { env: { REALTIME_URL: url } };
}

try {
  console.log('\nMemory of its own, the most');
  await measure('idle', '6 MiB, both processes', async () => {});
  await measure(`${webhooks} webhooks of ${webhooks / 100} owners, one event each that none of them takes`, '40 MiB', manyWebhooks);
  await measure(`${events} deliveries of ${events / 100} events wait for 400 webhooks of four owners`, '96 MiB', waiting);
  await measure(`one late transaction of ${2 * late} events`, '128 MiB', lateTransaction);
  await measure(`a Realtime that hangs, ${large} messages of 60 kB`, '-', deadRealtime);
} finally {
  await finish();
}
