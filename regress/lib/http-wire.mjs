// HTTP whose bytes the test writes itself: glued, cut, half a request; and every answer that came back.
import { once } from 'node:events';
import net from 'node:net';
import { until, within } from './wait.mjs';

/** A POST, or what the options say. */
export function request(path, { method = 'POST', body = '', headers = {}, length = Buffer.byteLength(body) } = {}) {
  const all = { Host: 'x', ...(body || method === 'POST' ? { 'Content-Length': length } : {}), ...headers };
  return `${method} ${path} HTTP/1.1\r\n${Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}

/** The answers in what came: [{status, headers, body}]; heads names the indexes whose request was HEAD. Throws for what is no answer. */
export function answers(buffer, heads = []) {
  const found = [];
  let text = buffer.toString('latin1');
  while (text !== '') {
    const end = text.indexOf('\r\n\r\n');
    const match = /^HTTP\/1\.1 (\d{3}) [\w -]+\r\n/.exec(text);
    if (end < 0 || !match) throw new Error(`no answer: ${JSON.stringify(text.slice(0, 200))}`);
    const headers = Object.fromEntries(text.slice(match[0].length, end).split('\r\n').filter(Boolean).map((line) => /^([^:]+): (.*)$/.exec(line).slice(1)));
    text = text.slice(end + 4);
    if (match[1] === '100') continue;
    const length = heads.includes(found.length) ? 0 : Number(headers['content-length'] ?? 0);
    if (text.length < length) throw new Error(`an answer of ${length} bytes has ${text.length}`);
    found.push({ status: Number(match[1]), headers, body: text.slice(0, length) });
    text = text.slice(length);
  }
  return found;
}

export class RawHttp {
  static async open(port) {
    const raw = new RawHttp();
    raw.chunks = [];
    raw.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    raw.socket.on('error', (error) => { raw.error = error; });
    raw.socket.on('data', (chunk) => raw.chunks.push(chunk));
    raw.socket.on('end', () => { raw.ended = true; raw.socket.end(); });
    raw.closed = once(raw.socket, 'close');
    await within(once(raw.socket, 'connect'), 'a connection');
    raw.socket.setNoDelay(true);
    return raw;
  }

  get received() {
    return Buffer.concat(this.chunks);
  }

  write(bytes) {
    this.socket.write(bytes);
    return this;
  }

  /** The next answers, so many. */
  async answers(count) {
    await until(() => {
      try {
        return answers(this.received).length >= count;
      } catch {
        return this.ended;
      }
    }, () => `${count} answers; got: ${this.received.toString('latin1').slice(0, 500)}`);
    return answers(this.received);
  }

  /** Every answer until the server closes. */
  async toTheEnd(heads) {
    await within(this.closed, `the server closes; got: ${this.received.toString('latin1').slice(0, 500)}`);
    return answers(this.received, heads);
  }

  /** RST. */
  reset() {
    this.socket.resetAndDestroy();
  }

  close() {
    this.socket.destroy();
  }
}
