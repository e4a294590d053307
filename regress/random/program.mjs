// Makes random histories: what each of several sessions does, as SQL. A seed always makes the same programs; how
// the sessions interleave is up to the machine.

/** A small generator of pseudo-random numbers (mulberry32). */
export function generator(seed) {
  let state = seed >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(random() * n);
  return { random, below, pick: (list) => list[below(list.length)], chance: (p) => random() < p };
}

const statuses = ['pending', 'sent', 'delivered', 'read', 'failed'];
const texts = ['hello', 'a < b & <3', 'olá, tudo bem? \u{1f600}', '<b>bold</b>', '', 'x'.repeat(300)];

/** A message of a conversation that exists when the statement runs; NULL where there is none. */
const someMessage = (r) => `(SELECT id FROM public.chat_messages WHERE conversation_id = ${someConversation(r)} ORDER BY id OFFSET ${r.below(6)} LIMIT 1)`;
const someConversation = (r) => `(SELECT id FROM public.conversations WHERE user_id = $1 ORDER BY contact_jid OFFSET ${r.below(4)} LIMIT 1)`;
const text = (r) => `'${r.pick(texts)}'`;
const time = (r) => `now() + interval '${r.below(5) - 3} seconds'`;

function insert(r, rows = 1) {
  return `INSERT INTO public.chat_messages (conversation_id, direction, message_type, content, status, is_private_note, "timestamp")
    SELECT c.id, (ARRAY['incoming', 'outgoing'])[1 + (g + ${r.below(2)}) % 2], '${r.pick(['text', 'text', 'location'])}', ${text(r)},
           '${r.pick(statuses)}', ${r.chance(0.1)}, ${r.chance(0.3) ? time(r) : 'NULL::timestamptz'}
      FROM public.conversations c, generate_series(1, ${rows}) g
     WHERE c.id ${rows > 1 ? 'IN (SELECT id FROM public.conversations WHERE user_id = $1)' : `= ${someConversation(r)}`}`;
}

const set = (r, what) => `UPDATE public.chat_messages SET ${what} WHERE id = ${someMessage(r)}`;
const setConversation = (r, what) => `UPDATE public.conversations SET ${what} WHERE id = ${someConversation(r)}`;
const ofOwner = 'conversation_id IN (SELECT id FROM public.conversations WHERE user_id = $1)';

/** Every kind of change, with its weight. */
const changes = [
  [30, (r) => insert(r)],
  [5, (r) => insert(r, 2 + r.below(4))],
  [15, (r) => set(r, `status = '${r.pick(statuses)}'`)],
  [8, (r) => set(r, `content = ${text(r)}`)],
  [4, (r) => set(r, `content = ${text(r)}, status = '${r.pick(statuses)}', metadata = '{"n":${r.below(9)}}'`)],
  [3, (r) => set(r, `"timestamp" = ${time(r)}`)],
  [3, (r) => set(r, 'is_private_note = NOT is_private_note')],
  [4, (r) => set(r, 'is_deleted = NOT is_deleted')],
  [4, (r) => set(r, `conversation_id = ${someConversation(r)}`)],
  [6, (r) => `DELETE FROM public.chat_messages WHERE id = ${someMessage(r)}`],
  [2, (r) => `DELETE FROM public.chat_messages WHERE ${ofOwner} AND id % 5 = ${r.below(5)}`],
  [4, (r) => `UPDATE public.chat_messages SET status = '${r.pick(statuses)}' WHERE ${ofOwner} AND id % 3 = ${r.below(3)}`],
  [4, (r) => `SELECT chat.mark_read(${someConversation(r)}::text)`],
  [3, (r) => `SELECT chat.edit_message(${someMessage(r)}::text, ${text(r)} || '.')`],
  [2, (r) => `SELECT chat.delete_message(${someMessage(r)}::text)`],
  [3, (r) => setConversation(r, `contact_name = ${text(r)}`)],
  [3, (r) => setConversation(r, `status = '${r.pick(['open', 'pending', 'resolved'])}', unread_count = ${r.below(9)}`)],
  [2, (r) => setConversation(r, 'assigned_agent_id = gen_random_uuid()')],
  [2, (r) => setConversation(r, `last_message_preview = 'forged', last_message_at = ${time(r)}`)],
  [1, (r) => `DELETE FROM public.conversations WHERE id = ${someConversation(r)}`],
  [2, (r) => `INSERT INTO public.conversations (user_id, contact_jid) VALUES ($1, 'c${r.below(4)}') ON CONFLICT (user_id, contact_jid) DO UPDATE SET contact_name = 'again'`],
  [1, (r) => `MERGE INTO public.chat_messages m USING (SELECT ${someMessage(r)} AS id) s ON m.id = s.id WHEN MATCHED THEN UPDATE SET content = ${text(r)}, status = 'read'`],
];
const total = changes.reduce((sum, [weight]) => sum + weight, 0);

function change(r) {
  let left = r.random() * total;
  for (const [weight, make] of changes) {
    left -= weight;
    if (left < 0) return make(r);
  }
  return insert(r);
}

/** Statements, some of them under savepoints that are kept or rolled back. */
function statements(r, depth = 0) {
  const list = [];
  for (let i = 1 + r.below(4); i > 0; i--) {
    if (depth < 2 && r.chance(0.2)) {
      const name = `s${depth}`;
      list.push(`SAVEPOINT ${name}`, ...statements(r, depth + 1), r.chance(0.5) ? `ROLLBACK TO ${name}` : `RELEASE ${name}`);
    } else list.push(change(r));
  }
  return list;
}

function transaction(r) {
  if (r.chance(0.4)) return { list: [change(r)], end: 'auto' };
  const p = r.random();
  return { list: statements(r), end: p < 0.75 ? 'COMMIT' : p < 0.88 ? 'ROLLBACK' : p < 0.95 ? 'COMMIT PREPARED' : 'ROLLBACK PREPARED' };
}

/** Whether the history of a seed consists of single INSERTs, many of them of several rows: they must not deadlock (R5). */
export const insertsOnly = (seed) => seed % 5 === 0;

/** sessions × transactions of one history. */
export function program(seed, { sessions = 6, transactions = 8 } = {}) {
  const r = generator(seed);
  const one = insertsOnly(seed) ? () => ({ list: [insert(r, 1 + r.below(5))], end: 'auto' }) : () => transaction(r);
  return Array.from({ length: sessions }, () => Array.from({ length: transactions }, one));
}
