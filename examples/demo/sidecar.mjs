// The sidecar as a process of the demo: Realtime's endpoint for the page, and webhooks to a receiver on this machine.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { addProcess, removeProcess } from './lib/janitor.mjs';
import { roleToken, userToken } from './lib/jwt.mjs';
import { freePort } from './lib/ports.mjs';
import { root } from './lib/server.mjs';
import { until, within } from './lib/wait.mjs';

const binary = process.env.SIDECAR_BINARY ?? path.join(root, 'sidecar/chat-sidecar');

export class Sidecar {
  static async start(machine) {
    const sidecar = new Sidecar();
    sidecar.log = [];
    sidecar.env = {
      DATABASE_URL: machine.url('chat_sidecar'),
      HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
      EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}`,
      EMBEDDED_JWT_SECRET: randomBytes(32).toString('hex'),
      WEBHOOK_ALLOW_HTTP: 'true', // the receiver is on this machine: elsewhere both are refused
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
    };
    sidecar.run();
    await sidecar.ready();
    return sidecar;
  }

  run() {
    const child = this.child = spawn(binary, [], { env: { PATH: process.env.PATH, ...this.env }, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    child.unref();
    addProcess(child.pid);
    child.stderr.on('data', (chunk) => { this.log = [...this.log, ...String(chunk).trim().split('\n')].slice(-20); });
    this.exited = new Promise((resolve) => child.once('close', (code, signal) => {
      removeProcess(child.pid);
      resolve({ code, signal });
    }));
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async ready() {
    await until(async () => !this.running || (await fetch(`http://${this.env.HTTP_LISTEN}/readyz`)).ok, () => `the sidecar is not ready: ${this.tail()}`, 15_000);
    if (!this.running) throw new Error(`the sidecar ended: ${this.tail()}`);
  }

  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    return within(this.exited, `the sidecar does not end after ${signal}`, 15_000);
  }

  tail(lines = 5) {
    return this.log.slice(-lines).join('\n');
  }

  /** Where supabase-js finds the endpoint. */
  get url() {
    return `http://${this.env.EMBEDDED_LISTEN}`;
  }

  get anonKey() {
    return roleToken('anon', this.env.EMBEDDED_JWT_SECRET);
  }

  /** What a login would give this user. */
  token(user) {
    return userToken(user, this.env.EMBEDDED_JWT_SECRET);
  }
}
