// What a call of the API costs in instructions of its backend, counted by valgrind: the same on a busy machine and on a
// quiet one. A call is what a backend sends, a prepared statement of node-postgres; the first one of a connection is
// counted apart. What the kernel does for a request is not in it.
import { execFile } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../lib/cluster.mjs';
import { connect, value } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { until } from '../lib/wait.mjs';
import { root, serverUser } from '../lib/workspace.mjs';

const exec = promisify(execFile);
const calls = Number(process.env.CALLS ?? 200);
const warm = 20; // PostgreSQL plans a statement's first five calls one by one

const owner = '11111111-1111-1111-1111-111111111111';
const other = '22222222-2222-2222-2222-222222222222';

async function setup(cluster) {
  await cluster.psql('CREATE DATABASE chat');
  const db = await connect(cluster);
  await db.query('CREATE EXTENSION chat_realtime; SELECT chat.setup()');
  await db.query(`SELECT count(chat.create_api_key('${owner}', 'k' || n)) FROM generate_series(1, 1000) n`);
  const key = await value(db, `SELECT chat.create_api_key('${owner}', 'bench', rate_limit => 1000000) ->> 'key'`);
  const unknown = await value(db, 'SELECT chat.make_api_key()');
  await db.query("UPDATE public.chat_api_keys SET last_used_at = now() + interval '1 day'"); // nothing to note
  const few = await value(db, `SELECT chat.create_api_key('${other}', 'one') ->> 'id'`);
  const webhook = await value(db, `SELECT chat.create_webhook('${owner}', 'https://example.com/' || n, '{message.sent}') ->> 'id' FROM generate_series(1, 10) n ORDER BY n DESC LIMIT 1`);
  const conversation = await value(db, `INSERT INTO public.conversations (user_id, contact_jid)
    SELECT '${owner}', (5511900000000 + n) || '@s.whatsapp.net' FROM generate_series(1, 1000) n RETURNING id`);
  const message = await value(db, `INSERT INTO public.chat_messages (conversation_id, message_id, direction, content)
    SELECT $1, '3EB0' || n, 'outgoing', 'text ' || n FROM generate_series(1, 1000) n RETURNING id`, [conversation]);
  const epoch = await value(db, "SELECT epoch FROM chat.consumer_acquire('webhooks', 'bench', 3600000)");
  await db.query('VACUUM ANALYZE');
  await db.end();
  return { key, unknown, conversation, message, few, webhook, epoch };
}

const authenticate = 'SELECT * FROM chat.authenticate(key => $1, required_scope => $2)';

const fixture = (name) => JSON.parse(readFileSync(path.join(root, `regress/fixtures/wuzapi/${name}.json`), 'utf8'));
const address = (n) => `${5511900000000 + n}@s.whatsapp.net`;
/** A text of a contact's as WUZAPI sends it, and a receipt. */
const text = (n, from) => { const body = fixture('text'); Object.assign(body.event.Info, { Chat: address(from), Sender: address(from), ID: `AC7F${n}` }); return body; };
const receipt = (n) => { const body = fixture('receipt_read'); Object.assign(body.event, { Chat: address(1), Sender: address(1), MessageIDs: [`3EB0${n}`] }); return body; };
let sent = 0;
const ingest = 'SELECT chat.ingest_wuzapi($1, $2)';

/** What became of one attempt. */
const save = 'SELECT * FROM chat.webhook_save($1, $2)';
const saved = (epoch, webhook, n, error) => [epoch, [outcome(webhook, n, error)]];
const outcome = (webhook, n, error) => `(${webhook},${n},evt_${n},message.sent,done,f,1,${error ? 500 : 200},${error ?? ''},ok,12,0,${error !== null},,)`;

