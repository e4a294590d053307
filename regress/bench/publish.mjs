// Publishing to a Realtime whose database takes its time for each private topic of a batch: events/s that are accepted, of a backlog that one
// transaction writes. Its stand-in answers; the time for a topic is what a real one took. EVENTS=20000 TOPICS=72 TOPIC_MS=2.5
import { Bed } from '../lib/bed.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { finish } from '../lib/janitor.mjs';
import { until } from '../lib/wait.mjs';

const events = Number(process.env.EVENTS ?? 20_000);
const topics = Number(process.env.TOPICS ?? 72);
const topicMs = Number(process.env.TOPIC_MS ?? 2.5);

try {
  const bed = await Bed.create();
  const realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  const ids = [];
  for (let i = 0; i < topics; i++) ids.push(await bed.conversation(`Contact ${i}`));
  await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_MAX_EVENTS_PER_SECOND: '0', WEBHOOKS: 'off' });
  await until(() => realtime.accepted.length >= topics, 'what came before');
  realtime.topicMs = topicMs;
  realtime.sizes = [];
  realtime.accepted = [];
  const news = () => realtime.accepted.filter((message) => message.event === 'message.new').length;
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content)
    SELECT ($1::bigint[])[1 + g % $2], 'incoming', 'Olá, tudo bem? Queria saber do meu pedido ' || g FROM generate_series(1, $3) g`, [ids, topics, events]);
  const start = Date.now();
  await until(() => news() >= events, 'the backlog', 300_000, 50);
  const seconds = (Date.now() - start) / 1000;
  console.log(`\nPublishing ${realtime.accepted.length} events of ${topics} private topics, ${topicMs} ms for each in a batch`);
  console.log(`  ${Math.round(realtime.accepted.length / seconds)} events/s in ${realtime.sizes.length} batches of up to ${Math.max(...realtime.sizes)}     goal 2500`);
  await bed.close();
} finally {
  await finish();
}
