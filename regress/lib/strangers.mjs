// The crowd of load/strangers.c.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { addProcess, removeProcess } from './janitor.mjs';
import { within } from './wait.mjs';
import { root } from './workspace.mjs';

let binary;

function build() {
  if (binary) return;
  const dir = mkdtempSync('/tmp/chat_realtime-strangers.');
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  binary = path.join(dir, 'strangers');
  execFileSync('cc', ['-O2', '-o', binary, path.join(root, 'regress/load/strangers.c')], { stdio: 'inherit' });
}

/**
 * A crowd at a sidecar's endpoint: kinds {idle: 4200, …}, once those that behave are there. user: whose token those have that join
 * private topics. It gets its turn behind all others of the machine, as who is elsewhere takes nothing of it.
 */
export async function strangers(sidecar, user, kinds, limit = 60000) {
  build();
  const child = spawn('nice', ['-n', '15', binary, new URL(sidecar.url).port, sidecar.anonKey, sidecar.token(user),
    ...Object.entries(kinds).map(([kind, count]) => `${kind}=${count}`)], { stdio: ['pipe', 'pipe', 'inherit'] });
  addProcess(child.pid);
  const exited = once(child, 'exit').then(() => removeProcess(child.pid));
  let said = '';
  child.stdout.setEncoding('utf8');
  await within(new Promise((resolve, reject) => {
    child.stdout.on('data', (text) => { said += text; if (said.includes('ready\n')) resolve(); });
    child.once('exit', () => reject(new Error(`the crowd ended: ${said}`)));
  }), 'the crowd', limit);
  return {
    /** Sends it away; what became of each kind: {idle: {opened, closed, refused, sent}, …}. */
    async leave() {
      child.stdin.end();
      await within(exited, 'the end of the crowd', limit);
      return Object.fromEntries(said.trim().split('\n').slice(1).map((line) => {
        const [kind, ...counts] = line.split(' ');
        return [kind, Object.fromEntries(counts.map((count) => count.split('=')).map(([name, number]) => [name, Number(number)]))];
      }));
    },
  };
}
