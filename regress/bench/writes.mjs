// What saving a message costs: the bare INSERT, PL/pgSQL triggers, and chat_realtime, in the same tables with the
// same indexes, side by side. CPU is that of all server processes; the runs alternate and each side's best counts.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { build, conversations, variants } from './variants.mjs';

const exec = promisify(execFile);
const rounds = Number(process.env.ROUNDS ?? 5);
const transactions = Number(process.env.TRANSACTIONS ?? 6000);

const script = `\\set c random(1, ${conversations})
INSERT INTO public.chat_messages (conversation_id, message_id, direction, content, status)
VALUES (:c, '3EB0A1B2C3D4E5F60718', 'incoming', 'Olá, tudo bem? Queria saber do meu pedido 12345.', 'delivered');
`;

/** CPU milliseconds of the server's ended children: sessions of pgbench that are over. */
function cpuOf(postmaster) {
  const fields = readFileSync(`/proc/${postmaster}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

async function pgbench(cluster, variant, file, clients, count) {
  const { stdout } = await exec(path.join(cluster.bindir, 'pgbench'),
    ['-n', '-M', 'prepared', '-c', clients, '-j', clients > 1 ? 2 : 1, '-t', Math.ceil(count / clients), '-f', file, variant.database],
    { env: { ...process.env, ...cluster.env() } });
  return Number(/^tps = ([\d.]+)/m.exec(stdout)[1]);
}

async function measure(title, settings) {
  const cluster = await Cluster.create({ autovacuum: 'off', max_wal_size: '8GB', ...settings });
  const file = path.join(cluster.dir, 'insert.sql');
  writeFileSync(file, script);
  const sides = [];
  for (const [name, sql] of Object.entries(variants)) sides.push({ ...await build(cluster, name, sql), cpu: Infinity, tps: 0, tps16: 0 });
  await cluster.psql('CHECKPOINT');
  for (const side of sides) await pgbench(cluster, side, file, 1, 1000);
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) {
      const before = cpuOf(cluster.server.pid);
      side.tps = Math.max(side.tps, await pgbench(cluster, side, file, 1, transactions));
      await new Promise((resolve) => setTimeout(resolve, 150));
      side.cpu = Math.min(side.cpu, (cpuOf(cluster.server.pid) - before) * 1000 / transactions);
      side.tps16 = Math.max(side.tps16, await pgbench(cluster, side, file, 16, transactions * 2));
    }
  }
  const [bare] = sides;
  console.log(`\n${title}`);
  console.log('                       CPU/message   over bare   1 writer/s   16 writers/s   over bare');
  for (const side of sides) {
    console.log(`  ${side.name.padEnd(20)} ${side.cpu.toFixed(0).padStart(8)} µs ${(side.cpu / bare.cpu).toFixed(2).padStart(9)} x `
      + `${side.tps.toFixed(0).padStart(11)} ${side.tps16.toFixed(0).padStart(14)} ${(side.tps16 / bare.tps16).toFixed(2).padStart(9)} x`);
  }
  await cluster.remove();
}

try {
  await measure('Saving a message, default settings', {});
  await measure('Saving a message, 1 ms disk flush (simulated)', { commit_delay: 1000, commit_siblings: 0 });
} finally {
  await finish?.();
}
