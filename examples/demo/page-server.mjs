// The page's small HTTP server: its files, and as JSON what the page reads, writes and catches up with.
// Loopback only; requests for another host's name, of another origin or with a form's content type (from a foreign page) are refused.
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { Listener } from './lib/http.mjs';
import { root } from './lib/server.mjs';
import { voice } from './stage.mjs';
import { newContactJid, receipt, textMessage, typing } from './wuzapi.mjs';

const page = (name) => path.join(root, 'examples/demo/page', name);
const files = {
  '/stage.css': [page('stage.css'), 'text/css'],
  '/stage.js': [page('stage.js'), 'text/javascript'],
  '/media/box.svg': [page('box.svg'), 'image/svg+xml'],
  '/page.css': [page('page.css'), 'text/css'],
  '/page.js': [page('page.js'), 'text/javascript'],
  '/live.js': [page('live.js'), 'text/javascript'],
  '/view.js': [page('view.js'), 'text/javascript'],
  '/favicon.svg': [page('favicon.svg'), 'image/svg+xml'],
  '/supabase.js': [path.join(root, 'examples/demo/node_modules/@supabase/supabase-js/dist/umd/supabase.js'), 'text/javascript'],
};
const bodyLimit = 1 << 20;
const transit = 400; // ms that the pretended phone network takes

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The database's SQLSTATEs as PostgREST translates them, as far as the page can cause them. */
function statusOf({ status, code = '' }) {
  if (status) return status;
  if (/^PT\d{3}$/.test(code)) return Number(code.slice(2));
  return /^2[23]/.test(code) ? 400 : 500;
}

function found(given) {
  if (given === null || given === undefined) throw new Refusal(404, 'not found');
  return given;
}

async function readJson(request) {
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) throw new Refusal(415, 'send application/json');
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > bodyLimit) throw new Refusal(413, `at most ${bodyLimit} bytes`);
    chunks.push(chunk);
  }
  let body;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new Refusal(400, 'the body is no valid JSON');
  }
  if (body === null || typeof body !== 'object') throw new Refusal(400, 'the body must be a JSON object');
  return body;
}

function text(given, what, limit) {
  if (typeof given !== 'string' || given.trim() === '') throw new Refusal(400, `${what} is missing`);
  if (Buffer.byteLength(given) > limit) throw new Refusal(400, `${what} is too long: at most ${limit} bytes`);
  return given.trim();
}

function key(given) {
  if (!/^\d{1,18}$/.test(given ?? '')) throw new Refusal(400, 'conversation must be an id');
  return String(given);
}

export class PageServer {
  /** Listens at once, so that a busy port shows; what it answers from is put into world later. */
  static async create(world, port = 0) {
    const server = new PageServer();
    server.world = world;
    server.listener = new Listener((request, response) => server.handle(request, response), port);
    await server.listener.up();
    server.listener.server.on('upgrade', (request, socket, head) => server.passOn(request, socket, head));
    return server;
  }

  get backend() {
    return this.world.backend;
  }

  get sidecar() {
    return this.world.sidecar;
  }

  get url() {
    return this.listener.url;
  }

  async handle(request, response) {
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Cache-Control', 'no-store');
    try {
      this.checkSource(request.headers);
      const url = new URL(request.url, this.url);
      if (request.method === 'GET' && url.pathname === '/') await this.sendFile(response, page(url.searchParams.has('as') ? 'index.html' : 'stage.html'), 'text/html');
      else if (request.method === 'GET' && url.pathname === '/media/voice.wav') response.setHeader('Content-Type', 'audio/wav').end(voice());
      else if (request.method === 'GET' && url.pathname === '/api/stream') this.openStream(response);
      else if (request.method === 'POST' && url.pathname === '/api/break') this.sendJson(response, 202, await this.breakThings(request));
      else if (request.method === 'GET' && files[url.pathname]) await this.sendFile(response, ...files[url.pathname]);
      else this.sendJson(response, 200, await this.answer(request, url));
    } catch (error) {
      const status = statusOf(error);
      this.sendJson(response, status, { error: status === 500 ? 'internal error' : error.message });
    }
  }

  /** A foreign page that had its own name resolve to this machine would send that name; any other sends its origin with what changes something. */
  checkSource({ host, origin }) {
    const { port } = this.listener;
    if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`) throw new Refusal(421, 'unknown host');
    if (origin !== undefined && origin !== `http://${host}`) throw new Refusal(403, 'this is for the page alone');
  }

  openStream(response) {
    if (!this.world.stage.stream(response)) throw new Refusal(503, 'too many pages are open');
  }

