// What saving a message costs in instructions of the server process, counted by valgrind: the same on a busy
// machine and on a quiet one. Two runs of different length are subtracted, so that start and end do not count.
import { execFile } from 'node:child_process';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { serverUser } from '../lib/workspace.mjs';
import { build, parts } from './variants.mjs';

const exec = promisify(execFile);
const messages = Number(process.env.MESSAGES ?? 200);
const only = process.env.ONLY && ['bare', ...process.env.ONLY.split(',')]; // variants
const active = 20; // conversations that the messages come in: each has had some before
const copied = Number(process.env.COPIED ?? 2000);
const values = ['3EB0A1B2C3D4E5F60718', 'incoming', 'Olá, tudo bem? Queria saber do meu pedido 12345.', 'delivered'];
const columns = 'conversation_id, message_id, direction, content, status';

/** Messages one by one, each in its transaction. */
function saves(n) {
  const lines = [`PREPARE save (bigint) AS INSERT INTO public.chat_messages (${columns}) VALUES ($1, ${values.map((value) => `'${value}'`).join(', ')})`];
  for (let i = 0; i < n; i++) lines.push(`EXECUTE save (${1 + i % active})`);
  return lines;
}

/** Messages by one COPY, into 100 conversations. */
function copies(cluster, n) {
  const file = path.join(cluster.dir, 'messages.copy');
  writeFileSync(file, Array.from({ length: n }, (_, i) => `${[1 + i % 100, ...values].join('\t')}\n`).join(''), { mode: 0o644 });
  return [`COPY public.chat_messages (${columns}) FROM '${file}'`];
}

/** Instructions of a single-user server that executes the statements. */
async function count(cluster, side, name, statements) {
  const dir = path.join(cluster.dir, 'callgrind');
  const { uid, gid } = serverUser();
  mkdirSync(dir, { recursive: true });
  if (uid !== undefined) chownSync(dir, uid, gid);
  const input = path.join(dir, 'input.sql');
  writeFileSync(input, `${statements.join('\n')}\n`, { mode: 0o644 });
  const out = path.join(dir, `${side.database}.${name}`);
  const command = `valgrind --tool=callgrind --callgrind-out-file=${out} ${path.join(cluster.bindir, 'postgres')} --single -D ${cluster.data} `
    + `-c fsync=off -c autovacuum=off ${side.database} < ${input}`;
  const { stderr } = await exec('sh', ['-c', command], { ...serverUser(), cwd: '/', maxBuffer: 1 << 28, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' } });
  const match = /Collected : (\d+)/.exec(stderr);
  if (!match) throw new Error(`valgrind counted nothing:\n${stderr.slice(-2000)}`);
  return Number(match[1]);
}

/** Thousands of instructions of one more message in each side, by so many messages beyond a first few. */
async function compare(cluster, sides, title, n, statements) {
  let bare;
  console.log(`\n${title}, instructions of the server process\n                          thousands   over bare`);
  for (const side of sides) {
    await count(cluster, side, 'warm', statements(20));
    const first = await count(cluster, side, `${n}.first`, statements(50));
    const thousands = (await count(cluster, side, n, statements(n + 50)) - first) / n / 1000;
    bare ??= thousands;
    console.log(`  ${side.name.padEnd(27)} ${thousands.toFixed(thousands < 1000 ? 1 : 0).padStart(7)} ${(thousands / bare).toFixed(2).padStart(9)} x`);
  }
}

try {
  const cluster = await Cluster.create({ autovacuum: 'off' });
  const sides = [];
  for (const name of Object.keys(parts)) {
    if (!only || only.includes(name)) sides.push(await build(cluster, name));
  }
  await cluster.psql('CHECKPOINT');
  await cluster.stop();
  await compare(cluster, sides, 'Saving a message', messages, saves);
  await compare(cluster, sides, `COPY of ${copied} messages, each`, copied, (n) => copies(cluster, n));
  if (process.env.KEEP) await exec('cp', ['-r', path.join(cluster.dir, 'callgrind'), process.env.KEEP]);
} finally {
  await finish();
}