/** What is called: the statement, its values or what makes them, and what to set before. */
const statements = ({ key, unknown, conversation, message, few, webhook, epoch }) => ({
  'SELECT 1': ['SELECT 1'],
  'authenticate': [authenticate, [key, 'chat:read']],
  'authenticate, unknown key': [authenticate, [unknown, 'chat:read']],
  'authenticate, no key': [authenticate, ['nonsense', 'chat:read']],
  'check_rate_limit': [`SELECT * FROM chat.check_rate_limit($1, $2, interval '60 s')`, ['api-chat:1', 100]],
  'insert of a message': [`INSERT INTO public.chat_messages (conversation_id, message_id, direction, message_type, content, status, sender_type)
    VALUES ($1, $2, 'outgoing', 'text', $3, 'sent', 'user')`, [conversation, '3EB0A1B2C3D4E5F60718', 'Olá, tudo bem?'], 'SET chat_realtime.rate_limits = off'],
  'save_message': ['SELECT chat.save_message($1, $2, $3)', [conversation, { content: 'Olá, tudo bem?' }, owner], 'SET chat_realtime.rate_limits = off'],
  'save_message, bare integer': ['SELECT chat.save_message($1::bigint, $2, $3)', [conversation, { content: 'Olá, tudo bem?' }, owner], 'SET chat_realtime.rate_limits = off'],
  'save_message, with its id': ['SELECT chat.save_message($1, $2, $3)', () => [conversation, { content: 'Olá, tudo bem?', messageId: `3EB0A${++sent}` }, owner], 'SET chat_realtime.rate_limits = off'],
  'update_message_status': ['SELECT chat.update_message_status($1, $2, owner => $3)', [message, 'delivered', owner]],
  'mark_read': ['SELECT chat.mark_read($1, owner => $2)', [conversation, owner]],
  'ingest_wuzapi, message': [ingest, () => [owner, text(++sent, 1)]],
  'ingest_wuzapi, new contact': [ingest, () => [owner, text(++sent, 1000 + sent)]],
  'ingest_wuzapi, again': [ingest, [owner, text(0, 1)]],
  'ingest_wuzapi, receipt': [ingest, () => [owner, receipt(++sent % 1000 + 1)]],
  'edit_message': ['SELECT chat.edit_message($1, $2, $3)', () => [message, `text ${++sent}`, owner]],
  'list_messages': ['SELECT chat.list_messages($1, owner => $2)', [conversation, owner]],
  'list_conversations': ['SELECT chat.list_conversations($1)', [owner]],
  'list_conversations, open': ["SELECT chat.list_conversations($1, status => 'open', unread => false)", [owner]],
  'list_webhooks': ['SELECT chat.list_webhooks($1)', [owner]],
  'update_webhook': ['SELECT chat.update_webhook($1, $2, $3)', () => [webhook, { url: `https://example.com/${++sent}` }, owner]],
  'webhook_terms': ['SELECT * FROM chat.webhook_terms($1, $2, $3)', [[owner], [conversation], []]],
  'webhook_save, delivered': [save, () => saved(epoch, webhook, ++sent, null)],
  'webhook_save, failed': [save, () => saved(epoch, webhook, ++sent, 'answered 500')],
  'webhook_save, 100 of them': [save, () => [epoch, Array.from({ length: 100 }, () => outcome(webhook, ++sent, null))]],
  'relay_read': ['SELECT id, messages FROM chat.relay_read($1)', [0]],
  'relay_presence_read': ['SELECT version, endpoint, id, presence FROM chat.relay_presence_read($1)', [0]],
  'list_api_keys': ['SELECT chat.list_api_keys($1)', [other]],
  'update_api_key': ['SELECT chat.update_api_key($1, $2, $3)', () => [few, { name: `key ${++sent}` }, other]],
  'get_conversation': ['SELECT chat.get_conversation($1, $2)', [conversation, owner]],
});

/** Instructions of a backend that is asked this so many times. */
async function count(cluster, dir, [text, values, setting], times) {
  const db = await connect(cluster);
  if (setting) await db.query(setting);
  const file = path.join(dir, String(db.processID));
  for (let i = 0; i < times; i++) await db.query({ name: 'call', text, values: typeof values === 'function' ? values() : values });
  await db.end();
  const total = () => existsSync(file) && /^(?:totals|summary): (\d+)/m.exec(readFileSync(file, 'latin1'));
  await until(total, () => `valgrind counted nothing in ${file}`, 120000);
  return { file, instructions: Number(total()[1]) };
}

try {
  const cluster = await Cluster.create({ autovacuum: 'off', jit: 'off' });
  const dir = path.join(cluster.dir, 'callgrind');
  const { uid, gid } = serverUser();
  mkdirSync(dir);
  if (uid !== undefined) chownSync(dir, uid, gid);
  const sides = statements(await setup(cluster));
  await cluster.stop();
  await cluster.start(['valgrind', '-q', '--tool=callgrind', `--callgrind-out-file=${dir}/%p`]);
  await count(cluster, dir, ['SELECT 1'], 1);
  console.log('\nA call, thousands of instructions of the backend\n                              each    over SELECT 1     the first');
  let base, idle;
  for (const [name, statement] of Object.entries(sides)) {
    if (process.env.ONLY && name !== 'SELECT 1' && !process.env.ONLY.split(',').some((start) => name.startsWith(start))) continue;
    const first = await count(cluster, dir, statement, 1);
    const short = await count(cluster, dir, statement, warm);
    const long = await count(cluster, dir, statement, warm + calls);
    const each = (long.instructions - short.instructions) / calls / 1000;
    base ??= each;
    idle ??= (await count(cluster, dir, statement, 0)).instructions;
    console.log(`  ${name.padEnd(26)} ${each.toFixed(1).padStart(6)} ${(each / base).toFixed(2).padStart(14)} x ${((first.instructions - idle) / 1000).toFixed(0).padStart(12)}`);
    for (const [end, { file }] of Object.entries(process.env.KEEP ? { first, short, long } : {})) {
      await exec('cp', [file, path.join(process.env.KEEP, `${name.replaceAll(/\W+/g, '_')}.${end}`)]);
    }
  }
  await cluster.stop();
} finally {
  await finish();
}
