// Webhooks: a backlog delivered to a receiver that only counts, over a bare libcurl loop that posts the same bodies to it, with 1 and
// with 100 endpoints of one owner. All endpoints are at one host here: WEBHOOK_MAX_PER_HOST is raised, or it would bound them.
// DELIVERIES=30000 ROUNDS=3
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { memory, ticks } from '../lib/usage.mjs';
import { post, receive } from './counter.mjs';
import { median } from './paired.mjs';

const deliveries = Number(process.env.DELIVERIES ?? 30_000);
const rounds = Number(process.env.ROUNDS ?? 3);
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
} finally {
  await finish();
}
