// The test driver: builds, stages, runs every part, counts every test.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Cluster } from './cluster.mjs';
import { finish } from './janitor.mjs';
import { endMark, mark } from './reporter.mjs';
import { patience } from './wait.mjs';
import { createWorkspace, make, root } from './workspace.mjs';

const fileLimit = Number(process.env.FILE_LIMIT ?? 300) * 1000; // ms for one file of regress/e2e: what takes so long hangs
/** How many suites and files of regress/e2e run at a time: they wait more than they work. */
const jobs = Math.max(1, Number(process.env.JOBS ?? 3));
/** Of the proofs, which work all the time. */
const proofJobs = Math.min(jobs, 2);
/** What is run by name; the parts of beside are tasks that run side by side, after those of first and before the last ones. */
const first = { unit, format };
const beside = { regress: () => [regress], isolation: () => [isolation], e2e };
const last = { proofs };
const parts = Object.keys({ ...first, ...beside, ...last });
let passed = 0;
let failed = 0;
let workspaceDir;

function report(part, name, ok, ms, text) {
  if (ok) passed++;
  else failed++;
  const time = ms === undefined ? '' : `${ms} ms`.padStart(10);
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${part.padEnd(10)} ${name.padEnd(72)}${time}`.trimEnd());
  if (text) console.log(text.replace(/^/gm, '         '));
}

/** Runs a program; line(text, child) gets each line of stdout and stderr. Returns its exit code, or the signal that ended it. */
function program(command, args, { env = {}, limit = 300_000, line }) {
  const all = { ...process.env, ...env };
  for (const name of ['MAKEFLAGS', 'MAKELEVEL', 'MFLAGS', 'NODE_TEST_CONTEXT']) delete all[name];
  const child = spawn(command, args, { cwd: root, env: all, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGTERM'), limit * patience);
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      lines.forEach((text) => line(text, child));
    });
    stream.on('end', () => rest && line(rest, child));
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve(code ?? signal);
    });
  });
}

/** Unit tests in C: programs that print "ok <name>" for each test and exit with 1 on a failure. */
async function unit() {
  const output = [];
  let failures = 0;
  const code = await program('make', ['-s', '-k', '-j2', 'unit'], {
    line: (text) => {
      const match = /^(ok|not ok|FAILED)[ :-]+(.*)/.exec(text);
      if (match && match[1] !== 'ok') failures++;
      if (match) report('unit', match[2], match[1] === 'ok');
      else output.push(text);
    },
  });
  if (code !== 0 && failures === 0) report('unit', 'make unit', false, undefined, output.slice(-30).join('\n'));
}

/** clang-format's versions disagree: only the one that the tree is formatted with can judge. */
async function format() {
  const output = [];
  const line = (text) => output.push(text);
  const version = process.env.CLANG_FORMAT ?? 'clang-format';
  await program(version, ['--version'], { line });
  if (!/version 14\./.test(output.join())) {
    console.log('skipped format: needs clang-format 14');
    return;
  }
  const code = await program('make', ['-s', 'format-check'], { line });
  report('format', 'C sources as .clang-format wants them', code === 0, undefined, code === 0 ? '' : output.slice(1, 20).join('\n'));
}

/** pg_regress before 16 prints "test x ... ok 12 ms", later versions print TAP. */
function regressLine(text) {
  const old = /^(?:test|\s{4})?\s*(\S+)\s+\.\.\. (ok|FAILED.*?|failed.*?)(?:\s+(\d+) ms)?$/.exec(text);
  if (old) return { name: old[1], ok: old[2] === 'ok', ms: old[3] };
  const tap = /^(not )?ok \d+\s+[-+] (\S+)\s+(\d+) ms/.exec(text);
  return tap && { name: tap[2], ok: !tap[1], ms: tap[3] };
}

/** A text, its middle left out where it is longer than twice so many characters. */
function bothEnds(text, most) {
  return text.length <= 2 * most ? text : `${text.slice(0, most)}\n… ${text.length - 2 * most} characters left out …\n${text.slice(-most)}`;
}

async function installcheck(part, variable, outputdir) {
  const cluster = await Cluster.create();
  const output = [];
  const failedBefore = failed;
  const code = await program('make', ['-s', 'installcheck', `${variable}=`], {
    env: cluster.env(),
    limit: 900_000,
    line: (text) => {
      const test = regressLine(text);
      if (test) report(part, test.name, test.ok, test.ms);
      else output.push(text);
    },
  });
  const diffs = path.join(root, outputdir, 'regression.diffs');
  if (code !== 0 && existsSync(diffs)) console.log(bothEnds(readFileSync(diffs, 'utf8'), 12000));
  if (code !== 0 && failed === failedBefore) report(part, 'make installcheck', false, undefined, output.slice(-30).join('\n'));
  await cluster.remove();
}

function regress() {
  return installcheck('regress', 'ISOLATION', 'regress/out');
}

function isolation() {
  return installcheck('isolation', 'REGRESS', 'regress/out_iso');
}

/** Runs tasks in their order, so many at a time; each is told its lane, 0 to most - 1. */
async function sideBySide(tasks, most) {
  const waiting = [...tasks];
  await Promise.all(Array.from({ length: most }, async (_, lane) => {
    while (waiting.length) await waiting.shift()(lane);
  }));
}

/** Ports of a lane's own: one that a test leaves for a moment, to have it again, is nobody else's meanwhile. */
function portsOf(lane) {
  const share = Math.floor(16000 / jobs);
  return `${16000 + lane * share}-${16000 + (lane + 1) * share - 1}`;
}

/** A file of end-to-end tests: a process of its own, with its own clusters. What came of it is told when it has ended. */
async function e2eFile(file, lane) {
  const output = [];
  const tests = [];
  let failures = 0;
  const name = path.basename(file, '.test.mjs');
  const judge = (test) => {
    if (test.skipped) {
      console.log(`skipped e2e        ${name}: ${test.name}`);
      return;
    }
    if (!test.passed) failures++;
    report('e2e', `${name}: ${test.name}`, test.passed, test.ms, test.error);
  };
  let leaving; // set when all has ended: now and then node then waits for its own threads for ever, with nothing left to run
  let code = await program(process.execPath,
    [`--test-reporter=${path.join(root, 'regress/lib/reporter.mjs')}`, '--test-reporter-destination=stdout', file], {
      env: { CHAT_REALTIME_WORKSPACE: workspaceDir, FREE_PORTS: portsOf(lane) },
      limit: fileLimit,
      line: (text, child) => {
        if (text === endMark) leaving = setTimeout(() => child.kill('SIGKILL'), 10_000 * patience);
        else if (!text.startsWith(mark)) output.push(text);
        else tests.push(JSON.parse(text.slice(mark.length)));
      },
    });
  clearTimeout(leaving);
  tests.forEach(judge);
  if (leaving && code === 'SIGKILL') code = 0;
  if (code !== 0 && failures === 0) report('e2e', name, false, undefined, `ended with ${code}\n${output.slice(-30).join('\n')}`);
  else if (failures && output.length) console.log(output.slice(-30).join('\n').replace(/^/gm, '         '));
}

/** The files of regress/e2e whose names begin so, as tasks. */
function e2e(pattern = '') {
  const dir = path.join(root, 'regress/e2e');
  const files = readdirSync(dir).filter((file) => file.endsWith('.test.mjs') && file.startsWith(pattern)).sort();
  if (files.length === 0) throw new Error(`no test is called ${pattern}; parts: ${parts.join(', ')}`);
  return files.map((file) => (lane) => e2eFile(path.join(dir, file), lane));
}

/**
 * Short forms of the proofs that have targets of their own; part of a full run in CI, with a seed of its own, so that
 * the same tree has the same verdict twice. New seeds are for the targets.
 */
async function proofs() {
  const node = (file) => [process.execPath, [path.join(root, 'regress/random', file)]];
  const list = [ // those that take long first
    ['build, units, regress and isolation with PostgreSQL 17', [path.join(root, 'regress/matrix/run'), ['17']], { CHAT_REALTIME_WORKSPACE: '' }],
    ['fuzzing of what strangers send', [path.join(root, 'regress/fuzz/run'), []], { FUZZ_SECONDS: '3' }],
    ['writes while the server forgets its caches', [path.join(root, 'regress/checked/run'), ['caches']], { PARTS: 'writes', CHAT_REALTIME_WORKSPACE: '' }],
    ['model of doorbell and cursor', [path.join(root, 'regress/model/run'), ['quick']], {}],
    ['every function as every role', node('functions.mjs'), { CALLS: '2', SEED: '1049086908' }],
    ['random concurrent histories', node('histories.mjs'), { HISTORIES: '20', SEED: '1' }],
    ['kills under load', [path.join(root, 'regress/torture/run'), []], { KILLS: '6' }],
    ['mutated WUZAPI bodies', node('wuzapi.mjs'), { ROUNDS: '10', SEED: '1' }],
    ['payloads of odd rows', node('payloads.mjs'), { ROUNDS: '20', SEED: '2' }],
    ['CHECK constraints that are kept planned', node('checks.mjs'), { ROUNDS: '12', SEED: '1' }],
  ];
  await sideBySide(list.map(([name, [command, args], env]) => async () => {
    const output = [];
    const start = Date.now();
    const code = await program(command, args, { env, limit: 900_000, line: (text) => output.push(text) });
    const failures = output.filter((text) => !text.startsWith('ok'));
    report('proof', name, code === 0, Date.now() - start, code === 0 ? '' : failures.slice(-40).join('\n'));
  }), proofJobs);
}

async function main(only) {
  await make('-j2', 'all');
  const workspace = await createWorkspace();
  workspaceDir = workspace.dir;
  process.env.CHAT_REALTIME_WORKSPACE = workspaceDir;
  const wanted = only.length ? only : parts.filter((name) => name !== 'proofs' || process.env.CI);
  const run = async (some) => { for (const name of wanted) await some[name]?.(); };
  await run(first);
  await sideBySide(wanted.filter((name) => !first[name] && !last[name]).flatMap((name) => (beside[name] ?? (() => e2e(name)))()), jobs);
  await run(last);
}

const start = Date.now();
try {
  await main(process.argv.slice(2));
} catch (error) {
  report('run', 'the test run itself', false, undefined, error.stack);
}
await finish();
console.log(`${Math.round((Date.now() - start) / 1000)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
