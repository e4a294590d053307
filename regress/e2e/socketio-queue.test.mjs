// Socket.IO while PostgreSQL's queue of NOTIFY is filling, since a listener sits in a transaction: the sidecar adds nothing to it from
// three quarters on, and sends all that waits when the listener is gone. From PostgreSQL 17 on, where the queue can be made small.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { SocketIoClient, SocketIoNode } from '../lib/socketio-cluster.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { workspace } from '../lib/workspace.mjs';

const skip = (await workspace()).pg.major < 17 && 'the queue of this version has 8 GB';
let bed, sidecar, node, client, conversation;

const usage = () => value(bed.db, 'SELECT pg_notification_queue_usage()');
const reason = async () => (await (await sidecar.get('/readyz')).json()).reasons.socketio;

before(async () => {
  if (skip) return;
  bed = await Bed.create({ settings: { max_notify_queue_pages: 64 } });
  await bed.db.query(`CREATE TABLE public.socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea);
    SELECT chat.grant_sidecar('chat_sidecar'); SELECT chat.set_rollout(0)`);
  conversation = await bed.conversation();
  sidecar = await bed.sidecar({ SOCKETIO_CHANNEL: 'socket.io#/chat', WEBHOOKS: 'off' });
  node = await SocketIoNode.start(bed.cluster.url({ database: 'chat' }));
  bed.closing.push(() => node.down());
  client = await SocketIoClient.connect(node, bed.owner, [conversation]);
  bed.closing.push(() => client.close());
  await until(async () => await sidecar.metric('chat_realtime_socketio_servers') === 1, 'the node', 30000, 100);
});

after(() => bed?.close());

test('from three quarters on nothing is added, and nothing is lost', { skip }, async () => {
  const stuck = await bed.connect();
  await stuck.query(`LISTEN other`);
  await stuck.query('BEGIN; SELECT 1');
  for (let n = 0; n < 12; n++) {
    await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, content, direction)
      SELECT $1, repeat('x', 2000) || g, 'incoming' FROM generate_series(1, 50) g`, [conversation]);
    await sleep(50);
  }
  const said = await until(reason, 'a reason', 40000, 200);
  assert.match(said, /the queue of NOTIFY is filling/);
  assert.ok(await usage() < 0.95, `${await usage()}`);
  await bed.message(conversation, 'the last one');
  await stuck.query('COMMIT');
  await until(() => client.of('new_message').some((it) => it.message.content === 'the last one'), 'all of it', 60000, 200);
  assert.equal(client.messages(conversation).length, 601);
  await sidecar.ready();
});
