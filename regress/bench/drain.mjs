// How fast a backlog is delivered, of EVENTS messages that one transaction writes: to the endpoint's process, whose core reads from the present
// on, and over HTTP to a server that only counts. CPU of every process that takes part, from the commit on. EVENTS=300000 ROUNDS=3
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { ticks } from '../lib/usage.mjs';
import { until } from '../lib/wait.mjs';
import { receive } from './counter.mjs';
import { median } from './paired.mjs';

const events = Number(process.env.EVENTS ?? 300_000);
const rounds = Number(process.env.ROUNDS ?? 3);
const conversations = 100;

/** Writes it, uncommitted. */
async function writeBacklog(bed, ids) {
  await bed.db.query('BEGIN');
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content)
    SELECT ($1::bigint[])[1 + g % $2], 'incoming', 'Olá, tudo bem? Queria saber do meu pedido ' || g
      FROM generate_series(1, $3) g`, [ids, conversations, events]);
}

async function delivered(sidecar) {
  return (await sidecar.metric('chat_realtime_broadcasts_total', 'result="ok"'))
    + (await sidecar.metric('chat_realtime_broadcasts_total', 'result="coalesced"'));
}

/** Events a second, and µs of CPU an event of each process. receiver: that takes part beside sidecar and session. */
async function drain(env, receiver) {
  const bed = await Bed.create({ settings: { max_wal_size: '8GB' } });
  const ids = [];
  for (let i = 0; i < conversations; i++) ids.push(await bed.conversation(`Contact ${i}`));
  const sidecar = await bed.sidecar({ WEBHOOKS: 'off', ...env });
  await writeBacklog(bed, ids);
  const [known, before] = [await value(bed.db, `SELECT count(*) FROM chat.events WHERE event = 'conversation.new'`), await delivered(sidecar)];
  const backlog = await value(bed.db, 'SELECT count(*) FROM chat.events') - known;
  const session = await value(bed.db, `SELECT pid FROM pg_stat_activity WHERE application_name = 'chat-sidecar realtime'`);
  const used = () => [sidecar.child.pid, receiver ?? sidecar.endpointPid, session].map((pid) => ticks(pid));
  const idle = used();
  const start = Date.now();
  await bed.db.query('COMMIT');
  await until(async () => (await delivered(sidecar)) - before >= backlog, 'the backlog', 300_000, 10);
  const rate = backlog / ((Date.now() - start) / 1000);
  const cpu = used().map((now, i) => (now - idle[i]) * 1e4 / backlog);
  await bed.close();
  return { backlog, rate, cpu };
}

async function measure(what, goal, round) {
  const seen = [];
  for (let i = 0; i < rounds; i++) seen.push(await round());
  const [core, receiver, session, all] = [...[0, 1, 2].map((i) => median(seen.map(({ cpu }) => cpu[i]))), median(seen.map(({ cpu }) => cpu.reduce((a, b) => a + b)))];
  console.log(`  to ${what}: ${median(seen.map(({ rate }) => rate)).toFixed(0)} events/s     goal ${goal}`);
  console.log(`    CPU an event: core ${core.toFixed(2)} µs, its database session ${session.toFixed(2)}, ${what.split(' that')[0]} ${receiver.toFixed(2)}; together ${all.toFixed(2)}     goal 2.5`);
}

try {
  console.log(`\nDraining a backlog of ${events} messages`);
  await measure("the endpoint's process", 300_000, () => drain({}));
  await measure('a server that only counts', 350_000, async () => {
    const server = await receive(0, 202);
    const seen = await drain({ REALTIME_URL: server.url, REALTIME_PRIVATE: 'false', REALTIME_MAX_EVENTS_PER_SECOND: '0' }, server.pid);
    server.end();
    return seen;
  });
} finally {
  await finish();
}
