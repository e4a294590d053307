// A node of a Socket.IO server with @socket.io/postgres-adapter, as a process of its own: namespace /chat, rooms conversation:<id>
// and user:<id>. PORT, DATABASE_URL; says "ready" when it listens.
import http from 'node:http';
import { createAdapter } from '@socket.io/postgres-adapter';
import pg from 'pg';
import { Server } from 'socket.io';

const { PORT, DATABASE_URL } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 4, application_name: 'socket.io' });
pool.on('error', () => {}); // connects again
pool.on('connect', (client) => client.on('error', () => {})); // else the adapter's lost connection ends the process
const server = http.createServer();
const io = new Server(server, { serveClient: false, adapter: createAdapter(pool, { cleanupInterval: 2000, errorHandler: (error) => console.error(error.message) }) });

io.of('/chat').on('connection', (socket) => {
  socket.join(`user:${socket.handshake.auth.user}`);
  socket.on('join_conversation', ({ conversationId }, joined) => {
    socket.join(`conversation:${conversationId}`);
    joined?.();
  });
});
// As with other nodes: what one says, the others hear.
process.on('message', ({ room, event, payload }) => io.of('/chat').to(room).emit(event, payload));
process.on('disconnect', () => process.exit());
process.on('SIGTERM', () => io.close(() => process.exit()));
server.listen(Number(PORT), '127.0.0.1', () => process.send('ready'));
