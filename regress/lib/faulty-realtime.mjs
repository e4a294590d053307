// Stands in for Supabase Realtime's HTTP interface and fails on demand.
import { setTimeout as sleep } from 'node:timers/promises';
import { Listener, readBody } from './http.mjs';
import { freePort } from './ports.mjs';

/** Counts as Realtime does: each event once, and once more for each subscriber; an average over up to twelve steps of 5 s. */
export class Counter {
  constructor(limit, subscribers) {
    Object.assign(this, { limit, subscribers, steps: [], step: 0, ends: Date.now() + 5000, average: 0, closed: 0 });
  }

  /** Ends the steps that are over. Above the limit Realtime closes the channels of subscribers. */
  advance() {
    for (; Date.now() >= this.ends; this.ends += 5000) {
      this.steps = [this.step, ...this.steps].slice(0, 12);
      this.step = 0;
      this.average = this.steps.reduce((sum, n) => sum + n, 0) / this.steps.length / 5;
      if (this.average > this.limit) this.closed++;
    }
  }

  /** Whether there is room for a batch, which is counted then. */
  takes(events) {
    this.advance();
    if (this.average + events > this.limit) return false;
    this.step += events * (1 + this.subscribers);
    return true;
  }

  takesSingle() {
    this.advance();
    if (this.average >= this.limit) return false;
    this.step++;
    return true;
  }
}

const bodies = {
  400: 'Bad Request',
  401: '{"message":"Unauthorized"}',
  403: '{"message":"Tenant is suspended"}',
  422: '{"errors":{"messages":[{"payload":["is invalid"]}]}}',
  429: '{"message":"You have exceeded your rate limit"}',
  500: '"Internal Server Error"',
};

export class FaultyRealtime {
  static async start() {
    const fake = new FaultyRealtime();
    fake.mode = 202; // a status; 'silent': no answer; 'reset': the connection is cut
    fake.poison = null; // function(message): such a message makes its whole batch a 400
    fake.invalid = null; // function(message): such a message is named in a 422 for its batch
    fake.connections = 0; // made so far
    fake.onAccepted = undefined; // function(message)
    fake.accepted = []; // messages answered with 202: {id, topic, event, payload, private, key, at}
    fake.requests = {}; // number of requests by answer
    fake.largest = 0; // messages in the largest batch
    fake.parallel = {}; // requests in flight by topic
    fake.overlaps = 0; // requests that came while another one with the same topic was in flight
    fake.delay = 0; // ms before each answer
    fake.topicMs = 0; // that its database takes for each topic of a batch, one after another
    fake.database = Promise.resolve();
    fake.sizes = []; // messages of each batch
    fake.single = 202; // status for a message that is sent alone to ask about a key
    fake.singles = []; // those that came: {path, key, authorization}
    fake.canary = [202]; // status and body for a message that is sent alone behind others
    fake.canaries = {}; // number of those by status
    fake.held = null; // a promise that they wait for before they are answered
    fake.counter = null; // of a limit
    fake.drops = false; // what is answered with 202 goes nowhere
    fake.dropped = 0; // messages that went there
    fake.listener = new Listener((request, response) => fake.take(request, response), await freePort());
    await fake.up();
    return fake;
  }

  /** One message alone, by its path: answered as it is, without any look at keys, unless this is changed. */
  async takeSingle(request, response) {
    if (request.url.includes('/events/canary?')) {
      await this.held;
      const [status, body] = this.counter && !this.counter.takesSingle() ? [429] : this.canary;
      this.canaries[status] = (this.canaries[status] ?? 0) + 1;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body ?? bodies[status] ?? '');
      return;
    }
    this.singles.push({ path: request.url, key: request.headers.apikey, authorization: request.headers.authorization });
    response.writeHead(this.single, { 'content-type': 'application/json' });
    response.end(bodies[this.single] ?? '');
  }

  async take(request, response) {
    if (/^\/api\/broadcast\/[^/]+\/events\//.test(request.url)) {
      await readBody(request);
      await this.takeSingle(request, response);
      return;
    }
    const { messages } = JSON.parse(await readBody(request));
    const topics = new Set(messages.map((message) => message.topic));
    this.enter(topics);
    response.on('close', () => this.leave(topics));
    this.largest = Math.max(this.largest, messages.length);
    this.sizes.push(messages.length);
    if (this.delay) await sleep(this.delay);
    if (this.topicMs) await this.authorise(topics);
    const mode = this.judge(messages);
    this.requests[mode] = (this.requests[mode] ?? 0) + 1;
    if (mode === 'silent') return;
    if (mode === 'reset') {
      request.socket.destroy();
      return;
    }
    if (mode === 202 && this.drops) this.dropped += messages.length;
    else if (mode === 202) {
      for (const message of messages) {
        this.accepted.push({ ...message, key: request.headers.apikey, at: Date.now() });
        this.onAccepted?.(message);
      }
    }
    response.writeHead(mode, { 'content-type': mode === 400 ? 'text/html' : 'application/json' });
    response.end(this.body(mode, messages));
  }

  /** Asks its database about each topic, as Realtime does for private ones, on its one connection. */
  authorise(topics) {
    this.database = this.database.then(() => sleep(this.topicMs * topics.size));
    return this.database;
  }

  /** The mode of one request: messages that cannot be accepted count only where others would be. */
  judge(messages) {
    if (this.mode !== 202) return this.mode;
    if (this.counter && !this.counter.takes(messages.length)) return 429;
    if (this.poison && messages.some(this.poison)) return 400;
    return this.invalid && messages.some(this.invalid) ? 422 : 202;
  }

  body(mode, messages) {
    if (mode === 202) return '';
    if (mode !== 422 || !this.invalid) return bodies[mode];
    return JSON.stringify({ errors: { messages: messages.map((m) => (this.invalid(m) ? { payload: ['is invalid'] } : {})) } });
  }

  enter(topics) {
    for (const topic of topics) {
      if (this.parallel[topic]) this.overlaps++;
      this.parallel[topic] = (this.parallel[topic] ?? 0) + 1;
    }
  }

  leave(topics) {
    for (const topic of topics) this.parallel[topic]--;
  }

  async up() {
    await this.listener.up();
    this.listener.server.on('connection', () => { this.connections++; });
  }

  down() {
    return this.listener.down();
  }

  get url() {
    return this.listener.url;
  }
}
