// What it takes to run a PostgreSQL server of one's own with the extension built here: the user it runs as, where its programs
// are, a staged installation, an empty data directory.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { addDirectory } from './janitor.mjs';
import { runProgram } from './program.mjs';

/** The top of the source tree. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

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

/** Where the programs and files of an installed PostgreSQL are, and its major version. */
export async function installation(pgConfig = process.env.PG_CONFIG ?? 'pg_config') {
  const { stdout } = await promisify(execFile)(pgConfig, ['--bindir', '--pkglibdir', '--sharedir', '--version']);
  const [bindir, pkglibdir, sharedir, version] = stdout.trim().split('\n');
  return { bindir, pkglibdir, sharedir, major: Number(/\d+/.exec(version)[0]) };
}

/** Runs make in a source tree; what it prints is shown only when it fails. */
export async function makeIn(tree, args) {
  const env = { ...process.env };
  for (const name of ['MAKEFLAGS', 'MAKELEVEL', 'MFLAGS']) delete env[name];
  try {
    return await runProgram('make', ['-s', '-C', tree, ...args], { env });
  } catch (error) {
    throw new Error(`make ${args.join(' ')} failed:\n${error.stdout ?? ''}${error.stderr ?? error.message}`);
  }
}

/** Makes an empty data directory in dir: {data, password}, the password of the superuser postgres over TCP. */
export async function initdb(pg, dir) {
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

/** Settings with which a server finds a staged extension. */
export function stageSettings({ stage, pg }) {
  const library = `${stage}${pg.pkglibdir}:$libdir`;
  return pg.major >= 18
    ? { extension_control_path: `${stage}${pg.sharedir}:$system`, dynamic_library_path: library }
    : { extension_destdir: stage, dynamic_library_path: library };
}
