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

/** Pieces of statements on a model's tables. */
function grammar(r, model) {
  const conversation = () => `(SELECT id FROM public.conversations WHERE ${model.owner} = $1 ORDER BY contact_jid OFFSET ${r.below(4)} LIMIT 1)`;
  const ofOwner = `conversation_id IN (SELECT id FROM public.conversations WHERE ${model.owner} = $1)`;
  const text = () => `'${r.pick(texts)}'`;
  const status = () => `'${r.pick(statuses)}'`;
  const time = () => `now() + interval '${r.below(5) - 3} seconds'`;
  return {
    conversation,
    ofOwner,
    text,
    status,
    time,
    /** A message of a conversation that exists when the statement runs; NULL where there is none. */
    message: () => `(SELECT id FROM public.chat_messages WHERE conversation_id = ${conversation()} ORDER BY id OFFSET ${r.below(6)} LIMIT 1)`,
    set(what) { return `UPDATE public.chat_messages SET ${what} WHERE id = ${this.message()}`; },
    setConversation: (what) => `UPDATE public.conversations SET ${what} WHERE id = ${conversation()}`,
    /** One message of n. */
    oneOf: (n) => `${ofOwner} AND abs(hashtext(id::text)) % ${n} = ${r.below(n)}`,
    /** A message each in one conversation, or several in every one. */
    insert: (rows) => `INSERT INTO public.chat_messages (conversation_id, direction, message_type, content, status, is_private_note, ${model.mark.column}, "timestamp")
      SELECT c.id, (ARRAY['incoming', 'outgoing'])[1 + (g + ${r.below(2)}) % 2], '${r.pick(['text', 'text', 'location'])}', ${text()}, ${status()},
             ${r.chance(0.1)}, ${r.chance(0.05) ? model.mark.set : model.mark.unset}, ${r.chance(0.3) ? time() : model.noTime}
        FROM public.conversations c, generate_series(1, ${rows}) g
       WHERE c.id ${rows > 1 ? `IN (SELECT id FROM public.conversations WHERE ${model.owner} = $1)` : `= ${conversation()}`}`,
    /** Inserts what is there already. */
    again(action) {
      return `INSERT INTO public.chat_messages (id, conversation_id, direction, content, status, created_at)
        SELECT id, conversation_id, direction, ${text()}, 'read', created_at FROM public.chat_messages WHERE ${this.oneOf(4)} FOR UPDATE
        ON CONFLICT (${model.key}) DO ${action}`;
    },
    merge() {
      return `MERGE INTO public.chat_messages m
        USING (SELECT id, NULL AS conversation FROM public.chat_messages WHERE ${this.oneOf(4)} UNION ALL SELECT NULL, ${conversation()}::text) s ON m.id = s.id
        WHEN MATCHED AND m.direction = '${r.pick(['incoming', 'none'])}' THEN DELETE
        WHEN MATCHED THEN UPDATE SET content = ${text()}, status = ${status()}
        WHEN NOT MATCHED AND s.conversation IS NOT NULL THEN INSERT (conversation_id, direction, content) VALUES (s.conversation::${model.idType}, 'incoming', 'merged')`;
    },
  };
}

