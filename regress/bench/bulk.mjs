// Many messages at once, and many writers of one conversation: the bare tables beside chat_realtime, in turns; each
// side's best counts.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { finish } from '../lib/janitor.mjs';
import { pgbench, script } from './saves.mjs';
import { build, side, values } from './variants.mjs';

const rounds = Number(process.env.ROUNDS ?? 3);
const copied = 100000;

async function copy({ cluster, database, ...side }, file) {
  const run = (sql) => cluster.psql(sql, { database });
  await run(`TRUNCATE public.chat_messages`);
  await run('CHECKPOINT');
  const start = process.hrtime.bigint();
  await run(side.copy(file));
  return Number(process.hrtime.bigint() - start) / 1e6;
}

async function rate(side) {
  const { count, seconds } = await pgbench({ ...side, file: script(side, 1) }, 16, ['-T', 4]);
  return count / seconds;
}

try {
  const { sides: [bare, update, ours] } = await build(['bare', 'INSERT + UPDATE', 'chat_realtime'].map((name) => side(name)));
  const file = path.join(bare.cluster.dir, 'messages.copy');
  writeFileSync(file, Array.from({ length: copied }, (_, i) => `${[1 + i % 100, ...values].join('\t')}\n`).join(''), { mode: 0o644 });
  const best = { bare: Infinity, ours: Infinity, update: 0, hot: 0 };
  for (let round = 0; round < rounds; round++) {
    best.bare = Math.min(best.bare, await copy(bare, file));
    best.ours = Math.min(best.ours, await copy(ours, file));
  }
  console.log(`\nCOPY of ${copied} messages into 100 conversations, foreign key in place (goal: 1.6 x)`);
  console.log(`  bare ${best.bare.toFixed(0)} ms, chat_realtime ${best.ours.toFixed(0)} ms: ${(best.ours / best.bare).toFixed(2)} x`);
  for (let round = 0; round < rounds; round++) {
    best.update = Math.max(best.update, await rate(update));
    best.hot = Math.max(best.hot, await rate(ours));
  }
  console.log('\nOne conversation written by 16 sessions: INSERT and UPDATE of the counters in one transaction, beside an INSERT');
  console.log(`  plain ${best.update.toFixed(0)}/s, chat_realtime ${best.hot.toFixed(0)}/s: ${(best.hot / best.update).toFixed(2)} x`);
} finally {
  await finish();
}
