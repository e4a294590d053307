// The little that the tests need of HTTP: a server that can be taken down and up again on its port.
import http from 'node:http';

export function readBody(request) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', reject);
  });
}

export class Listener {
  /** handle(request, response) answers; a throw is answered with 500. */
  constructor(handle, port = 0) {
    this.handle = handle;
    this.port = port;
  }

  async up() {
    this.server = http.createServer((request, response) => {
      Promise.resolve(this.handle(request, response)).catch((error) => {
        response.statusCode = 500;
        response.end(String(error.stack));
      });
    });
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', resolve);
    });
    this.port = this.server.address().port;
    return this;
  }

  /** Refuses connections from now on and cuts those there are. */
  async down() {
    if (!this.server?.listening) return;
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }
}
