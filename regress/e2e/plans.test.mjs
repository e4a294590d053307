// How the API's statements reach their rows: by indexes, in their order, and no further than a page needs. The plans are those
// that the functions really run, as auto_explain sees them. CONVERSATIONS=100000 MESSAGES=1000000 is the full size (make test-plans).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { connect, value } from '../lib/db.mjs';

const conversations = Number(process.env.CONVERSATIONS ?? 2000);
const messages = Number(process.env.MESSAGES ?? 20000);
const agent = 'eeeeeeee-0000-4000-8000-000000000003';
const pageSize = 20;
const counted = 10001; // rows that a total looks at, at most
let bed, db, first;
let plans = [];

const generate = (owner) => `
  SET session_replication_role = replica;
  INSERT INTO public.conversations (user_id, contact_jid, contact_name, status, assigned_agent_id)
    SELECT '${owner}', n || '@s.whatsapp.net', 'Contact ' || n, (ARRAY['open', 'pending', 'resolved', 'snoozed'])[1 + n % 4],
           CASE WHEN n % 50 = 0 THEN '${agent}'::uuid END FROM generate_series(1, ${conversations}) n;
  INSERT INTO public.conversations (user_id, contact_jid) SELECT gen_random_uuid(), n FROM generate_series(1, ${conversations / 10}) n;
  INSERT INTO public.chat_messages (conversation_id, message_id, direction, content, status, "timestamp")
    SELECT ${first} + CASE WHEN n % 10 = 0 THEN 0 ELSE n::bigint * 7919 % (${conversations} * 9 / 10) END, 'M' || n,
           CASE n % 3 WHEN 0 THEN 'incoming' ELSE 'outgoing' END, 'message ' || n, CASE WHEN n > ${messages} - 1000 THEN 'delivered' ELSE 'read' END,
           '2026-01-01'::timestamptz + n / 3 * interval '1 s' FROM generate_series(1, ${messages}) n;
  UPDATE public.conversations c SET last_message_at = m.at, chat_list_key = chat.list_key(m.at), unread_count = m.unread
    FROM (SELECT conversation_id, max("timestamp") AS at, count(*) FILTER (WHERE direction = 'incoming' AND status <> 'read') AS unread
            FROM public.chat_messages GROUP BY 1) m WHERE m.conversation_id = c.id;
  RESET session_replication_role;`;

before(async () => {
  bed = await Bed.create();
  db = await connect(bed.cluster);
  first = 1 + await value(db, 'SELECT COALESCE(max(id), 0) FROM public.conversations');
  await db.query(generate(bed.owner));
  await db.query('VACUUM ANALYZE public.conversations, public.chat_messages');
  db.on('notice', ({ message }) => {
    const json = /plan:\s*(\{.*)/s.exec(message);
    if (json) plans.push(JSON.parse(json[1]));
  });
  await db.query(`LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_analyze = on; SET auto_explain.log_buffers = on; SET auto_explain.log_timing = off;
    SET auto_explain.log_format = json; SET client_min_messages = log; SET chat_realtime.rate_limits = off`);
});

after(async () => {
  await db?.end();
  await bed?.close();
});

/** All nodes of a plan. */
function* nodes(plan) {
  yield plan;
  for (const child of plan.Plans ?? []) yield* nodes(child);
}

const tables = ['conversations', 'chat_messages', 'chat_api_keys', 'chat_external_webhooks'];

/** Runs a call and gives back its answer and the plans of the statements on the tables. */
async function run(sql, params) {
  plans = [];
  const answer = await value(db, sql, params);
  const statements = plans.map((entry) => ({ text: entry['Query Text'], plan: entry.Plan, nodes: [...nodes(entry.Plan)] }))
    .filter((statement) => statement.nodes.some((node) => tables.includes(node['Relation Name'])));
  return { answer, statements, page: statements.find(({ text }) => text.includes('row_json')) };
}

/** Complains about statements that read a whole table, or sort more than a page. */
function judge({ statements }, { sorted = 4 * pageSize, scanned = 400 } = {}) {
  assert.ok(statements.length > 0, 'no statement was seen');
  for (const { text, nodes: all } of statements) {
    const counts = text.includes('count(*)');
    // What fits into a total is a small table's whole.
    if (counts && conversations < counted) continue;
    for (const node of all) {
      const what = `${node['Node Type']} on ${node['Relation Name'] ?? ''}, ${node['Actual Rows']} rows, in ${text}`;
      assert.notEqual(node['Node Type'], 'Seq Scan', what);
      if (counts) assert.ok(node['Actual Rows'] <= counted, what);
      if (node['Node Type'] === 'Sort') assert.ok(node['Actual Rows'] <= sorted, what);
      if (node['Relation Name'] && !counts) {
        assert.ok(node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0) <= scanned, what);
      }
    }
  }
}

const buffers = ({ page }) => page.plan['Shared Hit Blocks'] + page.plan['Shared Read Blocks'];
const list = 'SELECT chat.list_conversations($1, page => NULL, "limit" => $2, cursor => $3)';

