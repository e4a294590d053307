// Libraries that stand between a program that a test starts and the system: another clock, slow look-ups of names, a disk
// whose flush takes a known time.
import path from 'node:path';
import { runProgram } from './program.mjs';
import { root, temporaryDirectory } from './workspace.mjs';

const libraries = {};

/** Its settings are compiled in: variables do not get as far as the endpoint's process. */
async function build(name, setting, value) {
  const file = path.join(temporaryDirectory(0o755), `${name}-${setting}-${value}.so`);
  await runProgram('cc', ['-O2', '-shared', '-fPIC', `-D${setting}=${value}`, '-o', file, path.join(root, `regress/lib/${name}.c`), '-ldl']);
  return file;
}

/** Environment of a program that has a library of this folder loaded. */
async function preloaded(name, setting, value) {
  const key = `${name} ${setting} ${value}`;
  libraries[key] ??= build(name, setting, value);
  const asan = process.env.ASAN_OPTIONS ?? '';
  return { LD_PRELOAD: await libraries[key], ASAN_OPTIONS: `${asan}${asan && ':'}verify_asan_link_order=0` };
}

/** A wall clock that is so many seconds ahead (or, negative, behind). */
export const clockAhead = (seconds) => preloaded('skewed-clock', 'CLOCK_AHEAD', seconds);

/** Time that passes so many times as fast for timers of the endpoint. */
export const clockFaster = (times) => preloaded('skewed-clock', 'CLOCK_FASTER', times);

/** The same for those of the core. */
export const coreFaster = (times) => preloaded('skewed-clock', 'CORE_FASTER', times);

/** Look-ups of names that take so many milliseconds longer, and are told of. */
export const slowNames = (ms) => preloaded('slow-names', 'LOOKUP_MS', ms);

/** Look-ups of names that fail while a file is there. */
export const failingNames = async (file) => ({ ...await preloaded('failing-names', 'LOOKUP_FAILS', 1), FAILING_NAMES: file });

/** Flushes of the disk that take so many microseconds and do nothing. */
export const flushTime = (us) => preloaded('slow-flush', 'FLUSH_US', us);
