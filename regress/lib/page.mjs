// The example front end, built and served for tests, and what a browser has of the network.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { addProcess, removeProcess } from './janitor.mjs';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';
import { root, temporaryDirectory } from './workspace.mjs';

/** The example front end's directory. */
export const example = path.join(root, 'examples/react');
const vite = path.join(example, 'node_modules/vite/bin/vite.js');
/** For the skip option of a test: what is missing, or false. */
export const noVite = !['vite', 'chat-realtime-topic-feed'].every((name) => existsSync(path.join(example, 'node_modules', name))) && 'needs npm ci in examples/react';
/** SCREENSHOTS: a directory to keep pictures of the page in. */
export const picture = (tab, name) => process.env.SCREENSHOTS && tab.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}.png`) });

/** A line that can be cut: what a browser has of the network. */
export class Line {
  constructor(target) {
    this.target = target;
    this.sockets = new Set();
  }

  async up() {
    this.port ??= await freePort();
    this.server = net.createServer((near) => {
      const far = net.connect(this.target, '127.0.0.1');
      for (const [from, to] of [[near, far], [far, near]]) {
        this.sockets.add(from);
        from.on('error', () => {});
        from.on('close', () => {
          this.sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
    await new Promise((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
    return this;
  }

  async cut() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

/** Builds the page of a directory, type-checked unless told otherwise, and serves it together with backend and endpoint from one port. */
export async function servePage(env, { directory = example, check = true } = {}) {
  const out = temporaryDirectory();
  const options = { cwd: directory, env: { PATH: process.env.PATH, HOME: out, ...env } };
  if (check) await promisify(execFile)(process.execPath, [path.join(example, 'node_modules/typescript/bin/tsc')], options);
  await promisify(execFile)(process.execPath, [vite, 'build', '--outDir', out, '--emptyOutDir'], options);
  const port = await freePort();
  const child = spawn(process.execPath, [vite, 'preview', '--outDir', out, '--host', '127.0.0.1', '--port', port, '--strictPort'],
    { ...options, detached: true, stdio: 'ignore' });
  child.unref();
  addProcess(child.pid);
  await until(async () => (await fetch(`http://127.0.0.1:${port}/`)).ok, 'the page to be served', 60000);
  return { port, close: () => { child.kill(); removeProcess(child.pid); } };
}
