// What reading costs where there is much: lists, catching up, and the sidecar's reader beside 1,000,000 conversations and
// 10,000,000 rows of the log. All is in memory after a first call; rows and pages that are read do not depend on the machine.
import { Cluster } from '../lib/cluster.mjs';
import { connect, rows, value } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { median } from './paired.mjs';

const conversations = Number(process.env.CONVERSATIONS ?? 1_000_000);
const log = Number(process.env.LOG ?? 10_000_000);
const rounds = Number(process.env.ROUNDS ?? 9);
const long = 10_000; // messages of the first conversation
const large = '00000000-0000-4000-8000-000000000000'; // owns a tenth of all conversations
const small = '00000000-0000-4000-8000-000000000001'; // owns 900
const perTransaction = 100; // rows of the log

const owner = `CASE WHEN g % 10 = 0 THEN '${large}' WHEN g < 1001 THEN '${small}'
  ELSE '00000000-0000-4000-8000-' || lpad((2 + g % 9000)::text, 12, '0') END`;
const numbers = (count) => `generate_series(1, ${count}) g`;

/** As if written long ago: without triggers. */
async function fillTables(db) {
  await db.query(`SET session_replication_role = replica;
    INSERT INTO public.conversations (user_id, contact_jid, contact_name, status, unread_count, last_message_at, last_message_preview, chat_list_key)
      SELECT (${owner})::uuid, g || '@s.whatsapp.net', 'Contact ' || g, (ARRAY['open', 'pending', 'resolved', 'snoozed'])[1 + g / 10 % 4],
             (g % 7 = 0)::int, t.at, 'message ' || g, chat.list_key(t.at)
        FROM ${numbers(conversations)}, LATERAL (SELECT '2026-01-01'::timestamptz + g::bigint * 7919 % ${conversations} * interval '1 s' AS at) t;
    INSERT INTO public.chat_messages (conversation_id, message_id, direction, content, status, created_at)
      SELECT CASE WHEN g <= ${long} THEN 1 ELSE g END, 'M' || g, 'incoming', 'message ' || g, 'read', '2026-01-01'::timestamptz + g * interval '1 s'
        FROM ${numbers(conversations)};
    RESET session_replication_role`);
  await db.query('VACUUM ANALYZE public.conversations, public.chat_messages');
}

/** Transaction ids that are over, for the rows of the log; the first of them. */
async function burnTransactions(db) {
  const first = await value(db, 'SELECT pg_current_xact_id()::text');
  await db.query(`DO $$ BEGIN FOR i IN 1 .. ${log / perTransaction} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`);
  return Number(first);
}

/** Messages' rows with what rides on them, in the order of their ids; indexes are made after them. Unlogged: it is read, no more. */
async function fillLog(db) {
  const first = await burnTransactions(db);
  const indexes = await rows(db, `SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS definition
    FROM pg_index WHERE indrelid = 'chat.event_0'::regclass AND NOT indisprimary`);
  await db.query('ALTER TABLE chat.event_0 SET UNLOGGED');
  for (const { name } of indexes) await db.query(`DROP INDEX ${name}`);
  await db.query(`INSERT INTO chat.event_0 (id, xid, snapshot_xmin, next_xid, created_at, owner, conversation, topic, event, webhook, payload, inbox, conversation_payload)
    SELECT 2 * n, x.xid::text::xid8, x.xid::text::xid8, (x.xid + 1)::text::xid8, now() - (${log} - n) * interval '5 ms', o.owner, g::text, 'conversation:' || g, 'message.new', 'message.received',
           '{"id":' || n || ',"conversationId":' || g || ',"content":"Olá, tudo bem? Queria saber do meu pedido ' || n || '.","direction":"incoming","status":"delivered","messageType":"text","metadata":{},"createdAt":"2026-01-01T00:00:00.000Z"}',
           'user:' || o.owner || ':inbox',
           '{"id":' || g || ',"contactJid":"' || g || '@s.whatsapp.net","status":"open","lastMessageAt":"2026-01-01T00:00:00.000Z","unreadCount":1}'
      FROM generate_series(1, ${log}) n, LATERAL (SELECT 1 + n::bigint * 7919 % ${conversations} AS g, ${first} + n / ${perTransaction} AS xid) x, LATERAL (SELECT ${owner} AS owner) o`);
  for (const { definition } of indexes) await db.query(definition);
  await db.query(`SELECT setval('chat.event_seq', ${2 * log + 2})`);
  await db.query('VACUUM ANALYZE chat.event_0');
  return first;
}

