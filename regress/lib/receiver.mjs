// A webhook receiver as a customer would write it: checks both signatures and keeps what came.
import { createHmac } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { Listener, readBody } from './http.mjs';
import { freePort } from './ports.mjs';

function verify(secret, body, headers) {
  try {
    new Webhook(secret).verify(body, headers);
  } catch (error) {
    return `webhook-signature: ${error.message}`;
  }
  const expected = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
  return headers['x-webhook-signature'] === expected ? null : 'x-webhook-signature does not match';
}

export class Receiver {
  static async start() {
    const receiver = new Receiver();
    receiver.secret = null; // of the webhook; without it nothing is verified
    receiver.deliveries = []; // what was answered with 2xx: {id, type, body, raw, headers, problem, at}
    receiver.attempts = []; // every request: {id, status, at}
    receiver.answer = () => 200; // status for a request, or a promise of it; null: never answers; {status, headers, body}
    receiver.listener = new Listener((request, response) => receiver.take(request, response), await freePort());
    await receiver.up();
    return receiver;
  }

  async take(request, response) {
    const raw = await readBody(request);
    const body = JSON.parse(raw);
    const id = request.headers['webhook-id'];
    const answer = await this.answer({ id, body, headers: request.headers });
    const { status, headers, body: text = '{"ok":true}' } = answer?.status ? answer : { status: answer };
    const at = Date.now();
    this.attempts.push({ id, status, at });
    if (status === null) return;
    if (status >= 200 && status < 300) {
      const problem = this.secret ? verify(this.secret, raw, request.headers) : null;
      this.deliveries.push({ id, type: body.type, body, raw, headers: request.headers, problem, at });
      this.onDelivery?.(this.deliveries.at(-1));
    }
    response.writeHead(status, headers);
    response.end(text);
  }

  up() {
    return this.listener.up();
  }

  down() {
    return this.listener.down();
  }

  get url() {
    return `${this.listener.url}/hook`;
  }
}
