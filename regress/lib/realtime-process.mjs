// Realtime as a program of its own, to be killed: it notes on disk what it accepts before it answers.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { addProcess, removeProcess } from './janitor.mjs';
import { freePort } from './ports.mjs';
import { RawHttp } from './raw-http.mjs';
import { until } from './wait.mjs';
import { temporaryDirectory } from './workspace.mjs';

const self = fileURLToPath(import.meta.url);

export class RealtimeProcess {
  static async start() {
    const realtime = new RealtimeProcess();
    realtime.port = await freePort();
    realtime.file = path.join(temporaryDirectory(), 'accepted');
    await realtime.up();
    return realtime;
  }

  async up() {
    this.child = spawn(process.execPath, [self, String(this.port), this.file], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
    addProcess(this.child.pid);
    let ready = false;
    this.child.stdout.once('data', () => { ready = true; });
    await until(() => ready, 'the program listens');
  }

  async kill() {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
    removeProcess(this.child.pid);
  }

  /** The messages that were answered with 202, and those whose answer was never sent. */
  get accepted() {
    if (!existsSync(this.file)) return [];
    return readFileSync(this.file, 'utf8').split('\n').slice(0, -1).flatMap((line) => JSON.parse(line).messages);
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }
}

if (process.argv[1] === self) {
  const [port, file] = process.argv.slice(2);
  await RawHttp.start(({ head, body }) => {
    if (head.startsWith('POST /api/broadcast ')) appendFileSync(file, `${body}\n`);
    return { status: 202 };
  }, Number(port));
  process.stdout.write('ready\n');
}
