// Fuzzes one target inside a server: builds the extension with libFuzzer in it, installs it on a throw-away cluster, and
// calls chat_fuzz there.
//
//   node regress/fuzz/server/run.mjs TARGET [ARGUMENT OF LIBFUZZER …]        CLANG; FUZZ_LIBRARY: where the build is kept for the next target
//
// The seeds of regress/fuzz/TARGET are run first, then mutated, with the words in quotes among them as a dictionary. A finding is left there as finding-…. What libFuzzer prints comes out, and so does its verdict.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { connect } from '../../lib/db.mjs';
import { Cluster } from '../../lib/cluster.mjs';
import { finish } from '../../lib/janitor.mjs';
import { wuzapiBodies } from '../../lib/wuzapi-bodies.mjs';
import { createWorkspace, root, temporaryDirectory } from '../../lib/workspace.mjs';

const [target, ...options] = process.argv.slice(2);
const seeds = path.join(root, 'regress/fuzz', target);
const clang = process.env.CLANG ?? 'clang';
const output = (command, ...args) => execFileSync(command, args, { encoding: 'utf8' }).trim();

/** The extension with coverage, undefined behaviour trapped, and libFuzzer. */
function build(to) {
  const includes = output(process.env.PG_CONFIG ?? 'pg_config', '--includedir-server');
  const fuzzer = path.join(output(clang, '-print-resource-dir'), `lib/linux/libclang_rt.fuzzer_no_main-${output('uname', '-m')}.a`);
  const sources = ['extension', 'extension/keys', 'extension/wuzapi', 'regress/fuzz/server'].flatMap((dir) =>
    readdirSync(path.join(root, dir)).filter((name) => name.endsWith('.c')).map((name) => path.join(root, dir, name)));
  execFileSync(clang, ['-w', '-g', '-O1', '-fPIC', '-shared', '-fsanitize=fuzzer-no-link,undefined', '-fno-sanitize=alignment',
    '-fsanitize-undefined-trap-on-error', '-DCHAT_REALTIME_VERSION="fuzzed"', `-I${path.join(root, 'extension')}`, `-I${includes}`, '-o', to, ...sources, fuzzer, '-lstdc++', '-lm', '-lpthread'],
  { stdio: 'inherit' });
}

/** Every key and short word of the seeds, for mutations to put in. */
function dictionary(dir) {
  const words = new Set();
  for (const name of readdirSync(dir)) {
    for (const [, word] of readFileSync(path.join(dir, name), 'latin1').matchAll(/"([\w@.: -]{1,40})"/g)) words.add(word);
  }
  return [...words].map((word) => `"\\"${word}\\""`).join('\n');
}

let verdict = 1;
try {
  const dir = temporaryDirectory(0o755);
  const corpus = path.join(dir, 'corpus');
  const findings = path.join(dir, 'findings');
  cpSync(seeds, path.join(dir, 'seeds'), { recursive: true });
  // WUZAPI's bodies are the fixtures of the other tests.
  if (target === 'wuzapi') for (const { name, body } of wuzapiBodies()) writeFileSync(path.join(dir, 'seeds', name), JSON.stringify(body));
  const words = dictionary(path.join(dir, 'seeds'));
  writeFileSync(path.join(dir, 'dictionary'), words);
  for (const name of [corpus, findings]) {
    mkdirSync(name);
    chmodSync(name, 0o777);
  }
  const workspace = await createWorkspace();
  process.env.CHAT_REALTIME_WORKSPACE = workspace.dir;
  const library = process.env.FUZZ_LIBRARY ?? path.join(dir, 'chat_realtime.so');
  if (!existsSync(library)) build(library);
  copyFileSync(library, path.join(workspace.stage, workspace.pg.pkglibdir, 'chat_realtime.so'));
  const cluster = await Cluster.create({ fsync: 'off' });
  await cluster.psql('CREATE DATABASE chat');
  const db = await connect(cluster);
  await db.query("CREATE EXTENSION chat_realtime; SELECT chat.setup(); CREATE FUNCTION chat_fuzz(text, text[]) RETURNS int AS '$libdir/chat_realtime' LANGUAGE c");
  const args = [`-artifact_prefix=${findings}/finding-`, ...(words ? [`-dict=${dir}/dictionary`] : []), '-handle_int=0', '-handle_term=0', ...options, corpus, path.join(dir, 'seeds')];
  await db.query('SELECT chat_fuzz($1, $2)', [target, args]).catch(() => {}); // libFuzzer ends the process
  const log = readFileSync(cluster.log, 'utf8');
  console.log(log);
  for (const name of readdirSync(findings)) copyFileSync(path.join(findings, name), path.join(seeds, name));
  verdict = /^Done \d+ runs/m.test(log) && readdirSync(findings).length === 0 ? 0 : 1;
} catch (error) {
  console.log(error.stack);
}
await finish();
process.exit(verdict);
