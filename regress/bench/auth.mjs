// What checking a request costs: chat.authenticate and chat.check_rate_limit against SELECT 1, each a prepared
// statement of 32 clients.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { paired } from './paired.mjs';

const exec = promisify(execFile);
const rounds = Number(process.env.ROUNDS ?? 11);
const seconds = Number(process.env.SECONDS_EACH ?? 3);
const clients = Number(process.env.CLIENTS ?? 32);
const goal = 0.8;

const owner = '11111111-1111-1111-1111-111111111111';
const makeKey = `SELECT chat.create_api_key('${owner}', 'bench', rate_limit => 1000000) ->> 'key'`;

async function setup(cluster) {
  await cluster.psql('CREATE EXTENSION chat_realtime');
  await cluster.psql('SELECT count(*) FROM chat.setup()');
  await cluster.psql(`SELECT count(chat.create_api_key('${owner}', 'k' || n)) FROM generate_series(1, 10000) n`);
  const key = await cluster.psql(makeKey);
  await cluster.psql('UPDATE public.chat_api_keys SET rate_limit = 1000000000');
  await cluster.psql('VACUUM ANALYZE public.chat_api_keys');
  return key;
}

// Values are parameters, as a backend sends them; a colon in the text would be one to pgbench.
const scripts = {
  'SELECT 1': 'SELECT 1;',
  'chat.authenticate': 'SELECT * FROM chat.authenticate(:key, :scope);',
  'the same, refused for its form': 'SELECT * FROM chat.authenticate(:scope, :scope);',
  'chat.check_rate_limit': 'SELECT * FROM chat.check_rate_limit(:bucket, 1000000000, \'60 s\');',
  'the same, 10,000 buckets': '\\set n random(1, 10000)\nSELECT * FROM chat.check_rate_limit(:bucket || :n, 100, \'60 s\');',
};

async function run(cluster, file, key) {
  const { stdout } = await exec(path.join(cluster.bindir, 'pgbench'),
    ['-n', '-M', 'prepared', '-c', clients, '-j', 2, '-T', seconds, '-f', file,
      '-D', `key=${key}`, '-D', 'scope=chat:read', '-D', 'bucket=api-chat', 'postgres'], { env: { ...process.env, ...cluster.env() } });
  return Number(/^tps = ([\d.]+)/m.exec(stdout)[1]);
}

try {
  const cluster = await Cluster.create();
  const key = await setup(cluster);
  const sides = Object.entries(scripts).map(([name, text], n) => {
    const file = path.join(cluster.dir, `auth-${n}.sql`);
    writeFileSync(file, `${text}\n`);
    return { name, file };
  });
  const figures = await paired(sides, rounds, async ({ file }) => ({ rate: await run(cluster, file, key) }));
  console.log(`\nChecking a request, ${clients} clients, medians of ${rounds} rounds of ${seconds} s (goal: at least ${goal} x)`);
  figures.forEach(({ rate }, i) => {
    console.log(`  ${sides[i].name.padEnd(32)} ${rate.figure.toFixed(0).padStart(8)}/s ${rate.ratio.toFixed(2).padStart(8)} x`);
  });
  await cluster.remove();
} finally {
  await finish?.();
}
