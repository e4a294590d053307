// Moving a help desk from Socket.IO to Realtime and back: twenty users at 0, 10, 50 and 100 %, both ways and alone, with Realtime
// failing once. Each runs the feeds of packages/topic-feed, one of them in Chromium; what is written meanwhile comes to each once.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createAdapter } from '@socket.io/postgres-adapter';
import { createClient } from '@supabase/supabase-js';
import WebSocket from 'ws';
import { socketTransport, supabaseTransport, UserFeeds } from '../../packages/topic-feed/index.js';
import { Backend, call } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { launchBrowser, noBrowser } from '../lib/browser.mjs';
import { rows, value } from '../lib/db.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { example, Line, noVite, servePage } from '../lib/page.mjs';
import { SocketIoServer } from '../lib/socketio-server.mjs';
import { sleep, until } from '../lib/wait.mjs';

/** A user whose place in the rollout is this one, 0 to 99. */
function userAt(place) {
  for (;;) {
    const user = randomUUID();
    const hash = createHash('sha256').update(user).digest();
    if (hash.readUIntBE(0, 3) % 100 === place) return user;
  }
}

/** What the page does with the feeds, without a page. */
class User {
  constructor({ id, conversation, backend, old, realtime, io }) {
    Object.assign(this, { id, conversation, told: new Map() });
    const token = backend.token(id);
    const ask = async (route) => (await call(backend, 'GET', route, { token })).body;
    this.supabase = createClient(realtime.url, realtime.key, { accessToken: async () => token, realtime: { transport: WebSocket } });
    this.socket = io(`${old}/chat`, { auth: { token }, autoConnect: false, transports: ['websocket'] });
    const live = [false, false];
    this.feeds = new UserFeeds({
      userId: id,
      fetchEvents: (topic, position) => ask(`/events?topic=${encodeURIComponent(topic)}${position === undefined ? '' : `&after=${position}`}`),
      fetchProvider: async () => (await ask('/provider')).data.provider,
      transports: { supabase: supabaseTransport(this.supabase), socketio: socketTransport(this.socket) },
      onProvider: (provider) => {
        if (provider === 'supabase') this.socket.disconnect();
        else this.socket.connect();
      },
      inbox: { live: (now) => { live[0] = now; } },
    });
    const tell = ({ event, payload }) => event === 'message.new' && this.told.set(payload.content, (this.told.get(payload.content) ?? 0) + 1);
    this.feeds.open(`conversation:${conversation}`, { event: tell, late: tell, reset() {}, live: (now) => { live[1] = now; } });
    this.isLive = () => live.every(Boolean);
  }

  get provider() {
    return this.feeds.provider;
  }

  async close() {
    this.feeds.close();
    this.socket.disconnect();
    await this.supabase.removeAllChannels();
    await this.supabase.realtime.disconnect();
  }
}

