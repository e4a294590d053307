// What must be true after a history, worked out from the tables and from a record of the committed row changes,
// without the extension's own code.
import { rows, value } from '../lib/db.mjs';

/**
 * The record: ordinary PL/pgSQL triggers that note each row change in the transaction that made it. A conversation's has
 * the users behind its columns too. What a merge writes is quiet; the merge itself is noted as a change of its own: its answer, whether
 * it was begun by this call (fresh), the two conversations as they were before (goes, stays), and as the one is that stays. What is
 * left of merges, and was written to merged ones afterwards, is swept at the end.
 */
export const record = (model) => `
CREATE SCHEMA record;
CREATE TABLE record.change (seq bigserial, xid xid8 DEFAULT pg_current_xact_id(), of text, op text, old jsonb, new jsonb,
    quiet boolean NOT NULL DEFAULT COALESCE(current_setting('record.quiet', true), '') = 'on');
CREATE INDEX ON record.change (xid);
${model.users}
CREATE FUNCTION record.seen(row_ jsonb, of text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT CASE WHEN of = 'conversations' THEN row_ || jsonb_build_object('owner', record.user_of(row_), 'agent', record.agent_of(row_)) ELSE row_ END $$;
CREATE FUNCTION record.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO record.change (of, op, old, new) VALUES (TG_ARGV[0], TG_OP,
        CASE WHEN TG_OP <> 'INSERT' THEN record.seen(to_jsonb(OLD), TG_ARGV[0]) END, CASE WHEN TG_OP <> 'DELETE' THEN record.seen(to_jsonb(NEW), TG_ARGV[0]) END);
    RETURN NULL;
END $$;
CREATE FUNCTION record.note_truncation() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO record.change (of, op, old) SELECT 'chat_messages', TG_OP, jsonb_build_object('last', s.last_value) FROM chat.event_seq s;
    RETURN NULL;
END $$;
CREATE FUNCTION record.copy(conversation text, rows int, content text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    file text := format('%s/copied.%s', current_setting('data_directory'), pg_backend_pid());
BEGIN
    EXECUTE format('COPY (SELECT %L, ''incoming'', %L FROM generate_series(1, %s)) TO %L', conversation, content, rows, file);
    EXECUTE format('COPY public.chat_messages (conversation_id, direction, content) FROM %L', file);
END $$;
CREATE FUNCTION record.merge(a text, b text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    audited bigint := (SELECT COALESCE(max(id), 0) FROM chat.audit_log);
    seq_before bigint := (SELECT last_value FROM record.change_seq_seq);
    merge jsonb;
    stays jsonb;
BEGIN
    IF a = b OR a IS NULL OR b IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('record.quiet', 'on', true);
    merge := chat.merge_conversations(a, b);
    PERFORM set_config('record.quiet', 'off', true);
    IF merge IS NOT NULL THEN
        SELECT record.seen(to_jsonb(c), 'conversations') INTO stays FROM public.conversations c WHERE c.id::text = merge ->> 'into';
        INSERT INTO record.change (of, op, old, new)
            SELECT 'merges', 'MERGE', merge || jsonb_build_object('goes', record.quiet_before(seq_before, merge ->> 'from'), 'stays', COALESCE(record.quiet_before(seq_before, merge ->> 'into'), stays),
                'fresh', EXISTS (SELECT FROM chat.audit_log l WHERE l.id > audited AND l.action = 'conversation.merged' AND l.object = merge ->> 'from' AND pg_xact_status(l.xmin::text::xid8) = 'in progress')), stays;
    END IF;
END $$;
CREATE FUNCTION record.quiet_before(after bigint, conversation text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT old FROM record.change WHERE seq > after AND xid = pg_current_xact_id() AND quiet AND of = 'conversations' AND old ->> 'id' = conversation ORDER BY seq LIMIT 1 $$;
CREATE FUNCTION record.sweep() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('record.quiet', 'on', true);
    FOR i IN 1 .. 100 LOOP
        PERFORM FROM chat.merge_portions();
        EXIT WHEN NOT FOUND;
    END LOOP;
    PERFORM set_config('record.quiet', 'off', true);
    INSERT INTO record.change (of, op) VALUES ('merges', 'SWEEP');
END $$;
CREATE TRIGGER zzz_record AFTER INSERT OR UPDATE OR DELETE ON public.chat_messages FOR EACH ROW EXECUTE FUNCTION record.note('chat_messages');
${model.unwatched ? '' : "CREATE TRIGGER zzz_record AFTER INSERT OR UPDATE OR DELETE ON public.conversations FOR EACH ROW EXECUTE FUNCTION record.note('conversations');"}
CREATE TRIGGER aaa_record BEFORE TRUNCATE ON public.chat_messages EXECUTE FUNCTION record.note_truncation();
`;

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const differs = (a, b, ...quiet) => Object.keys(b).some((key) => !quiet.includes(key) && !same(a[key], b[key]));

