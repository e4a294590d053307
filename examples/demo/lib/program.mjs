// Programs that are waited for, such as make and initdb. They and what they started end with this process
// (see janitor.mjs): each has a process group of its own.
import { spawn } from 'node:child_process';
import { addGroup, removeGroup } from './janitor.mjs';

/** Resolves to what it printed; fails with stdout and stderr on the error. */
export function runProgram(command, args, options = {}) {
  const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  for (const name of Object.keys(output)) child[name].setEncoding('utf8').on('data', (chunk) => { output[name] += chunk; });
  if (child.pid) addGroup(child.pid);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      removeGroup(child.pid);
      if (code === 0) resolve(output.stdout);
      else reject(Object.assign(new Error(`${command} ended with ${signal ?? code}: ${output.stderr.trim()}`), output));
    });
  });
}
