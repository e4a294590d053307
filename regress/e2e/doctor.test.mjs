// chat-sidecar doctor and status: a newcomer's mistakes, each with the words that mend it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { connect } from '../lib/db.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { Listener } from '../lib/http.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { ListeningRealtime } from '../lib/listening-realtime.mjs';
import { Pooler } from '../lib/pooler.mjs';
import { freePort } from '../lib/ports.mjs';
import { clockAhead } from '../lib/preload.mjs';
import { schema, StreamingRealtime } from '../lib/streaming-realtime.mjs';
import { until } from '../lib/wait.mjs';
import { sidecarBinary } from '../lib/workspace.mjs';

let bed, ports;

before(async () => {
  bed = await Bed.create();
  for (const name of ['empty', 'unset', 'older', 'newer']) await bed.cluster.psql(`CREATE DATABASE ${name}`);
  ports = { HTTP_LISTEN: `127.0.0.1:${await freePort()}`, EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}` };
});

after(() => bed.close());

const url = (options) => bed.cluster.url({ user: 'chat_sidecar', database: 'chat', ...options });

/** Runs a command of the sidecar: {status, stdout, stderr}. The event loop goes on, for stand-ins of this process. */
function run(args, env = {}) {
  const child = spawn(sidecarBinary, args, { env: { PATH: process.env.PATH, DATABASE_URL: url(), EMBEDDED_JWT_SECRET: 's'.repeat(32), ...ports, ...env } });
  const out = { stdout: '', stderr: '' };
  for (const name of Object.keys(out)) child[name].setEncoding('utf8').on('data', (chunk) => { out[name] += chunk; });
  return new Promise((resolve) => child.on('close', (status, signal) => resolve({ status: signal ?? status, ...out })));
}

/** What the doctor found that is wrong. */
async function findings(env, ...args) {
  const { status, stdout, stderr } = await run(['doctor', '--json', ...args], env);
  assert.equal(stderr, '');
  const all = JSON.parse(stdout);
  assert.equal(status, all.some((f) => f.severity === 'error') ? 1 : 0);
  return all.filter((f) => f.severity !== 'good' && f.severity !== 'info');
}

/** The one error among them. */
async function error(env, ...args) {
  const errors = (await findings(env, ...args)).filter((f) => f.severity === 'error');
  assert.equal(errors.length, 1, JSON.stringify(errors));
  return errors[0];
}

async function inDatabase(database, sql) {
  const client = await connect(bed.cluster, { database });
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

test('where all is well it finds nothing, in lines of 80 columns', async () => {
  const { status, stdout } = await run(['doctor'], { ENDPOINT_DATABASE_URL: url() });
  assert.equal(status, 0, stdout);
  assert.deepEqual(stdout.match(/^(warning|error).*/gm), ['warning chat.consumer      no sidecar has run yet']);
  assert.match(stdout, /^good {4}settings +the settings can be used: events go to the embedded\n +endpoint, webhooks are on$/m);
  assert.match(stdout, /^good {4}extension +chat_realtime \d/m);
  assert.match(stdout, /^good {4}endpoint +its role may ask who may join$/m);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
});

for (const [what, env, subject, text, mend] of [
  ['a wrong port', () => ({ DATABASE_URL: 'postgresql://chat_sidecar@127.0.0.1:1/chat' }), 'connection', /^Connection refused$/, /host and port in DATABASE_URL/],
  ['a wrong host', () => ({ DATABASE_URL: 'postgresql://chat_sidecar@no-such-host.invalid/chat' }), 'connection', /host name in DATABASE_URL cannot be resolved/, undefined],
  ['a wrong password', () => ({ DATABASE_URL: url().replace(/:[^:@]*@/, ':wrong@') }), 'connection', /password authentication failed/, /check user and password in DATABASE_URL/],
  ['a wrong role', () => ({ DATABASE_URL: url({ user: 'nobody_here' }) }), 'connection', /authentication failed|does not exist/, /check (the )?user/],
  ['a wrong database', () => ({ DATABASE_URL: url({ database: 'nowhere' }) }), 'connection', /"nowhere" does not exist/, /create the database/],
  ['no extension', () => ({ DATABASE_URL: url({ database: 'empty' }) }), 'extension', /is on the server, and not installed in database empty/, /^CREATE EXTENSION chat_realtime$/],
  ['an endpoint that may not ask', () => ({ ENDPOINT_DATABASE_URL: url({ user: 'stranger' }) }), 'endpoint', /permission denied/, /chat\.grant_endpoint/],
  ['an unreachable Realtime', () => ({ REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: roleToken('service_role', 's') }), 'realtime', /nothing answers at http:\/\/127\.0\.0\.1:1/, /check REALTIME_URL/],
]) {
  test(`${what} is named, with what mends it`, async () => {
    if (what.startsWith('an endpoint')) await bed.db.query(`CREATE ROLE stranger LOGIN PASSWORD '${bed.cluster.password}'; GRANT USAGE ON SCHEMA chat TO stranger; REVOKE EXECUTE ON FUNCTION chat.can_join(text, jsonb, boolean) FROM PUBLIC`);
    const found = await error(env());
    assert.equal(found.subject, subject, JSON.stringify(found));
    assert.match(found.text, text);
    if (mend) assert.match(found.mend, mend);
  });
}

for (const [what, env, words] of [
  ['the anon key', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: roleToken('anon', 's') }, 'REALTIME_KEY: is the anon key: Realtime would accept every event and deliver none; the role must be service_role'],
  ['an expired key', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: roleToken('service_role', 's', { expiresIn: -1 }) }, 'REALTIME_KEY: is a token that has expired'],
  ['a publishable key', { REALTIME_URL: 'http://127.0.0.1:1', REALTIME_KEY: 'sb_publishable_x' }, 'REALTIME_KEY: is a publishable key, which may not send: the secret one (sb_secret_…), or a token with role service_role is needed'],
  ['no key', { REALTIME_URL: 'http://127.0.0.1:1' }, 'REALTIME_KEY: is needed with REALTIME_URL: a token with role service_role'],
  ['a URL that is none', { REALTIME_URL: 'realtime:4000', REALTIME_KEY: roleToken('service_role', 's') }, 'REALTIME_URL: begins with neither http:// nor https://'],
]) {
  test(`${what} ends it with 2 and one line`, async () => {
    assert.deepEqual(await run(['doctor'], env), { status: 2, stdout: '', stderr: `chat-sidecar: ${words}\n` });
  });
}

test('no setup, no grant, and versions that do not fit', async () => {
  await inDatabase('unset', 'CREATE EXTENSION chat_realtime');
  assert.match((await error({ DATABASE_URL: url({ database: 'unset' }) })).mend, /chat\.grant_sidecar/);
  await inDatabase('unset', "SELECT chat.grant_sidecar('chat_sidecar')");
  const unset = (await findings({ DATABASE_URL: url({ database: 'unset' }), ENDPOINT_DATABASE_URL: url() })).map((f) => [f.severity, f.text, f.mend]);
  assert.deepEqual(unset, [['warning', 'nothing is attached', 'SELECT * FROM chat.setup()'], ['warning', 'no sidecar has run yet', null]]);
  await inDatabase('older', "CREATE EXTENSION chat_realtime; SELECT chat.grant_sidecar('chat_sidecar'); ALTER EXTENSION chat_realtime DROP FUNCTION chat.sidecar_protocol(); DROP FUNCTION chat.sidecar_protocol()");
  const older = await error({ DATABASE_URL: url({ database: 'older' }) });
  assert.match(older.mend, /ALTER EXTENSION chat_realtime UPDATE/);
  await inDatabase('newer', "CREATE EXTENSION chat_realtime; SELECT chat.grant_sidecar('chat_sidecar'); CREATE OR REPLACE FUNCTION chat.sidecar_protocol() RETURNS integer LANGUAGE sql AS 'SELECT 1000'");
  assert.match((await error({ DATABASE_URL: url({ database: 'newer' }) })).mend, /update the sidecar/);
});

test('a transaction pooler, and a superuser as the role', async () => {
  const pooler = await Pooler.start(bed.cluster, 'transaction');
  bed.closing.push(() => pooler.stop());
  const found = await error({ DATABASE_URL: pooler.url({ user: 'chat_sidecar', database: 'chat' }) });
  assert.match(found.text, /transaction pooler/);
  assert.match(found.mend, /5432/);
  const role = (await findings({ DATABASE_URL: url({ user: 'postgres' }) })).find((f) => f.subject === 'role');
  assert.match(role.mend, /CREATE ROLE .*chat\.grant_sidecar/);
});

test('hints of the database come with their statements: row security that is off', async () => {
  await bed.db.query('ALTER TABLE public.conversations DISABLE ROW LEVEL SECURITY; GRANT SELECT ON public.conversations TO PUBLIC');
  try {
    const found = (await findings()).find((f) => /ROW LEVEL SECURITY/.test(f.mend));
    assert.ok(found);
    assert.match(found.subject, /conversations/);
  } finally {
    await bed.db.query('ALTER TABLE public.conversations ENABLE ROW LEVEL SECURITY; REVOKE SELECT ON public.conversations FROM PUBLIC');
  }
});

test('what Realtime answers is judged', async () => {
  const realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  const env = { REALTIME_URL: realtime.url, REALTIME_KEY: roleToken('service_role', 's') };
  const found = async (single) => {
    realtime.single = single;
    return (await findings(env)).find((f) => f.subject === 'realtime');
  };
  assert.equal(await found(202), undefined);
  assert.match((await found(401)).text, /refuses REALTIME_KEY \(401\)/);
  assert.match((await found(403)).mend, /service_role key of this project/);
  assert.match((await found(429)).text, /is at its limit/);
  assert.match((await found(404)).mend, /2\.97/);
  assert.match((await found(500)).text, /answers 500/);
});

test('another service, and another tenant, at REALTIME_URL', async () => {
  let status = 200;
  const server = await new Listener((request, response) => {
    response.statusCode = status;
    response.end(status !== 200 ? '{"error":"Tenant not found"}' : '<html>');
  }).up();
  bed.closing.push(() => server.down());
  const env = { REALTIME_URL: `http://127.0.0.1:${server.port}`, REALTIME_KEY: roleToken('service_role', 's') };
  assert.match((await error(env)).mend, /self-hosted http:\/\/HOST:4000/);
  for (status of [401, 404]) assert.match((await error(env)).mend, /REALTIME_HOST/, `${status}`);
});