describe('from Socket.IO to Realtime and back', { skip: noBrowser || noVite }, () => {
  let bed, sidecar, realtime, line, old, backend, page, tab, writing;
  const users = [];
  const failures = [];
  const written = new Map(); // user → what was written to it
  const pools = {};

  before(async () => {
    bed = await Bed.create();
    const env = await startRealtime();
    await startOld();
    sidecar = await bed.sidecar({ ...env, REALTIME_MAX_EVENTS_PER_SECOND: '0', REALTIME_FALLBACK_SECONDS: '2', SOCKETIO_CHANNEL: 'socket.io#/chat', WEBHOOKS: 'off' });
    backend = await Backend.unlimited(bed, { jwtSecret: realtime.env.EMBEDDED_JWT_SECRET });
    await bed.db.query('SELECT chat.set_rollout(0)');
    const { io } = createRequire(path.join(example, 'package.json'))('socket.io-client');
    for (let place = 2; place < 100; place += 5) {
      const id = userAt(place);
      const conversation = await value(bed.db, `INSERT INTO public.conversations (user_id, contact_jid) VALUES ($1, '1@s.whatsapp.net') RETURNING id`, [id]);
      users.push(new User({ id, conversation, backend, old: old.url, realtime: { url: `http://127.0.0.1:${line.port}`, key: realtime.anonKey }, io }));
      bed.closing.push(() => users.find((user) => user.id === id).close());
      written.set(id, []);
    }
    page = await servePage({ BACKEND_URL: backend.url, REALTIME_URL: `http://127.0.0.1:${line.port}`, SOCKET_URL: old.url, VITE_SUPABASE_ANON_KEY: realtime.anonKey }, { check: false });
    bed.closing.push(() => page.close());
    tab = await (await launchBrowser()).newPage();
    tab.on('pageerror', (error) => failures.push(error.message));
    await tab.goto(`http://127.0.0.1:${page.port}/#token=${backend.token(users[0].id)}&name=Carla`);
    await tab.locator('.row').click();
    pools.writers = bed.pool();
  });

  after(async () => {
    clearInterval(writing);
    await tab?.context().close();
    await bed?.close();
  });

  /** The embedded endpoint of another sidecar, whose own log is another database's, stands in for Realtime, behind a line that can be cut. */
  async function startRealtime() {
    await bed.cluster.psql('CREATE DATABASE elsewhere');
    const elsewhere = await bed.connect({ database: 'elsewhere' });
    await elsewhere.query('CREATE EXTENSION chat_realtime');
    await elsewhere.query(`SELECT chat.grant_sidecar('chat_sidecar')`);
    await bed.role('chat_endpoint', 'grant_endpoint');
    realtime = await bed.sidecar({ WEBHOOKS: 'off', ENDPOINT_DATABASE_URL: bed.cluster.url({ user: 'chat_endpoint', database: 'chat' }) }, { database: 'elsewhere' });
    line = await new Line(Number(new URL(realtime.url).port)).up();
    bed.closing.push(() => line.cut().catch(() => {}));
    return { REALTIME_URL: `http://127.0.0.1:${line.port}`, REALTIME_KEY: roleToken('service_role', realtime.env.EMBEDDED_JWT_SECRET) };
  }

  /** The existing server, with the adapter through which the sidecar speaks to it. */
  async function startOld() {
    await bed.db.query('CREATE TABLE public.socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea)');
    await bed.db.query(`SELECT chat.grant_sidecar('chat_sidecar')`);
    old = await SocketIoServer.start({ adapter: createAdapter(bed.pool()) });
    bed.closing.push(() => old.down());
  }

  /** Writes to everybody all the time. */
  function beginWriting() {
    let count = 0;
    writing = setInterval(() => {
      const user = users[count % users.length];
      const text = `message ${String(count++).padStart(5, '0')}`;
      pools.writers.query(`INSERT INTO public.chat_messages (conversation_id, content, direction) VALUES ($1, $2, 'outgoing')`, [user.conversation, text])
        .then(() => written.get(user.id).push(text), (error) => failures.push(error.message));
    }, 50);
  }

  const wanted = async () => new Map((await rows(bed.db, 'SELECT u, chat.realtime_provider(u) AS provider FROM unnest($1::text[]) u', [users.map(({ id }) => id)]))
    .map(({ u, provider }) => [u, provider]));

  /** Everybody is served as the database says, live, and so is the page. */
  async function settled(expected) {
    const now = await wanted();
    const counts = {};
    for (const provider of now.values()) counts[provider] = (counts[provider] ?? 0) + 1;
    assert.deepEqual(counts, expected);
    await until(() => users.every((user) => user.provider === now.get(user.id) && user.isLive()),
      () => `everybody to follow: ${users.map((user) => `${user.provider}/${now.get(user.id)}/${user.isLive()}`).join(' ')}`, 30000);
    await tab.locator(`.state.live[data-provider="${now.get(users[0].id)}"]`).waitFor();
    await sleep(500); // some messages more
  }

  test('everybody begins on Socket.IO', async () => {
    beginWriting();
    await settled({ socketio: 20 });
  });

  for (const [percent, bothWays, expected] of [
    [10, true, { both: 2, socketio: 18 }],
    [10, false, { supabase: 2, socketio: 18 }],
    [50, false, { supabase: 10, socketio: 10 }],
    [100, false, { supabase: 20 }],
  ]) {
    test(`${percent} %${bothWays ? ', both ways' : ''}: they switch without being loaded again`, async () => {
      await bed.db.query('SELECT chat.set_rollout($1, $2)', [percent, bothWays]);
      await settled(expected);
    });
  }

  test('Realtime fails: everybody falls back to Socket.IO, and goes back when it has recovered', async () => {
    await line.cut();
    await until(async () => (await wanted()).get(users[0].id) === 'socketio', () => `the sidecar to find that out: ${sidecar.tail()}`, 60000);
    await settled({ socketio: 20 });
    assert.equal(await sidecar.metric('chat_realtime_fallbacks_total'), 1);
    await line.up();
    sidecar.child.kill('SIGHUP'); // tries at once
    await until(async () => (await wanted()).get(users[0].id) === 'supabase', 'it to have recovered', 60000);
    await settled({ supabase: 20 });
    assert.deepEqual(await rows(bed.db, `SELECT action FROM chat.audit_log WHERE action LIKE 'realtime.%' ORDER BY id`), [{ action: 'realtime.failed' }, { action: 'realtime.recovered' }]);
  });

  test('one user stays behind, and all go back', async () => {
    await bed.db.query(`SELECT chat.set_provider($1, 'both')`, [users[3].id]);
    await settled({ supabase: 19, both: 1 });
    await bed.db.query('SELECT chat.set_provider($1, NULL)', [users[3].id]);
    await bed.db.query('SELECT chat.set_rollout(50)');
    await settled({ supabase: 10, socketio: 10 });
    await bed.db.query('SELECT chat.set_rollout(0)');
    await settled({ socketio: 20 });
  });

  test('nothing is lost and nothing comes twice', async (t) => {
    clearInterval(writing);
    const count = (of) => users.reduce((sum, user) => sum + of(user), 0);
    const missing = (user) => written.get(user.id).filter((text) => !user.told.has(text)).length;
    await until(() => count(missing) === 0, () => `${count(missing)} of ${count((user) => written.get(user.id).length)} are missing`, 30000);
    const repeated = count((user) => [...user.told.values()].reduce((sum, times) => sum + times - 1, 0));
    t.diagnostic(`${count((user) => user.told.size)} messages to 20 users, lost ${count(missing)}, repeated ${repeated}`);
    assert.equal(repeated, 0);
    const mine = written.get(users[0].id);
    const shown = async () => (await tab.locator('.bubble').allTextContents()).map((text) => /message \d{5}/.exec(text)[0]);
    await until(async () => (await shown()).length >= mine.length, 'all of them in the page', 30000, 200);
    assert.deepEqual((await shown()).sort(), [...mine].sort());
    assert.deepEqual(failures, []);
  });
});
