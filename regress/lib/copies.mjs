// Copies of a test bed: dumped and restored, streamed to a standby, upgraded.
import path from 'node:path';
import { Bed } from './bed.mjs';
import { Cluster } from './cluster.mjs';
import { runProgram } from './program.mjs';
import { serverUser, temporaryDirectory, workspace } from './workspace.mjs';

/** Runs one of PostgreSQL's programs as the server's user. bindir: of the version wanted, the cluster's unless given. */
function run(cluster, program, args, { cwd = '/', bindir = cluster.bindir, env = {} } = {}) {
  return runProgram(path.join(bindir, program), args,
    { ...serverUser(), cwd, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', ...cluster.env(), ...env } });
}

/** A bed around a cluster that holds a copy of another bed's database. */
async function bedOf(cluster, original) {
  const bed = new Bed();
  bed.owner = original.owner;
  bed.cluster = cluster;
  bed.closing = [() => cluster.remove()];
  original.closing.push(() => bed.close());
  bed.db = await bed.connect();
  return bed;
}

/**
 * pg_dump and pg_restore into a new cluster, in which the roles exist; an error ends it. shared: the new cluster's
 * workspace; its version's pg_dump is the one that is used, as PostgreSQL's manual wants it.
 */
export async function restored(original, shared, options = []) {
  const cluster = await Cluster.create({}, undefined, shared);
  const file = path.join(temporaryDirectory(), 'dump');
  await run(original.cluster, 'pg_dump', ['-Fc', '-f', file, 'chat'], { bindir: cluster.bindir });
  await cluster.psql(`CREATE ROLE chat_sidecar LOGIN PASSWORD '${cluster.password}'`);
  await cluster.psql('CREATE DATABASE chat');
  await run(cluster, 'pg_restore', ['--exit-on-error', ...options, '-d', 'chat', file]);
  return bedOf(cluster, original);
}

/** The schema is renamed to live, and a dump of it restored beside it, under its old name. */
export async function restoredBeside({ cluster }) {
  const file = path.join(temporaryDirectory(), 'dump');
  await run(cluster, 'pg_dump', ['-Fc', '--schema=public', '-f', file, 'chat']);
  await cluster.psql('ALTER SCHEMA public RENAME TO live', { database: 'chat' });
  await run(cluster, 'pg_restore', ['--exit-on-error', '-d', 'chat', file]);
}

/** The rows of one cluster's tables into those of another one, which are there. */
export async function rowsOnly(from, to) {
  const file = path.join(temporaryDirectory(), 'dump');
  await run(from, 'pg_dump', ['-Fc', '--data-only', '--schema=public', '-f', file, 'chat']);
  await run(to, 'pg_restore', ['--exit-on-error', '--data-only', '-d', 'chat', file], { env: { PGOPTIONS: '-c chat_realtime.import=on' } });
}

/** pg_dumpall into a new cluster: roles, their passwords and all databases. */
export async function dumpedWhole(original, shared, settings = {}) {
  const cluster = await Cluster.create(settings, undefined, shared);
  const file = path.join(temporaryDirectory(), 'dump.sql');
  await run(original.cluster, 'pg_dumpall', ['-f', file], { bindir: cluster.bindir });
  const psql = (...args) => run(cluster, 'psql', ['-Xq', '-U', 'restorer', '-v', 'ON_ERROR_STOP=1', '-d', 'template1', ...args]);
  await cluster.psql('CREATE ROLE restorer SUPERUSER LOGIN');
  await psql('-c', 'ALTER ROLE postgres RENAME TO initial'); // the dump brings its own
  await psql('-f', file);
  cluster.password = original.cluster.password;
  return bedOf(cluster, original);
}

/** A streaming standby. */
export async function standby(original) {
  const cluster = await Cluster.create({}, (copy) =>
    run(original.cluster, 'pg_basebackup', ['-D', copy.data, '-R', '-X', 'stream', '--checkpoint=fast', '--no-sync']));
  return bedOf(cluster, original);
}

/** pg_upgrade of a cluster, which it stops, to the version of another workspace, unless given to its own. */
export async function upgraded(original, shared, settings = {}) {
  shared ??= await workspace();
  const old = original.cluster;
  const { bindir, major } = shared.pg;
  await old.stop('fast');
  const cluster = await Cluster.create(settings, async (copy) => {
    copy.password = old.password;
    // Not a copy of the common template: a new cluster has a system identifier of its own. Checksums have to be alike,
    // and are initdb's default from 18 on.
    await run(old, 'initdb', ['-D', copy.data, '-U', 'postgres', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync',
      '--auth-local=trust', '--auth-host=scram-sha-256', ...(major >= 18 && old.major < 18 ? ['--no-data-checksums'] : [])], { bindir });
    copy.configure({ ...copy.usual(), ...settings });
    const work = temporaryDirectory();
    await run(old, 'pg_upgrade', ['-U', 'postgres', '-b', old.bindir, '-B', bindir, '-d', old.data, '-D', copy.data,
      '-p', String(old.port), '-P', String(copy.port), '-s', work], { cwd: work, bindir });
  }, shared);
  return bedOf(cluster, original);
}
