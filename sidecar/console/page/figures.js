// What the numbers of /metrics say: sums, rates and quantiles between two looks.

/** Prometheus' text as a map from name to [{labels, value}]. */
export function parse(text) {
  const metrics = new Map();
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[name] = value;
    if (!metrics.has(match[1])) metrics.set(match[1], []);
    metrics.get(match[1]).push({ labels, value: Number(match[3]) });
  }
  return metrics;
}

const fits = (labels, wanted) => Object.entries(wanted).every(([name, value]) => labels[name] === value);

/** The sum of a metric's series that have these labels; undefined: there is none. */
export function sum(metrics, name, wanted = {}) {
  const found = (metrics.get(name) ?? []).filter(({ labels }) => fits(labels, wanted));
  return found.length ? found.reduce((total, { value }) => total + value, 0) : undefined;
}

/** The values of a label of a metric. */
export const values = (metrics, name, label) => [...new Set((metrics.get(name) ?? []).map(({ labels }) => labels[label]))];

/** How much a counter grew a second between two looks {at, metrics}; undefined: it cannot be said, also after a restart. */
export function rate(now, then, name, wanted) {
  const [here, there] = [sum(now.metrics, name, wanted), then && sum(then.metrics, name, wanted)];
  return here === undefined || there === undefined || here < there || now.at <= then.at ? undefined : (here - there) / (now.at - then.at);
}

/** A quantile, in seconds, of what a histogram counted between two looks; undefined: it counted nothing. */
export function quantile(now, then, name, q) {
  if (!then) return undefined;
  const before = new Map((then.metrics.get(`${name}_bucket`) ?? []).map(({ labels, value }) => [labels.le, value]));
  const buckets = (now.metrics.get(`${name}_bucket`) ?? [])
    .map(({ labels, value }) => ({ le: labels.le === '+Inf' ? Infinity : Number(labels.le), count: value - (before.get(labels.le) ?? 0) }))
    .sort((a, b) => a.le - b.le);
  const all = buckets.at(-1)?.count ?? 0;
  if (!(all > 0)) return undefined;
  let [low, below] = [0, 0];
  for (const { le, count } of buckets) {
    if (count >= q * all) return le === Infinity ? low : low + (le - low) * (q * all - below) / Math.max(count - below, 1);
    [low, below] = [le, count];
  }
  return low;
}

/** A number as people read it: three digits that matter, thousands apart. */
export function count(value) {
  if (value === undefined || Number.isNaN(value)) return '–';
  if (value >= 1e6) return `${(value / 1e6).toFixed(value < 1e7 ? 2 : 1)} M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return Number.isInteger(value) || value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(value < 10 ? 1 : 0);
}

/** Seconds as people say them. */
export function duration(seconds) {
  if (seconds === undefined || Number.isNaN(seconds)) return '–';
  if (seconds < 0.001) return seconds === 0 ? '0 s' : `${(seconds * 1000).toFixed(2)} ms`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}
