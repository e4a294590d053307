// What a process has used, by /proc.
import { readFileSync } from 'node:fs';

/** CPU so far of a process, in clock ticks of 10 ms. */
export function ticks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /s, '').split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** Memory of its own (anonymous), in bytes. */
export const memory = (pid) => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

/** The processes that a process has started, and that run. */
export const children = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
