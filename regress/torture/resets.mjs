// A proxy that resets connections at random places, in front of Realtime's stand-in or of a receiver of webhooks.
import http from 'node:http';
import { readBody } from '../lib/http.mjs';
import { RawHttp } from '../lib/raw-http.mjs';

const stages = ['head', 'body', 'answer', 'answering', 'answered'];

const pick = (list) => list[Math.floor(Math.random() * list.length)];

/** Passes a request on, once more where the receiver ended an idle connection meanwhile; {status, body}. */
function forward(url, agent, { head, body }) {
  const [line, ...lines] = head.split('\r\n');
  const [method, path] = line.split(' ');
  const headers = Object.fromEntries(lines.map((text) => [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1).trim()]));
  return new Promise((resolve, reject) => {
    const request = http.request(new URL(path, url), { method, headers, agent }, async (response) => {
      resolve({ status: response.statusCode, body: await readBody(response) });
    });
    request.on('error', (error) => (request.reusedSocket && error.code === 'ECONNRESET' ? resolve(forward(url, agent, { head, body })) : reject(error)));
    request.end(body);
  });
}

/**
 * Resets so many per cent of the requests for url, or ends their connections, somewhere: at their header, in or after their
 * body, in place of the answer, in the middle of it and behind it. key(head): requests with one key are met once at most.
 */
export async function resettingProxy(url, percent, key = () => undefined) {
  const agent = new http.Agent({ keepAlive: true });
  const fates = new Map(); // stage by number of the request
  const met = new Set();
  const proxy = await RawHttp.start((request) => forward(url, agent, request).catch((error) => ({ status: 502, body: String(error) })));
  proxy.fault = ({ stage, number, head }) => {
    const name = key(head);
    if (stage === 'head' && Math.random() * 100 < percent && !met.has(name)) {
      fates.set(number, pick(stages));
      if (name !== undefined) met.add(name);
    }
    if (fates.get(number) !== stage) return undefined;
    fates.delete(number);
    return pick(['reset', 'reset', 'end']);
  };
  return proxy;
}