test('conversations: every page by cursor costs what the first does, and none is lost or comes twice', async () => {
  await run(list, [bed.owner, 1, null]); // a session's first call reads the catalogs, too
  const seen = new Set();
  const costs = [];
  let cursor = null;
  do {
    const result = await run(list, [bed.owner, pageSize, cursor]);
    judge(result);
    costs.push(buffers(result));
    for (const row of result.answer.data) {
      assert.ok(!seen.has(row.id), `conversation ${row.id} came twice`);
      seen.add(row.id);
    }
    ({ cursor } = result.answer.pagination);
  } while (cursor);
  assert.equal(seen.size, conversations);
  assert.equal(costs.length, conversations / pageSize);
  const [second] = costs.slice(1);
  const last = costs.at(-1);
  console.log(`pages ${costs.length}, buffers of the first ${costs[0]}, the second ${second}, the last ${last}, the most ${Math.max(...costs)}`);
  // A page is a descent into the index, twice with a cursor, and the rows.
  assert.ok(Math.max(...costs) <= 3 * pageSize + 20, `a page took ${Math.max(...costs)} buffers`);
  assert.ok(last <= second * 1.5 + 10, `the last page took ${last} buffers, the second ${second}`);
});

test('conversations: the first page with a total, by number', async () => {
  const result = await run('SELECT chat.list_conversations($1)', [bed.owner]);
  judge(result);
  assert.equal(result.answer.pagination.total, conversations < counted ? conversations : null);
});

for (const [name, filter] of Object.entries({
  status: "status => 'open'", agent: `assigned_to => '${agent}'`, unassigned: "assigned_to => 'unassigned'", unread: 'unread => true',
  'status and agent': `status => 'resolved', assigned_to => '${agent}'`,
})) {
  test(`conversations filtered by ${name}`, async () => {
    const start = await run(`SELECT chat.list_conversations($1, page => NULL, ${filter})`, [bed.owner]);
    judge(start);
    assert.ok(start.answer.data.length > 0);
    const next = await run(`SELECT chat.list_conversations($1, ${filter}, cursor => $2)`,
      [bed.owner, start.answer.pagination.cursor ?? (await run(list, [bed.owner, 1, null])).answer.pagination.cursor]);
    judge(next);
  });
}

test('messages: a page far back costs what the first does', async () => {
  const one = 'SELECT chat.list_messages($1, 50, $2)';
  let result = await run(one, [String(first), null]);
  judge(result, { sorted: 60 });
  const start = buffers(result);
  for (let page = 0; page < 30; page++) {
    result = await run(one, [String(first), result.answer.pagination.cursor]);
    judge(result, { sorted: 60 });
  }
  assert.equal(result.answer.data.length, 50);
  assert.ok(buffers(result) <= start * 1.5 + 10, `${buffers(result)} buffers, the first page ${start}`);
});

test('searching conversations: all of an owner are read, with the optional index only what fits', async () => {
  const search = () => run('SELECT chat.list_conversations($1, search => $2)', [bed.owner, 'TACT 1234']);
  const whole = await search();
  assert.equal(whole.answer.pagination.total, whole.answer.data.length);
  assert.ok(whole.answer.data.every((row) => row.contactName.startsWith('Contact 1234')));
  await db.query(`CREATE EXTENSION pg_trgm; CREATE INDEX found ON public.conversations USING gin (contact_name gin_trgm_ops, contact_jid gin_trgm_ops)`);
  await db.query('VACUUM ANALYZE public.conversations');
  await db.query('SET enable_seqscan = off'); // a table that is small is better read whole
  const found = await search();
  await db.query('RESET enable_seqscan');
  judge(found, { scanned: 4 * pageSize });
  assert.ok(found.page.nodes.some((node) => node['Index Name'] === 'found'), 'the index is used');
  assert.deepEqual(found.answer, whole.answer);
  await db.query('DROP INDEX public.found');
});

test('keys and webhooks of an owner among those of many', async () => {
  const others = conversations / 2;
  await db.query(`SET session_replication_role = replica;
    INSERT INTO public.chat_api_keys (user_id, name, key_hash, key_prefix) SELECT gen_random_uuid(), 'other', n, 'csk_' FROM generate_series(1, ${others}) n;
    INSERT INTO public.chat_external_webhooks (user_id, url, events, secret) SELECT gen_random_uuid(), 'https://example.com', '{*}', n FROM generate_series(1, ${others}) n;
    RESET session_replication_role`);
  await db.query(`SELECT chat.create_api_key($1, 'key ' || n) FROM generate_series(1, 3) n`, [bed.owner]);
  await db.query(`SELECT chat.create_webhook($1, 'https://example.com/' || n, '{*}') FROM generate_series(1, 3) n`, [bed.owner]);
  await db.query('VACUUM ANALYZE public.chat_api_keys, public.chat_external_webhooks');
  for (const list of ['list_api_keys', 'list_webhooks']) {
    const result = await run(`SELECT chat.${list}($1)`, [bed.owner]);
    judge(result);
    assert.equal(result.answer.data.length, 3);
  }
});

