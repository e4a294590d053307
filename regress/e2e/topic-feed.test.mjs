// packages/topic-feed: its own tests, what npm would publish, its types, and its feeds with an unchanged supabase-js, on the
// endpoint and with PostgREST's conventions in place of a backend.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { createClient } from '@supabase/supabase-js';
import ws from 'ws';
import * as feeds from '../../packages/topic-feed/index.js';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { example, Line, noVite } from '../lib/page.mjs';
import { PostgrestFront } from '../lib/postgrest.mjs';
import { until } from '../lib/wait.mjs';
import { root, temporaryDirectory } from '../lib/workspace.mjs';

const directory = path.join(root, 'packages/topic-feed');
const run = promisify(execFile);

test('its own tests', async () => {
  const { NODE_TEST_CONTEXT, ...env } = process.env; // a run of its own
  const { stdout } = await run(process.execPath, ['--test', '--test-reporter=tap', 'test/feed.test.mjs'], { cwd: directory, env });
  assert.match(stdout, /^# fail 0$/m);
  assert.doesNotMatch(stdout, /^# pass 0$/m);
});

test('npm publishes its modules, its types, README and licence, and nothing else', async () => {
  const home = temporaryDirectory();
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--cache', home], { cwd: directory, env: { PATH: process.env.PATH, HOME: home } });
  const [packed] = JSON.parse(stdout);
  assert.deepEqual(packed.files.map((file) => file.path).sort(),
    ['LICENSE', 'README.md', 'feed.js', 'index.d.ts', 'index.js', 'package.json', 'postgrest.js', 'transports.js', 'user.js']);
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'));
  assert.deepEqual([dependencies, Object.keys(peerDependencies)], [undefined, ['@supabase/supabase-js', 'socket.io-client']]);
  assert.equal(readFileSync(path.join(directory, 'LICENSE'), 'utf8'), readFileSync(path.join(root, 'LICENSE'), 'utf8'));
});

test('its types are those of what it exports, and take the clients that there are', { skip: noVite }, async () => {
  const types = readFileSync(path.join(directory, 'index.d.ts'), 'utf8');
  const declared = [...types.matchAll(/^export (?:function|const|class) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(feeds).sort());
  const folder = path.join(temporaryDirectory(), 'app');
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'app.ts'), `
    import { createClient } from '@supabase/supabase-js';
    import { io } from 'socket.io-client';
    import { fetchEventsOf, fetchProviderOf, socketTransport, supabaseTransport, UserFeeds } from 'chat-realtime-topic-feed';
    const supabase = createClient('http://127.0.0.1', 'key');
    const feeds = new UserFeeds({ userId: 'u', fetchEvents: fetchEventsOf(supabase), fetchProvider: fetchProviderOf(supabase),
      transports: { supabase: supabaseTransport(supabase), socketio: socketTransport(io('http://127.0.0.1/chat')) } });
    feeds.open('conversation:1', { event: ({ id }) => id?.toFixed(), reset() {} }).close();
    // @ts-expect-error a handler is missing
    feeds.open('conversation:1', { event() {} });
  `);
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: {
    strict: true, noEmit: true, skipLibCheck: true, target: 'ES2023', lib: ['ES2023', 'DOM'], module: 'ESNext', moduleResolution: 'bundler', types: [],
    paths: Object.fromEntries(['@supabase/supabase-js', 'socket.io-client', 'chat-realtime-topic-feed'].map((name) => [name, [path.join(example, 'node_modules', name)]])),
  }, files: ['app.ts'] }));
  await run(process.execPath, [path.join(example, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch(({ stdout }) => assert.fail(stdout));
});

describe('with supabase-js', () => {
  let bed, sidecar, front, line, conversation, supabase;
  const told = [];
  const late = [];
  const states = [];
  let opened;

  before(async () => {
    bed = await Bed.create();
    await bed.db.query(`CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN; CREATE ROLE service_role NOLOGIN BYPASSRLS;
      CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD '${bed.cluster.password}'; GRANT anon, authenticated, service_role TO authenticator`);
    await bed.db.query('SELECT * FROM chat.setup()');
    sidecar = await bed.sidecar();
    front = await PostgrestFront.start(bed.cluster, { user: 'authenticator', secret: sidecar.env.EMBEDDED_JWT_SECRET });
    bed.closing.push(() => front.close());
    line = await new Line(Number(new URL(sidecar.url).port)).up();
    bed.closing.push(() => line.cut().catch(() => {}));
    conversation = await bed.conversation();
    // One address, as a project has it: Realtime behind the line, PostgREST beside it.
    const url = `http://127.0.0.1:${line.port}`;
    supabase = createClient(url, sidecar.anonKey, {
      accessToken: async () => sidecar.token(bed.owner), realtime: { transport: ws },
      global: { fetch: (address, options) => fetch(String(address).replace(url, front.url), options) },
    });
    opened = new feeds.UserFeeds({ userId: bed.owner, fetchEvents: feeds.fetchEventsOf(supabase), fetchProvider: feeds.fetchProviderOf(supabase),
      transports: { supabase: feeds.supabaseTransport(supabase) } });
    bed.closing.push(async () => {
      opened.close();
      await supabase.removeAllChannels();
      await supabase.realtime.disconnect();
    });
    opened.open(`conversation:${conversation}`, {
      event: ({ event, payload }) => event === 'message.new' && told.push(payload.content),
      late: ({ payload }) => late.push(payload.content), reset() {}, live: (live) => states.push(live),
    });
  });

  after(() => bed?.close());

  const live = (wanted = true) => until(() => states.at(-1) === wanted, `the topic to be ${wanted ? '' : 'not '}live`, 60_000);

  async function write(texts) {
    for (const text of texts) await bed.message(conversation, text);
  }

  async function hears(expected) {
    await until(() => told.length >= expected.length, () => `${expected.length} messages, not ${told}`, 60_000);
    assert.deepEqual([told, late], [expected, []]);
  }

  test('the provider is asked for, and the topic is live', async () => {
    await live();
    assert.equal(opened.provider, 'supabase');
    await write(['a', 'b']);
    await hears(['a', 'b']);
  });

  test('what was missed is caught up with, in order and once', async () => {
    await line.cut();
    await live(false);
    await write(['c', 'd', 'e']);
    await line.up();
    await live();
    await hears(['a', 'b', 'c', 'd', 'e']); // before anything newer comes live, after which they would be late
    await write(['f']);
    await hears(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  test('provider.changed: to Socket.IO, which is not there, so it polls; and back', async () => {
    await bed.db.query(`SELECT chat.set_provider($1, 'socketio')`, [bed.owner]);
    await until(() => opened.provider === 'socketio', 'the provider to change');
    await write(['g']);
    await hears(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    await bed.db.query('SELECT chat.set_provider($1, NULL)', [bed.owner]);
    await until(() => opened.provider === 'supabase', 'the provider to change back', 30_000);
    await live();
    await write(['h']);
    await hears(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
  });

  test('another user\'s topic is refused', async () => {
    const foreign = await value(bed.db, `INSERT INTO public.conversations (user_id, contact_jid) VALUES (gen_random_uuid(), '2@s.whatsapp.net') RETURNING id`);
    await assert.rejects(feeds.fetchEventsOf(supabase)(`conversation:${foreign}`), /is no topic of this user/);
  });
});
