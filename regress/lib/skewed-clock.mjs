// A clock of its own for a program that a test starts.
import path from 'node:path';
import { runProgram } from './program.mjs';
import { root, temporaryDirectory } from './workspace.mjs';

let library;

async function build() {
  const file = path.join(temporaryDirectory(0o755), 'skewed-clock.so');
  await runProgram('cc', ['-O2', '-shared', '-fPIC', '-o', file, path.join(root, 'regress/lib/skewed-clock.c')]);
  return file;
}

/** Environment of a program whose wall clock is so many seconds ahead (or, negative, behind). */
export async function clockAhead(seconds) {
  library ??= build();
  const asan = process.env.ASAN_OPTIONS ?? '';
  return { LD_PRELOAD: await library, CLOCK_AHEAD: String(seconds), ASAN_OPTIONS: `${asan}${asan && ':'}verify_asan_link_order=0` };
}
