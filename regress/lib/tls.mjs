// Certificates of an authority of one's own, and HTTPS with them.
import { readFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { readBody } from './http.mjs';
import { freePort } from './ports.mjs';
import { runProgram } from './program.mjs';
import { temporaryDirectory } from './workspace.mjs';

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];

/** An authority, and a certificate of it for 127.0.0.1: {authority, certificate, key}, files in PEM. */
export async function createAuthority(name) {
  const dir = temporaryDirectory();
  const file = (text) => path.join(dir, text);
  await runProgram('openssl', ['req', '-x509', ...curve, '-subj', `/CN=${name}`, '-keyout', file('ca.key'), '-out', file('ca.pem')]);
  await runProgram('openssl', ['req', '-x509', ...curve, '-subj', '/CN=receiver', '-addext', 'subjectAltName=IP:127.0.0.1',
    '-addext', 'basicConstraints=critical,CA:FALSE', '-CA', file('ca.pem'), '-CAkey', file('ca.key'),
    '-keyout', file('key.pem'), '-out', file('certificate.pem')]);
  return { authority: file('ca.pem'), certificate: file('certificate.pem'), key: file('key.pem') };
}

/** A receiver of webhooks over TLS: {url, bodies, down()}. */
export async function receiveOverTls({ certificate, key }) {
  const bodies = [];
  const server = https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, async (request, response) => {
    bodies.push(JSON.parse(await readBody(request)));
    response.end();
  });
  const port = await freePort();
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${port}/hook`,
    bodies,
    down: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
