// What must be true after a history, worked out from the tables and from a record of the committed row changes,
// without the extension's own code.
import { rows } from '../lib/db.mjs';

/** The record: ordinary PL/pgSQL triggers that note each row change in the transaction that made it. */
export const record = `
CREATE SCHEMA record;
CREATE TABLE record.change (seq bigserial, xid xid8 DEFAULT pg_current_xact_id(), op text, old jsonb, new jsonb);
CREATE INDEX ON record.change (xid);
CREATE FUNCTION record.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO record.change (op, old, new) VALUES (TG_OP,
        CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END, CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
    RETURN NULL;
END $$;
CREATE TRIGGER zz_record AFTER INSERT OR UPDATE OR DELETE ON public.chat_messages FOR EACH ROW EXECUTE FUNCTION record.note();
`;

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** Events that design 4.3 asks for, of one changed message. */
function eventsOf({ op, old, new: row }) {
  const event = (name, of) => `${of.conversation_id} message.${name} ${of.id}`;
  if (op === 'INSERT') return [event('new', row)];
  if (op === 'DELETE') return old.is_deleted ? [] : [event('deleted', old)];
  if (old.conversation_id !== row.conversation_id) return [...(old.is_deleted ? [] : [event('deleted', old)]), event('new', row)];
  if (row.is_deleted) return old.is_deleted ? [] : [event('deleted', row)];
  const list = [];
  if (old.is_deleted || ['content', 'message_type', 'metadata'].some((key) => !same(old[key], row[key]))) list.push(event('updated', row));
  if (old.status !== row.status) list.push(event('status', row));
  return list;
}

/** Events per transaction, of messages: as recorded, and as written. */
async function messageEvents(db, from, problems) {
  const expected = new Map();
  const written = new Map();
  const add = (map, xid, text) => map.set(xid, [...(map.get(xid) ?? []), text]);
  for (const change of await rows(db, 'SELECT xid::text, op, old, new FROM record.change ORDER BY seq')) {
    for (const text of eventsOf(change)) add(expected, change.xid, text);
  }
  const log = await rows(db, `SELECT xid::text, conversation, event, payload::jsonb AS payload FROM chat.event
    WHERE id > $1 AND event LIKE 'message.%' ORDER BY id`, [from]);
  for (const { xid, conversation, event, payload } of log) add(written, xid, `${conversation} ${event} ${payload.id}`);
  for (const xid of new Set([...expected.keys(), ...written.keys()])) {
    const [want, have] = [expected, written].map((map) => (map.get(xid) ?? []).sort());
    if (!same(want, have)) problems.push(`events of transaction ${xid}: ${JSON.stringify({ want, have })}`);
  }
}

/** Rules R1 and R2, by recounting. */
async function counters(db, owner, problems) {
  const wrong = await rows(db, `
    SELECT c.id, c.unread_count, c.last_message_at, c.last_message_preview, n.*, u.count
      FROM public.conversations c
      LEFT JOIN LATERAL (SELECT COALESCE(m."timestamp", m.created_at) AS at, chat.message_preview(m.message_type, m.content, m.media_filename) AS preview
          FROM public.chat_messages m WHERE m.conversation_id = c.id AND NOT m.is_private_note AND NOT m.is_deleted
         ORDER BY 1 DESC, m.created_at DESC, m.id DESC LIMIT 1) n ON true,
      LATERAL (SELECT count(*)::int AS count FROM public.chat_messages m WHERE m.conversation_id = c.id AND m.direction = 'incoming'
          AND m.status <> 'read' AND NOT m.is_private_note AND NOT m.is_deleted) u
     WHERE c.user_id = $1 AND (c.unread_count, c.last_message_at, c.last_message_preview) IS DISTINCT FROM (u.count, n.at, n.preview)`, [owner]);
  for (const row of wrong) problems.push(`counters: ${JSON.stringify(row)}`);
}

const fields = { content: 'content', status: 'status', messageType: 'message_type', metadata: 'metadata', conversationId: 'conversation_id' };

/** Playing the events of all topics again makes the tables' rows. */
async function replay(db, owner, from, problems) {
  const messages = new Map();
  const conversations = new Map();
  const log = await rows(db, `SELECT id, conversation, topic, event, payload::jsonb AS payload FROM chat.event WHERE id > $1 ORDER BY id`, [from]);
  for (const { id, conversation, topic, event, payload } of log) {
    if (event === 'message.new') messages.set(payload.id, payload);
    else if (event === 'message.updated') messages.set(payload.id, payload);
    else if (event === 'message.status' && messages.has(payload.id)) messages.get(payload.id).status = payload.status;
    else if (event === 'message.deleted' && String(messages.get(payload.id)?.conversationId) === conversation) messages.delete(payload.id);
    else if (/^conversation\.(new|updated)$/.test(event)) {
      const before = conversations.get(payload.id);
      if (event.endsWith('updated') && before && same({ ...before, updatedAt: 0 }, { ...payload, updatedAt: 0 })) {
        problems.push(`event ${id} says nothing new of conversation ${conversation}`);
      }
      conversations.set(payload.id, payload);
    }
  }
  const stored = await rows(db, `SELECT m.* FROM public.chat_messages m JOIN public.conversations c ON c.id = m.conversation_id WHERE c.user_id = $1`, [owner]);
  const alive = stored.filter((row) => !row.is_deleted);
  for (const row of alive) {
    const seen = messages.get(row.id);
    const differs = Object.entries(fields).filter(([key, column]) => !seen || !same(seen[key], row[column])).map(([key]) => key);
    if (differs.length) problems.push(`message ${row.id} replayed differs in ${differs}: ${JSON.stringify({ seen, row })}`);
  }
  const ids = new Set(alive.map((row) => row.id));
  const cascaded = new Set(stored.map((row) => row.id));
  for (const id of messages.keys()) if (!ids.has(id) && !cascaded.has(id)) problems.push(`message ${id} lives on in the events`);
  for (const row of await rows(db, 'SELECT * FROM public.conversations WHERE user_id = $1', [owner])) {
    const seen = conversations.get(row.id);
    const stale = !seen || seen.unreadCount !== row.unread_count || seen.lastMessagePreview !== row.last_message_preview ||
      seen.contactName !== row.contact_name || seen.status !== row.status || seen.assignedAgentId !== row.assigned_agent_id ||
      (seen.lastMessageAt === null) !== (row.last_message_at === null) ||
      (row.last_message_at && Math.abs(new Date(seen.lastMessageAt) - row.last_message_at) > 0);
    if (stale) problems.push(`conversation ${row.id} replayed differs: ${JSON.stringify({ seen, row })}`);
  }
}

/** Ids of one conversation are in the order of the commits. */
async function order(db, from, problems) {
  const wrong = await rows(db, `
    SELECT * FROM (SELECT id, conversation, pg_xact_commit_timestamp(xid::text::bigint::text::xid) AS at,
                          lag(pg_xact_commit_timestamp(xid::text::bigint::text::xid)) OVER (PARTITION BY conversation ORDER BY id) AS before
                     FROM chat.event WHERE id > $1) e WHERE at < before`, [from]);
  for (const row of wrong) problems.push(`event ${row.id} of conversation ${row.conversation} committed before the one in front of it`);
}

/** A list of what is wrong after the history that began when the log stood at "from". */
export async function judge(db, { owner, from }) {
  const problems = [];
  await counters(db, owner, problems);
  await messageEvents(db, from, problems);
  await replay(db, owner, from, problems);
  await order(db, from, problems);
  return problems;
}