/** Events that design 4.3 asks for, of one changed message. */
function messageEvents({ op, old, new: row, moved }, model) {
  const gone = (message) => model.mark.on(message);
  const event = (name, of) => `message.${name} ${JSON.stringify(name === 'status' ? [of.id, of.conversation_id, of.status] : [of.id, of.conversation_id, of.content, of.status, of.metadata])}`;
  if (op === 'TRUNCATE') return [];
  if (op === 'INSERT') return gone(row) ? [] : [event('new', row)];
  if (op === 'DELETE') return gone(old) ? [] : [event('deleted', old)];
  if (old.conversation_id !== row.conversation_id) return [...messageEvents({ op: 'DELETE', old }, model), ...messageEvents({ op: 'INSERT', new: row }, model)];
  if (gone(row)) return gone(old) ? [] : [event('deleted', moved ? old : row)];
  // What changed of a row that went to another partition, nobody looks at: all of it is said.
  if (moved) return [event(gone(old) ? 'new' : 'updated', row)];
  const list = [];
  if (gone(old) || ['content', 'message_type', 'metadata'].some((key) => !same(old[key], row[key]))) list.push(event('updated', row));
  if (old.status !== row.status) list.push(event('status', row));
  return list;
}

const stateOf = (row) => [row.id, row.unread_count, row.last_message_preview, row.status, row.contact_name, row.assigned_agent_id];

/** The same for a conversation. */
function conversationEvents({ op, old, new: row }) {
  /** One event for each of these users that there is. */
  const tell = (name, state, ...users) => [...new Set(users)].filter(Boolean).map((user) => `user:${user}:inbox conversation.${name} ${JSON.stringify(state)}`);
  const rights = (of) => `rights of ${of.id}`;
  if (op === 'DELETE') return [...tell('deleted', stateOf({ id: old.id }), old.owner, old.agent), rights(old)];
  if (op === 'INSERT') return [...tell('new', stateOf(row), row.owner, row.agent), rights(row)];
  const list = differs(old, row, 'updated_at') ? tell('updated', stateOf(row), row.owner, row.agent) : [];
  if (old.assigned_agent_id !== row.assigned_agent_id) list.push(...tell('assigned', stateOf(row), row.owner, row.agent, old.agent), rights(row));
  else if (old.assigned_bot_id !== row.assigned_bot_id) list.push(...tell('assigned', stateOf(row), row.owner));
  return list;
}

/** And for a merge that this transaction began. One that it only went on with may have ended already. */
function mergeEvents({ old: merge, new: into }) {
  const { from, goes, stays, fresh, finished } = merge;
  if (!fresh) return [];
  const users = [...new Set([stays.owner, stays.agent, goes?.agent])].filter(Boolean);
  const list = [`conversation:${from}`, ...users.map((user) => `user:${user}:inbox`)].map((topic) => `${topic} conversation.merged ${from} into ${merge.into}`);
  list.push(`rights of ${from}`, `rights of ${merge.into}`);
  if (!finished) return list;
  list.push(`rights of ${merge.into}`); // its agent may be another one
  for (const user of new Set([into.owner, into.agent].filter(Boolean))) list.push(`user:${user}:inbox conversation.updated ${JSON.stringify(stateOf(into))}`);
  return list;
}

