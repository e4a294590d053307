// Every way out side by side, with one topic and with 50: how many messages a second of a backlog that one transaction writes, and how long
// one takes at RATE messages a second, from its row to the peer. Peers are those of the tests, in this process: the endpoint's client is
// supabase-js, Socket.IO's a real server with its client; Realtime is a stand-in. And how many lines each takes.
// MESSAGES=3000 RATE=100 SECONDS=5 ROUNDS=3 WAYS="Socket.IO,webhooks"
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Bed } from '../lib/bed.mjs';
import { rows } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { embedded, overDatabase, overHttp, socketIo, webhooks } from '../lib/sinks.mjs';
import { schema } from '../lib/streaming-realtime.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { root } from '../lib/workspace.mjs';
import { median } from './paired.mjs';
import { write } from './pgbench.mjs';

const number = (name, usual) => Number(process.env[name] ?? usual);
const [messages, rate, seconds, rounds] = [number('MESSAGES', 3000), number('RATE', 100), number('SECONDS', 5), number('ROUNDS', 3)];
const isMessage = ({ event, type }) => ['message.new', 'message.received', 'new_message'].includes(event ?? type);

/** Notes when messages come to a list, from now on. */
function stamped(list) {
  const came = [];
  list.push = function push(...items) {
    const at = Date.now() + (performance.now() % 1);
    for (const item of items) if (isMessage(item)) came.push(at);
    return Array.prototype.push.apply(this, items);
  };
  return came;
}

const ways = {
  'embedded endpoint': async (bed) => embedded(bed, bed.conversations, await bed.sidecar({ WEBHOOKS: 'off' })),
  'Realtime over HTTP': async (bed) => started(bed, await overHttp(bed), { WEBHOOKS: 'off' }),
  'Realtime over the database': async (bed) => started(bed, await overDatabase(bed), { WEBHOOKS: 'off' }),
  'Socket.IO': async (bed) => started(bed, await socketIo(bed, bed.conversations), { WEBHOOKS: 'off' }),
  webhooks: async (bed) => started(bed, await webhooks(bed, ['message.received']), { REALTIME_URL: 'http://127.0.0.1:1', WEBHOOK_MAX_PER_HOST: '256' }),
};

const chosen = process.env.WAYS?.split(',') ?? Object.keys(ways);

async function started(bed, sink, env) {
  await bed.sidecar({ ...env, ...sink.env });
  return sink;
}

/** {rate, p50, p99} of a way out, in messages a second and ms. */
async function measure(way, topics) {
  const bed = await Bed.create({ settings: { max_wal_size: '4GB', wal_level: 'logical' }, before: schema });
  bed.conversations = [];
  for (let i = 0; i < topics; i++) bed.conversations.push(await bed.conversation(`Contact ${i}`));
  const sink = await ways[way](bed);
  await bed.message(bed.conversations[0], 'first');
  await until(() => sink.list.some(isMessage), 'the first message', 60000);
  await sleep(500);

  let came = stamped(sink.list);
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content)
    SELECT ($1::bigint[])[1 + g % $2], 'incoming', 'Olá, tudo bem? Queria saber do meu pedido ' || g FROM generate_series(1, $3) g`, [bed.conversations, topics, messages]);
  const committed = Date.now();
  await until(() => came.length >= messages, () => `${came.length} of ${messages} messages`, 120000, 5);
  const backlog = messages / ((came[messages - 1] - committed) / 1000);

  came = stamped(sink.list);
  const [had, from] = [sink.list.length, (await rows(bed.db, 'SELECT max(id) AS id FROM chat.events'))[0].id];
  await write(bed, { rate, seconds, clients: 2 });
  const log = await rows(bed.db, `SELECT id::text, date_part('epoch', created_at) * 1000 AS at FROM chat.events WHERE event = 'message.new' AND id > $1`, [from]);
  await until(() => came.length >= log.length, () => `${came.length} of ${log.length} messages`, 60000);
  const written = new Map(log.map(({ id, at }) => [id, at]));
  const arrivals = sink.arrived().slice(had).filter(isMessage);
  const delays = arrivals.map(({ id }, i) => came[i] - written.get(id)).filter((ms) => !Number.isNaN(ms)).sort((a, b) => a - b);
  await bed.close();
  return { rate: backlog, p50: delays[Math.floor(delays.length * 0.5)], p99: delays[Math.floor(delays.length * 0.99)] };
}

/** Lines of C of the files of a folder that fit. */
function lines(folder, fits = () => true) {
  const dir = path.join(root, 'sidecar', folder);
  return readdirSync(dir).filter((file) => /\.[ch]$/.test(file) && fits(file))
    .reduce((sum, file) => sum + readFileSync(path.join(dir, file), 'utf8').split('\n').length - 1, 0);
}

const ofDatabase = /^realtime_(database|slots|insertion)/;
const ofHttp = /^realtime_(http|answer|canary|check|key|single|target)/;

function printLines() {
  const sizes = [['embedded endpoint, with the link to its process', lines('endpoint') + lines('link')],
    ['Realtime: what both transports share', lines('realtime', (file) => !ofDatabase.test(file) && !ofHttp.test(file))],
    ['Realtime over HTTP', lines('realtime', (file) => ofHttp.test(file))],
    ['Realtime over the database', lines('realtime', (file) => ofDatabase.test(file))],
    ['Socket.IO', lines('socketio')], ['webhooks', lines('webhook')]];
  console.log('\n  Lines of C of the sidecar');
  for (const [name, count] of sizes) console.log(`  ${name.padEnd(52)} ${String(count).padStart(6)}`);
}

try {
  console.log(`\nWays out, ${messages} messages at once, and ${rate}/s for ${seconds} s; medians of ${rounds}`);
  console.log('                               1 topic: messages/s    p50 ms    p99 ms    50 topics: messages/s    p50 ms    p99 ms');
  const seen = Object.fromEntries(chosen.map((way) => [way, { 1: [], 50: [] }]));
  for (let round = 0; round < rounds; round++) {
    for (const way of chosen) for (const topics of [1, 50]) seen[way][topics].push(await measure(way, topics));
  }
  for (const way of chosen) {
    const [one, many] = [1, 50].map((topics) => Object.fromEntries(['rate', 'p50', 'p99'].map((name) => [name, median(seen[way][topics].map((figures) => figures[name]))])));
    const columns = ({ rate: persecond, p50, p99 }, width) => `${persecond.toFixed(0).padStart(width)}${p50.toFixed(1).padStart(10)}${p99.toFixed(1).padStart(10)}`;
    console.log(`  ${way.padEnd(28)} ${columns(one, 21)}${columns(many, 25)}`);
  }
  printLines();
} finally {
  await finish();
}
