// packaging/prometheus/alerts.yml: judged by promtool, and against what a sidecar's /metrics really has.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { Bed } from '../lib/bed.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { runProgram } from '../lib/program.mjs';
import { until } from '../lib/wait.mjs';
import { root, temporaryDirectory } from '../lib/workspace.mjs';

const file = path.join(root, 'packaging/prometheus/alerts.yml');
const casesFile = path.join(root, 'regress/packaging/alerts.test.yml');
const text = readFileSync(file, 'utf8');
const cases = readFileSync(casesFile, 'utf8');
const alerts = parse(text).groups.flatMap(({ rules }) => rules);

let bed;

before(async () => {
  bed = await Bed.create();
});

after(() => bed.close());

/** Runs the cases against rules: undefined, or what promtool found wrong. */
async function judge(rules) {
  const dir = temporaryDirectory();
  writeFileSync(path.join(dir, 'alerts.yml'), rules);
  writeFileSync(path.join(dir, 'cases.yml'), cases.replace(/rule_files: .*/, 'rule_files: [alerts.yml]'));
  return runProgram('promtool', ['test', 'rules', path.join(dir, 'cases.yml')]).then(() => undefined, (error) => `${error.stdout}${error.stderr}`);
}

test('promtool reads the rules, and each fires above its threshold and not below', async () => {
  await runProgram('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', file]);
  assert.equal(await judge(text), undefined);
});

test('each alert has its threshold, and a rule with another one is found out', async () => {
  const thresholds = [
    ['ChatRealtimeSlow', '> 0.5', '> 0.7'],
    ['ChatRealtimeAcceptanceSlow', '> 0.5', '> 0.7'],
    ['ChatRealtimeErrors', '> 0.01', '> 0.02'],
    ['ChatRealtimeApiErrors', '> 0.01', '> 0.02'],
    ['ChatRealtimeFewConnections', '< 1', '< 0'],
    ['ChatRealtimeBroadcastsFail', '> 5', '> 6'],
    ['ChatRealtimeUndelivered', '> 60', '> 240'],
    ['ChatRealtimeGone', 'absent(chat_realtime_build_info)', 'absent(chat_realtime_connections) unless absent(chat_realtime_build_info)'],
    ['ChatRealtimeMissing', '> 2.5', '> 9'],
    ['ChatRealtimeDeaf', '< 1', '< 0'],
    ['ChatRealtimeNoLeader', '< 1', '< 0'],
    ['ChatRealtimeLogLarge', '> 20 *', '> 40 *'],
    ['ChatRealtimeWebhooksDisabled', '> max by', '> 1 + max by'],
    ['ChatRealtimeRateLimitsFull', '> 0.9', '> 0.99'],
  ];
  assert.deepEqual(alerts.map(({ alert }) => alert), thresholds.map(([alert]) => alert));
  for (const [name, threshold, other] of thresholds) {
    const at = text.indexOf(threshold, text.indexOf(`alert: ${name}`));
    const next = text.indexOf('alert: ', text.indexOf(`alert: ${name}`) + 1);
    assert.ok(at > 0 && (next < 0 || at < next), `${name}: ${threshold}`);
    const changed = text.slice(0, at) + other + text.slice(at + threshold.length);
    assert.match(await judge(changed) ?? 'nothing', new RegExp(`alertname:\\s*${name}|${name}`), `${name} with ${other}`);
  }
});

const dashboard = JSON.parse(readFileSync(path.join(root, 'packaging/grafana/chat_realtime.json'), 'utf8'));
const questions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

test('the dashboard: panels fill their rows, and promtool reads what they ask', async () => {
  const file = path.join(temporaryDirectory(), 'rules.yml');
  const asked = questions.map((expr) => expr.replaceAll('$__rate_interval', '5m').replaceAll('"$job"', '"chat"'));
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: asked.map((expr, i) => ({ record: `panel:${i}`, expr })) }] }));
  await runProgram('promtool', ['check', 'rules', file]);
  const taken = new Set();
  for (const { id, title, gridPos: { x, y, w, h } } of dashboard.panels) {
    assert.ok(id && title && x + w <= 24, title);
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        assert.ok(!taken.has(`${column},${row}`), `${title} lies over another one`);
        taken.add(`${column},${row}`);
      }
    }
  }
  assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
});

/** Every series that rules and dashboard ask for: [name, label or '']. */
const wanted = [...alerts.map(({ expr }) => expr), ...questions].flatMap((expr) => [...expr.matchAll(/\b(chat_[a-z_]+)(?:\{(\w+)=~"([\w|]+)"\})?/g)]
  .flatMap(([, name, label, values]) => (values?.split('|') ?? ['']).map((one) => [name, label ? `${label}="${one}"` : ''])));

test('each metric that a rule names is on the page of /metrics from the start, with the labels it asks for', async () => {
  const sidecar = await bed.sidecar();
  assert.ok(wanted.length >= 8);
  let page;
  await until(async () => {
    page = await (await sidecar.get('/metrics')).text();
    return /^chat_realtime_oldest_undelivered_seconds/m.test(page) && /^chat_api_requests_total/m.test(page); // asked of the database a moment after the start
  }, 'the first figures of the database', 20000);
  for (const [name, label] of wanted) {
    assert.ok(new RegExp(`^${name}(\\{[^}]*${label}[^}]*\\})? [\\d.e+]+$`, 'm').test(page), `${name}{${label}}`);
  }
  const bounds = [...page.matchAll(/^chat_realtime_delivery_latency_seconds_bucket\{le="([\d.]+)"\}/gm)].map((match) => Number(match[1]));
  assert.ok(bounds.includes(0.5), 'a bucket ends at the threshold, so that the quantile is exact there');
  const file = path.join(temporaryDirectory(), 'page');
  writeFileSync(file, page);
  await runProgram('sh', ['-c', `exec promtool check metrics <${file}`]); // no series twice, names as Prometheus wants them
  await sidecar.kill('SIGTERM'); // it leads
});

test('failures in a row are counted while Realtime is away, beyond what the alert waits for, and forgotten when it is back', async () => {
  const realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  const sidecar = await bed.sidecar({ REALTIME_URL: realtime.url });
  const inARow = () => sidecar.metric('chat_realtime_broadcast_failures_in_a_row');
  assert.match(await (await sidecar.get('/metrics')).text(), /^chat_realtime_broadcast_failures_in_a_row 0$/m);
  await realtime.down();
  await bed.message(await bed.conversation(), 'nobody there');
  await until(async () => await inARow() > 5, 'six failures in a row', 60000, 200);
  await realtime.up();
  await until(async () => await inARow() === 0, 'an accepted one', 60000, 200);
});
