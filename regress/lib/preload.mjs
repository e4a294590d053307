// Libraries that stand between a program that a test starts and the system: another clock, slow look-ups of names, a disk
// whose flush takes a known time.
import path from 'node:path';
import { runProgram } from './program.mjs';
import { root, temporaryDirectory } from './workspace.mjs';

const libraries = {};

async function build(name) {
  const file = path.join(temporaryDirectory(0o755), `${name}.so`);
  await runProgram('cc', ['-O2', '-shared', '-fPIC', '-o', file, path.join(root, `regress/lib/${name}.c`), '-ldl']);
  return file;
}

/** Environment of a program that has a library of this folder loaded. */
async function preloaded(name, settings) {
  libraries[name] ??= build(name);
  const asan = process.env.ASAN_OPTIONS ?? '';
  return { LD_PRELOAD: await libraries[name], ASAN_OPTIONS: `${asan}${asan && ':'}verify_asan_link_order=0`, ...settings };
}

/** A wall clock that is so many seconds ahead (or, negative, behind). */
export const clockAhead = (seconds) => preloaded('skewed-clock', { CLOCK_AHEAD: String(seconds) });

/** Time that passes so many times as fast for timers. */
export const clockFaster = (times) => preloaded('skewed-clock', { CLOCK_FASTER: String(times) });

/** Look-ups of names that take so many milliseconds longer, and are told of. */
export const slowNames = (ms) => preloaded('slow-names', { LOOKUP_MS: String(ms) });

/** Flushes of the disk that take so many microseconds and do nothing. */
export const flushTime = (us) => preloaded('slow-flush', { FLUSH_US: String(us) });
