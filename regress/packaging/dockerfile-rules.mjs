// The rules of hadolint that matter to our Dockerfiles, under its own numbers. A line "# hadolint ignore=DL3008" before an
// instruction takes its rules away there, as it does for hadolint; the comment before it has to say why.

/** Instructions with what is ignored: [{name, text, line, ignored, reason}]. */
function read(source) {
  const list = [];
  let comments = [];
  let open;
  source.split('\n').forEach((text, at) => {
    const comment = /^\s*#\s?(.*)/.exec(text);
    if (comment) {
      if (!open) comments.push(comment[1]);
      return;
    }
    if (!open && !text.trim()) {
      comments = [];
      return;
    }
    if (open) open.text += ` ${text.trim()}`;
    else {
      const [, name, rest] = /^\s*(\w+)\s+(.*)$/.exec(text);
      const ignored = comments.flatMap((said) => /^hadolint ignore=(.*)/.exec(said)?.[1].split(',') ?? []);
      open = { name: name.toUpperCase(), text: rest, line: at + 1, ignored, reason: comments.some((said) => said && !said.startsWith('hadolint')) };
      list.push(open);
      comments = [];
    }
    if (/\\\s*$/.test(text)) open.text = open.text.replace(/\\\s*$/, '');
    else open = undefined;
  });
  return list;
}

const isJson = (text) => {
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
};
const aptPackages = (text) => [...text.matchAll(/apt-get install([^&;|]*)/g)].flatMap(([, rest]) => rest.split(/\s+/).filter((word) => word && !word.startsWith('-')));

/** Of one instruction: number → does it break the rule? */
const single = {
  DL3000: ({ name, text }) => name === 'WORKDIR' && !/^["']?(\/|\$)/.test(text),
  DL3003: ({ name, text }) => name === 'RUN' && /(^|&&|;)\s*cd\s/.test(text),
  DL3004: ({ name, text }) => name === 'RUN' && /\bsudo\b/.test(text),
  DL3008: ({ name, text }) => name === 'RUN' && aptPackages(text).some((word) => !word.includes('=')),
  DL3009: ({ name, text }) => name === 'RUN' && /apt-get update/.test(text) && !/rm -rf? \/var\/lib\/apt\/lists\/\*/.test(text),
  DL3014: ({ name, text }) => name === 'RUN' && [...text.matchAll(/apt-get install[^&;|]*/g)].some(([call]) => !/\s(-y|--yes|-qq)\b/.test(call)),
  DL3015: ({ name, text }) => name === 'RUN' && [...text.matchAll(/apt-get install[^&;|]*/g)].some(([call]) => !call.includes('--no-install-recommends')),
  DL3016: ({ name, text }) => name === 'RUN' && [...text.matchAll(/npm (?:install|i|add)([^&;|]*)/g)].some(([, rest]) => rest.split(/\s+/).some((word) => /^[\w@]/.test(word) && !/.@/.test(word))),
  DL3020: ({ name }) => name === 'ADD',
  DL3025: ({ name, text }) => ['CMD', 'ENTRYPOINT'].includes(name) && !isJson(text),
  DL3027: ({ name, text }) => name === 'RUN' && /(^|&&|;)\s*apt\s/.test(text),
  DL4000: ({ name }) => name === 'MAINTAINER',
  DL4006: ({ name, text }) => name === 'RUN' && !isJson(text) && /[^|]\|[^|]/.test(text) && !/pipefail/.test(text),
};

/** ARGs before the first FROM stand for their defaults. */
function image(text, args) {
  const name = text.replace(/^--platform=\S+\s+/, '').split(/\s+/)[0];
  return name.replace(/\$\{?(\w+)\}?/g, (all, arg) => args[arg] ?? all);
}

/** ["line 3: DL3007", …] of a Dockerfile's text; empty: it keeps the rules. */
export function broken(source) {
  const list = read(source);
  const found = [];
  const report = (step, rule) => {
    if (!step.ignored.includes(rule)) found.push(`line ${step.line}: ${rule}`);
    else if (!step.reason) found.push(`line ${step.line}: ${rule} is ignored, and nothing says why`);
  };
  const args = {};
  const names = new Set();
  let stage = { counts: {}, workdir: false };
  let user;
  for (const step of list) {
    for (const [rule, breaks] of Object.entries(single)) if (breaks(step)) report(step, rule);
    if (step.name === 'ARG' && !names.size && !stage.from) args[step.text.split('=')[0]] = step.text.split('=')[1];
    if (step.name === 'FROM') {
      const from = image(step.text, args);
      if (!names.has(from) && from !== 'scratch') {
        if (!/[:@]/.test(from)) report(step, 'DL3006');
        if (/:latest$/.test(from)) report(step, 'DL3007');
      }
      names.add(/\sAS\s+(\S+)/i.exec(step.text)?.[1]);
      stage = { from, counts: {}, workdir: false };
      user = undefined;
    }
    if (step.name === 'WORKDIR') stage.workdir = true;
    if (step.name === 'USER') user = step;
    if (step.name === 'COPY' && !stage.workdir && !/\s["']?(\/|\$)\S*["']?\]?$/.test(step.text)) report(step, 'DL3045');
    stage.counts[step.name] = (stage.counts[step.name] ?? 0) + 1;
    for (const [name, rule] of [['CMD', 'DL4003'], ['ENTRYPOINT', 'DL4004'], ['HEALTHCHECK', 'DL3012']]) if (step.name === name && stage.counts[name] > 1) report(step, rule);
  }
  if (user && /^(root|0)(:|$)/.test(user.text)) report(user, 'DL3002');
  return found;
}
