// Free ports of 127.0.0.1, below the range from which the kernel takes those of outgoing connections.
import net from 'node:net';

/** FREE_PORTS: the first and the last one to be given, where others take theirs at the same time. */
const [first, last] = (process.env.FREE_PORTS ?? '15000-31999').split('-').map(Number);
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
    const port = first + Math.floor(Math.random() * (last - first + 1));
    if (!given.has(port) && (await canBind(port))) {
      given.add(port);
      return port;
    }
  }
  throw new Error('no free port found on 127.0.0.1');
}
