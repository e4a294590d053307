// Watches both ends where events come out, an unchanged supabase-js client and the webhook receiver, and
// prints each arrival with the time since its commit.
import { createClient } from '@supabase/supabase-js';
import WebSocket from 'ws';
import { until } from './lib/wait.mjs';
import { value } from './machine.mjs';
import { green, line, milliseconds, plain, red } from './terminal.mjs';

let origin = performance.timeOrigin;

/** Milliseconds since 1970 with fractions, which Date.now() has not; follows the clock when it is set. */
function wallClock() {
  const drift = Date.now() - (origin + performance.now());
  if (Math.abs(drift) > 2) origin += drift;
  return origin + performance.now();
}

const describe = {
  message: ({ direction, messageType, content }) =>
    `${direction === 'incoming' ? 'contact' : 'agent'}: ${messageType === 'text' ? '' : `[${messageType}] `}${content ?? ''}`,
  conversation: ({ contactName, unreadCount, lastMessagePreview }) =>
    `${plain(contactName, 16)}, ${unreadCount} unread${lastMessagePreview ? `, "${plain(lastMessagePreview, 24)}"` : ''}`,
  status: ({ id, status }) => `message ${id} is ${status}`,
  typing: ({ username, userId, isTyping }) => `${plain(username ?? userId, 24)} ${isTyping ? 'is typing …' : 'stopped typing'}`,
};

function kindOf(event) {
  if (event === 'message.status') return 'status';
  if (event.startsWith('presence.')) return 'typing';
  return event.split('.')[0];
}

export class Watcher {
  static async create({ machine, sidecar, backend, receiver }) {
    const watcher = new Watcher();
    Object.assign(watcher, { machine, backend, arrivals: [], seen: new Set(), printed: Promise.resolve() });
    receiver.onDelivery = (delivery) => watcher.delivered(delivery);
    watcher.supabase = createClient(sidecar.url, sidecar.anonKey, {
      accessToken: async () => sidecar.token(machine.owner), realtime: { transport: WebSocket }, // a browser has one
    });
    await watcher.join(`user:${machine.owner}:inbox`);
    return watcher;
  }

  /** Joins a private channel; supabase-js joins again by itself when the sidecar was away. */
  async join(topic) {
    let state;
    await this.supabase.realtime.setAuth();
    this.supabase.channel(topic, { config: { private: true } })
      .on('broadcast', { event: '*' }, ({ event, payload, meta }) => this.heard({ topic, event, id: meta?.id, payload }))
      .subscribe((now, error) => { state = error?.message ?? now; });
    await until(() => state === 'SUBSCRIBED', () => `${topic} could not be joined: ${state}`, 15_000);
  }

  async close() {
    await this.supabase.removeAllChannels();
    await this.supabase.realtime.disconnect();
  }

  heard({ topic, event, id, payload }, how = 'client') {
    const at = wallClock();
    const repeated = this.seen.has(id);
    this.seen.add(id);
    if (repeated && how === 'events_since') return; // the client heard it meanwhile
    if (event === 'conversation.new') this.follow(`conversation:${payload.id}`);
    const kind = kindOf(event);
    this.arrived({ at, how, topic, event, id, payload, kind, repeated, what: describe[kind]?.(payload) ?? event });
  }

  /** A conversation the client did not know: it joins, and asks for what was said before it had joined. */
  follow(topic) {
    this.joining = (async () => {
      await this.join(topic);
      for (const { id, event, payload } of await this.backend.eventsSince(topic, 0)) {
        this.heard({ topic, event, id: String(id), payload }, 'events_since');
      }
    })();
  }

  delivered({ id, type, body, problem }) {
    this.arrived({ at: wallClock(), how: 'webhook', event: type, id: /^evt_(\d+)/.exec(id)?.[1], payload: body.data,
      kind: 'webhook', problem, what: `${problem ?? 'signature verified'}, ${type}` });
  }

  arrived(arrival) {
    this.arrivals.push(arrival);
    this.printed = this.printed.then(() => this.print(arrival)).catch(() => {}); // no latency while all is being taken away
  }

  async print(arrival) {
    arrival.latency = arrival.at - await this.committedAt(arrival.id);
    this.onArrival?.({ how: arrival.how, event: arrival.event, topic: arrival.topic, what: arrival.what, latency: arrival.latency, problem: arrival.problem });
    const what = arrival.how === 'events_since' ? `${arrival.what} (from events_since)` : arrival.what;
    if (this.quiet) return;
    const colour = arrival.how !== 'webhook' ? undefined : arrival.problem ? red : green;
    line(arrival.kind, what, milliseconds(arrival.latency), colour);
  }

  /** When the transaction that wrote the event committed: PostgreSQL's own record of it. */
  committedAt(id) {
    return value(this.machine.db, `SELECT (extract(epoch FROM pg_xact_commit_timestamp(xid::xid)) * 1000)::float8
      FROM chat.events WHERE id = $1`, [id]);
  }
}
