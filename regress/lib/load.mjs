// Load, and the judgement of what arrived of it. The log in the database is the truth: what is in it was
// committed, and must be delivered.
import { connect, rows } from './db.mjs';
import { sleep, until } from './wait.mjs';

const insert = {
  name: 'load',
  text: 'INSERT INTO public.chat_messages (conversation_id, content, direction) VALUES ($1, $2, $3)',
};

/** Writers that insert messages until stop(); they connect again when the server goes away. */
export class Load {
  constructor(cluster, conversations, { writers = 4, pause = 0 } = {}) {
    this.cluster = cluster;
    this.conversations = conversations;
    this.pause = pause;
    this.written = 0;
    this.failed = 0;
    this.going = true;
    this.writers = Array.from({ length: writers }, (_, i) => this.write(i));
  }

  async write(writer) {
    let client;
    for (let n = 0; this.going; n++) {
      try {
        client ??= await connect(this.cluster);
        const conversation = this.conversations[(writer + n) % this.conversations.length];
        await client.query({ ...insert, values: [conversation, `${writer}.${n}`, n % 2 ? 'outgoing' : 'incoming'] });
        this.written++;
      } catch {
        this.failed++;
        client?.end().catch(() => {});
        client = undefined;
        await sleep(50);
      }
      if (this.pause) await sleep(this.pause);
    }
    await client?.end().catch(() => {});
  }

  /** Waits until so many more messages were written. */
  async wrote(count, limit = 20000) {
    const goal = this.written + count;
    await until(() => this.written >= goal, () => `${count} more messages, ${goal - this.written} to go`, limit);
  }

  async stop() {
    this.going = false;
    await Promise.all(this.writers);
    return this.written;
  }
}

/** The log, in id order: of the number, not of the text that is returned. */
export function events(db) {
  return rows(db, 'SELECT e.id::text, e.topic, e.event, e.conversation, e.webhook FROM chat.events e WHERE e.expires_at IS NULL ORDER BY e.id');
}

/** The event that is a state: a newer one of its topic and conversation may take its place. */
const state = 'conversation.updated';

/** Whether one id is above another, as numbers: they are texts. */
const isNewer = (id, than) => BigInt(id) > BigInt(than);

/** Events that must arrive: all of them, or of conversation.updated only each conversation's last one. */
function required(log, every) {
  if (every) return log;
  const last = new Map();
  for (const event of log) if (event.event === state) last.set(event.conversation, event.id);
  return log.filter((event) => event.event !== state || last.get(event.conversation) === event.id);
}

/**
 * Compares deliveries [{id, topic, event}] in order of arrival with the log. every: no state replaces another; ordered: false where their
 * order says nothing, since some were asked for.
 * lost: ids that must have come and did not; unknown: ids not in the log; duplicates: their number;
 * disorder: first deliveries that came after a newer one of their topic and conversation.
 *
 * A state that a newer one replaced was never delivered. After a crash the log is read again from before it, and it may be
 * delivered then, after the newer one. That is in order where the newest that had come then comes once more after it, or, where that is a
 * state, a newer state in its place; until then it is disorder, and the newest counts as lost.
 */
export function judge(log, deliveries, { every = false, ordered = true } = {}) {
  const known = new Map(log.map((event) => [event.id, event]));
  const seen = new Set();
  const newest = new Map(); // {id, isState} by topic and conversation
  const states = new Map(); // newest state by topic and conversation, also of those written since
  let behind = []; // states that came after the newest, which has not come again
  const result = { delivered: deliveries.length, unknown: [], duplicates: 0, disorder: [] };
  for (const { id, topic, event: name, payload } of deliveries) {
    const event = known.get(id);
    const isState = !every && (event?.event ?? name) === state;
    const key = event ? `${event.topic} ${event.conversation}` : `${topic} ${payload?.id}`;
    behind = behind.filter((late) => late.key !== key || (late.newest.id !== id && !(late.newest.isState && isState && isNewer(id, late.newest.id))));
    if (name === state) states.set(key, id);
    if (!event) result.unknown.push(id);
    else if (seen.has(id)) result.duplicates++;
    else {
      seen.add(id);
      const before = newest.get(key);
      if (!before || isNewer(id, before.id)) newest.set(key, { id, isState });
      else if (ordered && isState) behind.push({ key, id, newest: before });
      else if (ordered) result.disorder.push(`${key}: ${before.id} before ${id}`);
    }
  }
  const replaced = (event) => !every && event.event === state && isNewer(states.get(`${event.topic} ${event.conversation}`) ?? 0, event.id);
  const missing = required(log, every).filter((event) => !seen.has(event.id) && !replaced(event)).map((event) => event.id);
  result.disorder.push(...behind.map((late) => `${late.key}: ${late.newest.id} before ${late.id}`));
  result.lost = [...new Set([...missing, ...behind.map((late) => late.newest.id)])];
  return result;
}

/** Waits until nothing of the log is missing; returns the judgement. */
export async function allDelivered(db, deliveries, { limit = 30000, only = () => true, every = false } = {}) {
  let result;
  const log = (await events(db)).filter(only);
  await until(() => {
    result = judge(log, deliveries(), { every });
    return result.lost.length === 0;
  }, () => `${result.lost.length} of ${log.length} events missing, first ${result.lost.slice(0, 5)}`, limit, 50);
  return result;
}
