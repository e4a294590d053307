// One topic, without gaps and without duplicates, whatever the transports do.
//
// The feed remembers a position: everything up to it has been asked for and applied. Only asking moves it, never
// what comes live, so that what a transport lost is found by the next question. It asks when a transport becomes
// live (also after being offline), every minute while one is, and every few seconds while none is: polling.
import type { ChatEvent, FetchEvents } from './api';
import type { Connection, Listener, Transport } from './transport';

const pollLive = 60_000;
const pollAlone = 5_000;
/** The log is kept for a day: who was away for longer begins anew. */
const longestAbsence = 12 * 3600_000;
const remembered = 2_000;

export interface FeedHandlers {
  event(event: ChatEvent): void;
  /** It came after a newer one, and what it says may be over. */
  late?(event: ChatEvent): void;
  /** The lists are to be loaded again: at the beginning, and when something came out of order. */
  reset(): void;
  live(live: boolean): void;
}

export class TopicFeed {
  private position?: number;
  private asked = 0; // when the last question was answered
  private newest = 0;
  private seen = new Set<number>();
  private listeners = new Map<Transport, Listener>();
  private connections = new Map<Transport, Connection>();
  private live = new Set<Transport>();
  private timer?: ReturnType<typeof setTimeout>;
  private asking = false;
  private askAgain = false;
  private closed = false;

  constructor(
    private topic: string,
    private fetchEvents: FetchEvents,
    transports: Transport[],
    private handlers: FeedHandlers,
  ) {
    window.addEventListener('online', this.ask);
    this.use(transports);
  }

  /** Goes on over these. Position and known events stay, so that nothing is lost in between, or told twice. */
  use(transports: Transport[]) {
    for (const transport of [...this.connections.keys()].filter((open) => !transports.includes(open))) this.leave(transport);
    for (const transport of transports.filter((wanted) => !this.connections.has(wanted))) this.join(transport);
    this.handlers.live(this.live.size > 0);
    void this.ask();
  }

  private join(transport: Transport) {
    const listener: Listener = {
      event: (event) => this.take(event) && this.handlers.reset(),
      hint: () => this.ask(),
      // One that was left says so late, when the same transport may be joined again.
      live: (live) => this.listeners.get(transport) === listener && this.setLive(transport, live),
    };
    this.listeners.set(transport, listener);
    this.connections.set(transport, transport(this.topic, listener));
  }

  private leave(transport: Transport) {
    this.listeners.delete(transport);
    this.live.delete(transport);
    this.connections.get(transport)!.close();
    this.connections.delete(transport);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    window.removeEventListener('online', this.ask);
    for (const connection of this.connections.values()) connection.close();
  }

  private setLive(transport: Transport, live: boolean) {
    if (this.closed) return;
    if (live) this.live.add(transport);
    else this.live.delete(transport);
    this.handlers.live(this.live.size > 0);
    this.ask();
  }

  /** Tells an event unless it is known, or has no id and so is none of the database's. True: it was late, the lists are to be looked at. */
  private take(event: ChatEvent): boolean {
    const { id } = event;
    if (this.closed || id === undefined || this.seen.has(id)) return false;
    this.seen.add(id);
    if (this.seen.size > remembered) this.seen.delete(this.seen.values().next().value!);
    if (id < this.newest) {
      this.handlers.late?.(event);
      return true;
    }
    this.newest = id;
    this.handlers.event(event);
    return false;
  }

  /** One question at a time; what comes up meanwhile is asked afterwards. */
  private ask = async () => {
    if (this.asking) {
      this.askAgain = true;
      return;
    }
    clearTimeout(this.timer);
    this.asking = true;
    let answered = true;
    try {
      do {
        this.askAgain = false;
        await this.catchUp();
      } while (this.askAgain && !this.closed);
    } catch {
      answered = false; // The backend cannot be reached: asked again when the timer says so.
    }
    this.asking = false;
    if (!this.closed) this.timer = setTimeout(this.ask, this.live.size > 0 && answered ? pollLive : pollAlone);
  };

  private async catchUp() {
    const anew = this.position === undefined || Date.now() - this.asked > longestAbsence;
    if (anew) {
      this.position = (await this.fetchEvents(this.topic)).position;
      this.handlers.reset();
    } else if (await this.fetchMissed()) {
      this.handlers.reset();
    }
    this.asked = Date.now();
  }

  private async fetchMissed(): Promise<boolean> {
    let late = false;
    for (let more = true; more && !this.closed;) {
      const page = await this.fetchEvents(this.topic, this.position);
      for (const event of page.data) late = this.take(event) || late;
      this.position = page.position;
      more = page.hasMore;
    }
    return late;
  }
}
