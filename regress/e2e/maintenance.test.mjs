// What an administrator does beside writers: VACUUM, ANALYZE, REINDEX and CREATE INDEX CONCURRENTLY, DDL. No backend ends,
// no statement of a writer fails, the counters are right, and every row has its entry in every index.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { connect, rows, value } from '../lib/db.mjs';
import { Load } from '../lib/load.mjs';
import { until } from '../lib/wait.mjs';

const pair = ['public.conversations', 'public.chat_messages'];
let bed, conversations;

before(async () => {
  bed = await Bed.create({ settings: { autovacuum: 'off' } });
  await bed.db.query('CREATE EXTENSION amcheck');
  conversations = [];
  for (let i = 0; i < 20; i++) conversations.push(await bed.conversation(`Contact ${i}`));
});

after(() => bed.close());

/** Runs the statements over and over until the writers have written so many messages meanwhile. */
async function beside(statements, { messages = 3000, rounds = 10, admins = 1 } = {}) {
  const load = new Load(bed.cluster, conversations, { writers: 4 });
  const work = async () => {
    const admin = await connect(bed.cluster);
    try {
      for (let round = 0; round < rounds || load.written < messages; round++) {
        for (const sql of statements) await admin.query(sql);
      }
    } finally {
      await admin.end().catch(() => {});
    }
  };
  const done = await Promise.allSettled(Array.from({ length: admins }, work));
  await load.stop();
  for (const { reason } of done) if (reason) throw reason;
  assert.doesNotMatch(readFileSync(bed.cluster.log, 'utf8'), /was terminated by signal|TRAP:/);
  assert.equal(load.failed, 0, 'a writer failed');
}

async function judge() {
  assert.deepEqual(await rows(bed.db, 'SELECT d.* FROM chat.attachment a, chat.drifted(a) d'), []);
  // Every row version in every index, unique ones without duplicates.
  await rows(bed.db, `SELECT bt_index_parent_check(i.indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
    WHERE a.amname = 'btree' AND i.indisvalid AND (i.indrelid = ANY ($1::regclass[]) OR i.indrelid IN (SELECT relation FROM chat.event_partitions()))`, [pair]);
}

test('VACUUM and ANALYZE', async () => {
  await beside(['ANALYZE public.conversations', ...pair.map((table) => `VACUUM (ANALYZE) ${table}`)], { messages: 8000, admins: 3 });
  await judge();
});

test('REINDEX CONCURRENTLY', async () => {
  await beside([...pair, 'chat.event_0'].map((table) => `REINDEX TABLE CONCURRENTLY ${table}`));
  await judge();
});

test('CREATE INDEX and DROP INDEX CONCURRENTLY', async () => {
  await bed.db.query('DROP INDEX IF EXISTS beside_updated, beside_preview');
  await beside(['CREATE INDEX CONCURRENTLY beside_updated ON public.conversations (updated_at)', 'SELECT bt_index_check(\'beside_updated\', true)',
    'DROP INDEX CONCURRENTLY public.beside_updated', 'CREATE INDEX CONCURRENTLY beside_preview ON public.conversations (last_message_preview) WHERE unread_count > 0',
    'SELECT bt_index_check(\'beside_preview\', true)', 'DROP INDEX CONCURRENTLY public.beside_preview'], { rounds: 25 });
  await judge();
});

/** Waits until an index that is being made is so far. */
const phase = (name) => until(async () => await value(bed.db, 'SELECT phase FROM pg_stat_progress_create_index') === name, name);

test('an index that becomes ready gets the entries of every session from then on', async () => {
  const [earlier, reader, admin, writer] = await Promise.all(Array.from({ length: 4 }, () => bed.connect()));
  const write = () => writer.query(`INSERT INTO public.chat_messages (conversation_id, content, direction) SELECT c, 'x', 'incoming' FROM unnest($1::bigint[]) c`, [conversations]);
  await write();
  await earlier.query('BEGIN; LOCK TABLE public.conversations IN ROW EXCLUSIVE MODE');
  const made = admin.query('CREATE INDEX CONCURRENTLY beside_ready ON public.conversations (updated_at)');
  await phase('waiting for writers before build');
  await write(); // this session knows the index now, as one that is not ready
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
  await earlier.query('COMMIT');
  await phase('waiting for old snapshots'); // ready, and looked through: what is written now is on the writer
  await write();
  await reader.query('COMMIT');
  await made;
  await judge();
});

test('columns, triggers, constraints and options that come and go', async () => {
  await bed.db.query('CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS \'BEGIN RETURN NEW; END\'');
  await beside(['ALTER TABLE public.conversations ADD COLUMN beside text', 'ALTER TABLE public.chat_messages ADD COLUMN beside jsonb',
    'CREATE TRIGGER beside BEFORE UPDATE ON public.conversations FOR EACH ROW EXECUTE FUNCTION public.nothing()',
    'ALTER TABLE public.conversations ADD CONSTRAINT beside CHECK (unread_count >= 0)',
    'ALTER TABLE public.conversations SET (fillfactor = 80)', 'DROP TRIGGER beside ON public.conversations',
    'ALTER TABLE public.conversations DROP CONSTRAINT beside', 'ALTER TABLE public.conversations RESET (fillfactor)',
    'ALTER TABLE public.conversations DROP COLUMN beside', 'ALTER TABLE public.chat_messages DROP COLUMN beside'], { rounds: 30 });
  await judge();
});