test('a client of its own joins at Realtime, and hears what it sends: --canary', async () => {
  const realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  const clients = new ListeningRealtime(realtime.listener.server);
  const env = { REALTIME_URL: realtime.url, REALTIME_KEY: roleToken('service_role', 's') };
  assert.match((await run(['doctor', '--canary'], env)).stdout, /^good {4}canary +a client joined, and heard what it sent itself after\s+\d+ ms$/m);
  clients.held = [];
  const silent = await error({ ...env, REALTIME_CANARY: 'true' });
  assert.deepEqual([silent.subject, silent.text], ['canary', 'a client joined, and did not hear within 5 s what it sent itself']);
  clients.held = undefined;
  clients.refusal = 'Unauthorized: You do not have permissions';
  assert.match((await error(env, '--canary')).text, /^no client can join at ws:\/\/127\.0\.0\.1:\d+: Unauthorized: You do not have permissions$/);
  const unset = await findings({ EMBEDDED_JWT_SECRET: '' }, '--canary');
  assert.equal(unset.find((f) => f.subject === 'canary').text, "without the endpoint's secret there is no token to join with");
  assert.match((await error({}, '--canary')).mend, /^a sidecar must run for it/);
});

test('Realtime through the database: without its table, its partition of today, anybody who streams it, and the right', async () => {
  const env = { REALTIME_TRANSPORT: 'database' };
  const found = async () => (await findings(env)).filter((f) => /wal_level|realtime\.messages/.test(f.subject));
  assert.deepEqual((await found()).map((f) => [f.severity, f.text]), [['error', 'wal_level is replica: Realtime can stream nothing'], ['error', 'there is no table realtime.messages, which Realtime makes']]);
  await bed.db.query("ALTER SYSTEM SET wal_level = 'logical'");
  await bed.cluster.restart();
  await bed.reconnect();
  await bed.db.query(schema);
  const partition = (await bed.db.query(`SELECT to_char(now() AT TIME ZONE 'UTC', '"messages_"YYYY_MM_DD') AS name`)).rows[0].name;
  await bed.db.query(`ALTER TABLE realtime.messages DETACH PARTITION realtime.${partition}`);
  assert.deepEqual((await found()).map((f) => f.text), [`the partition realtime.${partition}, of today, is missing`, 'nobody streams it: events wait until Realtime does, which it begins with its first client']);
  await bed.db.query(`DROP SCHEMA realtime CASCADE; DROP PUBLICATION supabase_realtime_messages_publication; ${schema}`);
  const streaming = await new StreamingRealtime(bed.cluster).connect();
  assert.deepEqual(await found(), []);
  assert.match((await run(['doctor'], env)).stdout, /^good {4}realtime\.messages +Realtime streams it$/m);
  await bed.db.query('CREATE ROLE weak; GRANT USAGE ON SCHEMA chat TO weak; GRANT EXECUTE ON FUNCTION chat.realtime_slots() TO weak');
  const owner = (await bed.db.query(`SELECT proowner::regrole AS name FROM pg_proc WHERE proname = 'realtime_insert'`)).rows[0].name;
  await bed.db.query('ALTER FUNCTION chat.realtime_insert(jsonb, text) OWNER TO weak');
  assert.match((await found())[0].mend, /^GRANT USAGE ON SCHEMA realtime TO weak; GRANT INSERT ON realtime\.messages TO weak$/);
  await bed.db.query(`ALTER FUNCTION chat.realtime_insert(jsonb, text) OWNER TO ${owner}`);
  await streaming.disconnect();
  await bed.db.query('DROP SCHEMA realtime CASCADE; DROP PUBLICATION supabase_realtime_messages_publication');
});