/** Every kind of change, with its weight. */
function changesOf(r, model) {
  const g = grammar(r, model);
  return [
    [30, () => g.insert(1)],
    [5, () => g.insert(2 + r.below(4))],
    [4, () => `SELECT record.copy(${g.conversation()}::text, ${1 + r.below(5)}, ${g.text()})`],
    [15, () => g.set(`status = ${g.status()}`)],
    [8, () => g.set(`content = ${g.text()}`)],
    [4, () => g.set(`content = ${g.text()}, status = ${g.status()}, metadata = '{"n":${r.below(9)}}'`)],
    [3, () => g.set(`"timestamp" = ${g.time()}`)],
    [3, () => g.set('is_private_note = NOT is_private_note')],
    [5, () => g.set(`${model.mark.column} = ${model.mark.toggled}`)],
    [4, () => g.set(`conversation_id = ${g.conversation()}`)],
    [2, () => g.set(`conversation_id = ${g.conversation()}, status = ${g.status()}, ${model.mark.column} = ${model.mark.toggled}`)],
    [2, () => `UPDATE public.chat_messages SET conversation_id = ${g.conversation()} WHERE ${g.oneOf(4)}`],
    [6, () => `DELETE FROM public.chat_messages WHERE id = ${g.message()}`],
    [2, () => `DELETE FROM public.chat_messages WHERE ${g.oneOf(5)}`],
    [4, () => `UPDATE public.chat_messages SET status = ${g.status()} WHERE ${g.oneOf(3)}`],
    [2, () => g.again(`UPDATE SET content = EXCLUDED.content, status = EXCLUDED.status`)],
    [1, () => g.again('NOTHING')],
    [2, () => g.merge()],
    [0.3, () => 'TRUNCATE public.chat_messages'],
    [4, () => `SELECT chat.mark_read(${g.conversation()}::text)`],
    [1, () => `SELECT chat.mark_read(${g.conversation()}::text, ${g.time()})`],
    [3, () => `SELECT chat.edit_message(${g.message()}::text, ${g.text()} || '.')`],
    [3, () => `SELECT chat.update_message_status(${g.message()}::text, ${g.status()})`],
    [2, () => `SELECT chat.delete_message(${g.message()}::text)`],
    [4, () => `SELECT chat.save_message(${g.conversation()}::text, '{"direction": "${r.pick(['incoming', 'outgoing'])}", "content": "saved", "messageId": "wa-${r.below(5)}"}')`],
    [1, () => `SELECT chat.archive_conversation(${g.conversation()}::text)`],
    [3, () => g.setConversation(`contact_name = ${g.text()}`)],
    [3, () => g.setConversation(`status = '${r.pick(['open', 'pending', 'resolved'])}', unread_count = ${r.below(9)}`)],
    [2, () => g.setConversation(`assigned_agent_id = ${r.chance(0.7) ? model.agent : 'NULL'}`)],
    [2, () => g.setConversation(`last_message_preview = 'forged', last_message_at = ${g.time()}`)],
    [2, () => `SELECT record.merge(${g.conversation()}::text, ${g.conversation()}::text)`],
    [1, () => `DELETE FROM public.conversations WHERE id = ${g.conversation()}`],
    [2, () => `INSERT INTO public.conversations (${model.owner}, contact_jid, assigned_agent_id) VALUES ($1, 'c${r.below(4)}', ${r.chance(0.5) ? model.agent : 'NULL'})
      ON CONFLICT (${model.owner}, contact_jid) DO UPDATE SET contact_name = 'again'`],
    ...(model.changes?.(r, g) ?? []),
  ];
}

/** Makes one change after the other. */
function chooser(r, model) {
  const changes = changesOf(r, model);
  const total = changes.reduce((sum, [weight]) => sum + weight, 0);
  return () => {
    let left = r.random() * total;
    return changes.find(([weight]) => (left -= weight) < 0)[1]();
  };
}

/** Statements, some of them under savepoints that are kept or rolled back. */
function statements(r, change, depth = 0) {
  const list = [];
  for (let i = 1 + r.below(4); i > 0; i--) {
    if (depth < 2 && r.chance(0.2)) {
      const name = `s${depth}`;
      list.push(`SAVEPOINT ${name}`, ...statements(r, change, depth + 1), r.chance(0.5) ? `ROLLBACK TO ${name}` : `RELEASE ${name}`);
    } else list.push(change());
  }
  return list;
}

function transaction(r, change) {
  if (r.chance(0.4)) return { list: [change()], end: 'auto' };
  const p = r.random();
  const isolation = r.chance(0.7) ? 'READ COMMITTED' : r.pick(['REPEATABLE READ', 'SERIALIZABLE']);
  return { list: statements(r, change), isolation, end: p < 0.75 ? 'COMMIT' : p < 0.88 ? 'ROLLBACK' : p < 0.95 ? 'COMMIT PREPARED' : 'ROLLBACK PREPARED' };
}

/** Whether the history of a seed consists of single INSERTs, many of them of several rows: they must not deadlock (R5). */
export const insertsOnly = (seed) => seed % 5 === 0;

/** sessions × transactions of one history. */
export function program(seed, model, { sessions = 6, transactions = 8 } = {}) {
  const r = generator(seed);
  const { insert } = grammar(r, model);
  const change = chooser(r, model);
  const one = insertsOnly(seed) ? () => ({ list: [insert(1 + r.below(5))], end: 'auto' }) : () => transaction(r, change);
  return Array.from({ length: sessions }, () => Array.from({ length: transactions }, one));
}
