// Strangers by the thousand at an endpoint while somebody works with it: how long the user's joins and messages take alone and beside
// them, and what memory core and endpoint have at most. Memory and what arrives are asserted; times are printed, of the same user in the same run.
// SECONDS=20 a part; ONLY="stalled": parts with that in their name; IDLE=10000 in the part of idle sockets, as descriptors allow
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Bed } from '../lib/bed.mjs';
import { finish } from '../lib/janitor.mjs';
import { strangers } from '../lib/strangers.mjs';
import { memory, ticks } from '../lib/usage.mjs';
import { User, watchMemory } from './user.mjs';

const seconds = Number(process.env.SECONDS ?? 20);
const idle = Number(process.env.IDLE ?? 10_000);
const limits = { core: 128, endpoint: 256 }; // CORE_MEMORY_LIMIT, ENDPOINT_MEMORY_LIMIT
const MiB = 1024 * 1024;

const parts = {
  'idle sockets': { idle: 4200 },
  'sockets that never read, and those that flood their topic': { deaf: 60, flood: 4, reader: 300 },
  'sockets that join without end': { join: 10 },
  'stalled bodies': { stall: 200 },
  'all of them': { idle: 4200, deaf: 60, flood: 4, reader: 300, join: 10, stall: 200 },
};

let passed = 0, failed = 0;
function check(what, holds) {
  if (holds) passed++;
  else failed++;
  console.log(`${holds ? 'ok    ' : 'FAILED'} load       ${what}`);
}

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const order = (times) => [...times].sort((a, b) => a - b);
const ms = (time) => `${time.toFixed(1)} ms`;

/** Prints times, and beside them how many times those of the user alone they are. */
function tell(what, times, alone, goal) {
  const [sorted, before] = [order(times), order(alone)];
  const one = (name, share) => `${name} ${ms(at(sorted, share))} (${(at(sorted, share) / at(before, share)).toFixed(1)} x alone)`;
  console.log(`         ${what}: ${one('p50', 0.5)}, ${one('p99', 0.99)}, at most ${ms(sorted.at(-1))}     goal ${goal}`);
}

/** Memory of each process at most while something is done. */
async function beside(sidecar, run) {
  const pids = { core: sidecar.child.pid, endpoint: sidecar.endpointPid };
  const watch = watchMemory(pids);
  const [begun, used] = [performance.now(), ticks(pids.endpoint)];
  const result = await run();
  const same = sidecar.endpointPid === pids.endpoint;
  return { ...result, most: watch.stop(), same, busy: same ? (ticks(pids.endpoint) - used) * 10 / (performance.now() - begun) : NaN };
}

async function idleSockets(bed) {
  const files = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))[1]);
  const count = Math.min(idle, Math.floor(files * 3 / 4) - 200);
  const sidecar = await bed.sidecar({ WEBHOOKS: 'off' });
  const before = memory(sidecar.endpointPid);
  const crowd = await strangers(sidecar, randomUUID(), { idle: count }, 120_000);
  const each = (memory(sidecar.endpointPid) - before) / count;
  const { idle: { closed, refused } } = await crowd.leave();
  check(`${count} idle sockets: ${(each / 1024).toFixed(1)} KiB each, of 8`, each <= 8 * 1024 && closed === 0 && refused === 0);
  await sidecar.kill('SIGTERM');
}

async function crowds(bed) {
  const sidecar = await bed.sidecar({ EMBEDDED_REFUSAL_DELAY_MS: '5000' });
  const user = await User.come(bed, sidecar);
  const alone = await user.work(seconds);
  check(`the user alone: all of ${alone.sent} messages arrive in order`, alone.complete);
  console.log(`         joins: p50 ${ms(at(order(alone.joins), 0.5))}, p99 ${ms(at(order(alone.joins), 0.99))}; deliveries: p50 ${ms(at(order(alone.deliveries), 0.5))}, p99 ${ms(at(order(alone.deliveries), 0.99))}`);
  for (const [what, kinds] of Object.entries(parts).filter(([name]) => !process.env.ONLY || name.includes(process.env.ONLY))) {
    const seen = await beside(sidecar, async () => {
      const crowd = await strangers(sidecar, randomUUID(), kinds, 120_000);
      const work = await user.work(seconds);
      return { work, became: await crowd.leave() };
    });
    check(`${what}: all of ${seen.work.sent} messages arrive in order, ${seen.work.joins.length} joins succeed, nothing is started again`, seen.work.complete && seen.same);
    for (const [name, most] of Object.entries(seen.most)) check(`${what}: memory of the ${name} ${(most / MiB).toFixed(1)} MiB, of ${limits[name]}`, most <= limits[name] * MiB);
    const lost = ['idle', 'reader'].reduce((sum, kind) => sum + (kinds[kind] ? seen.became[kind].closed : 0), 0);
    check(`${what}: nobody who behaves is closed`, lost === 0);
    for (const kind of Object.keys(kinds)) console.log(`         ${kinds[kind]} ${kind}: ${Object.entries(seen.became[kind]).map(([name, n]) => `${name} ${n}`).join(', ')}`);
    console.log(`         the endpoint's CPU: ${(seen.busy * 100).toFixed(0)} % of a core`);
    tell('joins', seen.work.joins, alone.joins, 'below 250 ms');
    tell('deliveries', seen.work.deliveries, alone.deliveries, 'p99 below 20 ms');
  }
  await user.go();
  await sidecar.kill('SIGTERM');
}

try {
  const bed = await Bed.create();
  await idleSockets(bed);
  await crowds(bed);
  await bed.close();
} finally {
  await finish();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