test('a port that another program has; a clock that is wrong', async () => {
  const server = await new Listener((request, response) => response.end('hello')).up();
  bed.closing.push(() => server.down());
  const taken = await error({ HTTP_LISTEN: `127.0.0.1:${server.port}` });
  assert.deepEqual([taken.subject, taken.text], ['HTTP_LISTEN', `127.0.0.1:${server.port} is already in use; set another address`]);
  const clock = (await findings(await clockAhead(100))).find((f) => f.subject === 'clock');
  assert.match(clock.text, /^the database's clock is \d+\.\d s behind this machine's/);
});

test('with a sidecar that runs: the doctor asks it, and status shows what it does', async () => {
  const conversation = await bed.conversation('Ana');
  const sidecar = await bed.sidecar();
  assert.match((await run(['doctor', '--canary'], sidecar.env)).stdout, /^good {4}canary +a client joined/m);
  for (let i = 0; i < 5; i++) await bed.message(conversation, `${i}`);
  const { stdout } = await run(['doctor'], sidecar.env);
  assert.match(stdout, new RegExp(`^good {4}sidecar +one runs at ${sidecar.env.HTTP_LISTEN} and is ready$`, 'm'));
  const page = await run(['status'], sidecar.env);
  assert.equal(page.status, 0, page.stderr);
  assert.match(page.stdout, new RegExp(`^sidecar {8}at ${sidecar.env.HTTP_LISTEN}, ready$`, 'm'));
  assert.match(page.stdout, /^webhooks +delivers +\d+\.\d +\d+ +\d+\.\d s$/m);
  assert.match(page.stdout, /^connections +0 WebSockets$/m);
  assert.match(page.stdout, /^doorbell +adaptive, queue 0 % full, \d sidecars sleep$/m);
  for (const line of page.stdout.split('\n')) assert.ok(line.length <= 80, line);
  const json = JSON.parse((await run(['status', '--json'], sidecar.env)).stdout);
  assert.equal(json.sidecar.ready, true);
  assert.ok(json.metrics['chat_realtime_connections'] === 0);
  assert.ok(json.database.consumers.some((c) => c.name === 'webhooks' && c.led));
  await sidecar.kill('SIGTERM');
  const alone = await run(['status'], sidecar.env);
  assert.match(alone.stdout, /^sidecar {8}none answers at /m);
});

