// What a person sees in the terminal: aligned lines, a little colour where there is one.
const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
export const bold = paint(1);
export const dim = paint(2);
export const green = paint(32);
export const red = paint(31);

const columns = { kind: 12, what: 54, right: 9 }; // together below 80

export const say = (text = '') => console.log(text);

/** Text from outside: no control characters reach the terminal, and it fits. */
export function plain(text, limit = columns.what) {
  const line = String(text ?? '').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  const letters = [...line];
  return letters.length <= limit ? line : `${letters.slice(0, limit - 1).join('')}…`;
}

export const milliseconds = (ms) => `${ms.toFixed(1)} ms`;

/** Shows what is going on until its line comes; the first build takes a while. */
export function announce(kind) {
  if (process.stdout.isTTY) process.stdout.write(`  ${kind.padEnd(columns.kind)} …\r`);
}

/** kind, what, and a number at the right end. */
export function line(kind, what, right = '', colour = (text) => text) {
  const text = colour(plain(what).padEnd(columns.what));
  say(`  ${kind.padEnd(columns.kind)} ${text} ${dim(right.padStart(columns.right))}`.trimEnd());
}
