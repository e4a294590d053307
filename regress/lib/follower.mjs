// A client as one should be: unchanged supabase-js on its channels, which asks for what it missed whenever a channel is joined again.
import { rows } from './db.mjs';

export class Follower {
  /** db: for what it asks, as the user. */
  static async create(subscriber, db, topics) {
    const follower = new Follower();
    Object.assign(follower, { subscriber, db, asking: Promise.resolve(), newest: new Map(), asked: [], joins: 0, looked: 0 });
    for (const topic of topics) await subscriber.join(topic, { joined: () => follower.catchUp(topic) });
    return follower;
  }

  get heard() {
    return this.subscriber.heard;
  }

  /** Up to where the topic is known, by what was heard. */
  last(topic) {
    for (; this.looked < this.heard.length; this.looked++) {
      const { topic: on, id } = this.heard[this.looked];
      if (BigInt(id) > (this.newest.get(on) ?? 0n)) this.newest.set(on, BigInt(id));
    }
    return this.newest.get(topic) ?? 0n;
  }

  /** One question after the other. */
  catchUp(topic) {
    const after = this.last(topic);
    this.joins++;
    this.asking = this.asking.then(() => this.ask(topic, after));
  }

  async ask(topic, after) {
    for (let tries = 0; ; tries++) {
      try {
        for (let more = true; more;) {
          const found = await rows(this.db(), 'SELECT id::text, event, payload FROM chat.events_since($1, $2, 1000)', [topic, `${after}`]);
          for (const { id, event, payload } of found) this.asked.push({ topic, id, event, payload });
          const newest = found.reduce((most, { id }) => (BigInt(id) > most ? BigInt(id) : most), after);
          more = newest > after;
          after = newest;
        }
        return;
      } catch (error) {
        if (tries === 300) throw error; // the server is away for a moment
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  }

  /** All that it has, once nothing is asked for any more. */
  async all() {
    await this.asking;
    return [...this.heard, ...this.asked];
  }
}
