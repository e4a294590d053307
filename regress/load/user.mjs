// Somebody who works with an endpoint while it is under load: messages that the backend saves arrive, and joins succeed; how long each takes.
import { RawSocket } from '../lib/raw-socket.mjs';
import { memory } from '../lib/usage.mjs';
import { sleep, until } from '../lib/wait.mjs';

const MESSAGE_MS = 20;
const JOIN_MS = 200;

export class User {
  static async come(bed, sidecar) {
    const user = Object.assign(new User(), { bed, sidecar, count: 0, sent: new Map() });
    user.conversation = await bed.conversation('Ana');
    user.db = await bed.connect();
    user.socket = await user.join();
    user.socket.socket.on('message', (data) => user.hear(JSON.parse(data), performance.now()));
    return user;
  }

  /** A socket of its own that has joined the conversation. */
  async join() {
    const socket = await RawSocket.open(this.sidecar);
    const answer = await socket.join(`conversation:${this.conversation}`, this.sidecar.token(this.bed.owner), '1');
    if (answer.status !== 'ok') throw new Error(`a join was refused: ${JSON.stringify(answer)}`);
    return socket;
  }

  hear([, , , , message], now) {
    const content = message?.event === 'message.new' && message.payload.content;
    if (!content) return;
    this.socket.frames.length = 0;
    this.order.push(content);
    this.deliveries.push(now - this.sent.get(content));
  }

  async save(until_) {
    while (performance.now() < until_) {
      const content = `message ${this.count++}`;
      const begun = performance.now();
      this.sent.set(content, begun);
      await this.db.query('INSERT INTO public.chat_messages (conversation_id, content, direction) VALUES ($1, $2, $3)', [this.conversation, content, 'incoming']);
      await sleep(Math.max(0, MESSAGE_MS - (performance.now() - begun)));
    }
  }

  async comeAndGo(until_) {
    while (performance.now() < until_) {
      const begun = performance.now();
      const socket = await this.join();
      this.joins.push(performance.now() - begun);
      socket.close();
      await sleep(Math.max(0, JOIN_MS - (performance.now() - begun)));
    }
  }

  /** Works for so many seconds: {sent, complete: all arrived, in order; joins, deliveries: ms of each}. */
  async work(seconds) {
    Object.assign(this, { sent: new Map(), order: [], joins: [], deliveries: [] });
    const end = performance.now() + seconds * 1000;
    await Promise.all([this.save(end), this.comeAndGo(end)]);
    const all = [...this.sent.keys()];
    await until(() => this.order.length >= all.length, () => `${all.length} messages, came ${this.order.length}`, 30000).catch((error) => console.log(error.message));
    return { sent: all.length, complete: this.order.join() === all.join(), joins: this.joins, deliveries: this.deliveries };
  }

  async go() {
    this.socket.close();
    await this.db.end();
  }
}

/** Looks at the memory of processes, by name; stop() says the most that each had. */
export function watchMemory(pids) {
  const most = Object.fromEntries(Object.keys(pids).map((name) => [name, 0]));
  const look = () => { for (const [name, pid] of Object.entries(pids)) most[name] = Math.max(most[name], memory(pid)); };
  const timer = setInterval(look, 100);
  return { stop: () => { clearInterval(timer); look(); return most; } };
}
