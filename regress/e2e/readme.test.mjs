// What README, docs and the examples' READMEs tell to do is done as they tell it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { launchBrowser, noBrowser } from '../lib/browser.mjs';
import { addGroup, removeGroup } from '../lib/janitor.mjs';
import { noVite } from '../lib/page.mjs';
import { freePort } from '../lib/ports.mjs';
import { runProgram } from '../lib/program.mjs';
import { rows } from '../lib/db.mjs';
import { until } from '../lib/wait.mjs';
import { root, sidecarBinary, temporaryDirectory } from '../lib/workspace.mjs';

let bed;

before(async () => {
  bed = await Bed.create();
});

after(() => bed.close());

const read = (file) => readFileSync(path.join(root, file), 'utf8');

/** Starts a program that prints; .output grows. It ends with the test, and all that it started. */
function start(context, command, args, options) {
  const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  child.output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => { child.output += chunk; });
  addGroup(child.pid);
  const ended = new Promise((resolve) => child.once('close', resolve));
  context.after(async () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // ended already
    }
    await ended;
    removeGroup(child.pid);
  });
  return child;
}

test("docs/events.md: the first snippet hears a message, with this version of Node.js", async (context) => {
  const sidecar = await bed.sidecar();
  context.after(() => sidecar.kill('SIGTERM'));
  const conversation = await bed.conversation('Ana');
  const [, snippet] = /```js\n([^]*?)```/.exec(read('docs/events.md'));
  const directory = temporaryDirectory();
  symlinkSync(path.join(root, 'regress/node_modules'), path.join(directory, 'node_modules'));
  const given = { url: sidecar.url, anonKey: sidecar.anonKey, jwtOfTheUser: sidecar.token(bed.owner) };
  writeFileSync(path.join(directory, 'snippet.mjs'), `const { url, anonKey, jwtOfTheUser } = ${JSON.stringify(given)};
    const show = (payload, id) => console.log(JSON.stringify({ shown: payload.content, id }));
    ${snippet.replaceAll('conversation:1', `conversation:${conversation}`)}`);
  const program = start(context, process.execPath, [path.join(directory, 'snippet.mjs')], {});
  await until(async () => {
    await bed.message(conversation, 'oi, tudo bem?');
    return program.exitCode !== null || program.output.includes('shown');
  }, () => `a message to be shown: ${program.output}`, 20000, 300);
  assert.match(program.output, /\{"shown":"oi, tudo bem\?","id":"\d+"\}/);
});

test('docs/: every event, webhook event and setting of the database is there', async () => {
  const names = await rows(bed.db, `SELECT DISTINCT n.name FROM chat.event_kinds() k, unnest(ARRAY[k.event, k.webhook]) AS n (name) WHERE n.name IS NOT NULL
    UNION ALL SELECT CASE WHEN k.of_server THEN 'chat_realtime.' ELSE '"' END || k.name FROM chat.setting_kinds() k WHERE k.name <> 'limit_clock'`);
  const text = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md') && name !== 'sql.md').map((name) => read(`docs/${name}`)).join('\n');
  assert.deepEqual(names.map(({ name }) => name).filter((name) => !text.includes(name)), []);
});

test('examples/react/README: its steps lead to a page that is live', { skip: noBrowser || noVite }, async (context) => {
  await bed.role('chat_backend', 'grant_backend');
  const conversation = await bed.conversation('Bia');
  await bed.message(conversation, 'Boa tarde');
  const [, block] = /## Run it\n[^]*?\n\n((?: {4}.*\n)+)/.exec(read('examples/react/README.md'));
  // What is different here: the programs are there, the roles have other addresses, ports are free ones.
  const steps = block.trim().split('\n').map((line) => line.trim().replace('npm ci && ', '').replace('../../sidecar/chat-sidecar', sidecarBinary)
    .replace(/postgresql:\/\/(\w+):…@localhost\/postgres/, (_, user) => `'${bed.cluster.url({ user, database: 'chat' })}'`).replace('<user id>', bed.owner));
  assert.equal(steps.length, 5, 'a secret, three servers, and a token');
  const [http, realtime, backend, page] = await Promise.all(Array.from({ length: 4 }, freePort));
  const options = { cwd: path.join(root, 'examples/react'), env: { PATH: process.env.PATH, HOME: temporaryDirectory(),
    JWT_SECRET: (await runProgram('sh', ['-c', `${steps[0].replace(/#.*/, '')}; echo $JWT_SECRET`])).trim(),
    HTTP_LISTEN: `127.0.0.1:${http}`, EMBEDDED_LISTEN: `127.0.0.1:${realtime}`, PORT: String(backend),
    BACKEND_URL: `http://127.0.0.1:${backend}`, REALTIME_URL: `http://127.0.0.1:${realtime}` } };
  const [sidecar, api, dev] = steps.slice(1, 4).map((step) => step.replace('npm run dev', `npm run dev -- --host 127.0.0.1 --port ${page} --strictPort`));
  // REALTIME_URL is also a setting of the sidecar, and in its terminal nobody has set it.
  const servers = [start(context, 'sh', ['-c', sidecar], { ...options, env: { ...options.env, REALTIME_URL: '' } }),
    ...[api, dev].map((step) => start(context, 'sh', ['-c', step], options))];
  const said = () => servers.map(({ output }) => output).join('\n');
  await until(() => servers[1].output.includes('/api/v1/chat') && servers[2].output.includes(`:${page}/`), said, 60000);
  const token = (await runProgram('sh', ['-c', steps[4].replace(/#.*/, '')], options)).trim();
  const browser = await launchBrowser({ viewport: { width: 1000, height: 640 } });
  context.after(() => browser.close());
  const tab = await browser.newPage();
  await tab.goto(`http://127.0.0.1:${page}/#token=${token}&name=Carla`);
  await tab.locator('.row', { hasText: 'Bia' }).waitFor();
  await tab.locator('.state.live').waitFor({ timeout: 30000 }).catch((error) => { throw new Error(`${error.message}\n${said()}`); });
  await bed.message(conversation, 'Alguém aí?');
  await tab.locator('.row .preview', { hasText: 'Alguém aí?' }).waitFor();
});
