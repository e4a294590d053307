// Stands in for Supabase Realtime's HTTP interface and fails on demand.
import { Listener, readBody } from './http.mjs';
import { freePort } from './ports.mjs';

const bodies = {
  400: 'Bad Request',
  401: '{"message":"Unauthorized"}',
  422: '{"errors":{"messages":[{"payload":["is invalid"]}]}}',
  429: '{"message":"You have exceeded your rate limit"}',
  500: '"Internal Server Error"',
};

export class FaultyRealtime {
  static async start() {
    const fake = new FaultyRealtime();
    fake.mode = 202; // a status; 'silent': no answer; 'reset': the connection is cut
    fake.poison = null; // function(message): such a message makes its whole batch a 400
    fake.accepted = []; // messages answered with 202: {id, topic, event, payload, private, at}
    fake.requests = {}; // number of requests by answer
    fake.largest = 0; // messages in the largest batch
    fake.parallel = {}; // requests in flight by topic
    fake.overlaps = 0; // requests that came while another one with the same topic was in flight
    fake.delay = 0; // ms before each answer
    fake.listener = new Listener((request, response) => fake.take(request, response), await freePort());
    await fake.up();
    return fake;
  }

  async take(request, response) {
    const { messages } = JSON.parse(await readBody(request));
    const topics = new Set(messages.map((message) => message.topic));
    this.enter(topics);
    response.on('close', () => this.leave(topics));
    this.largest = Math.max(this.largest, messages.length);
    if (this.delay) await new Promise((resolve) => setTimeout(resolve, this.delay));
    const mode = this.mode === 202 && this.poison && messages.some(this.poison) ? 400 : this.mode;
    this.requests[mode] = (this.requests[mode] ?? 0) + 1;
    if (mode === 'silent') return;
    if (mode === 'reset') {
      request.socket.destroy();
      return;
    }
    if (mode === 202) for (const message of messages) this.accepted.push({ ...message, at: Date.now() });
    response.writeHead(mode, { 'content-type': mode === 400 ? 'text/html' : 'application/json' });
    response.end(mode === 202 ? '' : bodies[mode]);
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

  up() {
    return this.listener.up();
  }

  down() {
    return this.listener.down();
  }

  get url() {
    return this.listener.url;
  }
}
