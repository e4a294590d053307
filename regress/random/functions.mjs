// Calls every function of schema chat as every role, with hostile arguments: nothing may end a backend, raise an internal
// error (class XX), or show a user what belongs to another one.
//
//   node regress/random/functions.mjs        CALLS (per function and role: 12), SEED
import { randomInt, randomUUID } from 'node:crypto';
import { connect, rows, value } from '../lib/db.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { generator } from './program.mjs';

const calls = Number(process.env.CALLS || 12);
const seed = Number(process.env.SEED || randomInt(1, 2 ** 31));
const r = generator(seed);
const secret = 'SecretOfAna'; // in everything that Ana owns
const ana = randomUUID();
const ben = randomUUID();

/** Superusers and services may see everything; a user and nobody must not see Ana's. */
const roles = [
  { name: 'postgres' },
  { name: 'chat_backend' },
  { name: 'chat_sidecar' },
  { name: 'authenticated', claims: { sub: ben, role: 'authenticated' }, blind: true },
  { name: 'authenticated', claims: { sub: ana, role: 'authenticated' } },
  { name: 'authenticated', claims: { sub: `${ben}'; --`, role: 'service_role' }, blind: true },
  { name: 'anon', claims: { role: 'anon' }, blind: true },
];

async function prepare(cluster) {
  await cluster.psql('CREATE DATABASE chat');
  const db = await connect(cluster);
  await db.query('CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role BYPASSRLS; CREATE ROLE chat_backend; CREATE ROLE chat_sidecar');
  await db.query('CREATE EXTENSION chat_realtime');
  await db.query("SELECT chat.setup(); SELECT chat.grant_backend('chat_backend'); SELECT chat.grant_sidecar('chat_sidecar')");
  const ids = [ana, ben];
  for (const [owner, mark] of [[ana, secret], [ben, 'mine']]) {
    const conversation = await value(db, 'INSERT INTO public.conversations (user_id, contact_jid, contact_name) VALUES ($1, $2, $2) RETURNING id', [owner, mark]);
    const message = await value(db, `INSERT INTO public.chat_messages (conversation_id, direction, content, message_id) VALUES ($1, 'incoming', $2, $3) RETURNING id`, [conversation, mark, `wa-${mark}`]);
    const webhook = await value(db, 'SELECT chat.create_webhook($1, $2, $3)', [owner, `https://example.com/${mark}`, ['message.received']]);
    ids.push(conversation, message, webhook.id, `conversation:${conversation}`, `user:${owner}:inbox`, `wa-${mark}`);
    if (await value(db, "SELECT to_regproc('chat.create_api_key') IS NOT NULL")) {
      ids.push((await value(db, 'SELECT chat.create_api_key($1, $2)', [owner, mark])).id);
    }
  }
  return { db, ids: ids.map(String) };
}

const literal = (text) => (text === null ? 'NULL' : `'${text.replaceAll("'", "''")}'`);
const megabyte = 'x'.repeat(1 << 20);
const texts = ['', ' ', 'x', '0', '-1', '1', '99999999999999999999', '1e400', 'NaN', '%_\\', "'; DROP TABLE x --", '\u{1f600}', '<img src=x onerror=1>', '{}', '{1,2',
  'incoming', 'read', 'resolved', 'unassigned', 'realtime', 'webhooks', 'message.new', 'chat:admin', `csk_${'a'.repeat(55)}`, 'pg_class', 'public.chat_messages', '00000000-0000-0000-0000-000000000000',
  '"', '\\', '\u0001\u007f\u0085', 'a'.repeat(300), megabyte];
const nested = `${'['.repeat(3000)}${']'.repeat(3000)}`;
const documents = (ids) => ['null', '{}', '[]', '"x"', '1e300', nested, `{"sub":"${ben}"}`, '{"sub":1}', '{"content":{"a":1},"direction":7}', '{"content":"x","direction":"outgoing"}',
  '{"messageId":null,"content":"x","direction":"incoming","status":"read"}', '{"status":[],"assignedAgentId":"x"}', `{"owner":{"column":"x'y"}}`, '{"owner":"user_id","time":17}',
  `{"type":"Message","event":{"Info":{"ID":1,"Chat":[]},"Message":{"conversation":{}}}}`, '{"type":"Message","event":{"Info":{"ID":"A","Chat":"1@s.whatsapp.net","Timestamp":"x"},"Message":{"conversation":"x"}}}',
  '{"type":"ReadReceipt","event":{"MessageIDs":[1,null,{}],"Chat":"1@lid"},"state":"Read"}', '{"type":"HistorySync","event":{"Data":{"conversations":[{"messages":[{}]},7]}}}',
  `{"conversationId":"${ids[2]}","content":"x","direction":"outgoing"}`];

