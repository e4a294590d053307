// Free ports of 127.0.0.1, below the range from which the kernel takes those of outgoing connections.
import net from 'node:net';

const given = new Set();

function canBind(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

export async function freePort() {
  for (let tries = 0; tries < 200; tries++) {
    const port = 15000 + Math.floor(Math.random() * 17000);
    if (!given.has(port) && (await canBind(port))) {
      given.add(port);
      return port;
    }
  }
  throw new Error('no free port found on 127.0.0.1');
}
