// A Socket.IO server of several nodes, and clients that keep what they hear.
import { fork } from 'node:child_process';
import path from 'node:path';
import { io } from 'socket.io-client';
import { addProcess, removeProcess } from './janitor.mjs';
import { freePort } from './ports.mjs';
import { within } from './wait.mjs';
import { root } from './workspace.mjs';

export class SocketIoNode {
  static async start(databaseUrl) {
    const node = new SocketIoNode();
    node.databaseUrl = databaseUrl;
    node.port = await freePort();
    await node.up();
    return node;
  }

  async up() {
    this.errors = '';
    this.child = fork(path.join(root, 'regress/lib/socketio-node.mjs'), {
      env: { PATH: process.env.PATH, PORT: `${this.port}`, DATABASE_URL: this.databaseUrl }, stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    const { child } = this;
    addProcess(child.pid);
    child.stderr.on('data', (chunk) => { this.errors += chunk; });
    this.exited = new Promise((resolve) => child.once('exit', () => {
      removeProcess(child.pid);
      resolve();
    }));
    await within(Promise.race([new Promise((resolve) => child.once('message', resolve)),
      this.exited.then(() => { throw new Error(`the node ended: ${this.errors}`); })]), 'the node to listen', 20000);
  }

  /** Tells a room, also of other nodes. */
  emit(room, event, payload) {
    this.child.send({ room, event, payload });
  }

  async down(signal = 'SIGKILL') {
    this.child.kill(signal);
    await within(this.exited, 'the node to end', 15000);
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }
}

export class SocketIoClient {
  static async connect(node, user, conversations) {
    const client = new SocketIoClient();
    client.heard = []; // {event, payload}, in order
    client.socket = io(`${node.url}/chat`, { auth: { user }, transports: ['websocket'], reconnectionDelay: 100, reconnectionDelayMax: 200 });
    client.socket.onAny((event, payload) => client.heard.push({ event, payload }));
    client.socket.on('connect', () => { client.joined = client.join(conversations); });
    await within(new Promise((resolve) => client.socket.once('connect', resolve)), 'a Socket.IO client to connect', 20000);
    await within(client.joined, 'rooms to be joined', 20000);
    return client;
  }

  join(conversations) {
    return Promise.all(conversations.map((conversationId) => this.socket.emitWithAck('join_conversation', { conversationId })));
  }

  /** Payloads of one event, each once by its id. */
  of(event) {
    const seen = new Set();
    return this.heard.filter((it) => it.event === event && !seen.has(it.payload.eventId) && seen.add(it.payload.eventId)).map((it) => it.payload);
  }

  /** Ids of the new messages of a conversation, in the order they came, each once. */
  messages(conversation) {
    return this.of('new_message').filter((payload) => payload.conversationId === conversation).map((payload) => payload.message.id);
  }

  close() {
    this.socket.close();
  }
}
