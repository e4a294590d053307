// How long an event takes: from its row, written just before the commit, to the acceptance by the embedded endpoint
// at 1,000 messages/s, and to an unchanged supabase-js client at 200 messages/s. And what the idle sidecar needs.
import { readFileSync } from 'node:fs';
import { Bed } from '../lib/bed.mjs';
import { rows } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { write } from './pgbench.mjs';

const seconds = Number(process.env.SECONDS ?? 20);
const topics = 50; // what one client can join, with room

function print(what, goal, text) {
  console.log(`  ${what.padEnd(58)} ${text.padEnd(30)} goal ${goal}`);
}

const ms = (value) => `${value.toFixed(2)} ms`;

/** Bytes of anonymous memory that a process has touched. */
function anonymous(pid) {
  return Number(/^Anonymous:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) * 1024;
}

/** Cumulative counts of a histogram by upper bound. */
async function buckets(sidecar, name) {
  const page = await (await sidecar.get('/metrics')).text();
  const found = [...page.matchAll(new RegExp(`^${name}_bucket\\{le="([^"]+)"\\} (\\S+)$`, 'gm'))];
  return found.map(([, bound, count]) => [bound === '+Inf' ? Infinity : Number(bound), Number(count)]);
}

/** A quantile in seconds of what came between two states, between two bounds as if evenly spread. */
function quantile(before, after, share) {
  const counts = after.map(([bound, count], i) => [bound, count - before[i][1]]);
  const wanted = counts.at(-1)[1] * share;
  const at = counts.findIndex(([, count]) => count >= wanted);
  const [low, below] = at > 0 ? counts[at - 1] : [0, 0];
  const [high, count] = counts[at];
  return high === Infinity ? low : low + (high - low) * (wanted - below) / (count - below || 1);
}

async function toEndpoint(bed, sidecar) {
  const name = 'chat_realtime_delivery_latency_seconds';
  await write(bed, { rate: 1000, seconds: 3 });
  const before = await buckets(sidecar, name);
  const tps = await write(bed, { rate: 1000, seconds });
  await sleep(1000);
  const after = await buckets(sidecar, name);
  const [p50, p99] = [0.5, 0.99].map((share) => quantile(before, after, share) * 1000);
  print(`row to acceptance, ${tps.toFixed(0)} messages/s, p50 / p99`, '1.5 / 8 ms', `${ms(p50)} / ${ms(p99)}`);
}

async function toClient(bed, sidecar) {
  const client = await bed.subscriber(sidecar);
  await client.join(`user:${bed.owner}:inbox`);
  for (const id of bed.conversations) await client.join(`conversation:${id}`);
  await write(bed, { rate: 200, seconds: 2 });
  client.heard.length = 0;
  const tps = await write(bed, { rate: 200, seconds });
  await sleep(1000);
  const heard = client.heard.filter((message) => message.event === 'message.new');
  const written = new Map((await rows(bed.db, `SELECT e.id::text, date_part('epoch', e.created_at) * 1000 AS at FROM chat.events e
    WHERE e.id = ANY ($1::bigint[])`, [heard.map(({ id }) => id)])).map(({ id, at }) => [id, at]));
  const delays = heard.map(({ id, at }) => performance.timeOrigin + at - written.get(id)).sort((a, b) => a - b);
  const at = (share) => ms(delays[Math.floor(delays.length * share)]);
  print(`row to supabase-js, ${tps.toFixed(0)} messages/s, p50 / p99 / most`, '(none set)', `${at(0.5)} / ${at(0.99)} / ${ms(delays.at(-1))}`);
}

async function run() {
  const bed = await Bed.create({ settings: { max_wal_size: '4GB' } });
  bed.conversations = [];
  for (let i = 0; i < topics; i++) bed.conversations.push(await bed.conversation(`Contact ${i}`));
  const sidecar = await bed.sidecar();
  await until(async () => (await sidecar.metric('chat_realtime_leader')) === 2, 'the lead');
  await sleep(2000);
  const idle = anonymous(sidecar.child.pid);
  console.log('\nLatency and memory of the sidecar, embedded endpoint, everything on this machine');
  print('memory of its own (anonymous), idle', '4 MiB', `${(idle / 2 ** 20).toFixed(1)} MiB`);
  await toEndpoint(bed, sidecar);
  await toClient(bed, sidecar);
  print('memory of its own (anonymous), after that', '(none set)', `${(anonymous(sidecar.child.pid) / 2 ** 20).toFixed(1)} MiB`);
  await bed.close();
}

try {
  await run();
} finally {
  await finish();
}
