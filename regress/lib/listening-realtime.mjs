// Stands in for the side of Supabase Realtime that clients connect to: one channel each, joined and told what a test gives
// them; or refused, cut off, and told nonsense.
import { WebSocketServer } from 'ws';

/** A broadcast in the binary form that Realtime gives what it reads in the database. */
function binary(topic, event, payload) {
  const body = Buffer.from(JSON.stringify(payload));
  return Buffer.concat([Buffer.from([4, Buffer.byteLength(topic), Buffer.byteLength(event), 0, 1]), Buffer.from(topic + event), body]);
}

export class ListeningRealtime {
  /** On an HTTP server. binary: broadcasts are told in that form. */
  constructor(server, { binary: inBinary = false } = {}) {
    this.inBinary = inBinary;
    this.answer = undefined; // a status line and headers that a handshake gets instead of a WebSocket, or function(socket, request)
    this.refusal = undefined; // why joins are refused
    this.silent = false; // joins are not answered
    this.onJoin = undefined; // function()
    this.held = undefined; // an array: broadcasts wait there
    this.handshakes = []; // URLs
    this.joins = []; // {socket, ref, topic, payload}
    this.tokens = []; // said after joins
    this.sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => this.open(request, socket, head));
  }

  open(request, socket, head) {
    this.handshakes.push(request.url);
    socket.on('error', () => {});
    if (this.answer === undefined) this.sockets.handleUpgrade(request, socket, head, (ws) => this.serve(ws));
    else if (typeof this.answer === 'function') this.answer(socket, request);
    else socket.end(this.answer);
  }

  serve(socket) {
    socket.on('error', () => {});
    socket.on('message', (text) => this.take(socket, JSON.parse(text)));
  }

  take(socket, [joinRef, ref, topic, event, payload]) {
    const reply = (status, response = {}) => socket.send(JSON.stringify([joinRef, ref, topic, 'phx_reply', { status, response }]));
    if (event === 'access_token') this.tokens.push(payload.access_token);
    else if (event === 'broadcast') this.tell({ topic: topic.replace('realtime:', ''), ...payload });
    else if (event !== 'phx_join') reply('ok');
    else if (this.refusal !== undefined) reply('error', { reason: this.refusal });
    else if (!this.silent) {
      this.joins.push({ socket, ref: joinRef, topic, payload });
      reply('ok', { postgres_changes: [] });
      this.onJoin?.();
    }
  }

  /** Tells those who joined its topic a message: {topic, event, payload}. */
  tell(message) {
    if (this.held) this.held.push(message);
    else for (const join of this.joins) if (join.topic === `realtime:${message.topic}`) this.send(join, message);
  }

  send({ socket, ref, topic }, { event, payload, id }) {
    socket.send(this.inBinary ? binary(topic, event, payload) : JSON.stringify([ref, null, topic, 'broadcast', { type: 'broadcast', event, payload, meta: { id } }]));
  }

  /** Bytes as they are, to the last one that joined. */
  raw(...parts) {
    this.joined.socket._socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
  }

  release() {
    const messages = this.held;
    this.held = undefined;
    for (const message of messages) this.tell(message);
  }

  /** The last one that joined. */
  get joined() {
    return this.joins.at(-1);
  }
}
