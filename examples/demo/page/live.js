// The live part: an unchanged supabase-js client on private channels. It reconnects by itself; after that each
// channel catches up through chat.events_since, and what was heard already is dropped by its event id.
/* global supabase */

export async function get(path, parameters = {}) {
  const response = await fetch(`${path}?${new URLSearchParams(parameters)}`);
  if (!response.ok) throw new Error((await response.json()).error);
  return response.json();
}

export async function post(path, body) {
  const response = await fetch(path, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error((await response.json()).error);
  return response.json();
}

const page = 100; // rows of events_since
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

class Topic {
  constructor(name, load, handle) {
    Object.assign(this, { name, load, handle, position: 0, newest: 0, loaded: false, seen: new Set(), joined: false });
  }

  take(id, event, payload) {
    const number = Number(id); // events_since gives numbers, a broadcast's id is text
    if (this.seen.has(number)) return false;
    this.seen.add(number);
    this.newest = Math.max(this.newest, number);
    this.handle(event, payload, number);
    return true;
  }

  /** All at first, later what was missed; returns how many events those were. Only asking moves the position, never what is heard. */
  async catchUp() {
    if (!this.loaded) {
      this.position = await this.load();
      this.loaded = true;
      return 0;
    }
    let missed = 0;
    let late = false;
    for (let more = true; more;) {
      const events = await get('/api/events', { topic: this.name, after: this.position });
      for (const { id, event, payload } of events) {
        const old = Number(id) < this.newest;
        if (this.take(id, event, payload)) [missed, late] = [missed + 1, late || old];
        this.position = Math.max(this.position, Number(id));
      }
      more = events.length >= page;
    }
    if (late) await this.load(); // what came after it was heard first: the present state says what holds
    return missed;
  }
}

export class Live {
  /** onState(live, missed): whether every channel is joined and up to date, and how many events that took. */
  static async create(onState) {
    const live = new Live();
    live.topics = new Map();
    live.onState = onState;
    live.session = await get('/api/session');
    live.user = live.session.user;
    live.client = supabase.createClient(location.origin, live.session.anonKey, {
      auth: { persistSession: false, autoRefreshToken: false },
      accessToken: () => live.token(),
    });
    addEventListener('offline', () => onState(false, 0));
    addEventListener('online', () => live.reconnect());
    return live;
  }

  /** Without this a connection that died unnoticed would be missed at the next heartbeat only. */
  async reconnect() {
    await this.client.realtime.disconnect();
    this.client.realtime.connect();
  }

  /** No connection for a while, as in a lift. */
  async pause(ms) {
    await this.client.realtime.disconnect();
    this.onState(false, 0);
    await sleep(ms);
    await this.reconnect();
  }

  /** The token, renewed in time; without an answer the one there is may still do. */
  async token() {
    const { exp } = JSON.parse(atob(this.session.token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    if (exp * 1000 - Date.now() < 600_000) this.session = await get('/api/session').catch(() => this.session);
    return this.session.token;
  }

  /** load() shows the present state and resolves to the event id it is as new as; handle(event, payload) takes events. */
  async join(name, load, handle) {
    if (this.topics.has(name)) return;
    const topic = new Topic(name, load, handle);
    this.topics.set(name, topic);
    await this.client.realtime.setAuth();
    this.client.channel(name, { config: { private: true } })
      .on('broadcast', { event: '*' }, ({ event, payload, meta }) => meta?.id !== undefined && topic.take(meta.id, event, payload))
      .subscribe((status) => this.changed(topic, status));
  }

  /** Called at each join, so also after each reconnect, and when a channel is lost. */
  async changed(topic, status) {
    topic.joined = false;
    topic.turn = (topic.turn ?? 0) + 1;
    const { turn } = topic;
    if (status !== 'SUBSCRIBED') { // supabase-js joins again
      this.onState(false, 0);
      return;
    }
    for (let pause = 500; ; pause = Math.min(2 * pause, 10_000)) {
      try {
        const missed = await topic.catchUp();
        if (turn !== topic.turn) return;
        topic.joined = true;
        this.onState([...this.topics.values()].every(({ joined }) => joined), missed);
        return;
      } catch {
        await sleep(pause);
        if (turn !== topic.turn) return;
      }
    }
  }
}
