// What the versions of conversations leave behind: size of the table and of its indexes after many messages without vacuum, and
// which share of the new versions was heap-only.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { script } from './saves.mjs';
import { build, conversations } from './variants.mjs';

const exec = promisify(execFile);
const messages = Number(process.env.MESSAGES ?? 500000);
const clients = Number(process.env.CLIENTS ?? 8);

const figures = `SELECT format('%s %s %s', pg_catalog.pg_table_size(relid), pg_catalog.pg_indexes_size(relid),
  (100.0 * n_tup_hot_upd / GREATEST(n_tup_upd, 1))::numeric(5, 1)) FROM pg_catalog.pg_stat_user_tables WHERE relname = 'conversations'`;

try {
  const cluster = await Cluster.create({ autovacuum: 'off', max_wal_size: '8GB', checkpoint_timeout: '1h' });
  const file = path.join(cluster.dir, 'insert.sql');
  writeFileSync(file, script(conversations));
  console.log(`\nConversations after ${messages.toLocaleString('en')} messages in ${conversations.toLocaleString('en')} of them, no vacuum`);
  console.log('                           table     indexes   heap-only');
  for (const name of ['plpgsql + outbox', 'chat_realtime']) {
    const { database } = await build(cluster, name);
    await exec(path.join(cluster.bindir, 'pgbench'),
      ['-n', '-M', 'prepared', '-c', clients, '-j', 2, '-t', Math.ceil(messages / clients), '-f', file, database],
      { env: { ...process.env, ...cluster.env() }, maxBuffer: 1 << 28 });
    const [table, indexes, heapOnly] = (await cluster.psql(figures, { database })).trim().split(' ');
    const size = (bytes) => `${(bytes / 1048576).toFixed(1)} MB`.padStart(12);
    console.log(`  ${name.padEnd(20)} ${size(table)}${size(indexes)} ${`${heapOnly} %`.padStart(11)}`);
  }
} finally {
  await finish();
}