const read = (id, snapshot, flags = 0) => `sum(length(piece)) FROM chat.read_log(${id}, '${snapshot}', NULL, NULL, 500, 1000000, ${flags}) piece`;

/** What is asked for. */
async function calls(db, first) {
  const now = await value(db, 'SELECT pg_current_snapshot()::text');
  const [low, high] = now.split(':');
  const late = first + log / perTransaction / 2;
  const page = (sql) => value(db, `SELECT ${sql} -> 'pagination' ->> 'cursor'`);
  const list = (who, more = '') => `chat.list_conversations('${who}', page => NULL${more})`;
  const next = (cursor) => `, cursor => '${cursor}'`;
  const messages = (cursor) => `chat.list_messages('1', 50${cursor ? `, '${cursor}'` : ''})`;
  let far = null;
  let back = null;
  for (let i = 0; i < 50; i++) [far, back] = [await page(list(large, `, "limit" => 100${far ? next(far) : ''}`)), await page(messages(back))];
  const conversation = 'conversation:20';
  return {
    'list_conversations, 20 of an owner of 900': list(small),
    'list_conversations, 20 of a tenth of all': list(large),
    '  after 5,000 of them': list(large, next(far)),
    '  of a status': list(large, ", status => 'open'"),
    '  unread': list(large, ', unread => true'),
    '  by page, with a total': `chat.list_conversations('${large}')`,
    'list_messages, 50 of 10,000': messages(),
    '  after 2,500 of them': messages(back),
    'get_conversation': `chat.get_conversation('1')`,
    'events_since of a conversation, all': `count(*) FROM chat.events_since('${conversation}', 0)`,
    'events_since of an inbox, the last 20': `count(*) FROM chat.events_since('user:${large}:inbox', ${2 * log - 400})`,
    '  the first 100 of a tenth of all': `count(*) FROM chat.events_since('user:${large}:inbox', 0)`,
    'read_log, nothing new': read(2 * log + 2, now),
    '  500 events from the middle': read(log, now),
    '  100 late rows of one transaction': read(2 * log + 2, `${late}:${high}:${late}`),
  };
}

/** Rows that this session has read, of those that it has not yet told the statistics of. */
const rowsRead = (db) => value(db, `SELECT sum(COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0))::int FROM pg_stat_xact_all_tables
  WHERE relid IN ('public.conversations'::regclass, 'public.chat_messages'::regclass, 'chat.event_0'::regclass)`);

/** Time, pages and rows of one call. */
async function measure(db, call) {
  const sql = `SELECT ${call}`;
  await db.query(sql);
  const times = [];
  let plan;
  for (let i = 0; i < rounds; i++) {
    [plan] = await value(db, `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${sql}`);
    times.push(plan['Execution Time']);
  }
  await db.query('BEGIN');
  const before = await rowsRead(db);
  await db.query(sql);
  const fetched = await rowsRead(db) - before;
  await db.query('COMMIT');
  return { time: median(times), least: Math.min(...times), pages: plan.Plan['Shared Hit Blocks'] + plan.Plan['Shared Read Blocks'], fetched };
}

try {
  const cluster = await Cluster.create({ autovacuum: 'off', fsync: 'off', max_wal_size: '16GB', shared_buffers: '1GB', maintenance_work_mem: '1GB', jit: 'off' });
  await cluster.psql('CREATE DATABASE chat');
  const db = await connect(cluster);
  await db.query('CREATE EXTENSION chat_realtime');
  await db.query('SELECT count(*) FROM chat.setup()');
  await db.query('SET chat_realtime.rate_limits = off');
  await fillTables(db);
  const first = await fillLog(db);
  const size = await value(db, `SELECT pg_size_pretty(pg_total_relation_size('chat.event_0'))`);
  console.log(`\nReading beside ${conversations.toLocaleString('en')} conversations and ${log.toLocaleString('en')} rows of the log (${size}); ${rounds} calls`);
  console.log(`${' '.repeat(46)}median, least, ms       pages   rows read`);
  for (const [name, call] of Object.entries(await calls(db, first))) {
    const { time, least, pages, fetched } = await measure(db, call);
    console.log(`  ${name.padEnd(44)}${time.toFixed(2).padStart(8)}${least.toFixed(2).padStart(8)}${String(pages).padStart(12)}${String(fetched).padStart(12)}`);
  }
  await db.end();
} finally {
  await finish();
}
