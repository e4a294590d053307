// Reads a Dockerfile as far as ours go: instructions with continued lines and comments, stages, ARG and ENV.
import { readFileSync } from 'node:fs';

/** [{name, text, stage}]: every instruction, in order; stage counts from 0, and is -1 before the first FROM. */
export function instructions(file) {
  const lines = readFileSync(file, 'utf8').split('\n').filter((line) => !/^\s*#/.test(line)).join('\n');
  let stage = -1;
  return lines.replace(/\\\n\s*/g, ' ').split('\n').filter((line) => line.trim()).map((line) => {
    const [, name, text] = /^(\w+)\s+(.*)$/.exec(line.trim());
    if (name === 'FROM') stage++;
    return { name, text, stage };
  });
}

/** Stages: [{from, name, steps}], with ARGs before the first FROM put in. args: those given by hand. */
export function stages(file, args = {}) {
  const list = instructions(file);
  const first = {};
  for (const { text } of list.filter(({ name, stage }) => name === 'ARG' && stage < 0)) {
    const [name, value] = text.split('=');
    first[name] = args[name] ?? value;
  }
  const found = [];
  for (const step of list.filter(({ stage }) => stage >= 0)) {
    if (step.name === 'FROM') {
      const [, from, name] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(step.text);
      found.push({ from: expand(from, first), name, steps: [], args: first });
    } else {
      found.at(-1).steps.push(step);
    }
  }
  return found;
}

/** Puts ${NAME} in. */
export function expand(text, values) {
  return text.replace(/\$\{(\w+)\}/g, (all, name) => values[name] ?? all);
}
