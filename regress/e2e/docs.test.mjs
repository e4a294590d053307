// README and docs/: links lead somewhere, texts of troubles are the programs' own, the quick start does what it says, the
// reference is what the database says of its functions.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { Bed } from '../lib/bed.mjs';
import { connect } from '../lib/db.mjs';
import { addGroup, removeGroup } from '../lib/janitor.mjs';
import { freePort } from '../lib/ports.mjs';
import { logLines, logTable } from '../lib/log-reference.mjs';
import { runProgram } from '../lib/program.mjs';
import { reference } from '../lib/sql-reference.mjs';
import { until } from '../lib/wait.mjs';
import { root, sidecarBinary, temporaryDirectory } from '../lib/workspace.mjs';

const read = (file) => readFileSync(path.join(root, file), 'utf8');
const folder = (name, end) => readdirSync(path.join(root, name)).filter((file) => file.endsWith(end)).map((file) => path.join(name, file));
const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'regress/README.md', 'examples/node/README.md', 'examples/react/README.md', 'packages/topic-feed/README.md',
  ...folder('docs', '.md')];
/** A heading as links name it. */
const anchor = (heading) => heading.toLowerCase().replace(/[^\p{L}\p{N}\- _]/gu, '').replaceAll(' ', '-');
const outsideOfFences = (text) => text.replace(/^```[^]*?^```/gm, '');
let bed;

/** A program of a page, until the test ends, and what it has said. */
function runs(context, file, env) {
  const child = spawn(process.execPath, [file], { env: { PATH: process.env.PATH, ...env }, detached: true });
  addGroup(child.pid);
  const ended = new Promise((resolve) => child.once('close', resolve));
  context.after(async () => {
    child.kill('SIGKILL');
    await ended;
    removeGroup(child.pid);
  });
  const program = { output: '' };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { program.output += chunk; });
  return program;
}

before(async () => {
  bed = await Bed.create();
});

after(() => bed.close());

