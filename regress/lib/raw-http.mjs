// HTTP over bare TCP that ends connections where and how the test wants: a peer that misbehaves in the real way.
import net from 'node:net';
import { freePort } from './ports.mjs';

const blankLine = Buffer.from('\r\n\r\n');

/** Takes one request off the front of the bytes: {head, length, body}; body is undefined while bytes of it are missing. */
function parse(bytes) {
  const end = bytes.indexOf(blankLine);
  if (end < 0) return undefined;
  const head = bytes.subarray(0, end).toString('latin1');
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  const start = end + blankLine.length;
  const whole = bytes.length >= start + length;
  return { head, length, received: bytes.length - start, body: whole ? bytes.subarray(start, start + length) : undefined, size: start + length };
}

export class RawHttp {
  /**
   * answer({head, body, connection}) → {status, head?: more header lines, body?} or a promise of it, for requests that came whole; what it notes
   * before it returns is noted before the first byte of the answer is sent.
   */
  static async start(answer, port) {
    const server = new RawHttp();
    server.answer = answer;
    server.requests = 0; // begun
    server.connections = 0; // made so far
    server.faults = {}; // done so far, by kind
    server.open = new Set();
    // What happens to a request, by stage: 'head' (its header is there), 'body' (more of its body is), 'answer' (all of
    // it is, in place of the answer), 'answering' (in the middle of the answer), 'answered', 'idle' (after server.idle
    // ms without another one). fault({stage, n: of the connection, number: of all, head, length, received}) → 'reset' (RST),
    // 'end' (FIN), 'glue' (the last answer once more, which nobody asked for; 'idle' only) or nothing.
    server.fault = () => undefined;
    server.idle = 0;
    server.port = port ?? await freePort();
    await server.up();
    return server;
  }

  async up() {
    this.server = net.createServer({ noDelay: true }, (socket) => this.serve(socket));
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', resolve);
    });
  }

  serve(socket) {
    const connection = { socket, bytes: Buffer.alloc(0), n: 0, busy: false };
    this.connections++;
    this.open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.open.delete(socket));
    socket.on('data', (chunk) => {
      connection.bytes = Buffer.concat([connection.bytes, chunk]);
      this.advance(connection);
    });
  }

  /** Whether a fault ended the connection. */
  ends(connection, stage, request) {
    const { socket, number } = connection;
    const how = this.fault({ stage, n: connection.n, number, head: request.head, length: request.length, received: request.received });
    if (!how || socket.destroyed) return socket.destroyed;
    this.faults[stage] = (this.faults[stage] ?? 0) + 1;
    if (how === 'glue') {
      socket.write(request.answer);
      return false;
    }
    if (how === 'reset') socket.resetAndDestroy();
    else socket.destroy();
    return true;
  }

  async advance(connection) {
    if (connection.busy) return;
    const request = parse(connection.bytes);
    if (!request) return;
    clearTimeout(connection.timer);
    if (!connection.begun) {
      connection.begun = true;
      connection.n++;
      connection.number = ++this.requests;
      if (this.ends(connection, 'head', request)) return;
    }
    if (this.ends(connection, 'body', request) || !request.body) return;
    connection.busy = true;
    if (this.ends(connection, 'answer', request)) return;
    const { status, head = '', body = '' } = await this.answer({ head: request.head, body: request.body.toString('utf8'), connection });
    this.send(connection, request, `HTTP/1.1 ${status} Whatever\r\n${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    if (connection.socket.destroyed) return;
    connection.bytes = connection.bytes.subarray(request.size);
    connection.busy = connection.begun = false;
    if (this.idle) connection.timer = setTimeout(() => this.ends(connection, 'idle', request), this.idle).unref();
    this.advance(connection);
  }

  send(connection, request, text) {
    const { socket } = connection;
    if (socket.destroyed) return;
    request.answer = text;
    socket.write(text.slice(0, 20));
    if (this.ends(connection, 'answering', request)) return;
    socket.write(text.slice(20));
    this.ends(connection, 'answered', request);
  }

  /** Ends the connections there are. */
  cut() {
    for (const socket of this.open) socket.destroy();
  }

  async down() {
    if (!this.server.listening) return;
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cut();
    await closed;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }
}