/** Changes as they were meant: an UPDATE that moves a row to another partition is seen as a DELETE and an INSERT. */
function joinMoves(changes) {
  const list = [];
  for (const change of changes) {
    const before = list.at(-1);
    const moved = change.op === 'INSERT' && before?.op === 'DELETE' && before.of === 'chat_messages' && before.xid === change.xid && before.old.id === change.new.id;
    if (moved) list[list.length - 1] = { ...change, op: 'UPDATE', old: before.old, moved };
    else list.push(change);
  }
  return list;
}

/** What an event of the log says, in the words of the two functions above. */
function said({ topic, event, conversation, payload: p }) {
  if (event === 'message.status') return `${event} ${JSON.stringify([p.id, p.conversationId, p.status])}`;
  if (event.startsWith('message.')) return `${event} ${JSON.stringify([p.id, p.conversationId, p.content, p.status, p.metadata])}`;
  if (event === 'conversation.merged') return `${topic} ${event} ${p.from} into ${p.into}`;
  if (String(p.id) !== conversation) return `payload of ${p.id} under conversation ${conversation}`;
  return `${topic} ${event} ${JSON.stringify([p.id, p.unreadCount, p.lastMessagePreview, p.status, p.contactName, p.assignedAgentId])}`;
}

/** What one list has more of than another one. */
function without(list, other) {
  const left = [...other];
  return list.filter((text) => !left.includes(text) || void left.splice(left.indexOf(text), 1));
}

/** Events per transaction: as the recorded changes ask for, and as written. */
async function events(db, from, model, problems) {
  const expected = new Map();
  const written = new Map();
  const add = (map, xid, text) => map.set(xid, [...(map.get(xid) ?? []), text]);
  const all = await rows(db, 'SELECT xid::text, of, op, old, new, quiet FROM record.change ORDER BY record.change.xid, seq');
  const changes = all.filter((change) => !change.quiet);
  for (const change of model.partitioned ? joinMoves(changes) : changes) {
    if (change.of === 'merges' && (change.op === 'SWEEP' || model.unwatched)) continue;
    const list = change.of === 'merges' ? mergeEvents(change) : change.of === 'conversations' ? conversationEvents(change) : messageEvents(change, model);
    for (const text of list) add(expected, change.xid, text);
  }
  /** What a transaction tells of a conversation to which it moved what was left of a merge: nobody knows whether it was the last of it. */
  const ended = new Set(changes.filter(({ op, old }) => op === 'MERGE' && !old.fresh).map(({ xid, old }) => `${xid} ${old.into}`));
  const swept = new Set(changes.filter(({ op }) => op === 'SWEEP').map(({ xid }) => xid));
  const log = await rows(db, 'SELECT xid::text, topic, conversation, event, payload::jsonb AS payload, rights FROM chat.events WHERE id > $1 ORDER BY id', [from]);
  for (const event of log) {
    if (!event.event.startsWith('message.') && (model.unwatched || swept.has(event.xid))) continue;
    if (event.event !== 'conversation.updated' || !ended.has(`${event.xid} ${event.conversation}`)) add(written, event.xid, said(event));
    if (event.rights) add(written, event.xid, `rights of ${event.rights}`);
  }
  for (const xid of new Set([...expected.keys(), ...written.keys()])) {
    const told = (text) => ![...ended].some((one) => one.startsWith(`${xid} `) && text.includes(`conversation.updated [${JSON.stringify(one.split(' ')[1]).replace(/^"(\d+)"$/, '$1')},`));
    const [want, have] = [expected, written].map((map) => (map.get(xid) ?? []).filter(told).sort());
    // The end of such a merge says whose rights changed once more.
    const more = without(have, want).filter((text) => !ended.has(`${xid} ${text.replace(/^rights of /, '')}`));
    const less = without(want, have);
    if (more.length || less.length) problems.push(`events of transaction ${xid}: ${JSON.stringify({ want: less, have: more })}`);
  }
}

