// The feeds against a log and transports that are pretended, by a clock that is turned by hand.
import assert from 'node:assert/strict';
import { beforeEach, describe, mock, test } from 'node:test';
import { eventId, fetchEventsOf, providerOf, socketTransport, supabaseTransport, TopicFeed, transportsOf, UserFeeds } from '../index.js';

/** What the database says of topics; writing tells nobody. */
class Log {
  events = [];
  questions = 0;
  page = 100;
  down = false;

  write(id, topic = 'conversation:1', event = 'message.new', payload = { id }) {
    this.events.push({ id, topic, event, payload });
  }

  /** Those after a position, and those that committed late below it: chat.topic_events. */
  fetch = async (topic, after) => {
    this.questions++;
    if (this.down) throw new Error('no network');
    const all = this.events.filter((event) => event.topic === topic).sort((a, b) => a.id - b.id);
    if (after === undefined) return { data: [], position: all.at(-1)?.id ?? 0, hasMore: false };
    const late = all.filter(({ id, late }) => late && id <= after);
    const fresh = all.filter(({ id }) => id > after).slice(0, this.page);
    return { data: [...late, ...fresh], position: fresh.at(-1)?.id ?? after, hasMore: fresh.length === this.page };
  };
}

/** A transport that says what the test says. */
class Wire {
  opened = [];
  sent = [];

  transport = (topic, listener) => {
    const connection = { topic, listener, closed: false, send: (...args) => this.sent.push([topic, ...args]), close: () => { connection.closed = true; } };
    this.opened.push(connection);
    return connection;
  };

  get listener() {
    return this.opened.findLast(({ closed }) => !closed).listener;
  }
}

/** Lets everything that waits for promises run. */
async function settle() {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

let log, wire, told, late, resets, live, handlers;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 });
  log = new Log();
  wire = new Wire();
  [told, late, live] = [[], [], []];
  resets = 0;
  handlers = { event: ({ id }) => told.push(id), late: ({ id }) => late.push(id), reset: () => { resets++; }, live: (now) => live.push(now) };
});

async function opened(transports = [wire.transport]) {
  const feed = new TopicFeed('conversation:1', log.fetch, transports, handlers);
  await settle();
  return feed;
}

