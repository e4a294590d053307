// The worker that sends: takes what is pending from the database, posts it to WUZAPI, and reports what became of it. A message
// is tried under the one WhatsApp id that is stored with it, so that a try whose answer was lost can be made again; and the next
// one of its conversation waits for it. Any number of workers may run: a conversation is given to one of them at a time.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { groupBy, requestsFor, Unsendable } from './outgoing.mjs';
import { Refusal } from './wuzapi-client.mjs';

const now = () => performance.now();

export class Sender {
  /**
   * leaseMs: for how long what is taken belongs to this worker; no request begins that could end after it. Tries of a message
   * that WUZAPI refuses: maxTries; of one that cannot be sent for now: until it is giveUpMs old.
   */
  constructor({ db, client, log = console.error, leaseMs = 60_000, pollMs = 1_000, conversations = 16, most = 50, maxTries = 8, giveUpMs = 12 * 3_600_000,
    firstWaitMs = 1_000, longestWaitMs = 60_000 }) {
    Object.assign(this, { db, client, log, leaseMs, pollMs, conversations, most, maxTries, giveUpMs, firstWaitMs, longestWaitMs });
    this.busy = new Set(); // a promise for each conversation that is being sent
    this.tries = new Map(); // by message, of those that WUZAPI refused
    this.pauses = new Map(); // by instance that cannot send: {until, waitMs}
    this.stopping = false;
  }

  start() {
    this.ended = this.run();
  }

  /** Begins nothing more; resolves when the requests that are out are answered and reported. */
  async stop() {
    this.stopping = true;
    this.wake?.();
    await this.ended;
  }

  async run() {
    while (!this.stopping) {
      const end = now() + this.leaseMs;
      const items = this.busy.size < this.conversations ? await this.take() : [];
      for (const list of groupBy(items, (item) => item.conversationId).values()) this.begin(list, end);
      if (items.length === 0) await this.rest();
    }
    await Promise.all(this.busy);
  }

  async take() {
    try {
      const { rows } = await this.db.query({
        name: 'take', text: `SELECT chat.pending_messages($1, $2 * interval '1 ms') AS items`, values: [this.most, this.leaseMs],
      });
      return rows[0].items;
    } catch (error) {
      this.log(error);
      return [];
    }
  }

  /** Until there may be something to do: after a while, or when a conversation is done. */
  async rest() {
    const timer = new AbortController();
    this.wake = () => timer.abort();
    if (this.stopping) return;
    await sleep(this.pollMs, undefined, { signal: timer.signal }).catch(() => {});
    this.wake = undefined;
  }

  begin(list, end) {
    const done = this.conversation(list, end).catch(this.log).finally(() => {
      this.busy.delete(done);
      this.wake?.();
    });
    this.busy.add(done);
  }

  /** One after the other. What is left when the time is over is given again, to whomever. */
  async conversation(list, end) {
    for (const item of list) {
      if (!await this.deliver(item, end)) return;
    }
  }

  /** Tries until it is sent, or never can be, and reports it: true. False: not within the lease. */
  async deliver(item, end) {
    let instance, requests;
    try {
      instance = this.client.find(item);
    } catch (error) {
      return this.failed(item, error, end);
    }
    for (let waitMs = this.firstWaitMs; ; waitMs = Math.min(waitMs * 2, this.longestWaitMs)) {
      await this.pass(Math.min(this.pauses.get(instance)?.until ?? 0, end));
      try {
        requests ??= await requestsFor(item, instance, (url) => this.client.fetchMedia(url));
        for (const request of requests) {
          if (this.stopping || now() + this.client.timeout(request.path) > end) return false;
          item.answer = await this.client.post(instance, request);
        }
        this.pauses.delete(instance);
        return await this.done(item, end);
      } catch (error) {
        if (this.isFinal(item, error)) return this.failed(item, error, end);
        if (error.what === 'later') this.pause(instance, error.retryAfterMs);
        else if (now() + waitMs > end) return false;
        else await this.pass(now() + waitMs);
      }
    }
  }

  isFinal(item, error) {
    if (error instanceof Unsendable || error.what === 'never') return true;
    if (!(error instanceof Refusal)) throw error;
    if (item.createdAt && Date.now() - Date.parse(item.createdAt) > this.giveUpMs) return true;
    if (error.what === 'later') return false;
    const key = item.actionId ? `action ${item.actionId}` : item.id;
    const tries = (this.tries.get(key) ?? 0) + 1;
    this.tries.delete(key);
    if (tries >= this.maxTries) return true;
    if (this.tries.size >= 10_000) this.tries.delete(this.tries.keys().next().value);
    this.tries.set(key, tries);
    return false;
  }

  /** Nobody asks an instance that cannot send more often than all of its conversations together. */
  pause(instance, retryAfterMs) {
    const { until = 0, waitMs = 0 } = this.pauses.get(instance) ?? {};
    if (until > now()) return;
    const next = Math.min(Math.max(waitMs * 2, this.firstWaitMs), this.longestWaitMs);
    this.pauses.set(instance, { waitMs: next, until: now() + Math.max(next, retryAfterMs) });
  }

  /** Waits until then, or until the worker is to stop. */
  async pass(until) {
    while (now() < until && !this.stopping) await sleep(Math.min(until - now(), 200));
  }

  done(item, end) {
    this.tries.delete(item.id);
    if (item.actionId) return this.report('SELECT chat.action_done($1)', [item.actionId], end);
    return this.report('SELECT chat.message_sent($1, $2)', [item.id, item.answer.Id ?? null], end);
  }

  failed(item, { message }, end) {
    this.log(new Error(`${item.action} of message ${item.id}: ${message}`));
    if (item.actionId) return this.report('SELECT chat.action_done($1)', [item.actionId], end);
    return this.report('SELECT chat.message_failed($1, $2)', [item.id, message], end);
  }

  /** Without a report the message is sent once more, under the same id: so it is tried while there is time. */
  async report(text, values, end) {
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
      try {
        await this.db.query({ name: text.slice(0, 30), text, values });
        return true;
      } catch (error) {
        this.log(error);
        if (error instanceof pg.DatabaseError && /^(22|42|55)/.test(error.code)) return false;
        if (now() + waitMs > end) return false;
        await sleep(waitMs);
      }
    }
  }
}