/** Rules R1 and R2, by recounting. */
async function counters(db, owner, model, problems) {
  const deleted = model.mark.sql('m');
  const wrong = await rows(db, `
    SELECT c.id, c.unread_count, c.last_message_at, c.last_message_preview, n.*, u.count
      FROM public.conversations c
      LEFT JOIN LATERAL (SELECT COALESCE(m."timestamp", m.created_at) AS at, chat.message_preview(m.message_type, m.content, m.media_filename) AS preview
          FROM public.chat_messages m WHERE m.conversation_id = c.id AND NOT m.is_private_note AND NOT ${deleted}
         ORDER BY 1 DESC, m.created_at DESC, m.id DESC LIMIT 1) n ON true,
      LATERAL (SELECT count(*)::int AS count FROM public.chat_messages m WHERE m.conversation_id = c.id AND m.direction = 'incoming'
          AND m.status <> 'read' AND NOT m.is_private_note AND NOT ${deleted}) u
     WHERE c.${model.owner} = $1 AND (c.unread_count, c.last_message_at, c.last_message_preview) IS DISTINCT FROM (u.count, n.at, n.preview)`, [owner]);
  for (const row of wrong) problems.push(`counters: ${JSON.stringify(row)}`);
  for (const row of await rows(db, 'SELECT id, count(*) FROM public.conversations GROUP BY id HAVING count(*) > 1')) problems.push(`twice there: ${JSON.stringify(row)}`);
}

const fields = { content: 'content', status: 'status', messageType: 'message_type', metadata: 'metadata', conversationId: 'conversation_id' };

const isStale = (seen, row) => !seen || seen.unreadCount !== row.unread_count || seen.lastMessagePreview !== row.last_message_preview ||
  seen.contactName !== row.contact_name || seen.status !== row.status || seen.assignedAgentId !== row.assigned_agent_id ||
  (seen.lastMessageAt === null) !== (row.last_message_at === null) ||
  (row.last_message_at && Math.abs(new Date(seen.lastMessageAt) - row.last_message_at) > 0);

