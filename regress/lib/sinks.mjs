// The ways out under test, each with the same face: what arrived there, in the form of the log, so that it can be compared
// with what was committed.
import assert from 'node:assert/strict';
import { rows } from './db.mjs';
import { FaultyRealtime } from './faulty-realtime.mjs';
import { Follower } from './follower.mjs';
import { roleToken } from './jwt.mjs';
import { events, judge } from './load.mjs';
import { SocketIoClient, SocketIoNode } from './socketio-cluster.mjs';
import { StreamingRealtime } from './streaming-realtime.mjs';
import { until } from './wait.mjs';

const channel = 'socket.io#/chat';
const attachments = 'CREATE TABLE public.socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea)';
const key = roleToken('service_role', 'x'.repeat(32));

/**
 * What a sink is: name, env (of the sidecar that it needs), list (what came, as it came), arrived() → the same as deliveries
 * [{id, topic, event, payload}] in order of arrival, and, where more was asked for, ordered() → those that came by themselves.
 * only(event): what of the log it gets; every: no state replaces another.
 */
const usual = { only: () => true, every: false };

/** Supabase Realtime over HTTP: a stand-in that accepts batches. */
export async function overHttp(bed) {
  const peer = await FaultyRealtime.start();
  bed.closing.push(() => peer.down());
  return { ...usual, name: 'Realtime over HTTP', peer, list: peer.accepted, arrived: () => peer.accepted,
    env: { REALTIME_URL: peer.url, REALTIME_KEY: key, REALTIME_MAX_EVENTS_PER_SECOND: '0' } };
}

/** Supabase Realtime over the database, in which its schema is and wal_level is logical: a stand-in that streams it. */
export async function overDatabase(bed) {
  const peer = await new StreamingRealtime(bed.cluster).connect();
  bed.closing.push(() => peer.disconnect());
  return { ...usual, name: 'Realtime over the database', peer, list: peer.received, arrived: () => peer.received,
    env: { REALTIME_TRANSPORT: 'database', REALTIME_MAX_EVENTS_PER_SECOND: '0' } };
}

/** A webhook of the owner, for everything unless told otherwise. */
export async function webhooks(bed, types = ['*']) {
  const peer = await bed.receiver(types);
  return { name: 'webhooks', peer, list: peer.deliveries, env: {}, every: true, only: (event) => event.webhook !== null,
    arrived: () => peer.deliveries.map(({ id, type, body }) => ({ id: id.slice('evt_'.length), event: type, payload: body.data })) };
}

/** A Socket.IO server with the adapter, and a client of the owner in every room. */
export async function socketIo(bed, conversations) {
  await bed.db.query(`SELECT chat.set_rollout(0); ${attachments}; SELECT chat.grant_sidecar('chat_sidecar')`);
  const peer = await SocketIoNode.start(bed.cluster.url({ database: 'chat' }));
  bed.closing.push(() => peer.down());
  const client = await SocketIoClient.connect(peer, bed.owner, conversations);
  bed.closing.push(() => client.close());
  const inbox = `user:${bed.owner}:inbox`;
  const told = ({ event, payload }) => (event === 'conversation_update'
    ? { id: `${payload.eventId}`, event: 'conversation.updated', topic: inbox, payload: payload.conversation }
    : { id: `${payload.eventId}`, event, payload });
  return { name: 'Socket.IO', peer, client, list: client.heard, every: false, env: { SOCKETIO_CHANNEL: channel },
    only: ({ event }) => ['message.new', 'conversation.updated'].includes(event), arrived: () => client.heard.map(told) };
}

/** A client of a sidecar's own endpoint that asks for what it missed whenever it is there again. */
export async function embedded(bed, conversations, sidecar) {
  const user = bed.pool();
  user.on('connect', (client) => client.query(`SELECT set_config('request.jwt.claims', '{"sub": "${bed.owner}", "role": "authenticated"}', false)`).catch(() => {}));
  const subscriber = await bed.subscriber(sidecar, { options: { reconnectAfterMs: () => 200 } });
  const follower = await Follower.create(subscriber, () => user, [`user:${bed.owner}:inbox`, ...conversations.map((id) => `conversation:${id}`)]);
  return { ...usual, name: 'embedded endpoint', peer: follower, list: follower.heard, env: {}, ordered: () => follower.heard,
    arrived: () => [...follower.heard, ...follower.asked] };
}

/** A sink, of which only counts what arrives from now on. */
export function fromNow(sink) {
  const had = sink.arrived().length;
  return { ...sink, arrived: () => sink.arrived().slice(had) };
}

/**
 * Waits until all that is committed has arrived at a sink, in order, and nothing else. log: what was committed,
 * if the log itself does not have all of it; writing: more is being written meanwhile.
 */
export async function allArrived(bed, sink, { limit = 40000, log, writing = false, state = () => '' } = {}) {
  log ??= await events(bed.db);
  const due = log.filter(sink.only);
  const { every } = sink;
  let lost;
  await until(() => {
    ({ lost } = judge(due, sink.arrived(), { every, ordered: !sink.ordered }));
    return lost.length === 0;
  }, () => `${sink.name}: ${lost.length} of ${due.length} events missing, first ${lost.slice(0, 5)}; ${state()}`, limit, 50);
  const result = judge(log, sink.arrived(), { every, ordered: !sink.ordered });
  const { disorder } = judge(log, (sink.ordered ?? sink.arrived)(), { every });
  assert.deepEqual([writing ? [] : result.unknown, disorder], [[], []], sink.name);
  assert.ok(due.length > 0, 'nothing was written');
  return result;
}

/** Bodies too: what arrived is what the log has under the same id. */
export async function sameAsCommitted(bed, sink) {
  const log = new Map((await rows(bed.db, 'SELECT id::text, payload::jsonb AS payload FROM chat.events')).map(({ id, payload }) => [id, payload]));
  for (const { id, payload } of sink.arrived()) assert.deepEqual(payload, log.get(id), `${sink.name}: the body of ${id}`);
}
