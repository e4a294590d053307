// Cleans up after this process, however it ends: a small process of its own session that holds the other
// end of a pipe. When the pipe closes (normal end, Ctrl-C, SIGTERM, crash, SIGKILL) it ends the programs it
// was told of, then removes their directories.
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
let child;
let ended;

function start() {
  child = spawn(process.execPath, [self], { detached: true, stdio: ['pipe', 'ignore', 'inherit'], cwd: '/' });
  ended = new Promise((resolve) => child.once('exit', resolve));
  child.stdin.on('error', () => {});
  child.unref();
  child.stdin.unref();
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
    process.once(signal, () => finish().then(() => process.exit(code)));
  }
}

function tell(sign, kind, value) {
  if (!child) start();
  child.stdin.write(`${sign}${kind} ${value}\n`);
}

/** A program to kill, by process id. */
export const addProcess = (pid) => tell('+', 'pid', pid);
export const removeProcess = (pid) => tell('-', 'pid', pid);
/** A process group to kill, by its leader's id. */
export const addGroup = (pid) => tell('+', 'group', pid);
export const removeGroup = (pid) => tell('-', 'group', pid);
/** A server that may not have written its postmaster.pid yet. */
export const addPostmaster = (pid) => tell('+', 'postmaster', pid);
export const removePostmaster = (pid) => tell('-', 'postmaster', pid);
/** A PostgreSQL data directory: its server is ended first. */
export const addServer = (data) => tell('+', 'server', data);
export const removeServer = (data) => tell('-', 'server', data);
/** A directory to remove. */
export const addDirectory = (dir) => tell('+', 'dir', dir);
export const removeDirectory = (dir) => tell('-', 'dir', dir);

/** Lets the janitor do its work now and waits for it. */
export async function finish() {
  if (!child) return;
  child.ref();
  child.stdin.end();
  await ended;
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}

function postmaster(data) {
  try {
    return Number(readFileSync(path.join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
  } catch {
    return 0;
  }
}

async function cleanUp(things) {
  const servers = [...[...things.server].map(postmaster), ...[...things.postmaster].map(Number)].filter((pid) => pid > 0);
  for (const pid of things.pid) kill(Number(pid), 'SIGKILL');
  for (const pid of things.group) kill(-Number(pid), 'SIGKILL');
  for (const pid of servers) kill(pid, 'SIGQUIT');
  const end = Date.now() + 10000;
  while (servers.some(alive) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
  for (const pid of servers) kill(pid, 'SIGKILL');
  for (const dir of things.dir) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}

async function main() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
  const things = { pid: new Set(), group: new Set(), postmaster: new Set(), server: new Set(), dir: new Set() };
  let rest = '';
  for await (const chunk of process.stdin) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const [, sign, kind, value] = /^([+-])(\w+) (.*)$/.exec(line);
      if (sign === '+') things[kind].add(value);
      else things[kind].delete(value);
    }
  }
  await cleanUp(things);
}

if (process.argv[1] === self) await main();
