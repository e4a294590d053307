// What saving a message costs, side by side: CPU of the sessions, WAL, and rates of concurrent writers. Sessions are warm: of each
// run a short one is taken away, in which they get to know the tables and make their plans.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { flushTime } from '../lib/preload.mjs';
import { sleep } from '../lib/wait.mjs';
import { paired } from './paired.mjs';
import { bareOf, build } from './variants.mjs';

const exec = promisify(execFile);
const clockTick = 10; // ms, of /proc
const few = 6; // transactions of a session until it is warm: five are planned one by one

/** The transaction of pgbench: a message in one of so many conversations. */
export function script(side, conversations) {
  const statements = side.saving(':c');
  const lines = statements.length > 1 ? ['BEGIN', ...statements, 'COMMIT'] : statements;
  const file = path.join(side.cluster.dir, `${side.database}.sql`);
  writeFileSync(file, `\\set c random(1, ${conversations})\n${lines.join(';\n')};\n`);
  return file;
}

/** CPU milliseconds of the server's ended children: sessions of pgbench that are over. */
async function cpuOf(cluster) {
  await sleep(60); // until the postmaster has seen their end
  const fields = readFileSync(`/proc/${cluster.server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[13]) + Number(fields[14])) * clockTick;
}

const number = ({ cluster, database }, sql) => cluster.psql(`SELECT ${sql}`, { database }).then(Number);
const walPosition = (side) => number(side, `pg_catalog.pg_current_wal_insert_lsn() - '0/0'`);
const lastId = (side) => number(side, 'last_value FROM chat.event_seq');

/** Runs pgbench; limit: its options that say how long. */
export async function pgbench({ cluster, database, file }, clients, limit) {
  const { stdout } = await exec(path.join(cluster.bindir, 'pgbench'),
    ['-n', '-M', 'prepared', '-c', clients, '-j', Math.min(clients, 2), ...limit, '-f', file, database],
    { env: { ...process.env, ...cluster.env() }, maxBuffer: 1 << 28 });
  const [count, rate] = [/^number of transactions actually processed: (\d+)/m, /^tps = ([\d.]+)/m].map((found) => Number(found.exec(stdout)[1]));
  return { count, seconds: count / rate };
}

/** Writers that are warm: microseconds of CPU of a message, and messages/s. */
async function warm(side, clients, limit) {
  const start = await cpuOf(side.cluster);
  const first = await pgbench(side, clients, ['-t', few]);
  const middle = await cpuOf(side.cluster);
  const all = await pgbench(side, clients, limit);
  const cpu = await cpuOf(side.cluster) - middle - (middle - start);
  return { cpu: cpu * 1000 / (all.count - first.count), rate: (all.count - first.count) / (all.seconds - first.seconds) };
}

/** One side in one round: a single writer, then 16. */
async function measureSide(side, transactions) {
  const wal = await walPosition(side);
  const one = await warm(side, 1, ['-t', transactions]);
  const ids = await lastId(side);
  const sixteen = await warm(side, 16, ['-t', Math.ceil(transactions / 5)]);
  return {
    one: one.cpu,
    sixteen: sixteen.cpu,
    rate: sixteen.rate,
    wal: (await walPosition(side) - wal) / (transactions + few + 16 * (Math.ceil(transactions / 5) + few)),
    ids: (await lastId(side) - ids) / 16 / (Math.ceil(transactions / 5) + few),
  };
}

const pad = (text, width) => String(text).padStart(width);
const times = (value) => pad(`${value.toFixed(2)} x`, 8);

/** A figure, over bare; with least also the least one, over the least of bare. */
function cost({ figure, ratio, least }, bare) {
  return `${pad(figure.toFixed(0), 6)}${times(ratio)}${pad(least.toFixed(0), 6)}${times(least / bare.least)}`;
}

function print(title, sides, calm, flushed) {
  console.log(`\n${title}
                              CPU of the sessions, µs a message: median, least          messages/s               WAL  event ids
                                    1 writer                   16 writers           16 writers   32, 1 ms flush     B  a message`);
  let model;
  sides.forEach((side, i) => {
    if (side.model !== model) console.log(`${model = side.model}`);
    const { one, sixteen, rate, wal, ids } = calm[i];
    const bare = calm[sides.indexOf(bareOf(sides, side))];
    const slow = flushed?.[i].rate;
    console.log(`  ${side.name.padEnd(26)}${cost(one, bare.one)}${cost(sixteen, bare.sixteen)}${pad(rate.figure.toFixed(0), 8)}${times(rate.ratio)}`
      + `${slow ? `${pad(slow.figure.toFixed(0), 8)}${times(slow.ratio)}` : ' '.repeat(16)}${pad(wal.figure.toFixed(0), 6)}${pad(ids.figure ? ids.figure.toFixed(3) : '', 9)}`);
  });
}

/**
 * Measures and prints what saving a message costs in so many conversations. flush: also with a flush of 1 ms. minutes: how long it
 * may take, about; then there are fewer rounds.
 */
export async function measure(title, { sides: wanted, settings, conversations, rounds, transactions, flush, minutes = Infinity }) {
  const start = Date.now();
  const after = (share) => start + minutes * 60000 * share;
  const { sides, clusters } = await build(wanted, { fsync: 'off', ...settings }, conversations);
  const options = { baseOf: (side) => bareOf(sides, side) };
  for (const side of sides) {
    side.file = script(side, conversations);
    await pgbench(side, 1, ['-t', 1000]);
  }
  const calm = await paired(sides, rounds, (side) => measureSide(side, transactions), { ...options, end: after(0.65) });
  let flushed;
  if (flush) {
    const environment = Object.entries(await flushTime(1000)).map(([name, value]) => `${name}=${value}`);
    for (const cluster of clusters) {
      cluster.configure({ fsync: 'on' });
      await cluster.stop();
      await cluster.start(['env', ...environment]);
    }
    flushed = await paired(sides, rounds, (side) => warm(side, 32, ['-T', 1]), { ...options, end: after(0.93) });
  }
  print(`${title}; ${[calm, flushed].flatMap((figures) => figures?.[0].rate.rounds ?? []).join(' and ')} rounds`, sides, calm, flushed);
  for (const cluster of clusters) await cluster.remove();
}