test('saving, status, reading, and what WUZAPI sends', async () => {
  const id = String(first);
  const saved = await run(`SELECT chat.save_message($1, '{"content": "x", "direction": "incoming", "messageId": "NEW"}')`, [id]);
  judge(saved);
  judge(await run(`SELECT chat.save_message($1, '{"content": "x", "messageId": "NEW"}')`, [id]));
  judge(await run(`SELECT chat.update_message_status($1, 'read')`, [String(saved.answer.id)]));
  judge(await run('SELECT chat.get_conversation($1)', [id]));
  const unread = await value(db, 'SELECT unread_count FROM public.conversations WHERE id = $1', [first]);
  assert.ok(unread > 0);
  const read = await run('SELECT chat.mark_read($1)', [id]);
  judge(read, { sorted: 400, scanned: 1500 });
  assert.equal(read.answer, unread);
  const wuzapi = (body) => run('SELECT chat.ingest_wuzapi($1, $2)', [bed.owner, JSON.stringify(body)]);
  const info = { Chat: '1@s.whatsapp.net', Sender: '1@s.whatsapp.net', ID: 'W1', Timestamp: '2026-06-18T13:19:38Z' };
  judge(await wuzapi({ type: 'Message', event: { Info: info, Message: { conversation: 'x' } } }));
  judge(await wuzapi({ type: 'Message', event: { Info: { ...info, ID: 'W2' }, Message: { reactionMessage: { key: { ID: 'W1' }, text: 'x' } } } }));
  judge(await wuzapi({ type: 'ReadReceipt', state: 'Read', event: { Chat: '1@s.whatsapp.net', MessageIDs: ['M10'], Timestamp: info.Timestamp } }));
  judge(await wuzapi({ type: 'ReadReceipt', state: 'Read', event: { Chat: '77@lid', MessageIDs: ['M10'], Timestamp: info.Timestamp } }));
  judge(await wuzapi({ type: 'ReadReceipt', state: 'ReadSelf', event: { Chat: '1@s.whatsapp.net', MessageIDs: ['W1'], Timestamp: info.Timestamp } }));
});

test('unread messages all over a long history: all of it is read, with the optional index only they', async () => {
  await db.query(`SET session_replication_role = replica; UPDATE public.chat_messages SET status = 'delivered' WHERE conversation_id = ${first} AND direction = 'incoming' AND id % 97 = 0;
    UPDATE public.conversations SET unread_count = (SELECT count(*) FROM public.chat_messages WHERE conversation_id = ${first} AND direction = 'incoming' AND status <> 'read') WHERE id = ${first};
    RESET session_replication_role`);
  await db.query('VACUUM ANALYZE public.chat_messages');
  const unread = await value(db, 'SELECT unread_count FROM public.conversations WHERE id = $1', [first]);
  const read = async () => {
    await db.query('BEGIN');
    const result = await run('SELECT chat.mark_read($1)', [String(first)]);
    await db.query('ROLLBACK');
    await db.query('VACUUM public.chat_messages');
    assert.equal(result.answer, unread);
    return result;
  };
  judge(await read(), { sorted: unread, scanned: messages / 10 + unread });
  await db.query(`CREATE INDEX unread_messages ON public.chat_messages (conversation_id) WHERE direction = 'incoming' AND status IS DISTINCT FROM 'read'; ANALYZE public.chat_messages`);
  const result = await read();
  judge(result, { sorted: unread, scanned: unread });
  assert.ok(result.statements.some((s) => s.nodes.some((node) => node['Index Name'] === 'unread_messages')), 'the index is used');
  await db.query('DROP INDEX public.unread_messages');
});

test('conversations that all go on now: a page reads no more than ten minutes hold of them, and none is lost or comes twice', async () => {
  const busy = 'bbbbbbbb-0000-4000-8000-000000000004';
  const most = 1024; // that share a list key
  await bed.db.query(`INSERT INTO public.conversations (user_id, contact_jid) SELECT '${busy}', n FROM generate_series(1, 2000) n`);
  await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content, "timestamp")
    SELECT id, 'outgoing', 'news', date_bin('10 min', now(), '2000-01-01Z') + id % 700 * interval '1 us' FROM public.conversations WHERE user_id = '${busy}'`);
  await db.query('ANALYZE public.conversations');
  const seen = [];
  let cursor = null;
  do {
    const result = await run(list, [busy, 50, cursor]);
    judge(result, { sorted: 200, scanned: most + 1 });
    seen.push(...result.answer.data.map(({ id }) => String(id)));
    ({ cursor } = result.answer.pagination);
  } while (cursor);
  assert.deepEqual(seen, (await value(db, `SELECT array_agg(id::text ORDER BY last_message_at DESC, id DESC) FROM public.conversations WHERE user_id = '${busy}'`)));
  assert.equal(await value(db, `SELECT max(n)::int FROM (SELECT count(*) AS n FROM public.conversations WHERE user_id = '${busy}' GROUP BY chat_list_key) k`), most);
});
