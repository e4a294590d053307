// What tests share that speak to the embedded endpoint frame by frame: a conversation, a sidecar, its owner's token, sockets that are closed after each test.
import { after, afterEach, before } from 'node:test';
import { Bed } from './bed.mjs';
import { RawSocket } from './raw-socket.mjs';

export const ok = { status: 'ok', response: {} };
export const joined = { status: 'ok', response: { postgres_changes: [] } };

/** Sets it up for a file; ready is given {bed, sidecar, conversation, topic, token}. Answers a function that opens a socket, to another sidecar if given. */
export function atEndpoint(ready) {
  let bed, sidecar;
  let open = [];

  before(async () => {
    bed = await Bed.create();
    const conversation = await bed.conversation('Ana');
    sidecar = await bed.sidecar();
    ready({ bed, sidecar, conversation, topic: `conversation:${conversation}`, token: sidecar.token(bed.owner) });
  });

  after(() => bed?.close());

  afterEach(() => {
    for (const socket of open) socket.close();
    open = [];
  });

  return async ({ to = sidecar, ...options } = {}) => {
    const socket = await RawSocket.open(to, options);
    open.push(socket);
    return socket;
  };
}
