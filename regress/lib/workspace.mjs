// What all throw-away clusters of one run share: a staged installation of the extension and an empty
// data directory to copy. regress/run makes it once; a test file started by itself makes its own.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { initdb, installation, makeIn, root, temporaryDirectory } from '../../examples/demo/lib/server.mjs';
import { runProgram } from './program.mjs';

export { root, serverEnvironment, serverUser, temporaryDirectory } from '../../examples/demo/lib/server.mjs';
/** SIDECAR_BINARY: another build of the sidecar, such as one with sanitizers. */
export const sidecarBinary = process.env.SIDECAR_BINARY ?? path.join(root, 'sidecar/chat-sidecar');

export const make = (...args) => makeIn(root, args);

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