  /** A WebSocket to Realtime comes through the page's port, so that one port is enough from another machine. */
  passOn(request, socket, head) {
    const refuse = (status = '502 Bad Gateway') => socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => socket.destroy()); // nobody reads it: its end would not be seen
    socket.on('error', () => {});
    try {
      this.checkSource(request.headers);
    } catch (error) {
      refuse(`${error.status} ${error.message}`);
      return;
    }
    if (!request.url.startsWith('/realtime/v1/') || !this.sidecar?.running) {
      refuse();
      return;
    }
    const { hostname, port } = new URL(this.sidecar.url);
    const upstream = net.connect(Number(port), hostname, () => {
      const headers = request.rawHeaders.reduce((text, part, i) => text + (i % 2 ? `${part}\r\n` : `${part}: `), '');
      upstream.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers}\r\n`);
      upstream.write(head);
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on('error', () => socket.destroy());
    upstream.on('close', () => socket.destroySoon());
    socket.on('close', () => upstream.destroy());
  }

  /** Only who has the printed address, and no other page in the same browser. */
  async breakThings(request) {
    const { origin, host } = request.headers;
    if (origin !== `http://${host}` || !this.world.stage?.allows(request.headers['x-demo-key'])) throw new Refusal(403, 'open the address that the terminal printed: its key is missing here');
    const { what } = await readJson(request);
    if (!this.world.stage.knows(what)) throw new Refusal(400, 'there is nothing of this name to be broken');
    if (!this.world.stage.break(what)) throw new Refusal(409, 'something is being broken already');
    return {};
  }

  async sendFile(response, file, type) {
    const realtime = `ws://127.0.0.1:${this.listener.port} ws://localhost:${this.listener.port}`;
    response.setHeader('Content-Type', `${type}; charset=utf-8`);
    response.setHeader('Content-Security-Policy', `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; `
      + `connect-src 'self' ${realtime}; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'`);
    response.end(await readFile(file));
  }

  sendJson(response, status, value) {
    response.statusCode = status;
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(value ?? {}));
  }

  async answer(request, url) {
    const route = this.routes[`${request.method} ${url.pathname}`];
    if (!route) throw new Refusal(404, 'not found');
    const input = request.method === 'POST' ? await readJson(request) : Object.fromEntries(url.searchParams);
    return route.call(this, input);
  }

  async contactOf(conversation) {
    const { contactJid, contactName } = found(await this.backend.conversation(key(conversation)));
    return { jid: contactJid, name: contactName ?? '' };
  }

  routes = {
    'GET /api/stage': () => ({ since: this.world.stage.since }),
    'GET /api/session': () => ({ anonKey: this.sidecar.anonKey, user: this.backend.owner,
      token: this.sidecar.token(this.backend.owner) }),
    'GET /api/conversations': () => this.backend.conversations(),
    'GET /api/messages': async ({ conversation }) => found(await this.backend.messages(key(conversation))),
    'GET /api/events': async ({ topic, after }) => found(await this.backend.eventsSince(text(topic, 'topic', 200), key(after))),

    'POST /webhook/wuzapi': (body) => this.backend.ingest(body),

    'POST /api/contact/message': async ({ conversation, name, text: content }) => {
      const contact = conversation === undefined ? { jid: newContactJid(), name: text(name, 'name', 100) } : await this.contactOf(conversation);
      return this.backend.ingest(textMessage({ ...contact, text: text(content, 'text', 4096) }));
    },
    'POST /api/contact/typing': async ({ conversation, isTyping }) =>
      this.backend.ingest(typing({ ...await this.contactOf(conversation), isTyping: isTyping === true })),
    'POST /api/contact/read': async ({ conversation }) => {
      const { messages } = found(await this.backend.messages(key(conversation)));
      const unread = messages.filter(({ direction, status }) => direction === 'outgoing' && ['sent', 'delivered'].includes(status));
      if (unread.length > 0) await this.receipt(conversation, unread, 'Read');
    },

    'POST /api/agent/message': async ({ conversation, text: content }) => {
      const message = found(await this.backend.sendMessage(key(conversation), text(content, 'text', 4096)));
      this.transmit(message).catch(() => {}); // its status then stays as it is
      return message;
    },
    'POST /api/agent/typing': async ({ conversation, isTyping }) =>
      found(await this.backend.typing(key(conversation), isTyping === true)),
    'POST /api/agent/read': async ({ conversation }) => ({ read: found(await this.backend.markRead(key(conversation))) }),
  };

  /** The contact's phone tells how far messages got. */
  async receipt(conversation, messages, state) {
    const { jid } = await this.contactOf(conversation);
    return this.backend.ingest(receipt({ jid, ids: messages.map(({ messageId }) => messageId), state }));
  }

  /** What WhatsApp would do with an agent's message: take it, and bring it to the phone. */
  async transmit(message, state = 'Delivered') {
    const pause = () => new Promise((resolve) => setTimeout(resolve, transit));
    await pause();
    await this.backend.markSent(String(message.id));
    await pause();
    await this.receipt(String(message.conversationId), [message], state);
  }
}