test('webhooks: networks that are too large, attempts that are refused, webhooks that were given up', async () => {
  const wide = (await findings({ WEBHOOK_ALLOW_CIDRS: '0.0.0.0/0' })).find((f) => f.subject === 'WEBHOOK_ALLOW_CIDRS');
  assert.equal(wide.text, 'webhooks may reach 169.254.169.254, where clouds keep the credentials of their machines');
  const sidecar = await bed.sidecar({ WEBHOOK_ALLOW_CIDRS: '' });
  const receiver = await bed.receiver(['message.received']);
  const off = await bed.receiver(['message.received']); // one that is there: of others maintenance forgets the state
  await bed.db.query('UPDATE public.chat_external_webhooks SET is_active = false WHERE id = $1', [off.webhook.id]);
  await bed.db.query('INSERT INTO chat.webhook_state (webhook, disabled_at) VALUES ($1, now())', [off.webhook.id]);
  await bed.message(await bed.conversation('Bia'), 'to a private address');
  const metric = (name, labels) => sidecar.metric(name, labels);
  await until(async () => await metric('chat_realtime_webhook_attempts_total', 'result="refused"') > 0 && await metric('chat_realtime_webhooks_disabled') > 0, () => `figures: ${sidecar.tail()}`, 30000);
  const found = (await findings(sidecar.env)).filter((f) => f.subject === 'webhooks').map((f) => f.text);
  assert.match(found[0], /^\d+ attempts were refused since the sidecar's start: the address is private, or the URL's scheme is http$/);
  assert.match(found[1], /^\d+ fail at every attempt, 1 are disabled$/);
  assert.equal(receiver.attempts.length, 0);
  await sidecar.kill('SIGTERM');
});

