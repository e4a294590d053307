// What the sidecar can write into its log, read from its sources: each line's text, level and fields.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './workspace.mjs';

const folder = path.join(root, 'sidecar');
const sources = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.c') && !file.startsWith('build')).sort()
  .map((file) => ({ file, text: readFileSync(path.join(folder, file), 'utf8').replace(/\/\*[^]*?\*\//g, '').replace(/\bPRI\w+/g, '""') }));

/** The arguments of the call whose parenthesis opens at a place. */
function callArguments(text, open) {
  const list = [];
  let depth = 0;
  let from = open + 1;
  for (let at = open; at < text.length; at++) {
    if (text[at] === '"') for (at++; text[at] !== '"'; at++) at += text[at] === '\\';
    else if ('([{'.includes(text[at])) depth++;
    else if (')]}'.includes(text[at]) && --depth === 0) return [...list, text.slice(from, at).trim()];
    else if (text[at] === ',' && depth === 1) {
      list.push(text.slice(from, at).trim());
      from = at + 1;
    }
  }
  throw new Error('a call does not end');
}

const calls = (text, name) => [...text.matchAll(new RegExp(`\\b${name}\\(`, 'g'))].map((match) => callArguments(text, match.index + match[0].length - 1));
/** The string literals of an expression, those side by side as one. */
const literals = (text) => [...text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*/g)].map(([run]) => [...run.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((part) => part[1]).join('').replaceAll('\\"', '"'));

/** What a message may be that is no literal: a constant, or what the function is called with. */
function spelled(name, { text }) {
  const constant = sources.flatMap((source) => (source.text === text || !text.includes(`char ${name}[]`) ? [...source.text.matchAll(new RegExp(`\\bchar ${name}\\[\\] =\\s*([^;]*);`, 'g'))] : []));
  if (constant.length > 0) return literals(constant[0][1]);
  if (name === 'text') return sources.filter(({ file }) => file === 'config.c').flatMap((source) => calls(source.text, 'warn').flatMap((args) => literals(args[1] ?? '')));
  return calls(text, 'wait_with').flatMap((args) => literals(args[1]));
}

function line(source, [levels, message, ...rest]) {
  const fields = [];
  for (let i = 0; i + 2 < rest.length; i += 3) fields.push(...literals(rest[i]));
  const texts = literals(message).filter((one) => one.length > 0);
  return (texts.length > 0 ? texts : spelled(message, source)).map((text) => ({
    text,
    levels: [...new Set([...levels.matchAll(/LOG_(DEBUG|INFO|WARN|ERROR)/g)].map((match) => match[1].toLowerCase()))].sort(),
    fields,
  }));
}

/** All lines in order of their texts: {text, levels, fields}. */
export function logLines() {
  const lines = new Map();
  for (const source of sources.filter(({ file }) => file !== 'base/log.c')) {
    for (const args of calls(source.text, 'log_event')) {
      const found = line(source, args);
      if (found.length === 0) throw new Error(`${source.file}: what does it log with ${args[1]}?`);
      for (const { text, levels, fields } of found) {
        const one = lines.get(text) ?? { text, levels: [], fields: [] };
        lines.set(text, { text, levels: [...new Set([...one.levels, ...levels])].sort(), fields: [...new Set([...one.fields, ...fields])] });
      }
    }
  }
  return [...lines.values()].sort((a, b) => (a.text < b.text ? -1 : 1));
}

/** The table of docs/logs.md. */
export const logTable = () => ['| `msg` | `level` | fields |', '|---|---|---|',
  ...logLines().map(({ text, levels, fields }) => `| ${text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('%s', '…')} | ${levels.join(', ')} | ${fields.map((name) => `\`${name}\``).join(', ')} |`)].join('\n');
