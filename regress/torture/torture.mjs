// Everything killed with SIGKILL again and again under load, each at a moment of no one's choosing, while Realtime's stand-in and the receiver
// of webhooks reset connections: what is lost, and how long does it take until all is delivered again?
//
// Two sidecars read one log. One has clients at an endpoint of its own, and webhooks; the other one publishes to Realtime's stand-in. What is
// killed: a core, the endpoint's process, the stand-in, PostgreSQL. Counted are a supabase-js client that catches up, the receiver, and what the
// stand-in accepted; it notes on disk what it answers.
import { statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { Follower } from '../lib/follower.mjs';
import { finish } from '../lib/janitor.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { events, judge, Load } from '../lib/load.mjs';
import { RealtimeProcess } from '../lib/realtime-process.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { resettingProxy } from './resets.mjs';

const kills = Number(process.env.KILLS ?? 50);
const resets = Number(process.env.RESETS ?? 5); // per cent of the requests
const crashes = Number(process.env.CRASHES ?? Math.ceil(kills / 20)); // of PostgreSQL, among the kills
const writers = Number(process.env.WRITERS ?? 4);
const contacts = 12;
const patience = 120_000; // ms without any progress at the end, and for each recovery

async function createClient(bed) {
  const db = async () => {
    await bed.asUser?.end().catch(() => {});
    bed.asUser = await bed.connect();
    await bed.asUser.query(`SELECT set_config('request.jwt.claims', $1, false)`, [JSON.stringify({ sub: bed.owner, role: 'authenticated' })]);
    bed.asUser.on('error', () => {});
    return bed.asUser;
  };
  await db();
  bed.renewUser = db;
  const topics = [`user:${bed.owner}:inbox`, ...bed.conversations.map((id) => `conversation:${id}`)];
  return Follower.create(await bed.subscriber(bed.serving), () => bed.asUser, topics);
}

async function createBed() {
  const bed = await Bed.create({ settings: { max_connections: 200 } });
  bed.db.on('error', () => {});
  bed.conversations = [];
  for (let i = 0; i < contacts; i++) bed.conversations.push(await bed.conversation(`Contact ${i}`));
  bed.receiver = await bed.receiver(['*']);
  // A message that fails twice is tried again only after minutes.
  bed.hook = await resettingProxy(bed.receiver.url, resets, (head) => /^webhook-id: (.*)$/im.exec(head)[1]);
  bed.realtime = await RealtimeProcess.start();
  bed.proxy = await resettingProxy(bed.realtime.url, resets);
  bed.closing.push(() => bed.realtime.kill(), () => bed.proxy.down(), () => bed.hook.down());
  await bed.db.query('UPDATE public.chat_external_webhooks SET url = $1', [`${bed.hook.url}/hook`]);
  bed.serving = await bed.sidecar({});
  bed.publishing = await bed.sidecar({
    WEBHOOKS: 'off', REALTIME_URL: bed.proxy.url, REALTIME_KEY: roleToken('service_role', 'torture', { expiresIn: 86400 }), REALTIME_MAX_EVENTS_PER_SECOND: '0',
  });
  bed.client = await createClient(bed);
  bed.first = BigInt(await value(bed.db, 'SELECT COALESCE(max(id), 0) FROM chat.events'));
  return bed;
}

/** What has arrived at each side, as a number that grows. */
const arrived = (bed) => [bed.client.heard.length, bed.receiver.deliveries.length, statSync(bed.realtime.file).size];

/** The same sidecar again, with the same ports. */
async function killCore(bed, which) {
  const { env } = bed[which];
  await bed[which].kill('SIGKILL');
  bed[which] = await bed.sidecar(env);
}

const killing = {
  core: (bed) => killCore(bed, Math.random() < 0.5 ? 'serving' : 'publishing'),
  async endpoint(bed) {
    const pid = bed.serving.endpointPid;
    if (pid) process.kill(pid, 'SIGKILL');
  },
  async realtime(bed) {
    await bed.realtime.kill();
    await sleep(Math.random() * 300);
    await bed.realtime.up();
  },
  async database(bed) {
    await bed.cluster.restart('immediate');
    await bed.renewUser();
  },
};

/** What each kill is of: the database now and then, the others at random. */
function targets() {
  const others = (process.env.TARGETS ?? 'core core endpoint realtime').split(' ');
  const due = (i) => Math.floor(i * crashes / kills) > Math.floor((i - 1) * crashes / kills);
  return Array.from({ length: kills }, (_, i) => (due(i + 1) ? 'database' : others[Math.floor(Math.random() * others.length)]));
}

/** Kills, and waits until something arrives at every side again; seconds by side, by what was killed. */
async function killAll(bed, load) {
  const recovered = {};
  for (const [i, target] of targets().entries()) {
    const before = arrived(bed);
    const start = Date.now();
    const seconds = [];
    await killing[target](bed);
    const look = () => arrived(bed).forEach((count, side) => { if (count > before[side]) seconds[side] ??= (Date.now() - start) / 1000; });
    await until(() => { look(); return Object.keys(seconds).length === before.length; },
      () => `deliveries after ${target} was killed, ${before} then, ${arrived(bed)} now: ${bed.serving.tail()}\n${bed.publishing.tail()}`, patience);
    (recovered[target] ??= []).push(seconds);
    await sleep(Math.random() * 500);
    if (process.stdout.isTTY) process.stdout.write(`\r${i + 1} of ${kills} kills, ${load.written} messages `);
  }
  return recovered;
}

/** webhook-id is evt_<event>; conversation.closed is part of another event, and not written here. */
const received = (bed) => bed.receiver.deliveries.map(({ id }) => ({ id: id.slice('evt_'.length) }));

/** How many of the receiver's records say something else than what was committed. */
async function untrueRecords(bed) {
  const committed = new Map((await rows(bed.db, 'SELECT e.id::text, e.webhook, e.payload FROM chat.events e WHERE e.webhook IS NOT NULL'))
    .map(({ id, webhook, payload }) => [`evt_${id}`, { id: `evt_${id}`, type: webhook, data: JSON.parse(payload) }]));
  return bed.receiver.deliveries.filter(({ id, type, body }) => BigInt(id.slice('evt_'.length)) > bed.first
    && !isDeepStrictEqual({ id: body.id, type, data: body.data }, committed.get(id))).length;
}

/** Without what was written before the sidecars were there. */
const since = (bed, deliveries) => deliveries.filter(({ id }) => BigInt(id) > bed.first);

/** Deliveries to webhooks that are stored, and whether they merely wait for the time of their next attempt. */
async function stored(bed) {
  const [{ waiting, later }] = await rows(bed.db, `SELECT count(*)::integer AS waiting,
    count(*) > 0 AND count(*) FILTER (WHERE d.next_attempt_at <= clock_timestamp() - interval '10 s') = 0 AS later FROM chat.webhook_delivery d`);
  return { waiting, later };
}

const nothingStored = () => ({ waiting: 0, later: false });

/**
 * Waits until nothing is missing and no delivery is stored, as long as there is progress: until the patience has passed since something
 * changed last, unless all that is stored waits for its time. What is missing then and is not stored is lost.
 */
async function judgement(name, log, deliveries, options = {}, look = nothingStored) {
  let [before, changed] = ['', Date.now()];
  for (;;) {
    const { waiting, later } = await look();
    const result = { ...judge(log, await deliveries(), options), waiting };
    const now = `${result.lost.length} missing, ${waiting} stored`;
    if (result.lost.length + waiting === 0) return result;
    if (now !== before || later) [before, changed] = [now, Date.now()];
    if (Date.now() > changed + patience) return result;
    if (process.stdout.isTTY) process.stdout.write(`\r${name}: ${now}          `);
    await sleep(2000);
  }
}

function print(name, log, result) {
  const distinct = result.delivered - result.duplicates;
  const numbers = [[log.length, 8], [distinct, 10], [result.lost.length, 7], [result.duplicates, 11], [result.waiting, 8], [result.disorder.length, 13], [result.unknown.length, 8]];
  console.log(`  ${name.padEnd(28)} ${numbers.map(([number, width]) => String(number).padStart(width)).join(' ')}`);
}

function printRecovery(recovered) {
  console.log('  seconds from a kill to the next delivery (median, 99 %, most)');
  for (const [target, kills] of Object.entries(recovered)) {
    const sides = ['client', 'webhooks', 'Realtime'].map((name, side) => {
      const sorted = kills.map((seconds) => seconds[side]).sort((a, b) => a - b);
      const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(2);
      return `${name} ${at(0.5)} ${at(0.99)} ${at(1)}`.padEnd(26);
    });
    console.log(`  ${String(kills.length).padStart(5)} of ${target.padEnd(9)} ${sides.join('')}`);
  }
}

/** What is to be delivered: all that was written since the sidecars are there. */
async function written(bed) {
  return (await events(bed.db)).filter(({ id }) => BigInt(id) > bed.first);
}

/** heard: what came by itself, whose order counts; what was asked for comes when it may. */
async function judgeAll(bed) {
  const log = await written(bed);
  const forWebhooks = log.filter((event) => event.webhook !== null);
  const names = ['client that catches up', 'Realtime\'s stand-in', 'webhook receiver'];
  const client = await judgement(names[0], log, async () => since(bed, await bed.client.all()), { ordered: false });
  client.disorder = judge(log, since(bed, bed.client.heard)).disorder;
  const realtime = await judgement(names[1], log, () => since(bed, bed.realtime.accepted));
  const webhook = await judgement(names[2], forWebhooks, () => since(bed, received(bed)), { every: true }, () => stored(bed));
  return [[names[0], log, client], [names[1], log, realtime], [names[2], forWebhooks, webhook]];
}

async function run() {
  const bed = await createBed();
  const start = Date.now();
  const load = new Load(bed.cluster, bed.conversations, { writers, pause: 10 });
  await until(() => arrived(bed).every((count) => count > 0), 'the first deliveries', patience);
  const recovered = await killAll(bed, load);
  const messages = await load.stop();
  await bed.reconnect();
  const ended = Date.now();
  const results = await judgeAll(bed);
  const untrue = await untrueRecords(bed);
  const missing = messages - await value(bed.db, 'SELECT count(*) FROM public.chat_messages');
  const forged = bed.receiver.deliveries.filter(({ problem }) => problem).length;
  console.log(`\n${kills} kills under ${writers} writers in ${Math.round((Date.now() - start) / 1000)} s; `
    + `${messages} messages acknowledged, ${Math.max(missing, 0)} of them not in the table`);
  printRecovery(recovered);
  for (const [name, proxy] of [['Realtime', bed.proxy], ['webhooks', bed.hook]]) {
    console.log(`  connections ended by ${name}: ${Object.entries(proxy.faults).map(([stage, count]) => `${stage} ${count}`).join(', ') || 'none'}; ${proxy.requests} requests`);
  }
  console.log(`  records of the receiver that are not what was committed: ${untrue}; waited for what was left: ${Math.round((Date.now() - ended) / 1000)} s`);
  console.log('                                 events  delivered missing  duplicated  stored  out of order  unknown');
  for (const [name, log, result] of results) print(name, log, result);
  console.log(`  (one need not get a conversation.updated that a later one of the conversation replaced; the client joined ${bed.client.joins} times and asked for ${bed.client.asked.length} events)`);
  await bed.close();
  const bad = results.some(([, , result]) => result.lost.length + result.waiting + result.disorder.length + result.unknown.length > 0);
  return bad || missing > 0 || forged + untrue > 0 ? 1 : 0;
}

let status = 1;
try {
  status = await run();
} finally {
  await finish();
}
process.exit(status);
