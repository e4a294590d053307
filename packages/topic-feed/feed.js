// One topic, without gaps and without duplicates, whatever the transports do.
//
// The feed remembers a position: everything up to it has been asked for and applied. Only asking moves it, never
// what comes live, so that what a transport lost is found by the next question. It asks when a transport becomes
// live (also after being offline), every minute while one is, and every few seconds while none is: polling.

import { eventId } from './transports.js';

/** Milliseconds between two questions: while a transport is live, and while none is. */
const pollLive = 60_000;
const pollAlone = 5_000;
/** Milliseconds. The log is kept for a day: who was away for longer begins anew. */
const longestAbsence = 12 * 3600_000;
/** Ids of events that are known. */
const remembered = 2_000;
/** Milliseconds until a question counts as lost: a connection that died unnoticed may never answer. */
const patience = 30_000;

/** What a promise brings; an error when that takes too long. */
function inTime(promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('no answer')), patience); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class TopicFeed {
  #topic;
  #fetchEvents;
  #handlers;
  #position; // undefined: the first question is to come
  #asked = 0; // when the last question was answered
  #newest = 0;
  #seen = new Set();
  #listeners = new Map(); // by transport
  #connections = new Map(); // by transport
  #live = new Set(); // transports
  #timer;
  #asking = false;
  #askAgain = false;
  #closed = false;

  constructor(topic, fetchEvents, transports, handlers) {
    this.#topic = topic;
    this.#fetchEvents = fetchEvents;
    this.#handlers = handlers;
    globalThis.addEventListener?.('online', this.#ask); // a browser's; Node.js has none
    this.use(transports);
  }

  /** Goes on over these. Position and known events stay, so that nothing is lost in between, or told twice. */
  use(transports) {
    if (this.#closed) return;
    for (const transport of [...this.#connections.keys()].filter((open) => !transports.includes(open))) this.#leave(transport);
    for (const transport of transports.filter((wanted) => !this.#connections.has(wanted))) this.#join(transport);
    this.#handlers.live?.(this.#live.size > 0);
    void this.#ask();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.('online', this.#ask);
    for (const connection of this.#connections.values()) connection.close();
  }

  #join(transport) {
    const listener = {
      event: (event) => { if (this.#take(event)) this.#handlers.reset(); },
      hint: () => void this.#ask(),
      // One that was left says so late, when the same transport may be joined again.
      live: (live) => { if (this.#listeners.get(transport) === listener) this.#setLive(transport, live); },
    };
    this.#listeners.set(transport, listener);
    this.#connections.set(transport, transport(this.#topic, listener));
  }

  #leave(transport) {
    this.#listeners.delete(transport);
    this.#live.delete(transport);
    this.#connections.get(transport).close();
    this.#connections.delete(transport);
  }

  #setLive(transport, live) {
    if (this.#closed) return;
    if (live) this.#live.add(transport);
    else this.#live.delete(transport);
    this.#handlers.live?.(this.#live.size > 0);
    void this.#ask();
  }

  /** Tells an event unless it is known, or has no id and so is none of the database's. True: it was late, the lists are to be looked at. */
  #take(event) {
    const { id } = event;
    if (this.#closed || id === undefined || this.#seen.has(id)) return false;
    this.#seen.add(id);
    if (this.#seen.size > remembered) this.#seen.delete(this.#seen.values().next().value);
    if (id < this.#newest) {
      this.#handlers.late?.(event);
      return true;
    }
    this.#newest = id;
    this.#handlers.event(event);
    return false;
  }

  /** One question at a time; what comes up meanwhile is asked afterwards. */
  #ask = async () => {
    if (this.#asking || this.#closed) {
      this.#askAgain = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#asking = true;
    let answered = true;
    try {
      do {
        this.#askAgain = false;
        await this.#catchUp();
      } while (this.#askAgain && !this.#closed);
    } catch {
      answered = false; // Nobody answers: asked again when the timer says so.
    }
    this.#asking = false;
    if (!this.#closed) this.#timer = setTimeout(this.#ask, this.#live.size > 0 && answered ? pollLive : pollAlone);
  };

  async #catchUp() {
    const anew = this.#position === undefined || Date.now() - this.#asked > longestAbsence;
    if (anew) {
      this.#position = (await inTime(this.#fetchEvents(this.#topic))).position;
      if (!this.#closed) this.#handlers.reset();
    } else {
      await this.#fetchMissed();
    }
    this.#asked = Date.now();
  }

  async #fetchMissed() {
    let late = false;
    try {
      for (let more = true; more && !this.#closed;) {
        const page = await inTime(this.#fetchEvents(this.#topic, this.#position));
        for (const event of page.data) late = this.#take({ ...event, id: eventId(event.id) }) || late; // drivers give bigint as text
        if (page.hasMore && !(Number(page.position) > Number(this.#position))) throw new Error('the answer goes nowhere'); // asked at once it would be the same
        this.#position = page.position;
        more = page.hasMore;
      }
    } finally {
      if (late && !this.#closed) this.#handlers.reset(); // also when the next page failed: they will not be late again
    }
  }
}
