// A WebSocket to the embedded endpoint whose frames the test writes and reads itself.
import { once } from 'node:events';
import WebSocket from 'ws';
import { until, within } from './wait.mjs';

export class RawSocket {
  /** headers: of the handshake. Throws what refuses it: {status}. */
  static async open(sidecar, { vsn = '2.0.0', key = sidecar.anonKey, headers = {} } = {}) {
    const raw = new RawSocket();
    raw.vsn = vsn;
    raw.frames = []; // texts parsed; binary ones as Buffers
    raw.socket = new WebSocket(`${sidecar.url.replace('http', 'ws')}/realtime/v1/websocket?apikey=${key}&vsn=${vsn}`, { headers });
    const refused = new Promise((resolve, reject) => {
      raw.socket.on('unexpected-response', (request, response) => {
        reject(Object.assign(new Error(`refused with ${response.statusCode}`), { status: response.statusCode }));
        raw.socket.terminate();
      });
    });
    raw.socket.on('error', () => {});
    raw.socket.on('message', (data, binary) => raw.frames.push(binary ? data : JSON.parse(data)));
    await within(Promise.race([once(raw.socket, 'open'), refused]), 'a connection');
    return raw;
  }

  send(joinRef, ref, topic, event, payload) {
    this.socket.send(JSON.stringify(this.vsn === '2.0.0' ? [joinRef, ref, topic, event, payload]
      : { topic, event, payload, ref, join_ref: joinRef }));
  }

  /** Joins; ref and join_ref are ref. Returns the answer's payload. */
  async join(topic, token, ref, config = {}) {
    this.send(ref, ref, `realtime:${topic}`, 'phx_join', {
      config: { broadcast: { ack: false, self: false }, presence: { enabled: false, key: '' }, postgres_changes: [], private: true, ...config },
      access_token: token,
    });
    return this.reply(ref);
  }

  async reply(ref) {
    const frame = await this.hears((f) => (f[1] ?? f.ref) === ref && (f[3] ?? f.event) === 'phx_reply', `a reply to ${ref}`);
    return frame[4] ?? frame.payload;
  }

  /** Everything that came before the answer to a heartbeat. */
  async settled() {
    const ref = `beat ${this.frames.length}`;
    this.send(null, ref, 'phoenix', 'heartbeat', {});
    await this.reply(ref);
    return this.frames;
  }

  hears(fits, what) {
    return until(() => this.frames.find(fits), () => `${what}; heard: ${JSON.stringify(this.frames).slice(0, 2000)}`);
  }

  close() {
    this.socket.terminate();
  }
}
