// The table of a newcomer's mistakes in docs/troubleshooting.md: each of them is made, and answered with exactly these words.
// What the page says is what is expected here; … stands for what differs from place to place.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Bed } from '../lib/bed.mjs';
import { connect, value } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { Listener } from '../lib/http.mjs';
import { roleToken, userToken } from '../lib/jwt.mjs';
import { Pooler } from '../lib/pooler.mjs';
import { freePort } from '../lib/ports.mjs';
import { root, sidecarBinary } from '../lib/workspace.mjs';

const secret = 's'.repeat(40);
const service = roleToken('service_role', secret);
let bed, sidecar, conversation;

before(async () => {
  bed = await Bed.create({ settings: { shared_preload_libraries: '' } });
  for (const name of ['empty', 'unset', 'ungranted', 'older', 'newer']) await bed.cluster.psql(`CREATE DATABASE ${name}`);
  sidecar = await bed.sidecar({ EMBEDDED_JWT_SECRET: secret });
  conversation = await bed.conversation('Ana');
});

after(() => bed.close());

const url = (options) => bed.cluster.url({ user: 'chat_sidecar', database: 'chat', ...options });

/** Runs a command of the sidecar, with ports that nobody has: {status, stdout, stderr}. */
async function run(args, env = {}, input = '') {
  const ports = { HTTP_LISTEN: `127.0.0.1:${await freePort()}`, EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}` };
  const child = spawn(sidecarBinary, args, { env: { PATH: process.env.PATH, DATABASE_URL: url(), EMBEDDED_JWT_SECRET: secret, ...ports, ...env } });
  const out = { stdout: '', stderr: '' };
  for (const name of Object.keys(out)) child[name].setEncoding('utf8').on('data', (chunk) => { out[name] += chunk; });
  child.stdin.end(input);
  return new Promise((resolve) => child.on('close', (status, signal) => resolve({ status: signal ?? status, ...out })));
}

/** What the doctor says of one subject, or its one error, as it prints it; where it does not begin, its words on stderr. */
async function doctor(env, subject) {
  const { stdout, stderr } = await run(['doctor', '--json'], env);
  if (stdout === '') return stderr.trim();
  const found = JSON.parse(stdout).filter((f) => (subject ? f.subject === subject : f.severity === 'error'));
  assert.equal(found.length, 1, stdout);
  return found[0].mend ? `${found[0].text} → ${found[0].mend}` : found[0].text;
}

async function inDatabase(database, sql) {
  const client = await connect(bed.cluster, { database });
  try {
    await client.query(`CREATE EXTENSION chat_realtime; ${sql}`);
  } finally {
    await client.end();
  }
  return { DATABASE_URL: url({ database }) };
}

/** Realtime's stand-in that answers with this status. */
async function realtime(status) {
  const server = await FaultyRealtime.start();
  bed.closing.push(() => server.down());
  server.single = status;
  return { REALTIME_URL: server.url, REALTIME_KEY: service };
}

/** What an HTTP server of somebody else is taken for. */
async function other(status, body) {
  const server = await new Listener((request, response) => {
    response.statusCode = status;
    response.end(body);
  }).up();
  bed.closing.push(() => server.down());
  return { REALTIME_URL: `http://127.0.0.1:${server.port}`, REALTIME_KEY: service };
}

/** What supabase-js says of a join that is refused. */
async function join({ user = bed.owner, token, isPrivate } = {}) {
  const subscriber = await bed.subscriber(sidecar, { user });
  if (token) subscriber.token = token;
  try {
    await subscriber.join(`conversation:${conversation}`, { isPrivate });
  } catch (error) {
    return error.message;
  } finally {
    await subscriber.close();
  }
  return 'joined';
}

/** What the WebSocket's request is answered with. */
const handshake = (query) => new Promise((resolve, reject) => {
  const socket = new WebSocket(`${sidecar.url.replace('http', 'ws')}/realtime/v1/websocket?vsn=2.0.0${query}`);
  socket.on('error', () => {}).on('open', () => reject(new Error('it is let in')));
  socket.on('unexpected-response', (_, response) => {
    let text = `${response.statusCode} `;
    response.setEncoding('utf8').on('data', (chunk) => { text += chunk; }).on('end', () => resolve(text));
  });
});

const check = async (token) => (await run(['token', '--check'], {}, token)).stdout.trim().replace('\n', ' → ');