test('every link leads to a file that is there, and to one of its headings', () => {
  for (const page of pages) {
    for (const [, target] of outsideOfFences(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, heading] = target.split('#');
      const where = file ? path.join(path.dirname(page), file) : page;
      assert.ok(existsSync(path.join(root, where)), `${page}: ${target}`);
      if (heading) assert.ok([...outsideOfFences(read(where)).matchAll(/^#+ (.*)$/gm)].some((match) => anchor(match[1]) === heading), `${page}: ${target}`);
    }
  }
});

test('texts of docs/troubleshooting.md are those of the programs', () => {
  const sources = ['sidecar', 'extension', 'sql'].flatMap((name) => readdirSync(path.join(root, name), { recursive: true })
    .filter((file) => /\.(c|h|sql)$/.test(file) && !file.startsWith('chat_realtime--')).map((file) => read(path.join(name, file)))).join('\n').replace(/"\s*\n\s*"/g, '');
  // PostgreSQL's own, OpenSSL's and supabase-js'.
  const others = /password authentication failed|permission denied|CHANNEL_ERROR|SUBSCRIBED|^SSL$|does not exist|transport failure/;
  for (const [, cell] of read('docs/troubleshooting.md').matchAll(/^\| (.*?) \|/gm)) {
    for (const [, text] of cell.matchAll(/`([^`]+)`/g)) {
      for (const piece of text.split(/…|: |\b\d{5}\b/).map((part) => part.trim()).filter((part) => part.length > 3 && !/^[A-Z_]+$/.test(part))) {
        assert.ok(others.test(piece) || sources.includes(piece), `nobody says "${piece}"`);
      }
    }
  }
});

test('every setting of the sidecar, every event and every setting of the database is in README or docs', async () => {
  const text = pages.map(read).join('\n');
  const help = await runProgram(sidecarBinary, ['--help']);
  const names = [...help.matchAll(/^ {2}([A-Z][A-Z_0-9]+) /gm)].map((match) => match[1]);
  assert.ok(names.length > 20);
  assert.deepEqual(names.filter((name) => !text.includes(`\`${name}\``)), []);
});

/** First column's words of the table under a heading, and further columns by number. */
const tableOf = (page, heading) => [...read(page).split(`## ${heading}\n`)[1].split('\n## ')[0].matchAll(/^\| (?!---|SQLSTATE|status)(.*) \|$/gm)].map(([, row]) => row.split(' | '));
const sources = (name, end) => readdirSync(path.join(root, name), { recursive: true })
  .filter((file) => end.test(file) && !file.includes('node_modules') && !file.startsWith('chat_realtime--')).map((file) => read(path.join(name, file))).join('\n');

test('docs/errors.md has every SQLSTATE that the extension raises, and no other', async () => {
  const include = (await runProgram(process.env.PG_CONFIG ?? 'pg_config', ['--includedir-server'])).trim();
  const states = Object.fromEntries([...readFileSync(path.join(include, 'utils/errcodes.h'), 'utf8')
    .matchAll(/^#define ERRCODE_(\w+) MAKE_SQLSTATE\((.*?)\)/gm)].map(([, name, letters]) => [name, letters.replace(/[', ]/g, '')]));
  const raised = new Set(['PT429']); // CHAT_ERRCODE_RATE_LIMITED
  for (const [, name] of sources('extension', /\.[ch]$/).matchAll(/(?:errcode\(|chat_bad_input\(\s*|[?:] )ERRCODE_(\w+)/g)) raised.add(states[name] ?? name);
  for (const [, name] of sources('sql', /\.sql$/).matchAll(/ERRCODE = '(\w+)'/g)) raised.add(states[name.toUpperCase()] ?? states[`T_R_${name.toUpperCase()}`] ?? name);
  raised.delete('CHLET'); // for the extension itself: it never gets out
  assert.deepEqual(tableOf('docs/errors.md', 'From the database').map(([state]) => state.replaceAll('`', '')), [...raised].sort());
});

test('docs/errors.md has every status and code of the example backend, and no other', () => {
  const code = sources('examples/node', /\.mjs$/);
  const answered = new Set([...code.matchAll(/(?:HttpError\(|\[)(\d{3}), '([A-Z_]+)'/g)].map(([, status, name]) => `${status} ${name}`));
  const keys = sources('extension', /keys\/authenticate\.c$/) + code;
  for (const name of ['API_KEY_MISSING', 'API_KEY_INVALID_FORMAT', 'API_KEY_INVALID', 'API_KEY_EXPIRED']) if (keys.includes(name)) answered.add(`401 ${name}`);
  answered.add('403 INSUFFICIENT_SCOPES');
  answered.add('400 BAD_REQUEST'); // of express' own 4xx, with its status
  const documented = tableOf('docs/errors.md', 'Over HTTP').flatMap(([status, names]) => [...names.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => `${status} ${name}`));
  assert.deepEqual(documented.sort(), [...answered].sort());
});

test('docs/sql.md is what the database says of its functions', async () => {
  const fresh = await reference(bed.db);
  if (process.env.UPDATE_DOCS) writeFileSync(path.join(root, 'docs/sql.md'), fresh);
  assert.equal(read('docs/sql.md'), fresh, 'UPDATE_DOCS=1 make test ONLY=docs writes it anew');
});

test('docs/logs.md has every line that the sidecar can write, and says what each of their fields is', () => {
  const [fields, table] = read('docs/logs.md').split(/(?=\| `msg` \| `level` \| fields)/);
  if (process.env.UPDATE_DOCS) writeFileSync(path.join(root, 'docs/logs.md'), `${fields}${logTable()}\n`);
  assert.equal(table, `${logTable()}\n`, 'UPDATE_DOCS=1 make test ONLY=docs writes it anew');
  const described = [...fields.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`(\w+)`/g)].map((match) => match[1])).filter((name) => !/^(ts|level|msg)$/.test(name));
  assert.deepEqual([...new Set(described)].sort(), [...new Set(logLines().flatMap((line) => line.fields))].sort());
});

test('the quick start: its statements, commands and snippet, one after the other', async (context) => {
  const page = read('docs/quickstart.md');
  const sql = [...page.matchAll(/```sql\n([^]*?)```/g)].map((match) => match[1]);
  const [fence, snippet] = /```js\n([^]*?)```/.exec(page);
  assert.ok(read('README.md').includes(fence), 'README has the same client');
  await bed.cluster.psql('CREATE DATABASE quick');
  const db = await connect(bed.cluster, { database: 'quick' });
  context.after(() => db.end());
  await db.query(sql[0].replace(/CREATE ROLE chat_sidecar.*;/, '')); // the bed has made it, with a password of its own
  const ports = [await freePort(), await freePort()];
  const env = { EMBEDDED_JWT_SECRET: 'q'.repeat(64), DATABASE_URL: bed.cluster.url({ user: 'chat_sidecar', database: 'quick' }), HTTP_LISTEN: `127.0.0.1:${ports[0]}`, EMBEDDED_LISTEN: `127.0.0.1:${ports[1]}` };
  const commands = page.match(/chat-sidecar token .*?(?=\))/g).map((command) => command.split(' ').slice(1));
  assert.equal(commands.length, 2);
  const [userToken, anonKey] = await Promise.all(commands.map((args) => runProgram(sidecarBinary, args, { env: { PATH: process.env.PATH, ...env } })));
  const doctor = await runProgram(sidecarBinary, ['doctor'], { env: { PATH: process.env.PATH, ...env } });
  assert.ok(!/^error/m.test(doctor), doctor);
  const sidecar = await bed.sidecar(env);
  context.after(() => sidecar.kill('SIGTERM'));
  assert.equal(sql.length, 3, 'set up, a conversation, a message');
  await db.query(sql[1]);
  const directory = temporaryDirectory();
  symlinkSync(path.join(root, 'regress/node_modules'), path.join(directory, 'node_modules'));
  writeFileSync(path.join(directory, 'subscribe.mjs'), snippet.replace('127.0.0.1:4000', env.EMBEDDED_LISTEN));
  const program = runs(context, path.join(directory, 'subscribe.mjs'), { USER_TOKEN: userToken.trim(), ANON_KEY: anonKey.trim() });
  await until(() => program.output.includes('SUBSCRIBED'), () => `SUBSCRIBED: ${program.output}`, 30000);
  assert.equal(program.output.trim(), 'SUBSCRIBED', 'at once, and nothing else');
  await db.query(sql[2]);
  await until(() => /^\d+ oi, tudo bem\?$/m.test(program.output), () => `the message: ${program.output}`, 20000);
  const { rows: [conversation] } = await db.query('SELECT unread_count, last_message_preview FROM conversations');
  assert.deepEqual(conversation, { unread_count: 1, last_message_preview: 'oi, tudo bem?' });
});

test('docs/webhook-receivers.md: its receiver takes what is signed, once, and refuses what is not', async (context) => {
  const [, snippet] = /```js\n([^]*?)```/.exec(read('docs/webhook-receivers.md'));
  const directory = temporaryDirectory();
  mkdirSync(path.join(directory, 'node_modules'));
  symlinkSync(path.join(root, 'examples/node/node_modules/express'), path.join(directory, 'node_modules/express'));
  symlinkSync(path.join(root, 'regress/node_modules/standardwebhooks'), path.join(directory, 'node_modules/standardwebhooks'));
  const port = await freePort();
  writeFileSync(path.join(directory, 'receiver.mjs'), `const seen = new Set();
    const seenBefore = (id) => seen.size === seen.add(id).size;
    const handle = (event) => console.log(event.type);
    ${snippet.replace('listen(3000)', `listen(${port}, '127.0.0.1')`)}`);
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const program = runs(context, path.join(directory, 'receiver.mjs'), { WEBHOOK_SECRET: secret });
  const body = JSON.stringify({ id: 'evt_1', type: 'message.received', event: 'message.received', timestamp: new Date().toISOString(), data: {} });
  const now = new Date();
  const post = (sent) => fetch(`http://127.0.0.1:${port}/hook`, { method: 'POST', body: sent, headers: { 'Content-Type': 'application/json', 'webhook-id': 'evt_1',
    'webhook-timestamp': String(Math.floor(now / 1000)), 'webhook-signature': new Webhook(secret).sign('evt_1', now, body) } }).then(({ status }) => status);
  await until(() => post('{}').then((status) => status === 400, () => false), () => `the receiver: ${program.output}`, 30000);
  assert.deepEqual([await post(body), await post(body), await post(`${body} `)], [204, 204, 400]);
  await until(() => program.output !== '', 'its event', 10000);
  assert.equal(program.output, 'message.received\n');
});