/** Playing the events of all topics again makes the tables' rows. */
async function replay(db, owner, from, model, problems) {
  const messages = new Map();
  const conversations = new Map(); // as their owners were told
  const told = new Map(); // what each inbox heard last of each
  // Of what merges move and drop nobody hears but by conversation.merged, and of the one that goes nobody hears any more.
  const quiet = new Set(await rows(db, "SELECT DISTINCT COALESCE(old, new) ->> 'id' AS id FROM record.change WHERE quiet AND of = 'chat_messages'").then((list) => list.map((row) => row.id)));
  const merges = await rows(db, "SELECT xid::text, old ->> 'from' AS from, old ->> 'into' AS into FROM record.change WHERE of = 'merges'");
  const merging = new Set(merges.map((row) => row.xid));
  const merged = new Set(merges.map((row) => row.from));
  // What a merge moves is told when it is finished: what brings the counters back before that says what was said before.
  const growing = new Set(merges.map((row) => row.into));
  const log = await rows(db, `SELECT id, xid::text, conversation, topic, topic = format('user:%s:inbox', owner) AS own, event, payload::jsonb AS payload
    FROM chat.events WHERE id > $1 ORDER BY id`, [from]);
  for (const { id, xid, conversation, topic, own, event, payload } of log) {
    if (event === 'conversation.merged') continue;
    if (event.startsWith('conversation.')) told.set(`${topic} ${payload.id}`, payload);
    if (event === 'message.new' || event === 'message.updated') messages.set(payload.id, { ...payload, told: id });
    else if (event === 'message.status' && messages.has(payload.id)) messages.get(payload.id).status = payload.status;
    else if (event === 'message.deleted' && (quiet.has(String(payload.id)) || String(messages.get(payload.id)?.conversationId) === conversation)) messages.delete(payload.id);
    else if (own && event === 'conversation.deleted') conversations.delete(payload.id);
    else if (own && /^conversation\.(new|updated)$/.test(event)) {
      const before = conversations.get(payload.id);
      if (event.endsWith('updated') && before && !merging.has(xid) && !merged.has(String(payload.id)) && !growing.has(String(payload.id)) && same({ ...before, updatedAt: 0 }, { ...payload, updatedAt: 0 })) {
        problems.push(`event ${id} says nothing new of conversation ${conversation}`);
      }
      conversations.set(payload.id, payload);
    }
  }
  const stored = await rows(db, `SELECT m.* FROM public.chat_messages m JOIN public.conversations c ON c.id = m.conversation_id WHERE c.${model.owner} = $1`, [owner]);
  const alive = stored.filter((row) => !model.mark.on(row));
  for (const row of alive) {
    const seen = messages.get(row.id);
    const wrong = Object.entries(fields).filter(([key, column]) => !seen || !same(seen[key], row[column])).map(([key]) => key)
      .filter((key) => key !== 'conversationId' || !quiet.has(String(row.id)));
    if (wrong.length) problems.push(`message ${row.id} replayed differs in ${wrong}: ${JSON.stringify({ seen, row })}`);
  }
  const ids = new Set(alive.map((row) => row.id));
  // Emptying a table is told by its conversations alone: nobody hears of the messages that there were.
  const truncated = Number(await value(db, "SELECT max((old -> 'last')::bigint) FROM record.change WHERE op = 'TRUNCATE'") ?? 0);
  for (const [id, { told }] of messages) if (!ids.has(id) && told > truncated && !quiet.has(String(id))) problems.push(`message ${id} lives on in the events`);
  const there = await rows(db, `SELECT c.*, record.agent_of(to_jsonb(c)) AS agent FROM public.conversations c WHERE ${model.owner} = $1`, [owner]);
  for (const { agent, ...row } of there) {
    for (const seen of merged.has(String(row.id)) ? [] : [conversations.get(row.id), ...(agent ? [told.get(`user:${agent}:inbox ${row.id}`)] : [])]) {
      if (isStale(seen, row)) problems.push(`conversation ${row.id} replayed differs: ${JSON.stringify({ agent, seen, row })}`);
    }
    conversations.delete(row.id);
  }
  // Emptying the table of messages changes those of histories before, too.
  const mine = [...conversations.values()].filter((seen) => owner === (seen.userId ?? seen.accountId));
  for (const { id } of mine) problems.push(`conversation ${id} lives on in the events`);
}

/** Ids of one conversation are in the order of the commits. */
async function order(db, from, problems) {
  const wrong = await rows(db, `
    SELECT * FROM (SELECT id, conversation, pg_xact_commit_timestamp(xid::text::bigint::text::xid) AS at,
                          lag(pg_xact_commit_timestamp(xid::text::bigint::text::xid)) OVER (PARTITION BY conversation ORDER BY id) AS before
                     FROM chat.events WHERE id > $1) e WHERE at < before`, [from]);
  for (const row of wrong) problems.push(`event ${row.id} of conversation ${row.conversation} committed before the one in front of it`);
}

/** What is merged is merged: nothing is in it, and it went to one that is there and is not merged itself. */
async function merges(db, problems) {
  const wrong = await rows(db, `SELECT * FROM (SELECT m.*, m.finished_at IS NULL AS unfinished,
      EXISTS (SELECT FROM public.chat_messages x WHERE x.conversation_id::text = m.from_id) AS has_messages,
      NOT EXISTS (SELECT FROM public.conversations c WHERE c.id::text = m.into_id) AS goes_nowhere,
      EXISTS (SELECT FROM chat.merged_conversation n WHERE n.from_id = m.into_id) AS is_chained FROM chat.merged_conversation m) m
    WHERE unfinished OR has_messages OR goes_nowhere OR is_chained`);
  for (const row of wrong) problems.push(`merge: ${JSON.stringify(row)}`);
}

/** A list of what is wrong after the history that began when the log stood at "from". */
export async function judge(db, { owner, from, model }) {
  const problems = [];
  await counters(db, owner, model, problems);
  await events(db, from, model, problems);
  await replay(db, owner, from, model, problems);
  await order(db, from, problems);
  await merges(db, problems);
  return problems;
}