/** A value of a type, as SQL. */
function argument(type, ids) {
  if (r.chance(0.12)) return `NULL::${type}`;
  const of = (list) => `${literal(r.pick(list))}::${type}`;
  switch (type) {
    case 'text': case 'character varying': case 'name': return of(r.chance(0.45) ? ids : texts);
    case 'integer': case 'smallint': case 'bigint': return of(['0', '1', '-1', '2', '100', '1000', '32767', '-32768', ...(type === 'smallint' ? [] : ['2147483647', '-2147483648']), ...(type === 'bigint' ? ['9223372036854775807', '-9223372036854775808'] : [])]);
    case 'numeric': case 'double precision': case 'real': return of(['0', '-1', '1e30', 'NaN', '0.0001']);
    case 'boolean': return of(['t', 'f']);
    case 'json': case 'jsonb': return of(documents(ids));
    case 'interval': return of(['0', '1 second', '-1 day', '1 month', '178000000 years', '-178000000 years']);
    case 'timestamp with time zone': return of(['infinity', '-infinity', '2000-01-01', '294276-01-01', '4713-01-01 BC', 'now']);
    case 'uuid': return of([...ids.filter((id) => /^[0-9a-f-]{36}$/.test(id)), randomUUID()]);
    case 'bytea': return of(['', '\\x00', '\\xff00ff', `\\x${'00'.repeat(70000)}`]);
    case 'text[]': return of(['{}', '{NULL}', '{a,NULL,b}', '{message.received}', '{chat:read}', '{{a,b},{c,d}}', `{${'x,'.repeat(5000)}x}`, `{${ids[0]}}`]);
    case 'regclass': return r.pick(["'public.chat_messages'::regclass", "'public.conversations'::regclass", "'pg_class'::regclass", '0::regclass', '999999::regclass', "'chat.event'::regclass", "'chat.event_id_idx'::regclass"]);
    case 'regtype': return r.pick(["'bigint'::regtype", "'uuid'::regtype", '0::regtype', '999999::regtype', "'pg_class'::regtype"]);
    case 'regrole': return r.pick(["'postgres'::regrole", '0::regrole', '999999::regrole']);
    case 'oid': return r.pick(['0::oid', '999999::oid', "'pg_class'::regclass::oid"]);
    case 'xid8': return of(['0', '3', '18446744073709551615']);
    case 'pg_snapshot': return of(['1:1:', '10:20:10,14', '1:9223372036854775807:']);
    case '"char"': return of(['a', '']);
    default: return `NULL::${type}`;
  }
}

let failed = 0;
let passed = 0;
const states = {};
const start = Date.now();

/** True when a text shows something of Ana's that the call did not name itself. */
function shows(text, sql) {
  const named = sql.match(new RegExp(`[\\w-]{0,9}${secret}[\\w-]{0,40}`, 'g')) ?? [];
  return named.reduce((rest, word) => rest.replaceAll(word, ''), text).includes(secret);
}

async function call(client, role, name, sql) {
  try {
    await client.query('BEGIN');
    await client.query(`SET LOCAL statement_timeout = '20s'; SET LOCAL ROLE ${role.name}`);
    await client.query("SELECT set_config('request.jwt.claims', $1, true)", [role.claims ? JSON.stringify(role.claims) : '']);
    const result = await client.query({ text: sql, rowMode: 'array' });
    states.ok = (states.ok ?? 0) + 1;
    if (role.blind && shows(JSON.stringify(result.rows), sql)) throw Object.assign(new Error('shows what belongs to another user'), { leak: true });
  } catch (error) {
    const state = error.leak ? 'leak' : error.code ?? 'lost';
    states[state] = (states[state] ?? 0) + 1;
    if (state === '57014') console.log(`slow   functions  ${name} as ${role.name}: ${sql.slice(0, 300)}`);
    const told = role.blind && shows(`${error.message} ${error.detail ?? ''} ${error.hint ?? ''}`, sql);
    if (told || error.leak || /^(XX|57P|08)/.test(state) || state === 'lost' || state.startsWith('ECONN')) {
      failed++;
      console.log(`FAILED functions  ${name} as ${role.name} ${JSON.stringify(role.claims ?? {})}: ${state} ${error.message}\n         ${sql.slice(0, 400)}`);
      if (state === 'lost' || /^57P|^08|^ECONN/.test(state)) throw error;
    }
  }
  await client.query('ROLLBACK');
}

console.log(`functions  SEED=${seed}`);
try {
  const cluster = await Cluster.create({ fsync: 'off' });
  const { db, ids } = await prepare(cluster);
  let client = await connect(cluster);
  const functions = await rows(db, `SELECT p.proname AS name, p.oid::regprocedure::text AS signature,
      ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a (t, n) ORDER BY n) AS types
    FROM pg_proc p WHERE p.pronamespace = 'chat'::regnamespace AND p.prokind = 'f'
     AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype) ORDER BY 2`);
  for (const { name, signature, types } of functions) {
    const before = failed;
    for (const role of roles) {
      for (let i = 0; i < calls; i++) {
        const sql = `SELECT * FROM chat.${name}(${types.map((type) => argument(type, ids)).join(', ')}) AS t`;
        try {
          await call(client, role, signature, sql);
        } catch {
          await client.end().catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, 3000));
          client = await connect(cluster);
        }
      }
    }
    if (failed === before) passed++;
    if (failed > 20) break;
  }
  console.log(`functions  ${functions.length} functions, ${JSON.stringify(states)}, ${Math.round((Date.now() - start) / 1000)} s`);
} catch (error) {
  failed++;
  console.log(`FAILED functions  ${error.stack}`);
}
await finish();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
