// Starts the sidecar on free ports, keeps its log, and ends it in every way.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { addProcess, removeProcess } from './janitor.mjs';
import { roleToken, userToken } from './jwt.mjs';
import { freePort } from './ports.mjs';
import { children } from './usage.mjs';
import { until, within } from './wait.mjs';
import { sidecarBinary } from './workspace.mjs';

/** What another build of the sidecar (SIDECAR_BINARY) is told: options of the sanitizers, where its counters go. */
const instruments = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(A|UB|L)SAN_OPTIONS$|^LLVM_PROFILE_FILE$/.test(name)));

export class Sidecar {
  /** env: its settings. Nothing else of the environment is passed on, but PATH and what instruments need. */
  constructor(env = {}, args = []) {
    this.env = env;
    this.args = args;
    this.command = undefined; // what is started instead, with its arguments
    this.log = []; // one object a line
    this.output = ''; // what was no JSON, and stdout
  }

  /** A sidecar of a cluster, with the embedded endpoint unless REALTIME_URL is given; started and ready. */
  static async start(cluster, env = {}, { database = 'chat', user = 'chat_sidecar', files, command } = {}) {
    const sidecar = new Sidecar({
      DATABASE_URL: cluster.url({ user, database }),
      HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
      WEBHOOK_ALLOW_HTTP: 'true',
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      ...(env.REALTIME_URL ? { REALTIME_KEY: roleToken('service_role', randomBytes(24).toString('hex')) } : {
        EMBEDDED_LISTEN: `127.0.0.1:${await freePort()}`,
        EMBEDDED_JWT_SECRET: randomBytes(24).toString('hex'),
        EMBEDDED_REFUSAL_DELAY_MS: '0',
      }),
      ...env,
    });
    sidecar.files = files; // descriptors that it may have
    sidecar.command = command;
    sidecar.run();
    await sidecar.ready();
    return sidecar;
  }

  run() {
    const [command, ...args] = this.command ?? (this.files ? ['sh', '-c', 'ulimit -n "$0" && exec "$@"', `${this.files}`, sidecarBinary, ...this.args] : [sidecarBinary, ...this.args]);
    this.child = spawn(command, args, {
      env: { PATH: process.env.PATH, ...instruments, ...this.env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { child } = this;
    child.unref();
    addProcess(child.pid);
    this.exited = new Promise((resolve) => child.once('close', (code, signal) => {
      removeProcess(child.pid);
      resolve({ code, signal });
    }));
    child.stdout.on('data', (chunk) => { this.output += chunk; });
    this.readLog(child.stderr);
    return this;
  }

  readLog(stream) {
    let rest = '';
    stream.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) this.addLine(line);
    });
    stream.on('end', () => rest && this.addLine(rest));
  }

  addLine(line) {
    try {
      this.log.push(JSON.parse(line));
    } catch {
      this.output += `${line}\n`;
    }
    this.onLine?.(line);
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The process of the embedded endpoint. */
  get endpointPid() {
    return children(this.child.pid)[0];
  }

  get httpUrl() {
    return `http://${this.env.HTTP_LISTEN}`;
  }

  /** Where supabase-js finds the embedded endpoint. */
  get url() {
    return `http://${this.env.EMBEDDED_LISTEN}`;
  }

  get anonKey() {
    return roleToken('anon', this.env.EMBEDDED_JWT_SECRET);
  }

  token(user, options) {
    return userToken(user, this.env.EMBEDDED_JWT_SECRET, options);
  }

  get(path) {
    return fetch(this.httpUrl + path, { signal: AbortSignal.timeout(2000) });
  }

  /** One number of /metrics; labels as they are printed, e.g. 'result="ok"'. Absent: 0. */
  async metric(name, labels = '') {
    const page = await (await this.get('/metrics')).text();
    let sum = 0;
    for (const line of page.split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (match && match[1] === name && (match[2] ?? '').includes(labels)) sum += Number(match[3]);
    }
    return sum;
  }

  async ready(limit = 15000) {
    await until(async () => {
      if (!this.running) return true;
      return (await this.get('/readyz')).status === 200;
    }, () => `the sidecar is not ready: ${this.tail()}`, limit);
    if (!this.running) throw new Error(`the sidecar ended: ${this.tail()}`);
  }

  /** Sends a signal and waits for the end: {code, signal}. */
  async kill(signal = 'SIGKILL', limit = 15000) {
    this.child.kill(signal);
    return within(this.exited, `the sidecar does not end after ${signal}: ${this.tail()}`, limit);
  }

  tail(lines = 12) {
    return [...this.log.slice(-lines).map((line) => JSON.stringify(line)), this.output].join('\n');
  }
}
