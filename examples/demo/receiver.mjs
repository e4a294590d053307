// A webhook receiver as a customer would write it: the signature is checked before anything is believed.
import { Webhook } from 'standardwebhooks';
import { Listener, readBody } from './lib/http.mjs';
import { value } from './machine.mjs';

export class Receiver {
  /** A receiver, and the webhook of the machine's owner that points to it. */
  static async create(machine, events) {
    const receiver = new Receiver();
    receiver.listener = await new Listener((request, response) => receiver.take(request, response)).up();
    const { secret } = await value(machine.db, 'SELECT chat.create_webhook($1, $2, $3)', [machine.owner, `${receiver.listener.url}/hook`, events]);
    receiver.webhook = new Webhook(secret);
    return receiver;
  }

  async take(request, response) {
    const text = await readBody(request);
    let problem = null;
    try {
      this.webhook.verify(text, request.headers);
    } catch (error) {
      problem = error.message;
    }
    const body = JSON.parse(text);
    this.onDelivery?.({ id: request.headers['webhook-id'], type: body.type, body, problem });
    response.end('{"ok":true}');
  }

  up() {
    return this.listener.up();
  }

  down() {
    return this.listener.down();
  }
}
