// The demo's PostgreSQL: a throw-away server in a folder of its own, with the extension set up in database "chat", as
// README's first steps do it.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { addPostmaster, addServer, removeDirectory, removePostmaster, removeServer } from './lib/janitor.mjs';
import { freePort } from './lib/ports.mjs';
import { initdb, installation, makeIn, root, serverEnvironment, serverUser, stageSettings, temporaryDirectory } from './lib/server.mjs';
import { until, within } from './lib/wait.mjs';

pg.types.setTypeParser(20, Number); // bigint: ids are small here

/** First column of the first row. */
export async function value(client, sql, params) {
  const { rows } = await client.query({ text: sql, values: params, rowMode: 'array' });
  return rows[0]?.[0];
}

export async function rows(client, sql, params) {
  return (await client.query(sql, params)).rows;
}

/** Installs the extension below a folder, not into the system. DEMO_STAGE: one where that was done already. */
async function stageExtension(dir) {
  const stage = process.env.DEMO_STAGE ?? path.join(dir, 'stage');
  if (!process.env.DEMO_STAGE) await makeIn(root, ['install', 'SIDECAR=no', `DESTDIR=${stage}`]);
  return stage;
}

export class Machine {
  static async create() {
    const machine = new Machine();
    machine.dir = temporaryDirectory(0o755); // the server's user passes through
    machine.owner = randomUUID(); // the help desk's user
    machine.pools = [];
    machine.pg = await installation();
    const stage = await stageExtension(machine.dir);
    ({ data: machine.data, password: machine.password } = await initdb(machine.pg, machine.dir));
    machine.port = await freePort();
    machine.configure({
      port: machine.port, listen_addresses: '127.0.0.1', unix_socket_directories: '', shared_preload_libraries: 'chat_realtime',
      track_commit_timestamp: 'on', // what the latencies are counted from
      ...stageSettings({ stage, pg: machine.pg }),
    });
    addServer(machine.data);
    await machine.start();
    await machine.setUp();
    return machine;
  }

  configure(settings) {
    appendFileSync(path.join(this.data, 'postgresql.conf'), Object.entries(settings).map(([name, text]) => `${name} = '${text}'\n`).join(''));
  }

  async setUp() {
    const first = await this.connect('postgres');
    await first.query('CREATE DATABASE chat');
    await first.end();
    this.db = await this.connect();
    await this.db.query('CREATE EXTENSION chat_realtime');
    await this.db.query('SELECT * FROM chat.setup()');
    await this.role('chat_sidecar', 'grant_sidecar');
  }

  /** A login role with one of the extension's sets of rights. */
  async role(name, grant) {
    await this.db.query(`CREATE ROLE ${name} LOGIN PASSWORD '${this.password}'`);
    await this.db.query(`SELECT chat.${grant}($1)`, [name]);
  }

  url(user = 'postgres', database = 'chat') {
    return `postgresql://${user}:${this.password}@127.0.0.1:${this.port}/${database}`;
  }

  async connect(database) {
    const client = new pg.Client(this.url('postgres', database));
    client.on('error', () => {}); // a lost connection shows at the next query
    await client.connect();
    return client;
  }

  pool(user) {
    const pool = new pg.Pool({ connectionString: this.url(user), max: 4 });
    pool.on('error', () => {}); // as above
    this.pools.push(pool);
    return pool;
  }

  async start() {
    const log = openSync(path.join(this.dir, 'postgresql.log'), 'a');
    const server = this.server = spawn(path.join(this.pg.bindir, 'postgres'), ['-D', this.data],
      { ...serverUser(), cwd: '/', detached: true, stdio: ['ignore', log, log], env: serverEnvironment() });
    closeSync(log);
    server.unref();
    addPostmaster(server.pid);
    this.exited = new Promise((resolve) => server.once('exit', () => {
      removePostmaster(server.pid);
      resolve();
    }));
    await until(() => this.isReady(), () => `PostgreSQL does not start: ${readFileSync(path.join(this.dir, 'postgresql.log'), 'utf8').slice(-2000)}`, 30_000);
  }

  /** The postmaster's own word. */
  isReady() {
    const lines = readFileSync(path.join(this.data, 'postmaster.pid'), 'utf8').split('\n');
    return Number(lines[0]) === this.server.pid && lines[7]?.trim() === 'ready';
  }

  async stop(signal) {
    this.server.ref();
    this.server.kill(signal);
    await within(this.exited, 'PostgreSQL does not stop', 30_000);
  }

  /** As an administrator would: sessions are ended, nothing is lost. */
  async restart() {
    await this.stop('SIGINT');
    await this.start();
    await this.db.end().catch(() => {});
    this.db = await this.connect();
  }

  async close() {
    for (const client of [this.db, ...this.pools]) await client.end().catch(() => {});
    await this.stop('SIGQUIT');
    removeServer(this.data);
    rmSync(this.dir, { recursive: true, force: true });
    removeDirectory(this.dir);
  }
}
