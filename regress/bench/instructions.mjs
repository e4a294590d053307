// What saving a message costs in instructions of the server process, counted by valgrind: the same on a busy
// machine and on a quiet one. Two runs of different length are subtracted, so that start and end do not count.
import { execFile } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { serverUser } from '../lib/workspace.mjs';
import { build, variants } from './variants.mjs';

const exec = promisify(execFile);
const messages = Number(process.env.MESSAGES ?? 200);

const statement = `INSERT INTO public.chat_messages (conversation_id, message_id, direction, content, status)
VALUES ($1, '3EB0A1B2C3D4E5F60718', 'incoming', 'Olá, tudo bem? Queria saber do meu pedido 12345.', 'delivered')`;

/** Instructions of a single-user server that saves so many messages, each in its transaction. */
async function count(cluster, side, n) {
  const lines = [`PREPARE save (bigint) AS ${statement.replaceAll('\n', ' ')}`];
  for (let i = 0; i < n; i++) lines.push(`EXECUTE save (${1 + (i * 37) % 1000})`);
  const dir = path.join(cluster.dir, 'callgrind');
  const { uid, gid } = serverUser();
  mkdirSync(dir, { recursive: true });
  if (uid !== undefined) chownSync(dir, uid, gid);
  const input = path.join(dir, 'input.sql');
  writeFileSync(input, `${lines.join('\n')}\n`);
  chmodSync(input, 0o644);
  const out = path.join(dir, `${side.database}.${n}`);
  const command = `valgrind --tool=callgrind --callgrind-out-file=${out} ${path.join(cluster.bindir, 'postgres')} --single -D ${cluster.data} `
    + `-c fsync=off -c autovacuum=off ${side.database} < ${input}`;
  const { stderr } = await exec('sh', ['-c', command], { ...serverUser(), cwd: '/', maxBuffer: 1 << 28, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' } });
  const match = /Collected : (\d+)/.exec(stderr);
  if (!match) throw new Error(`valgrind counted nothing:\n${stderr.slice(-2000)}`);
  return Number(match[1]);
}

try {
  const cluster = await Cluster.create({ autovacuum: 'off' });
  const sides = [];
  for (const [name, sql] of Object.entries(variants)) {
    if (!process.env.ONLY || name === 'bare' || name === process.env.ONLY) sides.push(await build(cluster, name, sql));
  }
  await cluster.psql('CHECKPOINT');
  await cluster.stop();
  let bare;
  console.log('\nSaving a message, instructions of the server process\n                          thousands   over bare');
  for (const side of sides) {
    await count(cluster, side, 20);
    const thousands = (await count(cluster, side, messages + 50) - await count(cluster, side, 50)) / messages / 1000;
    bare ??= thousands;
    console.log(`  ${side.name.padEnd(20)} ${thousands.toFixed(0).padStart(14)} ${(thousands / bare).toFixed(2).padStart(9)} x`);
  }
  if (process.env.KEEP) await exec('cp', ['-r', path.join(cluster.dir, 'callgrind'), process.env.KEEP]);
} finally {
  await finish();
}
