// The bare INSERT, PL/pgSQL triggers, and chat_realtime, in the same tables with the same indexes, side by side. CPU is that of the sessions, WAL what all of it writes.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../lib/cluster.mjs';
import { paired } from './paired.mjs';
import { build, variants } from './variants.mjs';

const exec = promisify(execFile);
const clockTick = 10; // ms, of /proc

/** The transaction of pgbench: a message in one of so many conversations. */
export const script = (conversations) => `\\set c random(1, ${conversations})
INSERT INTO public.chat_messages (conversation_id, message_id, direction, content, status)
VALUES (:c, '3EB0A1B2C3D4E5F60718', 'incoming', 'Olá, tudo bem? Queria saber do meu pedido 12345.', 'delivered');
`;

/** CPU milliseconds of the server's ended children: sessions of pgbench that are over. */
function cpuOf(postmaster) {
  const fields = readFileSync(`/proc/${postmaster}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[13]) + Number(fields[14])) * clockTick;
}

async function walPosition(cluster) {
  return Number(await cluster.psql("SELECT pg_catalog.pg_current_wal_insert_lsn() - '0/0'"));
}

async function pgbench(cluster, side, file, clients, count) {
  const { stdout } = await exec(path.join(cluster.bindir, 'pgbench'),
    ['-n', '-M', 'prepared', '-c', clients, '-j', clients > 1 ? 2 : 1, '-t', Math.ceil(count / clients), '-f', file, side.database],
    { env: { ...process.env, ...cluster.env() } });
  return Number(/^tps = ([\d.]+)/m.exec(stdout)[1]);
}

/** One side in one round: a single writer, whose CPU and WAL count, then 16. */
async function measureSide(cluster, side, file, transactions) {
  const wal = await walPosition(cluster);
  await new Promise((resolve) => setTimeout(resolve, 150));
  const cpu = cpuOf(cluster.server.pid);
  const one = await pgbench(cluster, side, file, 1, transactions);
  await new Promise((resolve) => setTimeout(resolve, 150));
  return {
    cpu: (cpuOf(cluster.server.pid) - cpu) * 1000 / transactions,
    wal: (await walPosition(cluster) - wal) / transactions,
    one,
    sixteen: await pgbench(cluster, side, file, 16, transactions * 2),
  };
}

/** Measures and prints what saving a message costs in so many conversations. names: of the variants. */
export async function measure(title, { settings, conversations, names = Object.keys(variants), rounds, transactions }) {
  const cluster = await Cluster.create({ autovacuum: 'off', max_wal_size: '8GB', checkpoint_timeout: '1h', ...settings });
  const file = path.join(cluster.dir, 'insert.sql');
  writeFileSync(file, script(conversations));
  const sides = [];
  for (const name of names) sides.push(await build(cluster, name, conversations));
  await cluster.psql('CHECKPOINT');
  for (const side of sides) await pgbench(cluster, side, file, 1, 1000);
  const figures = await paired(sides, rounds, (side) => measureSide(cluster, side, file, transactions));
  const times = (value) => `${value.toFixed(2)} x`.padStart(9);
  console.log(`\n${title}; medians of ${rounds} rounds`);
  console.log('                       CPU/message   over bare   WAL/message   1 writer/s   16 writers/s   over bare');
  figures.forEach(({ cpu, wal, one, sixteen }, i) => {
    console.log(`  ${sides[i].name.padEnd(20)} ${cpu.figure.toFixed(0).padStart(8)} µs ${times(cpu.ratio)} ${wal.figure.toFixed(0).padStart(11)} B `
      + `${one.figure.toFixed(0).padStart(12)} ${sixteen.figure.toFixed(0).padStart(14)} ${times(sixteen.ratio)}`);
  });
  await cluster.remove();
}