describe('a topic', () => {
  test('it begins at the present, and has the lists loaded once', async () => {
    log.write(1);
    const feed = await opened();
    assert.deepEqual([told, resets], [[], 1]);
    feed.close();
  });

  test('what comes live is told once, in order, and moves no position: what was lost is found by asking', async () => {
    const feed = await opened();
    wire.listener.live(true);
    await settle();
    for (const id of [1, 2]) log.write(id);
    wire.listener.event({ id: 2, event: 'message.new', payload: {} }); // 1 was lost
    wire.listener.event({ id: 2, event: 'message.new', payload: {} });
    assert.deepEqual(told, [2]);
    await pass(60_000);
    assert.deepEqual([told, late, resets], [[2], [1], 2], 'it came late: told as such, and the lists are loaded again');
    await pass(60_000);
    assert.deepEqual([told, late, resets], [[2], [1], 2]);
    feed.close();
  });

  test('what has no id is none of the database\'s', async () => {
    const feed = await opened();
    wire.listener.event({ event: 'message.new', payload: {} });
    assert.deepEqual(told, []);
    feed.close();
  });

  test('away and back: all pages of what was missed, each once', async () => {
    log.page = 10;
    const feed = await opened();
    wire.listener.live(true);
    await settle();
    wire.listener.live(false);
    for (let id = 1; id <= 35; id++) log.write(id);
    wire.listener.live(true);
    await settle();
    assert.deepEqual(told, Array.from({ length: 35 }, (_, n) => n + 1));
    assert.deepEqual([resets, live.at(-1)], [1, true]);
    feed.close();
  });

  test('one that committed late below the position is told as late', async () => {
    log.write(5);
    const feed = await opened();
    log.write(7);
    await pass(5_000);
    log.write(6);
    log.events.at(-1).late = true;
    await pass(5_000);
    assert.deepEqual([told, late, resets], [[7], [6], 2]);
    await pass(5_000);
    assert.deepEqual([told, late, resets], [[7], [6], 2], 'and once');
    feed.close();
  });

  test('it polls every 5 s while nothing is live, once a minute while something is, and no more when closed', async () => {
    const feed = await opened();
    const asked = async (ms) => {
      const before = log.questions;
      await pass(ms);
      return log.questions - before;
    };
    assert.deepEqual([await asked(4_999), await asked(1), await asked(5_000)], [0, 1, 1]);
    wire.listener.live(true);
    await settle();
    assert.deepEqual([await asked(59_999), await asked(1)], [0, 1]);
    feed.close();
    assert.equal(await asked(600_000), 0);
    assert.ok(wire.opened[0].closed);
    wire.opened[0].listener.event({ id: 9, event: 'message.new', payload: {} });
    assert.deepEqual(told, []);
  });

  test('a question that fails is asked again in 5 s, and from where it was', async () => {
    const feed = await opened();
    wire.listener.live(true);
    await settle();
    log.write(1);
    log.down = true;
    wire.listener.hint();
    await settle();
    assert.deepEqual(told, []);
    log.down = false;
    await pass(5_000);
    assert.deepEqual(told, [1]);
    feed.close();
  });

  test('an answer that never comes is given up after 30 s, and what it brings later changes nothing', async () => {
    let answer;
    let stuck = true;
    const feed = new TopicFeed('conversation:1', (...question) => (stuck ? new Promise((resolve) => { answer = resolve; }) : log.fetch(...question)), [], handlers);
    await settle();
    stuck = false;
    log.write(1);
    await pass(30_000);
    assert.equal(resets, 0);
    await pass(5_000);
    assert.equal(resets, 1);
    answer({ data: [], position: 0, hasMore: false });
    log.write(2);
    await pass(5_000);
    assert.deepEqual([told, resets], [[2], 1]);
    feed.close();
  });

  test('answers that are none, or go nowhere, are asked for again 5 s later', async () => {
    const answers = [null, {}, { data: [], position: 0, hasMore: true }, { data: [], position: 'x', hasMore: true }];
    const feed = new TopicFeed('conversation:1', async (topic, after) => (after === undefined ? log.fetch(topic) : answers.length ? answers.shift() : log.fetch(topic, after)), [], handlers);
    await settle();
    log.write(1);
    for (const left of [3, 2, 1, 0]) {
      await pass(5_000);
      assert.deepEqual([answers.length, told], [left, []]);
    }
    await pass(5_000);
    assert.deepEqual([told, late, resets], [[1], [], 1]);
    feed.close();
  });

  test('what was late on a page has the lists loaded again, also when the next page fails', async () => {
    log.page = 1;
    const feed = new TopicFeed('conversation:1', async (topic, after) => {
      const page = await log.fetch(topic, after);
      log.down = after === 0;
      return page;
    }, [wire.transport], handlers);
    await settle();
    for (const id of [1, 2, 3]) log.write(id);
    wire.listener.event({ id: 3, event: 'message.new', payload: {} });
    wire.listener.live(true);
    await settle();
    assert.deepEqual([told, late, resets], [[3], [1], 2]);
    log.down = false;
    await pass(5_000);
    assert.deepEqual([told, late, resets], [[3], [1, 2], 3]);
    feed.close();
  });

  test('ids and positions as text, as drivers give them, are the same numbers', async () => {
    log.page = 4;
    const feed = new TopicFeed('conversation:1', async (topic, after) => {
      const { data, position, hasMore } = await log.fetch(topic, after && Number(after));
      return { data: data.map((event) => ({ ...event, id: String(event.id) })), position: String(position), hasMore };
    }, [wire.transport], handlers);
    await settle();
    wire.listener.event({ id: 1, event: 'message.new', payload: {} });
    for (let id = 1; id <= 12; id++) log.write(id);
    await pass(5_000);
    assert.deepEqual([told, late], [Array.from({ length: 12 }, (_, n) => n + 1), []]);
    feed.close();
    feed.use([wire.transport]);
    assert.equal(wire.opened.length, 1, 'one that was closed opens nothing more');
  });

  test('after more than 12 hours it begins anew: the log is kept for a day', async () => {
    const feed = await opened([]);
    log.down = true;
    await pass(12 * 3600_000 + 1);
    log.write(1);
    log.down = false;
    await pass(5_000);
    assert.deepEqual([told, resets], [[], 2]);
    feed.close();
  });

  test('another transport goes on where the first was', async () => {
    const feed = await opened();
    wire.listener.live(true);
    await settle();
    log.write(1);
    wire.listener.event({ id: 1, event: 'message.new', payload: {} });
    const next = new Wire();
    log.write(2);
    feed.use([next.transport]);
    await settle();
    assert.ok(wire.opened[0].closed);
    wire.opened[0].listener.live(true); // said late by what was left
    assert.equal(live.at(-1), false);
    next.listener.live(true);
    next.listener.event({ id: 2, event: 'message.new', payload: {} });
    await settle();
    assert.deepEqual([told, late], [[1, 2], []]);
    feed.close();
  });
});

