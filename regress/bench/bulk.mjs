// Many messages at once, and many writers of one conversation: the bare tables beside chat_realtime, in turns; each
// side's best counts.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { build } from './variants.mjs';

const exec = promisify(execFile);
const rounds = Number(process.env.ROUNDS ?? 3);
const copied = 100000;
const content = 'Olá, tudo bem? Queria saber do meu pedido 12345.';

const insert = `INSERT INTO public.chat_messages (conversation_id, message_id, direction, content, status)
VALUES (:c, '3EB0A1B2C3D4E5F60718', 'incoming', '${content}', 'delivered')`;
const one = `\\set c 1\n${insert};\n`;
// What a backend without triggers does in one transaction.
const plainUpdate = `\\set c 1\nBEGIN;\n${insert};\nUPDATE public.conversations SET unread_count = unread_count + 1, last_message_at = now(),
    last_message_preview = '${content}', updated_at = now() WHERE id = :c;\nEND;\n`;

async function copy(cluster, side, file) {
  const run = (sql) => cluster.psql(sql, { database: side.database });
  await run(`TRUNCATE public.chat_messages`);
  await run('CHECKPOINT');
  const start = process.hrtime.bigint();
  await run(`COPY public.chat_messages (conversation_id, message_id, direction, content, status) FROM '${file}'`);
  return Number(process.hrtime.bigint() - start) / 1e6;
}

async function pgbench(cluster, database, file, seconds) {
  const { stdout } = await exec(path.join(cluster.bindir, 'pgbench'),
    ['-n', '-M', 'prepared', '-c', 16, '-j', 2, '-T', seconds, '-f', file, database], { env: { ...process.env, ...cluster.env() } });
  return Number(/^tps = ([\d.]+)/m.exec(stdout)[1]);
}

function script(cluster, name, text) {
  const file = path.join(cluster.dir, name);
  writeFileSync(file, text, { mode: 0o644 });
  return file;
}

try {
  const cluster = await Cluster.create({ autovacuum: 'off', max_wal_size: '8GB' });
  const bare = await build(cluster, 'bare');
  const ours = await build(cluster, 'chat_realtime');
  const rows = Array.from({ length: copied }, (_, i) => `${1 + i % 100}\t3EB0A1B2C3D4E5F60718\tincoming\t${content}\tdelivered\n`);
  const file = script(cluster, 'messages.copy', rows.join(''));
  const best = { bare: Infinity, ours: Infinity, update: 0, hot: 0 };
  for (let round = 0; round < rounds; round++) {
    best.bare = Math.min(best.bare, await copy(cluster, bare, file));
    best.ours = Math.min(best.ours, await copy(cluster, ours, file));
  }
  console.log(`\nCOPY of ${copied} messages into 100 conversations, foreign key in place (goal: 1.6 x)`);
  console.log(`  bare ${best.bare.toFixed(0)} ms, chat_realtime ${best.ours.toFixed(0)} ms: ${(best.ours / best.bare).toFixed(2)} x`);
  for (let round = 0; round < rounds; round++) {
    best.update = Math.max(best.update, await pgbench(cluster, bare.database, script(cluster, 'update.sql', plainUpdate), 4));
    best.hot = Math.max(best.hot, await pgbench(cluster, ours.database, script(cluster, 'one.sql', one), 4));
  }
  console.log('\nOne conversation written by 16 sessions: INSERT and UPDATE of the counters in one transaction, beside an INSERT');
  console.log(`  plain ${best.update.toFixed(0)}/s, chat_realtime ${best.hot.toFixed(0)}/s: ${(best.hot / best.update).toFixed(2)} x`);
} finally {
  await finish();
}
