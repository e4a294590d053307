// What saving a message costs in instructions of the server process, counted by valgrind: the same on a busy
// machine and on a quiet one. Two runs of different length are subtracted, so that start and end do not count.
import { execFile } from 'node:child_process';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { finish } from '../lib/janitor.mjs';
import { serverUser } from '../lib/workspace.mjs';
import { bareOf, build, side, sides, values } from './variants.mjs';

const exec = promisify(execFile);
const messages = Number(process.env.MESSAGES ?? 200);
const only = process.env.ONLY && ['bare', ...process.env.ONLY.split(',')]; // variants
const active = 20; // conversations that the messages come in: each has had some before
const copied = Number(process.env.COPIED ?? 2000);

/** Messages one by one, each in its transaction. */
function saves(one, n) {
  const statements = one.saving('$1');
  const lines = statements.map((text, i) => `PREPARE save_${i} (bigint) AS ${text}`);
  for (let i = 0; i < n; i++) {
    const calls = statements.map((_, at) => `EXECUTE save_${at} (${1 + i % active})`);
    lines.push(...(calls.length > 1 ? ['BEGIN', ...calls, 'COMMIT'] : calls));
  }
  return lines;
}

/** Messages by one COPY, into 100 conversations. */
function copies(one, n) {
  const file = path.join(one.cluster.dir, 'messages.copy');
  writeFileSync(file, Array.from({ length: n }, (_, i) => `${[one.key(1 + i % 100), ...values].join('\t')}\n`).join(''), { mode: 0o644 });
  return [one.copy(file)];
}

/** A single-user server executes the statements; what it prints. under: a program that it runs under. */
async function execute({ cluster, database }, statements, under = '') {
  const input = path.join(folder(cluster), 'input.sql');
  writeFileSync(input, `${statements.map((text) => text.replaceAll('\n', ' ')).join('\n')}\n`, { mode: 0o644 });
  const command = `${under} ${path.join(cluster.bindir, 'postgres')} --single -D ${cluster.data} -c fsync=off -c autovacuum=off ${database} < ${input}`;
  const { stderr } = await exec('sh', ['-c', command], { ...serverUser(), cwd: '/', maxBuffer: 1 << 28, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' } });
  return stderr;
}

/** Where valgrind writes. */
function folder(cluster) {
  const dir = path.join(cluster.dir, 'callgrind');
  const { uid, gid } = serverUser();
  mkdirSync(dir, { recursive: true });
  if (uid !== undefined) chownSync(dir, uid, gid);
  return dir;
}

/** Its instructions. */
async function count(one, name, statements) {
  const out = path.join(folder(one.cluster), `${one.database}.${name}`);
  const stderr = await execute(one, statements, `valgrind --tool=callgrind --callgrind-out-file=${out}`);
  const match = /Collected : (\d+)/.exec(stderr);
  if (!match) throw new Error(`valgrind counted nothing:\n${stderr.slice(-2000)}`);
  return Number(match[1]);
}

/** Thousands of instructions of one more message, by so many messages beyond a first few. */
async function each(one, n, statements) {
  await execute(one, statements(one, 20)); // pages that are not there yet
  const first = await count(one, `${n}.first`, statements(one, 50));
  return (await count(one, n, statements(one, n + 50)) - first) / n / 1000;
}

/** A figure, and over the one of the bare side. */
function print(all, one, what) {
  if (one[what] === undefined) return '';
  const thousands = one[what];
  return `${thousands.toFixed(thousands < 100 ? 1 : 0).padStart(8)}${(thousands / bareOf(all, one)[what]).toFixed(2).padStart(7)} x`;
}

try {
  const wanted = [...sides, side('without conversation event')].filter(({ variant }) => !only || only.includes(variant));
  const { sides: all, clusters } = await build(wanted);
  for (const cluster of clusters) await cluster.stop();
  console.log(`\nThousands of instructions of the server process, over bare\n${' '.repeat(32)}a message   a row of COPY (${copied} rows)`);
  let model;
  for (const one of all) {
    one.message = await each(one, messages, saves);
    if (one.copies) one.row = await each(one, copied, copies);
    if (one.model !== model) console.log(model = one.model);
    console.log(`  ${one.name.padEnd(26)}${print(all, one, 'message')}${print(all, one, 'row')}`);
  }
  for (const cluster of process.env.KEEP ? clusters : []) await exec('cp', ['-r', path.join(cluster.dir, 'callgrind'), process.env.KEEP]);
} finally {
  await finish();
}
