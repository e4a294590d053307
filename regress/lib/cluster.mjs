// A throw-away PostgreSQL cluster: own directory, own port, own socket, the extension from the stage.
//
// It runs as the caller, or as the user postgres when the caller is root, and is removed at the end whatever
// happens (see janitor.mjs). The directory is closed to others; over TCP the roles have a random password.
import { execFile, spawn } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { stageSettings } from '../../examples/demo/lib/server.mjs';
import { addPostmaster, addServer, removeDirectory, removePostmaster, removeServer } from './janitor.mjs';
import { freePort } from './ports.mjs';
import { runProgram } from './program.mjs';
import { until, within } from './wait.mjs';
import { serverEnvironment, serverUser, temporaryDirectory, workspace } from './workspace.mjs';

const exec = promisify(execFile);
const signals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT', kill: 'SIGKILL' };

/**
 * SERVER_WRAPPER: a command to run the server under. SERVER_LOGS: a folder that keeps the servers' logs. SERVER_LIBRARY: one
 * that the server loads besides. SERVER_FSYNC: off, where servers crash and the machine does not.
 */
const wrapper = process.env.SERVER_WRAPPER?.split(' ') ?? [];
const { SERVER_LOGS: logs, SERVER_LIBRARY: library, SERVER_FSYNC: fsync } = process.env;

const quote = (value) => `'${String(value).replaceAll("'", "''")}'`;

export class Cluster {
  /**
   * Makes a cluster and starts it. settings: postgresql.conf's; fill(cluster) makes the data directory, if given;
   * shared: the workspace, of this run unless given.
   */
  static async create(settings = {}, fill, shared) {
    shared ??= await workspace();
    const cluster = new Cluster();
    cluster.shared = shared;
    cluster.dir = temporaryDirectory();
    cluster.data = path.join(cluster.dir, 'data');
    cluster.log = path.join(logs ?? cluster.dir, logs ? `${path.basename(cluster.dir)}.log` : 'postgresql.log');
    cluster.bindir = shared.pg.bindir;
    cluster.major = shared.pg.major;
    cluster.password = shared.password;
    cluster.port = await freePort();
    if (fill) await fill(cluster);
    else await runProgram('cp', ['-a', shared.template, cluster.data]);
    cluster.configure({ ...cluster.usual(), ...settings });
    addServer(cluster.data);
    await cluster.start();
    return cluster;
  }

  /** Settings that every cluster here has. */
  usual() {
    return {
      shared_preload_libraries: ['chat_realtime', ...(library ? [library] : [])].join(), // rate limits: before PostgreSQL 17 only so
      port: this.port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: this.dir,
      max_prepared_transactions: 10,
      ...(fsync && { fsync }),
      log_line_prefix: '%m [%p] %q%a: ',
      ...stageSettings(this.shared),
    };
  }

  /** Appends settings; a later one wins. They count from the next start. */
  configure(settings) {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quote(value)}\n`);
    appendFileSync(path.join(this.data, 'postgresql.conf'), lines.join(''));
  }

  /** under: a program and its arguments that the server runs under, such as valgrind. */
  async start(under = wrapper) {
    const log = openSync(this.log, 'a');
    const [command, ...args] = [...under, path.join(this.bindir, 'postgres'), '-D', this.data];
    this.server = spawn(command, args,
      { ...serverUser(), cwd: '/', detached: true, stdio: ['ignore', log, log], env: serverEnvironment() });
    closeSync(log);
    this.server.unref();
    const { server } = this;
    addPostmaster(server.pid);
    this.exited = new Promise((resolve) => server.once('exit', resolve));
    server.once('exit', () => removePostmaster(server.pid));
    await until(() => ['ready', 'standby'].includes(this.state()), () => `the server does not start: ${this.tail()}`, under.length ? 120000 : 30000);
  }

  /** The postmaster's own word on how far it is. */
  state() {
    if (this.server.exitCode !== null || this.server.signalCode !== null) return 'stopped';
    const lines = readFileSync(path.join(this.data, 'postmaster.pid'), 'utf8').split('\n');
    return Number(lines[0]) === this.server.pid ? lines[7]?.trim() : 'starting';
  }

  async stop(mode = 'fast') {
    if (this.server.exitCode === null && this.server.signalCode === null) {
      this.server.ref();
      this.server.kill(signals[mode]);
    }
    await within(this.exited, `the server does not stop (${mode})`, 30000);
  }

  async restart(mode = 'fast') {
    await this.stop(mode);
    await this.start();
  }

  /** Ends the server and removes its directory. */
  async remove() {
    await this.stop('immediate');
    removeServer(this.data);
    rmSync(this.dir, { recursive: true, force: true });
    removeDirectory(this.dir);
  }

  tail(lines = 15) {
    try {
      return readFileSync(this.log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } catch {
      return '(no log)';
    }
  }

  url({ user = 'postgres', database = 'postgres', password = this.password } = {}) {
    return `postgresql://${user}:${password}@127.0.0.1:${this.port}/${database}`;
  }

  /** Environment for libpq's programs: over the socket, without a password. */
  env() {
    return { PGHOST: this.dir, PGPORT: String(this.port), PGUSER: 'postgres', PGDATABASE: 'postgres' };
  }

  /** Runs SQL through psql and returns what it prints, unaligned. */
  async psql(sql, { database = 'postgres' } = {}) {
    const { stdout } = await exec(path.join(this.bindir, 'psql'), ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', database, '-c', sql],
      { env: { ...process.env, ...this.env() } });
    return stdout.trimEnd();
  }
}
