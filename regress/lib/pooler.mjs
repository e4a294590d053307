// PgBouncer in front of a cluster, in any of its pool modes.
import { spawn } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { addGroup, removeDirectory, removeGroup } from './janitor.mjs';
import { freePort } from './ports.mjs';
import { until, within } from './wait.mjs';
import { serverUser, temporaryDirectory } from './workspace.mjs';

const program = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find(existsSync) ?? 'pgbouncer';

export class Pooler {
  /** mode: session, transaction or statement; settings: pgbouncer.ini's. */
  static async start(cluster, mode, { users = ['postgres', 'chat_sidecar'], ...settings } = {}) {
    const pooler = new Pooler();
    pooler.cluster = cluster;
    pooler.dir = temporaryDirectory();
    pooler.port = await freePort();
    pooler.output = '';
    const file = (name, text) => writeFileSync(path.join(pooler.dir, name), text, { mode: 0o644 });
    file('users.txt', users.map((user) => `"${user}" "${cluster.password}"\n`).join(''));
    const all = {
      listen_addr: '127.0.0.1', listen_port: pooler.port, unix_socket_dir: '', auth_type: 'scram-sha-256',
      auth_file: path.join(pooler.dir, 'users.txt'), pool_mode: mode, default_pool_size: 12, ...settings,
    };
    file('pgbouncer.ini', `[databases]\n* = host=127.0.0.1 port=${cluster.port}\n[pgbouncer]\n${
      Object.entries(all).map(([name, value]) => `${name} = ${value}\n`).join('')}`);
    pooler.run();
    await pooler.started();
    return pooler;
  }

  run() {
    this.child = spawn(program, [path.join(this.dir, 'pgbouncer.ini')], { ...serverUser(), cwd: '/', detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    addGroup(this.child.pid);
    this.exited = new Promise((resolve) => this.child.once('close', resolve));
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (chunk) => { this.output += chunk; });
  }

  url(options) {
    return this.cluster.url(options).replace(`:${this.cluster.port}/`, `:${this.port}/`);
  }

  async end() {
    this.child.kill('SIGTERM');
    await within(this.exited, 'the pooler does not end');
    removeGroup(this.child.pid);
  }

  /** Ends every connection, and is there again. */
  async restart() {
    await this.end();
    this.output = '';
    this.run();
    await this.started();
  }

  started() {
    return until(() => /process up/.test(this.output), () => `the pooler does not start: ${this.output}`);
  }

  async stop() {
    await this.end();
    rmSync(this.dir, { recursive: true, force: true });
    removeDirectory(this.dir);
  }
}