test('where webhooks point to is looked up, and judged as deliveries are', async () => {
  const told = async (env) => (await findings(env)).filter((f) => f.subject === 'webhooks' && /:\/\//.test(f.text)).map((f) => [f.text, f.mend]);
  await bed.db.query('DELETE FROM public.chat_external_webhooks');
  const add = (url) => bed.db.query(`INSERT INTO public.chat_external_webhooks (user_id, url, events, secret) VALUES ($1, $2, '{message.received}', repeat('s', 16))`, [bed.owner, url]);
  for (const url of ['https://10.1.2.3:8443/secret-path', 'https://me:word@10.1.2.3:8443', 'http://93.184.216.34/a', 'https://93.184.216.34/b?token=c', 'https://no-such-host.invalid/', 'https://[::1]/', 'https://a b/'])
    await add(url);
  const notPublic = (address) => `its address ${address} is not public, and none of the networks in WEBHOOK_ALLOW_CIDRS has it`;
  const all = await told();
  assert.deepEqual(all.slice(0, 4), [
    ['http://93.184.216.34 is refused: only https is allowed', 'https in its URL, or WEBHOOK_ALLOW_HTTP=true where that is meant'],
    [`https://10.1.2.3:8443 is refused: ${notPublic('10.1.2.3')}`, 'WEBHOOK_ALLOW_CIDRS=10.1.2.3 where that is meant'],
    [`https://[::1] is refused: ${notPublic('::1')}`, 'WEBHOOK_ALLOW_CIDRS=::1 where that is meant'],
    ['https://a b has no host that can be looked up', 'correct its URL'],
  ]);
  assert.match(all[4][0], /^https:\/\/no-such-host\.invalid cannot be resolved: /);
  assert.equal(all[4][1], 'look at the name, and at the resolver of this machine (/etc/resolv.conf)');
  await bed.db.query(`DELETE FROM public.chat_external_webhooks WHERE url ~ 'invalid|a b'`);
  const env = { WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOW_CIDRS: '10.0.0.0/8,::1' };
  assert.deepEqual(await told(env), []);
  assert.match((await run(['doctor'], env)).stdout, /^good {4}webhooks +4 of their hosts can be resolved, and may be\s+delivered to$/m);
  await bed.db.query('UPDATE public.chat_external_webhooks SET is_active = false');
  assert.deepEqual(await told(), []);
  await bed.db.query('DELETE FROM public.chat_external_webhooks');
});

test('status --watch goes on until its reader is gone', async () => {
  const child = spawn(sidecarBinary, ['status', '--watch'], { env: { PATH: process.env.PATH, DATABASE_URL: url(), ...ports } });
  let text = '';
  const twice = new Promise((resolve) => child.stdout.on('data', (chunk) => {
    text += chunk;
    if (text.split('\nconsumer ').length > 2) resolve();
  }));
  await twice;
  const closed = new Promise((resolve) => child.on('close', resolve));
  child.stdout.destroy();
  await closed;
});

for (const [args, status, wanted] of [
  [['status', '--no-such'], 2, /an argument that it does not know/],
  [['doctor', 'please'], 2, /an argument that it does not know/],
  [['status', '--help'], 0, /^$/],
  [['doctor', '--help'], 0, /^$/],
]) {
  test(`${args.join(' ')} ends with ${status}`, async () => {
    const end = await run(args);
    assert.equal(end.status, status);
    assert.match(end.stderr, wanted);
  });
}

test('status without a database says why', async () => {
  const end = await run(['status'], { DATABASE_URL: 'postgresql://chat_sidecar@127.0.0.1:1/chat' });
  assert.equal(end.status, 1);
  assert.match(end.stderr, /^chat-sidecar: status: Connection refused; check host and port in DATABASE_URL/);
  const without = await run(['status'], { DATABASE_URL: url({ database: 'empty' }) });
  assert.equal(without.status, 1);
  assert.match(without.stderr, /CREATE EXTENSION chat_realtime/);
});