describe('a user', () => {
  let socket, provider, feeds, moved;

  beforeEach(async () => {
    socket = new Wire();
    provider = 'supabase';
    moved = [];
    feeds = new UserFeeds({ userId: 'u', fetchEvents: log.fetch, fetchProvider: async () => provider,
      transports: { supabase: wire.transport, socketio: socket.transport }, onProvider: (name) => moved.push(name) });
    feeds.open('conversation:1', handlers);
    await settle();
  });

  test('is asked for at the beginning, and moved by provider.changed: all topics, nothing lost, nothing twice', async () => {
    assert.deepEqual(wire.opened.map(({ topic }) => topic), ['user:u:inbox', 'conversation:1']);
    log.write(1);
    wire.opened[1].listener.event({ id: 1, event: 'message.new', payload: {} });
    provider = 'socketio';
    log.write(3); // nobody tells it
    wire.opened[0].listener.event({ id: 2, event: 'provider.changed', payload: { provider: 'socketio' } });
    await settle();
    assert.deepEqual(moved, ['supabase', 'socketio']);
    assert.deepEqual(socket.opened.map(({ topic }) => topic), ['user:u:inbox', 'conversation:1']);
    assert.ok(wire.opened.every(({ closed }) => closed));
    assert.deepEqual(told, [1, 3]);
    feeds.close();
    assert.ok(socket.opened.every(({ closed }) => closed));
  });

  test('both is both, and what both tell is told once', async () => {
    feeds.use('both');
    await settle();
    log.write(1);
    socket.opened[1].listener.hint();
    await settle();
    wire.opened[1].listener.event({ id: 1, event: 'message.new', payload: {} });
    assert.deepEqual(told, [1]);
    feeds.close();
  });

  test('who cannot hear the event asks within a minute; a word that is no provider changes nothing', async () => {
    feeds.use('pigeon');
    assert.equal(feeds.provider, 'supabase');
    provider = 'both';
    await pass(60_000);
    assert.equal(feeds.provider, 'both');
    feeds.close();
  });

  test('whoever throws when asked how a user is served has said nothing', async () => {
    const other = new UserFeeds({ userId: 'u', fetchEvents: log.fetch, fetchProvider: () => { throw new Error('not yet'); }, transports: {}, provider: 'polling' });
    await settle();
    assert.equal(other.provider, 'polling');
    other.close();
  });

  test('a topic that was closed does not move', async () => {
    const other = feeds.open('conversation:2', handlers);
    other.close();
    feeds.use('socketio');
    assert.ok(!socket.opened.some(({ topic }) => topic === 'conversation:2'));
    feeds.close();
  });
});

describe('transports', () => {
  test('ids: decimal text, the uuid of the database transport, and nothing else', () => {
    assert.deepEqual(['42', 42, '00000000-0000-8000-8000-00000000002a'].map(eventId), [42, 42, 42]);
    for (const other of [undefined, null, '', '1e3', '-1', '9007199254740993', '1b4e28ba-2fa1-41d2-883f-0016d3cca427']) assert.equal(eventId(other), undefined);
  });

  test('providers and what they stand for', () => {
    const all = { supabase: () => {}, socketio: () => {} };
    assert.deepEqual(transportsOf('both', all), [all.supabase, all.socketio]);
    assert.deepEqual(transportsOf('polling', all), []);
    assert.deepEqual(transportsOf('supabase', {}), []);
    assert.deepEqual([providerOf('both'), providerOf('constructor'), providerOf(null)], ['both', undefined, undefined]);
  });

  test('Socket.IO: its room is joined, each event is a hint, and nothing stays behind', () => {
    const listeners = new Map();
    const emitted = [];
    const socket = { connected: true, on: (name, f) => listeners.set(name, f), off: (name) => listeners.delete(name), emit: (...args) => emitted.push(args) };
    let hints = 0;
    const connection = socketTransport(socket)('conversation:7', { event() {}, hint: () => { hints++; }, live: (now) => live.push(now) });
    listeners.get('new_message')({ anything: true });
    listeners.get('disconnect')();
    connection.send('presence.typing', { isTyping: true });
    connection.send('message.new', {});
    connection.close();
    assert.deepEqual([hints, live, listeners.size], [1, [true, false], 0]);
    assert.deepEqual(emitted.map(([name]) => name), ['join_conversation', 'typing_start', 'leave_conversation']);
  });

  test('Realtime: private, with the user\'s token; an id that a participant gives is none; without a token it tries again', async () => {
    const channels = [];
    let tries = 0;
    const supabase = {
      realtime: { setAuth: async () => { if (tries++ === 0) throw new Error('no token'); } },
      removeChannel: async (channel) => { channel.removed = true; },
      channel(topic, options) {
        const channel = { topic, options, on: (type, filter, f) => { channel.say = f; return channel; }, subscribe: (f) => { channel.state = f; return channel; } };
        channels.push(channel);
        return channel;
      },
    };
    const heard = [];
    const listener = { event: ({ id }) => heard.push(id), hint() {}, live: (now) => live.push(now) };
    const open = supabaseTransport(supabase);
    const connection = open('conversation:1', listener);
    await settle();
    assert.equal(channels.length, 0);
    await pass(5_000);
    assert.deepEqual(channels[0].options, { config: { private: true } });
    channels[0].state('SUBSCRIBED');
    channels[0].say({ event: 'message.new', payload: {}, meta: { id: '5' } });
    connection.close();
    open('presence:1', listener);
    await settle();
    channels[1].say({ event: 'presence.typing', payload: {}, meta: { id: '6' } });
    assert.deepEqual([heard, live, channels[0].removed], [[5, undefined], [true], true]);
  });

  test('PostgREST: a topic of somebody else\'s is an error, as a refusal is', async () => {
    const answering = (answer) => ({ schema: () => ({ rpc: async () => answer }) });
    await assert.rejects(fetchEventsOf(answering({ data: null, error: null }))('conversation:9'), /conversation:9 is no topic of this user/);
    await assert.rejects(fetchEventsOf(answering({ data: null, error: { message: 'no', code: '42501' } }))('x'), { code: '42501' });
  });
});
