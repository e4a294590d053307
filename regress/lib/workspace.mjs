// What all throw-away clusters of one run share: a staged installation of the extension and an empty
// data directory to copy. regress/run makes it once; a test file started by itself makes its own.
import { execFile } from 'node:child_process';
import { chownSync, chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { addDirectory } from './janitor.mjs';
import { runProgram } from './program.mjs';

const exec = promisify(execFile);

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
/** SIDECAR_BINARY: another build of the sidecar, such as one with sanitizers. */
export const sidecarBinary = process.env.SIDECAR_BINARY ?? path.join(root, 'sidecar/chat-sidecar');

/** The operating-system user a server runs as: PostgreSQL refuses root. */
export function serverUser() {
  if (process.getuid() !== 0) return {};
  const line = readFileSync('/etc/passwd', 'utf8').split('\n').find((entry) => entry.startsWith('postgres:'));
  if (!line) throw new Error('no operating-system user "postgres": as root a server can only be run as that user');
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/** What a server's programs find in their environment; options of checkers of memory, and where counters go, are handed on. */
export function serverEnvironment() {
  const { PATH, ASAN_OPTIONS, UBSAN_OPTIONS, LLVM_PROFILE_FILE } = process.env;
  return { PATH, LC_ALL: 'C.UTF-8', ...(ASAN_OPTIONS && { ASAN_OPTIONS, UBSAN_OPTIONS }), ...(LLVM_PROFILE_FILE && { LLVM_PROFILE_FILE }) };
}

/** A temporary directory that the server's user owns; removed at the end. */
export function temporaryDirectory(mode = 0o700) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'chat_realtime-'));
  addDirectory(dir);
  const { uid, gid } = serverUser();
  if (uid !== undefined) chownSync(dir, uid, gid);
  chmodSync(dir, mode);
  return dir;
}

async function installation(pgConfig) {
  const { stdout } = await exec(pgConfig, ['--bindir', '--pkglibdir', '--sharedir', '--version']);
  const [bindir, pkglibdir, sharedir, version] = stdout.trim().split('\n');
  return { bindir, pkglibdir, sharedir, major: Number(/\d+/.exec(version)[0]) };
}

/** Runs make in a source tree; what it prints is shown only when it fails. */
async function makeIn(tree, args) {
  const env = { ...process.env };
  for (const name of ['MAKEFLAGS', 'MAKELEVEL', 'MFLAGS']) delete env[name];
  try {
    return await runProgram('make', ['-s', '-C', tree, ...args], { env });
  } catch (error) {
    throw new Error(`make ${args.join(' ')} failed:\n${error.stdout ?? ''}${error.stderr ?? error.message}`);
  }
}

export const make = (...args) => makeIn(root, args);

async function initdb(pg, dir) {
  const password = randomBytes(16).toString('hex');
  const pwfile = path.join(dir, 'password');
  const data = path.join(dir, 'template');
  const user = serverUser();
  writeFileSync(pwfile, password, { mode: 0o600 });
  if (user.uid !== undefined) chownSync(pwfile, user.uid, user.gid);
  await runProgram(path.join(pg.bindir, 'initdb'), ['-D', data, '-U', 'postgres', '--encoding=UTF8', '--locale=C.UTF-8',
    '--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${pwfile}`, '--no-sync', '--no-instructions'],
  { ...user, cwd: '/', env: serverEnvironment() });
  return { data, password };
}

/** What is installed of an extension staged from a tree, and an empty data directory. */
async function fill(dir, tree, pgConfig) {
  const pg = await installation(pgConfig);
  const stage = path.join(dir, 'stage');
  await makeIn(tree, ['-j2', 'install', 'SIDECAR=no', `PG_CONFIG=${pgConfig}`, `DESTDIR=${stage}`]);
  const template = await initdb(pg, dir);
  return { dir, stage, pg, template: template.data, password: template.password };
}

/** Stages the extension as it is in the tree and makes an empty data directory. */
export async function createWorkspace() {
  const dir = temporaryDirectory(0o755);
  const workspace = await fill(dir, root, process.env.PG_CONFIG ?? 'pg_config');
  writeFileSync(path.join(dir, 'workspace.json'), JSON.stringify(workspace), { mode: 0o600 });
  return workspace;
}

/** The same for another PostgreSQL of this machine: built from a copy of the extension's sources. */
export function otherWorkspace(pgConfig) {
  const dir = temporaryDirectory(0o755);
  const tree = path.join(dir, 'tree');
  for (const name of ['Makefile', 'chat_realtime.control', 'extension', 'sql', 'packaging/replace', 'regress/proof.mk']) {
    cpSync(path.join(root, name), path.join(tree, name), { recursive: true, filter: (file) => !/\.(o|bc|tmp)$/.test(file) });
  }
  return fill(dir, tree, pgConfig);
}

/** The same with the extension as it was at a commit. */
export async function earlierWorkspace(commit) {
  const dir = temporaryDirectory(0o755);
  const tree = path.join(dir, 'tree');
  mkdirSync(tree);
  await runProgram('sh', ['-c', 'git -C "$0" archive "$1" | tar -x -C "$2"', root, commit, tree]);
  return fill(dir, tree, process.env.PG_CONFIG ?? 'pg_config');
}

let current;

/** The workspace of this run. */
export function workspace() {
  const dir = process.env.CHAT_REALTIME_WORKSPACE;
  current ??= dir ? JSON.parse(readFileSync(path.join(dir, 'workspace.json'), 'utf8')) : createWorkspace();
  return current;
}
