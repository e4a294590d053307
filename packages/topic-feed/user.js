// All topics that one user has open, over whatever the user is served by: provider.changed of the inbox moves them all.
import { TopicFeed } from './feed.js';
import { providerOf, transportsOf } from './transports.js';

/** Milliseconds: the event tells of each change; who cannot hear it asks now and then. */
const askEvery = 60_000;

export class UserFeeds {
  #fetchEvents;
  #fetchProvider;
  #transports;
  #onProvider;
  #provider;
  #feeds = new Set();
  #timer;
  #told = 0; // how often it was said which provider it is
  #closed = false;

  /** inbox: the handlers of user:<userId>:inbox. provider: until the first answer of fetchProvider. */
  constructor({ userId, fetchEvents, fetchProvider, transports, inbox, provider = 'polling', onProvider }) {
    this.#fetchEvents = fetchEvents;
    this.#fetchProvider = fetchProvider;
    this.#transports = transports;
    this.#onProvider = onProvider;
    this.#provider = provider;
    const said = ({ event, payload }) => event === 'provider.changed' && this.use(payload?.provider);
    this.open(`user:${userId}:inbox`, {
      ...inbox,
      event: (event) => {
        said(event);
        inbox?.event?.(event);
      },
      reset: () => {
        void this.#askProvider();
        inbox?.reset?.();
      },
    });
    if (fetchProvider) this.#timer = setInterval(() => this.#askProvider(), askEvery);
  }

  get provider() {
    return this.#provider;
  }

  /** Moves all feeds; another word than a provider's changes nothing. */
  use(name) {
    const provider = providerOf(name);
    this.#told++;
    if (provider === undefined || provider === this.#provider || this.#closed) return;
    this.#provider = provider;
    this.#onProvider?.(provider);
    for (const feed of this.#feeds) feed.use(transportsOf(provider, this.#transports));
  }

  /** One more topic. It is left with close() of what is returned. */
  open(topic, handlers) {
    const feed = new TopicFeed(topic, this.#fetchEvents, transportsOf(this.#provider, this.#transports), handlers);
    this.#feeds.add(feed);
    return {
      close: () => {
        this.#feeds.delete(feed);
        feed.close();
      },
    };
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const feed of this.#feeds) feed.close();
    this.#feeds.clear();
  }

  /** An answer that was under way while something else was said is dropped: it may be older. */
  async #askProvider() {
    const before = this.#told;
    let provider;
    try {
      provider = await this.#fetchProvider?.();
    } catch {
      return; // asked again in a minute
    }
    if (provider !== undefined && before === this.#told) this.use(provider);
  }
}
