// The sidecar killed with SIGKILL again and again under load, and PostgreSQL with it if asked, while Realtime's stand-in and
// the receiver of webhooks reset connections: what is lost?
//
// The sidecar delivers to the embedded endpoint of another one, which is not killed, so that an unchanged
// supabase-js client and a webhook receiver hear all of it. That one works on a database of its own, with the same
// conversations: it must not deliver in the place of the one that is killed.
import { Bed } from '../lib/bed.mjs';
import { connect, value } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { events, judge, Load } from '../lib/load.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { resettingProxy } from './resets.mjs';

const kills = Number(process.env.KILLS ?? 50);
const crashes = Number(process.env.CRASHES ?? 0); // of PostgreSQL, spread over the kills
const resets = Number(process.env.RESETS ?? 5); // per cent of the requests
const contacts = 12;
const patience = 120_000; // ms for what is left at the end

async function createEndpoint(bed) {
  await bed.cluster.psql('CREATE DATABASE endpoint TEMPLATE template0');
  const db = await connect(bed.cluster, { database: 'endpoint' });
  await db.query('CREATE EXTENSION chat_realtime');
  await db.query('SELECT count(*) FROM chat.setup()');
  await db.query(`SELECT chat.grant_sidecar('chat_sidecar')`);
  for (const id of bed.conversations) {
    await db.query('INSERT INTO public.conversations (id, user_id, contact_jid) VALUES ($1, $2, $3)', [id, bed.owner, `${id}@s.whatsapp.net`]);
  }
  await db.end();
  return bed.sidecar({ WEBHOOKS: 'off' }, { database: 'endpoint' });
}

async function createBed() {
  const bed = await Bed.create({ settings: { max_connections: 200 } });
  bed.conversations = [];
  for (let i = 0; i < contacts; i++) bed.conversations.push(await bed.conversation(`Contact ${i}`));
  bed.endpoint = await createEndpoint(bed);
  bed.client = await bed.subscriber(bed.endpoint);
  await bed.client.join(`user:${bed.owner}:inbox`);
  for (const id of bed.conversations) await bed.client.join(`conversation:${id}`);
  bed.receiver = await bed.receiver(['*']);
  bed.realtime = await resettingProxy(bed.endpoint.url, resets);
  // A message that fails twice is tried again only after minutes.
  bed.hook = await resettingProxy(bed.receiver.url, resets, (head) => /^webhook-id: (.*)$/im.exec(head)[1]);
  bed.closing.push(() => bed.realtime.down(), () => bed.hook.down());
  await bed.db.query('UPDATE public.chat_external_webhooks SET url = $1', [`${bed.hook.url}/hook`]);
  bed.env = {
    REALTIME_URL: bed.realtime.url,
    REALTIME_KEY: roleToken('service_role', bed.endpoint.env.EMBEDDED_JWT_SECRET, { expiresIn: 86400 }),
    REALTIME_MAX_EVENTS_PER_SECOND: '0',
  };
  return bed;
}

/** One life of the sidecar: it ends once it has delivered to both sides, at a moment of no one's choosing. */
async function live(bed) {
  const heard = bed.client.heard.length;
  const received = bed.receiver.deliveries.length;
  const sidecar = await bed.sidecar(bed.env);
  await until(() => bed.client.heard.length > heard && bed.receiver.deliveries.length > received,
    () => `deliveries of a new sidecar: ${sidecar.tail()}`, 60_000);
  await sleep(Math.random() * 500);
  await sidecar.kill('SIGKILL');
}

async function killAll(bed, load) {
  for (let i = 1; i <= kills; i++) {
    await live(bed);
    if (Math.floor(i * crashes / kills) > Math.floor((i - 1) * crashes / kills)) await bed.cluster.restart('immediate');
    await sleep(Math.random() * 100);
    if (process.stdout.isTTY) process.stdout.write(`\r${i} of ${kills} kills, ${load.written} messages `);
  }
}

/** webhook-id is evt_<event>; conversation.closed is part of another event, and not written here. */
const received = (bed) => bed.receiver.deliveries.map(({ id }) => ({ id: id.slice('evt_'.length) }));

/** Waits until nothing is missing, or the patience is at its end. */
async function judgement(log, deliveries, options) {
  let result;
  await until(() => {
    result = judge(log, deliveries(), options);
    return result.lost.length === 0;
  }, 'every event', patience, 200).catch(() => {});
  return result;
}

function print(name, log, result) {
  const distinct = result.delivered - result.duplicates;
  console.log(`  ${name.padEnd(20)} ${String(log.length).padStart(8)} ${String(distinct).padStart(10)} ${String(result.lost.length).padStart(6)} `
    + `${String(result.duplicates).padStart(11)} ${String(result.disorder.length).padStart(13)} ${String(result.unknown.length).padStart(8)}`);
}

async function run() {
  const bed = await createBed();
  const start = Date.now();
  const load = new Load(bed.cluster, bed.conversations, { writers: 8, pause: 10 });
  await killAll(bed, load);
  await bed.sidecar(bed.env);
  const written = await load.stop();
  await bed.reconnect();
  const log = await events(bed.db);
  const forWebhooks = log.filter((event) => event.webhook !== null);
  const client = await judgement(log, () => bed.client.heard);
  const webhooks = await judgement(forWebhooks, () => received(bed), { every: true });
  const missing = written - await value(bed.db, 'SELECT count(*) FROM public.chat_messages');
  const forged = bed.receiver.deliveries.filter(({ problem }) => problem).length;
  console.log(`\n${kills} kills of the sidecar and ${crashes} crashes of PostgreSQL under 8 writers in ${Math.round((Date.now() - start) / 1000)} s; `
    + `${written} messages acknowledged, ${Math.max(missing, 0)} of them not in the table`);
  for (const [name, proxy] of [['Realtime', bed.realtime], ['webhooks', bed.hook]]) {
    console.log(`  connections ended by ${name}: ${Object.entries(proxy.faults).map(([stage, count]) => `${stage} ${count}`).join(', ') || 'none'}; ${proxy.requests} requests`);
  }
  console.log('                         events  delivered   lost  duplicated  out of order  unknown');
  print('supabase-js client', log, client);
  print('webhook receiver', forWebhooks, webhooks);
  console.log('  (a client need not get a conversation.updated that a later one of the conversation replaced)');
  await bed.close();
  const bad = [client, webhooks].some((result) => result.lost.length + result.disorder.length + result.unknown.length > 0);
  return bad || missing > 0 || forged > 0 ? 1 : 0;
}

let status = 1;
try {
  status = await run();
} finally {
  await finish();
}
process.exit(status);
