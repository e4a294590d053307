// Copies of a test bed: dumped and restored, streamed to a standby, upgraded.
import { appendFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Bed } from './bed.mjs';
import { Cluster } from './cluster.mjs';
import { runProgram } from './program.mjs';
import { serverUser, temporaryDirectory } from './workspace.mjs';

/** Runs one of PostgreSQL's programs as the server's user. */
function run(cluster, program, args, { cwd = '/', bindir = cluster.bindir } = {}) {
  return runProgram(path.join(bindir, program), args,
    { ...serverUser(), cwd, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', ...cluster.env() } });
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

/** pg_dump and pg_restore into a new cluster, in which the roles exist; an error ends it. */
export async function restored(original) {
  const dir = temporaryDirectory();
  const file = path.join(dir, 'dump');
  await run(original.cluster, 'pg_dump', ['-Fc', '-f', file, 'chat']);
  const cluster = await Cluster.create();
  await cluster.psql(`CREATE ROLE chat_sidecar LOGIN PASSWORD '${cluster.password}'`);
  await cluster.psql('CREATE DATABASE chat');
  await run(cluster, 'pg_restore', ['--exit-on-error', '-d', 'chat', file]);
  return bedOf(cluster, original);
}

/** A streaming standby. */
export async function standby(original) {
  const cluster = await Cluster.create({}, (copy) =>
    run(original.cluster, 'pg_basebackup', ['-D', copy.data, '-R', '-X', 'stream', '--checkpoint=fast', '--no-sync']));
  return bedOf(cluster, original);
}

/** pg_upgrade of a cluster, which it stops, to the server whose programs are in bindir. */
export async function upgraded(original, bindir = original.cluster.bindir) {
  const old = original.cluster;
  await old.stop('fast');
  const cluster = await Cluster.create({}, async (copy) => {
    // Not a copy of the common template: a new cluster has a system identifier of its own.
    await run(old, 'initdb', ['-D', copy.data, '-U', 'postgres', '--encoding=UTF8', '--locale=C.UTF-8',
      '--auth-local=trust', '--auth-host=scram-sha-256', '--no-sync'], { bindir });
    appendFileSync(path.join(copy.data, 'postgresql.conf'), readFileSync(path.join(old.data, 'postgresql.conf')));
    const work = temporaryDirectory();
    await run(old, 'pg_upgrade', ['-U', 'postgres', '-b', old.bindir, '-B', bindir, '-d', old.data, '-D', copy.data,
      '-p', String(old.port), '-P', String(copy.port), '-s', work], { cwd: work, bindir });
  });
  return bedOf(cluster, original);
}
