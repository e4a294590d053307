// What any role of the database can say on the channel of Socket.IO's adapter, and what may happen to the adapter's table: clients get what
// was committed all the same, in order, and the other ways out notice nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { allArrived, overHttp, socketIo } from '../lib/sinks.mjs';
import { until } from '../lib/wait.mjs';

const channel = 'socket.io#/chat';
let bed, sidecar, socket, http, stranger, conversations;

const servers = () => sidecar.metric('chat_realtime_socketio_servers');
const say = (text) => stranger.query('SELECT pg_notify($1, $2)', [channel, text]);

async function write(count, text, size = 0) {
  for (let n = 0; n < count; n++) {
    await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, content, direction, metadata) VALUES ($1, $2, 'incoming', jsonb_build_object('pad', repeat('x', $3)))`,
      [conversations[n % 2], `${text} ${n}`, size]);
  }
}

const arrived = async () => {
  for (const sink of [socket, http]) await allArrived(bed, sink, { state: () => sidecar.tail() });
};

before(async () => {
  bed = await Bed.create();
  conversations = [await bed.conversation('Ana'), await bed.conversation('Bia')];
  [http, socket] = [await overHttp(bed), await socketIo(bed, conversations)];
  await bed.cluster.psql(`CREATE ROLE stranger LOGIN PASSWORD '${bed.cluster.password}'`);
  stranger = await bed.connect({ user: 'stranger' });
  sidecar = await bed.sidecar({ ...http.env, ...socket.env, WEBHOOKS: 'off' });
  await until(async () => await servers() === 1, 'the Socket.IO server', 30000);
});

after(() => bed?.close());

test('what is no message of a server changes nothing', async () => {
  const deep = `${'['.repeat(3900)}${']'.repeat(3900)}`;
  for (const text of ['', ' ', '{', 'null', '[]', '7', '"uid"', deep, 'x'.repeat(7999), '{"uid":7}', '{"uid":null,"type":8}', '{"uid":"","type":3}',
    '{"uid":"a","uid":"b"}', `{"uid":"${'u'.repeat(64)}","type":1}`, `{"uid":"emitter","type":13}`, '{"uid":"\\u0000","type":1}', '{"uid":"emitter","type":8,"data":{"requestId":"x-1"}}']) await say(text);
  await write(4, 'after noise');
  await arrived();
  assert.equal(await servers(), 1);
});

test('heartbeats of servers that are none: there is a bound for them, nobody waits for them, and they are forgotten', async () => {
  for (let n = 0; n < 300; n++) await say(JSON.stringify({ uid: `forged-${n}`, nsp: '/chat', type: 2 }));
  await until(async () => await servers() === 33, async () => `33, not ${await servers()}`);
  await write(10, 'beside forged servers');
  await arrived();
  await until(async () => await servers() === 1, async () => `them to be forgotten: ${await servers()}`, 40000, 200);
  for (let n = 0; n < 10; n++) {
    await say(JSON.stringify({ uid: `late-${n}`, nsp: '/chat', type: 2 }));
    await write(1, `beside late ${n}`);
  }
  await arrived();
  assert.deepEqual(sidecar.log.filter((line) => /does not answer/.test(line.msg) && /^(forged|late)-/.test(line.server)), []);
});

test('forged answers, and a forged end of the server: it is heard of again, and misses nothing', async () => {
  const listener = await bed.connect({ user: 'stranger' });
  const uids = new Set();
  listener.on('notification', ({ payload }) => {
    const { uid, type, data } = JSON.parse(payload);
    if (uid !== 'emitter') uids.add(uid);
    else if (type === 7) for (const each of [...uids, 'nobody']) say(JSON.stringify({ uid: each, nsp: '/chat', type: 8, data: { requestId: data.requestId, sockets: [] } })).catch(() => {});
  });
  await listener.query(`LISTEN "${channel}"`);
  await write(10, 'beside forged answers');
  await arrived();
  for (const uid of uids) await say(JSON.stringify({ uid, nsp: '/chat', type: 13 }));
  await listener.end();
  await until(async () => await servers() >= 1, 'the server', 30000);
  await write(10, 'after a forged end');
  await arrived();
});

test('a role without rights cannot send by the extension\'s function, nor write to its table', async () => {
  for (const query of [`SELECT chat.socketio_send('${channel}', 'public.socket_io_attachments', '{x}', '{NULL}')`, `SELECT chat.socketio_listen('x', 'y')`,
    `INSERT INTO public.socket_io_attachments (payload) VALUES ('x')`]) await assert.rejects(stranger.query(query), { code: '42501' });
});

test('payloads of a megabyte go through the table; rows that others put there are theirs', async () => {
  await bed.db.query(`INSERT INTO public.socket_io_attachments (payload) SELECT convert_to(repeat('x', 10000000), 'UTF8') FROM generate_series(1, 3)`);
  await write(2, 'large', 900_000);
  await write(2, 'behind large');
  await arrived();
});

test('the table goes away and comes back, as another role\'s: said, and nothing is lost', async () => {
  await bed.db.query('DROP TABLE public.socket_io_attachments');
  await write(2, 'without a table', 20_000);
  await until(async () => /socket_io_attachments/.test((await (await sidecar.get('/readyz')).json()).reasons.socketio), () => `the reason: ${sidecar.tail()}`, 20000);
  await bed.db.query(`CREATE TABLE public.socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea); ALTER TABLE public.socket_io_attachments OWNER TO stranger`);
  await until(async () => /may not write/.test((await (await sidecar.get('/readyz')).json()).reasons.socketio), () => `the reason: ${sidecar.tail()}`, 20000);
  await bed.db.query(`SELECT chat.grant_sidecar('chat_sidecar'); SET ROLE stranger; GRANT SELECT (id), INSERT (payload) ON public.socket_io_attachments TO chat_sidecar;
    GRANT USAGE ON SEQUENCE public.socket_io_attachments_id_seq TO chat_sidecar; RESET ROLE`);
  await arrived();
});
