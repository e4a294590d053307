// Prints what the tests have run: a table of all files, and the lines that handle a failure and have never run.
//
//   report.mjs TREE OUT      TREE: the instrumented build; OUT: counted.profdata, and what is written: lines.txt
//
// A gap is a run of lines that follow each other, leave nothing out that was run, and have not run. It handles a failure
// when one of its lines says so (`failing`), or when the line before it, which decided not to go there, asks for a failure
// (`asking`). Gaps that no test can reach are in `exceptions` with the reason; one that has run meanwhile is named, to be
// taken out there. lines.txt has every line that has not run, whatever it is about.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const failing = new RegExp([
  /\breturn (false|NULL|-1|-E\w+|\w*_(ERROR|FAILED|INVALID|REFUSED))\b/, /\b(ereport|elog|abort|_?exit|Assert|goto)\b/,
  /\bLOG_(WARN|ERROR|WARNING)\b/, /log_(warn|error)/, /error|fail|refuse|reject|invalid|broken|lost|retry|again|restart|reset|abandon|give_up|too_/i,
  /\b\w*(close|disconnect|cancel|drop|kill)\w*\(/,
].map((rule) => rule.source).join('|'), 'i');
const asking = /![a-z_]+\(|< 0\b|<= 0\b|== NULL|== -1\b|!= (0|CURLE_OK|CURLM_OK|PGRES_\w+)\b|error|fail|invalid|too_|\bif \(!/i;

const [tree, out] = process.argv.slice(2);
const here = path.dirname(fileURLToPath(import.meta.url));

/** Every binary that counted: its own lines come from its own map. */
function binaries() {
  const units = path.join(tree, 'sidecar/build/unit');
  const names = existsSync(units) ? readdirSync(units).filter((name) => /^test_\w+$/.test(name)) : [];
  return [path.join(tree, 'sidecar/chat-sidecar'), path.join(tree, 'chat_realtime.so'), ...names.map((name) => path.join(units, name))];
}

/** How often each line that has code was run: Map of file to Map of line to number. */
function counts() {
  const [first, ...others] = binaries();
  const text = execFileSync('llvm-cov', ['export', '-format=lcov', `-instr-profile=${path.join(out, 'counted.profdata')}`,
    first, ...others.flatMap((binary) => ['-object', binary])], { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'inherit'] });
  const files = new Map();
  let lines;
  for (const entry of text.split('\n')) {
    if (entry.startsWith('SF:')) {
      const file = path.relative(tree, entry.slice(3));
      if (!files.has(file)) files.set(file, new Map());
      lines = files.get(file);
    } else if (entry.startsWith('DA:')) {
      const [line, count] = entry.slice(3).split(',').map(Number);
      lines.set(line, (lines.get(line) ?? 0) + count);
    }
  }
  return new Map([...files].filter(([file]) => /^(sidecar|extension)\//.test(file)).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The gaps of one file: {file, lines: [{number, text}], before}. */
function gaps(file, lines) {
  const source = readFileSync(path.join(tree, file), 'utf8').split('\n');
  const found = [];
  let gap;
  let before = '';
  for (const [number, count] of [...lines].sort(([a], [b]) => a - b)) {
    const text = source[number - 1].trim();
    if (count > 0) {
      gap = undefined;
      if (!/^[{}]*$/.test(text)) before = text;
    } else if (!/^[{}]*$/.test(text)) {
      if (!gap) found.push(gap = { file, lines: [], before });
      gap.lines.push({ number, text });
    }
  }
  return found;
}

const handlesFailure = (gap) => asking.test(gap.before) || gap.lines.some((line) => failing.test(line.text));

/**
 * "# reason" lines, then "file: text of one line of the gap", or "file: text of the line before the gap ⇒ text of one of its
 * lines" where the text alone would stand for others, too; * in a file stands for any name.
 */
function exceptions() {
  const list = [];
  let reason = '';
  for (const line of readFileSync(path.join(here, 'exceptions'), 'utf8').split('\n')) {
    const match = /^(\S+): (.*)$/.exec(line);
    if (line.startsWith('# ')) reason = line.slice(2);
    else if (match) {
      const [text, before] = match[2].split(' ⇒ ').reverse();
      list.push({ file: new RegExp(`^${match[1].replaceAll('.', '\\.').replaceAll('*', '.*')}$`), text, before, reason, used: false, line });
    }
  }
  return list;
}

function excused(gap, list) {
  const exception = list.find((entry) => entry.file.test(gap.file) && (entry.before ?? gap.before) === gap.before && gap.lines.some((line) => line.text === entry.text));
  if (exception) exception.used = true;
  return exception !== undefined;
}

function table(files) {
  const sums = new Map();
  console.log(`${'lines'.padStart(44)} ${'run'.padStart(6)}`);
  const row = (name, all, run) => console.log(`${name.padEnd(38)}${String(all).padStart(6)} ${String(run).padStart(6)} ${((100 * run) / all).toFixed(1).padStart(6)} %`);
  for (const [file, lines] of files) {
    const run = [...lines.values()].filter((count) => count > 0).length;
    row(file, lines.size, run);
    const part = file.split('/')[0];
    const sum = sums.get(part) ?? [0, 0];
    sums.set(part, [sum[0] + lines.size, sum[1] + run]);
  }
  for (const [part, [all, run]] of sums) row(part, all, run);
}

const files = counts();
const all = [...files].flatMap(([file, lines]) => gaps(file, lines));
const list = exceptions();
const failures = all.filter(handlesFailure);
const open = failures.filter((gap) => !excused(gap, list));
const size = (some) => some.reduce((sum, gap) => sum + gap.lines.length, 0);

writeFileSync(path.join(out, 'lines.txt'), all.map((gap) => `${gap.lines.map((line) => `${gap.file}:${line.number}: ${line.text}\n`).join('')}\n`).join(''));
table(files);
console.log('\nlines that handle a failure and have never run:');
for (const gap of open) {
  console.log(`  after: ${gap.before}`);
  for (const line of gap.lines) console.log(`${gap.file}:${line.number}: ${line.text}`);
}
for (const part of ['sidecar', 'extension']) {
  const of = (some) => size(some.filter((gap) => gap.file.startsWith(`${part}/`)));
  console.log(`${part}: ${of(all)} lines have not run; ${of(failures)} of them handle a failure, ${of(failures) - of(open)} of these are excused`);
}
const stale = list.filter((entry) => !entry.used);
for (const entry of stale) console.log(`exceptions: no such line is left without a run: ${entry.line}`);
