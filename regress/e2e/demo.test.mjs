// make demo: runs through, says what is wrong in one line, and cleans up however it ends.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { tellStory } from '../../examples/demo/story.mjs';
import { World } from '../../examples/demo/world.mjs';
import { Listener } from '../lib/http.mjs';
import { addDirectory, addProcess } from '../lib/janitor.mjs';
import { until, within } from '../lib/wait.mjs';
import { root, workspace } from '../lib/workspace.mjs';

const examples = path.join(root, 'examples');
let stage; // of the tests, so that the demo need not make one of its own

/** A run of the demo with a directory of its own for temporary files, so that what it leaves shows. */
class Run {
  constructor(args = [], env = {}) {
    this.tmp = mkdtempSync(path.join(os.tmpdir(), 'chat_realtime-demo-'));
    addDirectory(this.tmp);
    chmodSync(this.tmp, 0o755); // the server's user passes through
    this.output = '';
    this.child = spawn(process.execPath, [path.join(root, 'examples/demo/demo.mjs'), ...args],
      { env: { ...process.env, DEMO_STAGE: stage, TMPDIR: this.tmp, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    addProcess(this.child.pid);
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (chunk) => { this.output += chunk; });
    this.exited = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  prints(text) {
    return until(() => {
      assert.equal(this.child.exitCode, null, `it ended: ${this.output}`);
      return this.output.includes(text);
    }, () => `"${text}" in the demo's output: ${this.output}`, 60_000);
  }

  ends() {
    return within(this.exited, 'the demo does not end', 90_000);
  }

  /** Processes of this run: the server's have its directory in the command, the sidecar its port in the environment. */
  processes() {
    const port = /on 127\.0\.0\.1:(\d+)/.exec(this.output)?.[1];
    const read = (file) => {
      try {
        return readFileSync(file, 'utf8');
      } catch {
        return ''; // gone meanwhile
      }
    };
    return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid
      && (read(`/proc/${pid}/cmdline`).includes(this.tmp)
        || (port && read(`/proc/${pid}/environ`).includes(`DATABASE_URL=postgresql://chat_sidecar`)
          && read(`/proc/${pid}/environ`).includes(`@127.0.0.1:${port}/`))));
  }

  async leavesNothing() {
    await until(() => this.processes().length === 0, () => `processes left: ${this.processes().map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))}`);
    assert.deepEqual(readdirSync(this.tmp), []);
    rmSync(this.tmp, { recursive: true });
  }
}

before(async () => {
  ({ stage } = await workspace());
  process.env.DEMO_STAGE = stage;
});

test('DEMO=once: everything expected arrives, exit 0, nothing is left', async () => {
  const run = new Run(['once']);
  assert.equal(await run.ends(), 0, run.output);
  assert.match(run.output, /Complete: all of \d+ expectations were met/);
  await run.leavesNothing();
});

for (const [signal, code, moment] of [['SIGTERM', 143, 'database  '], ['SIGINT', 130, 'Ana is typing']]) {
  test(`${signal} after "${moment.trim()}" ends it with ${code}, nothing is left`, async () => {
    const run = new Run();
    await run.prints(moment);
    assert.ok(run.processes().length > 0);
    run.child.kill(signal);
    assert.equal(await run.ends(), code, run.output);
    assert.match(run.output, /Ending: the cluster, the sidecar and their files are removed/);
    await run.leavesNothing();
  });
}

test('a sidecar that dies ends it with 1 and one line, nothing is left', async () => {
  const run = new Run();
  await run.prints('Ctrl-C');
  const sidecar = run.processes().find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('chat-sidecar'));
  process.kill(Number(sidecar), 'SIGKILL');
  assert.equal(await run.ends(), 1);
  assert.match(run.output, /^demo: the sidecar ended \(SIGKILL\)/m);
  await run.leavesNothing();
});

test('what does not arrive is named, and the demo is not complete', async (t) => {
  const printed = [];
  t.mock.method(console, 'log', (text) => printed.push(text));
  const world = await World.create();
  world.receiver.onDelivery = () => {}; // as if nothing came
  assert.equal(await tellStory(world, { limit: 500 }), false);
  t.mock.restoreAll();
  await world.close();
  const missing = printed.filter((text) => /missing/.test(text));
  assert.ok(missing.some((text) => text.includes('text.json: verified webhook conversation.created')), printed.join('\n'));
  assert.match(printed.at(-1), /Incomplete.* \d+ of \d+ expectations were not met/);
});

test('no example reaches out of its folder, but for packages by their names', () => {
  const files = readdirSync(examples, { recursive: true }).filter((file) => /\.(m?js|tsx?)$/.test(file) && !/node_modules|dist\//.test(file));
  assert.ok(files.length > 40, `${files.length} files`);
  for (const file of files) {
    const text = readFileSync(path.join(examples, file), 'utf8');
    assert.doesNotMatch(text, /\bregress\//, file);
    for (const [, target] of text.matchAll(/(?:\bfrom|\bimport|\bload\(|\bimport\()\s*'(\.[^']+)'/g)) {
      const within = path.relative(file.split('/')[0], path.join(path.dirname(file), target));
      assert.ok(!within.startsWith('..'), `${file} imports ${target}`);
    }
  }
});

test('bad arguments: exit 2 and one line', async () => {
  for (const [args, env, line] of [[['twice'], {}, /^demo: DEMO may be "once" or left out, not "twice"\n$/],
    [['once'], { DEMO_PORT: '99999' }, /^demo: DEMO_PORT must be a port from 1 to 65535, not "99999"\n$/]]) {
    const run = new Run(args, env);
    assert.equal(await run.ends(), 2);
    assert.match(run.output, line);
    await run.leavesNothing();
  }
});

test('a busy port: exit 1 and one line that says what to change, nothing is left', async () => {
  const other = await new Listener((request, response) => response.end()).up();
  const run = new Run(['once'], { DEMO_PORT: String(other.port) });
  assert.equal(await run.ends(), 1);
  assert.match(run.output, new RegExp(`^demo: port ${other.port} of 127.0.0.1 is in use: name another one with DEMO_PORT`, 'm'));
  await other.down();
  await run.leavesNothing();
});
