// The existing help desk's Socket.IO server, as far as its clients see it: namespace /chat, rooms conversation:<id> and user:<id>.
import http from 'node:http';
import { Server } from 'socket.io';
import { freePort } from './ports.mjs';

export class SocketIoServer {
  /** options go to socket.io's Server. */
  static async start(options = {}) {
    const old = new SocketIoServer();
    old.options = options;
    old.port = await freePort();
    await old.up();
    return old;
  }

  async up() {
    this.server = http.createServer();
    this.io = new Server(this.server, { serveClient: false, ...this.options });
    this.chat = this.io.of('/chat');
    this.chat.use((socket, next) => {
      const [, body] = String(socket.handshake.auth.token).split('.');
      socket.data.user = JSON.parse(Buffer.from(body, 'base64url')).sub;
      next();
    });
    this.chat.on('connection', (socket) => this.take(socket));
    await new Promise((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
  }

  take(socket) {
    socket.join(`user:${socket.data.user}`);
    socket.on('join_conversation', ({ conversationId }) => socket.join(`conversation:${conversationId}`));
    socket.on('leave_conversation', ({ conversationId }) => socket.leave(`conversation:${conversationId}`));
    socket.on('typing_start', (presence) => socket.to(`conversation:${presence.conversationId}`).emit('typing_status', presence));
  }

  /** Tells those who are in a room, as the old program does by hand after each change. */
  emit(room, event, payload) {
    this.chat.to(room).emit(event, payload);
  }

  clients(room) {
    return this.chat.adapter.rooms.get(room)?.size ?? 0;
  }

  async down() {
    await this.io.close();
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }
}
