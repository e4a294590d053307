// The program in posts.c: a receiver that only counts, and the least that can post the same bodies.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';

const dir = mkdtempSync('/tmp/chat_realtime-bench.');
const binary = path.join(dir, 'posts');
execFileSync('cc', ['-O2', '-o', binary, path.join(import.meta.dirname, 'posts.c'), '-lcurl'], { stdio: 'inherit' });
process.once('exit', () => rmSync(dir, { recursive: true }));

/** A receiver that answers with a status; .seconds comes true when so many requests have come: since the first of them. */
export async function receive(count, status = 200) {
  const child = spawn(binary, ['serve', `${count}`, `${status}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.setEncoding('utf8');
  const [port] = await once(child.stdout, 'data');
  return {
    url: `http://127.0.0.1:${port.trim()}`,
    pid: child.pid,
    seconds: once(child.stdout, 'data').then(([text]) => Number(text)),
    end: () => child.kill(),
  };
}

/** Posts a body so many times by libcurl, and says how many seconds that took. */
export const post = (url, count, body) => Number(execFileSync(binary, ['send', url, `${count}`, body], { encoding: 'utf8' }));