const made = {
  'wrong URL: nobody listens there': () => doctor({ DATABASE_URL: 'postgresql://chat_sidecar@127.0.0.1:1/chat' }),
  'wrong URL: no such host': () => doctor({ DATABASE_URL: 'postgresql://chat_sidecar@no-such-host.invalid/chat' }),
  'wrong password': () => doctor({ DATABASE_URL: url().replace(/:[^:@]*@/, ':wrong@') }),
  'wrong database': () => doctor({ DATABASE_URL: url({ database: 'nowhere' }) }),
  'wrong role': () => doctor({ DATABASE_URL: url({ user: 'nobody_here' }) }),
  'port 6543': async () => {
    const pooler = await Pooler.start(bed.cluster, 'transaction');
    bed.closing.push(() => pooler.stop());
    return doctor({ DATABASE_URL: pooler.url({ user: 'chat_sidecar', database: 'chat' }) });
  },
  'no extension': () => doctor({ DATABASE_URL: url({ database: 'empty' }) }),
  'no setup': async () => doctor(await inDatabase('unset', "SELECT chat.grant_sidecar('chat_sidecar')"), 'unset'),
  'no grant': async () => doctor(await inDatabase('ungranted', '')),
  'no preload': () => doctor({}, 'shared_preload_libraries'),
  'wrong key': async () => doctor(await realtime(401)),
  'anon key as `REALTIME_KEY`': () => doctor({ REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: roleToken('anon', secret) }),
  'expired key': () => doctor({ REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: roleToken('service_role', secret, { expiresIn: -1 }) }),
  'wrong tenant': async () => doctor(await other(404, '{"error":"Tenant not found"}')),
  'wrong service at `REALTIME_URL`': async () => doctor(await other(200, '<html>')),
  'nothing at `REALTIME_URL`': () => doctor({ REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: service }),
  'forgotten `private: true`': () => join({ isPrivate: false }),
  'somebody else\'s conversation': () => join({ user: '00000000-0000-4000-8000-000000000000' }),
  'expired token': () => join({ token: userToken(bed.owner, secret, { expiresIn: -60 }) }),
  'expired token, checked': () => check(userToken(bed.owner, secret, { expiresIn: -60 })),
  'foreign token': () => join({ token: userToken(bed.owner, 'x'.repeat(40)) }),
  'foreign token, checked': () => check(userToken(bed.owner, 'x'.repeat(40))),
  'no anon key': () => handshake(''),
  'wrong anon key': () => handshake(`&apikey=${roleToken('anon', 'x'.repeat(40))}`),
  'wrong anon key, checked': () => check(roleToken('anon', 'x'.repeat(40))),
  'RLS off': async () => {
    await bed.db.query('ALTER TABLE public.conversations DISABLE ROW LEVEL SECURITY; GRANT SELECT ON public.conversations TO PUBLIC');
    try {
      return await doctor({}, 'public.conversations');
    } finally {
      await bed.db.query('ALTER TABLE public.conversations ENABLE ROW LEVEL SECURITY; REVOKE SELECT ON public.conversations FROM PUBLIC');
    }
  },
  'two sidecars on one port': async () => (await run([], { HTTP_LISTEN: sidecar.env.HTTP_LISTEN })).stderr.match(/^chat-sidecar: .*/m)?.[0],
  'another program on the port': async () => {
    const server = await new Listener((request, response) => response.end('hello')).up();
    bed.closing.push(() => server.down());
    return doctor({ HTTP_LISTEN: `127.0.0.1:${server.port}` });
  },
  'old extension, new sidecar': async () => doctor(await inDatabase('older', "SELECT chat.grant_sidecar('chat_sidecar'); ALTER EXTENSION chat_realtime DROP FUNCTION chat.sidecar_protocol(); DROP FUNCTION chat.sidecar_protocol()")),
  'old sidecar, new extension': async () => doctor(await inDatabase('newer', "SELECT chat.grant_sidecar('chat_sidecar'); CREATE OR REPLACE FUNCTION chat.sidecar_protocol() RETURNS integer LANGUAGE sql AS 'SELECT 1000'")),
};

const page = readFileSync(path.join(root, 'docs/troubleshooting.md'), 'utf8').split("## A newcomer's mistakes\n")[1]?.split('\n## ')[0] ?? '';
const documented = [...page.matchAll(/^\| (.*) \| .* \| `(.*)` \|$/gm)].map(([, mistake, words]) => ({ mistake, words }));

/** … stands for anything that is there. */
const pattern = (words) => new RegExp(`^${words.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]+')}$`);

test('the page has each mistake that is made here, once', () => {
  assert.deepEqual(documented.map(({ mistake }) => mistake), Object.keys(made));
});

for (const { mistake, words } of documented) {
  test(`${mistake}: the words of the page`, async (context) => {
    if (mistake === 'no preload' && (await value(bed.db, 'SELECT chat.has_shared_memory()'))) return context.skip('it needs none');
    const said = await made[mistake]();
    assert.match(said, pattern(words));
  });
}
