// Between the sidecar and PostgreSQL: passes bytes on, or fails as networks do.
import net from 'node:net';
import { freePort } from './ports.mjs';

export class Proxy {
  /** To a port of this machine. */
  static async start(port, host = '127.0.0.1') {
    const proxy = new Proxy();
    proxy.mode = 'pass'; // 'silent': connections are taken and nothing is said; 'close': ended at once; or bytes to say
    proxy.connections = 0; // made so far
    proxy.sockets = new Set();
    proxy.cut = null; // {after}: so many more bytes of the server's are passed on, then everything is reset
    proxy.instead = null; // {on, say, or reset, or end}: once, for bytes of a client's that this finds, instead of passing them on
    proxy.unanswered = null; // once, bytes of a client's that this finds are passed on, and in place of the answer comes RST
    proxy.target = port;
    proxy.server = net.createServer((client) => proxy.take(client));
    proxy.port = await freePort();
    await new Promise((resolve, reject) => {
      proxy.server.once('error', reject);
      proxy.server.listen(proxy.port, host, resolve);
    });
    return proxy;
  }

  take(client) {
    this.connections++;
    this.keep(client);
    if (this.mode === 'close') client.end();
    else if (Buffer.isBuffer(this.mode)) client.write(this.mode);
    else if (this.mode === 'pass') this.pass(client);
  }

  pass(client) {
    const server = net.connect(this.target, '127.0.0.1');
    this.keep(server);
    client.on('data', (bytes) => this.ask(client, server, bytes));
    client.answers = true;
    server.on('data', (bytes) => this.answer(client, bytes));
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }

  ask(client, server, bytes) {
    const text = this.instead || this.unanswered ? bytes.toString('latin1') : '';
    if (this.unanswered?.test(text)) {
      this.unanswered = null;
      client.deaf = true;
    }
    if (!this.instead?.on.test(text)) {
      server.write(bytes);
      return;
    }
    const { say, reset } = this.instead;
    this.instead = null;
    if (say) client.write(say);
    else if (reset) client.resetAndDestroy();
    else client.end();
  }

  /** To every client, as if the server had said it. */
  say(bytes) {
    for (const socket of this.sockets) if (socket.answers) socket.write(bytes);
  }

  answer(client, bytes) {
    if (client.deaf) {
      client.resetAndDestroy();
      return;
    }
    if (this.cut === null || bytes.length < this.cut.after) {
      if (this.cut) this.cut.after -= bytes.length;
      client.write(bytes);
      return;
    }
    client.write(bytes.subarray(0, this.cut.after), () => this.reset());
    this.cut = null;
  }

  keep(socket) {
    this.sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
  }

  /** Cuts every connection with RST. */
  reset() {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  async stop() {
    this.reset();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
