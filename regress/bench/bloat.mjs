// What the versions of conversations leave behind: size of the table and of its indexes after many messages without vacuum, and
// which share of the new versions was heap-only.
import { finish } from '../lib/janitor.mjs';
import { pgbench, script } from './saves.mjs';
import { build, conversations, models, side, sides } from './variants.mjs';

const messages = Number(process.env.MESSAGES ?? 500000);
const clients = Number(process.env.CLIENTS ?? 8);

const figures = (table) => `SELECT pg_catalog.pg_table_size(relid), pg_catalog.pg_indexes_size(relid),
  (100.0 * n_tup_hot_upd / GREATEST(n_tup_upd, 1))::numeric(5, 1) FROM pg_catalog.pg_stat_user_tables WHERE relid = '${table}'::regclass`;

const wanted = [side('INSERT + UPDATE'), side('  and an index to list by'), side('plpgsql + outbox'), ...sides.filter(({ variant }) => variant === 'chat_realtime')];

try {
  const { sides: all } = await build(wanted, { fsync: 'off' });
  console.log(`\nConversations after ${messages.toLocaleString('en')} messages in ${conversations.toLocaleString('en')} of them, no vacuum`);
  console.log('                                 table     indexes   heap-only');
  let model;
  for (const one of all) {
    one.file = script(one, conversations);
    await pgbench(one, clients, ['-t', Math.ceil(messages / clients)]);
    const [table, indexes, heapOnly] = (await one.cluster.psql(figures(models[one.model].conversations), { database: one.database })).split('|');
    const size = (bytes) => `${(bytes / 1048576).toFixed(1)} MB`.padStart(12);
    if (one.model !== model) console.log(model = one.model);
    console.log(`  ${one.name.padEnd(26)} ${size(table)}${size(indexes)} ${`${heapOnly} %`.padStart(11)}`);
  }
} finally {
  await finish();
}
