// Webhooks: a backlog delivered to a receiver that only counts, over a bare libcurl loop that posts the same bodies to it, with 1 and
// with 100 endpoints of one owner. All endpoints are at one host here: WEBHOOK_MAX_PER_HOST is raised, or it would bound them.
// Then what a webhook that is well takes from the commit, alone and beside 50 of another owner that hang, at a host of their own and at its host.
// DELIVERIES=30000 ROUNDS=3 MESSAGES=200
import net from 'node:net';
import { randomUUID } from 'node:crypto';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { memory, ticks } from '../lib/usage.mjs';
import { post, receive } from './counter.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { median } from './paired.mjs';

const deliveries = Number(process.env.DELIVERIES ?? 30_000);
const rounds = Number(process.env.ROUNDS ?? 3);
const messages = Number(process.env.MESSAGES ?? 200);
const conversations = 100;

async function deliver(endpoints) {
  const events = Math.ceil(deliveries / endpoints);
  const receiver = await receive(events * endpoints);
  const bed = await Bed.create({ settings: { max_wal_size: '8GB' } });
  await bed.db.query(`SELECT chat.create_webhook($1, $2 || g, '{message.received}') FROM generate_series(1, $3) g`, [bed.owner, `${receiver.url}/`, endpoints]);
  const ids = [];
  for (let i = 0; i < conversations; i++) ids.push(await bed.conversation(`Contact ${i}`));
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content)
    SELECT ($1::bigint[])[1 + g % $2], 'incoming', 'Olá, tudo bem? Queria saber do meu pedido ' || g FROM generate_series(1, $3) g`, [ids, conversations, events]);
  const sidecar = await bed.sidecar({ WEBHOOK_MAX_PER_HOST: '1000' });
  const seconds = await receiver.seconds;
  const session = await value(bed.db, `SELECT pid FROM pg_stat_activity WHERE application_name = 'chat-sidecar webhooks'`);
  const perDelivery = (pid) => ticks(pid) * 1e4 / (events * endpoints);
  const figures = { rate: events * endpoints / seconds, sidecar: perDelivery(sidecar.child.pid), session: perDelivery(session), memory: memory(sidecar.child.pid) };
  const payload = await value(bed.db, `SELECT payload FROM chat.event WHERE webhook IS NOT NULL LIMIT 1`);
  const body = JSON.stringify({ id: 'evt_1234567', type: 'message.received', event: 'message.received', timestamp: '2026-01-01T00:00:00.000Z', data: JSON.parse(payload) });
  await bed.close();
  receiver.end();
  return { ...figures, body };
}

async function bare(body) {
  const receiver = await receive(deliveries);
  const seconds = post(`${receiver.url}/1`, deliveries, body);
  receiver.end();
  return deliveries / seconds;
}

/** A server that takes connections and never answers. */
async function hang(bed, host) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket)).resume();
  });
  await new Promise((resolve) => server.listen(0, host, resolve));
  bed.closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: `http://${host}:${server.address().port}`, sockets };
}

/** 50 webhooks of another owner that hang, with more to be delivered to them than they could take, and more all the time. */
async function hanging(bed, host) {
  const server = await hang(bed, host);
  const owner = randomUUID();
  const ids = [];
  await bed.db.query(`SELECT chat.create_webhook($1, $2 || g, '{message.received}') FROM generate_series(1, 50) g`, [owner, `${server.url}/`]);
  for (let i = 0; i < 20; i++) ids.push(await value(bed.db, 'INSERT INTO public.conversations (user_id, contact_jid) VALUES ($1, $2) RETURNING id', [owner, `${i}@s.whatsapp.net`]));
  const write = (count) => bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content)
    SELECT ($1::bigint[])[1 + g % 20], 'incoming', 'Olá ' || g FROM generate_series(1, $2) g`, [ids, count]);
  await write(100);
  await until(() => server.sockets.size >= 20, () => `20 requests that hang, ${server.sockets.size} do`, 30_000);
  return () => write(2);
}

/** The 99 % of the times from the commit of a message to its receiver, in ms. */
async function late(bed, receiver, conversation, meanwhile) {
  const took = [];
  for (let i = 0; i < messages; i++) {
    await meanwhile();
    const arrived = new Promise((resolve) => { receiver.onDelivery = () => resolve(performance.now()); });
    await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content) VALUES ($1, 'incoming', 'Olá')`, [conversation]);
    const committed = performance.now();
    took.push(await arrived - committed);
    await sleep(5);
  }
  return took.sort((a, b) => a - b)[Math.floor(took.length * 0.99)];
}

/** p99 beside those that hang at a host, over p99 alone, in one run. */
async function beside(host) {
  const bed = await Bed.create();
  const receiver = await bed.receiver(['message.received']);
  const conversation = await bed.conversation('Contact');
  await bed.sidecar({});
  await late(bed, receiver, conversation, async () => {});
  const alone = await late(bed, receiver, conversation, async () => {});
  const together = await late(bed, receiver, conversation, await hanging(bed, host));
  await bed.close();
  return { alone, together, ratio: together / alone };
}

try {
  console.log('\nWebhooks, over a bare libcurl loop posting the same bodies');
  for (const [endpoints, goal] of [[1, 0.6], [100, 0.75]]) {
    const seen = [];
    for (let i = 0; i < rounds; i++) {
      const one = await deliver(endpoints);
      seen.push({ ...one, ratio: one.rate / (await bare(one.body)) });
    }
    const middle = (name) => median(seen.map((one) => one[name]));
    console.log(`  ${endpoints} endpoint${endpoints > 1 ? 's' : ''}: ${middle('rate').toFixed(0)} deliveries/s, ${middle('ratio').toFixed(2)} x bare libcurl     goal ${goal} x`);
    console.log(`    CPU a delivery: sidecar ${middle('sidecar').toFixed(0)} µs, its database session ${middle('session').toFixed(0)} µs; memory of the sidecar ${(middle('memory') / 1048576).toFixed(1)} MiB`);
  }
  for (const [where, host] of [['a host of their own', '127.0.0.2'], ['its host', '127.0.0.1']]) {
    const seen = [];
    for (let i = 0; i < rounds; i++) seen.push(await beside(host));
    const middle = (name) => median(seen.map((one) => one[name]));
    console.log(`  99 % of a webhook that is well, beside 50 of another owner that hang at ${where}: ${middle('together').toFixed(1)} ms, ${middle('ratio').toFixed(2)} x alone (${middle('alone').toFixed(1)} ms)     goal 3 x`);
  }
} finally {
  await finish();
}
