// How fast a backlog is delivered to the embedded endpoint: EVENTS messages written while no sidecar runs.
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { ticks } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';

const events = Number(process.env.EVENTS ?? 300_000);
const conversations = 100;

async function writeBacklog(bed) {
  const ids = [];
  for (let i = 0; i < conversations; i++) ids.push(await bed.conversation(`Contact ${i}`));
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content)
    SELECT ($1::bigint[])[1 + g % $2], 'incoming', 'Olá, tudo bem? Queria saber do meu pedido ' || g
      FROM generate_series(1, $3) g`, [ids, conversations, events]);
  return value(bed.db, 'SELECT count(*) FROM chat.events');
}

async function delivered(sidecar) {
  return (await sidecar.metric('chat_realtime_broadcasts_total', 'result="ok"'))
    + (await sidecar.metric('chat_realtime_broadcasts_total', 'result="coalesced"'));
}

async function run() {
  const bed = await Bed.create({ settings: { max_wal_size: '8GB' } });
  const backlog = await writeBacklog(bed);
  const sidecar = await bed.sidecar({ WEBHOOKS: 'off' });
  const start = Date.parse(sidecar.log.find((line) => line.msg === 'leading').ts);
  await until(async () => (await delivered(sidecar)) >= backlog, 'the backlog', 300_000, 10);
  const seconds = (Date.now() - start) / 1000;
  console.log('\nDraining a backlog to the embedded endpoint');
  console.log(`  ${backlog} events in ${seconds.toFixed(2)} s: ${(backlog / seconds).toFixed(0)} events/s     goal 150000 events/s`);
  const session = await value(bed.db, `SELECT pid FROM pg_stat_activity WHERE application_name = 'chat-sidecar realtime'`);
  const perEvent = (pid) => `${(ticks(pid) * 1e4 / backlog).toFixed(1)} µs`;
  console.log(`  CPU an event: sidecar with endpoint ${perEvent(sidecar.child.pid)}, its database session ${perEvent(session)}`);
  await bed.close();
}

try {
  await run();
} finally {
  await finish();
}
