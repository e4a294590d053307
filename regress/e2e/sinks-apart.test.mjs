// Ways out do not wait for each other: one that is down for an hour, paused or added later takes nothing from the others, and gets
// what it is owed. An hour passes by making what is written an hour older.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { events, Load } from '../lib/load.mjs';
import { allArrived, embedded, fromNow, overDatabase, overHttp, socketIo, webhooks } from '../lib/sinks.mjs';
import { schema } from '../lib/streaming-realtime.mjs';
import { until } from '../lib/wait.mjs';

let bed, conversations, http, database, hooks, socket, client, sidecar;
const log = new Map(); // all that was ever written, for retention takes it from the database

before(async () => {
  bed = await Bed.create({ settings: { wal_level: 'logical', 'chat_realtime.retention': '30min' }, before: schema });
  conversations = [await bed.conversation('Ana'), await bed.conversation('Bia')];
  [http, database, hooks, socket] = [await overHttp(bed), await overDatabase(bed), await webhooks(bed), await socketIo(bed, conversations)];
  sidecar = await bed.sidecar({ ...http.env, ...socket.env });
  client = await embedded(bed, conversations, await bed.sidecar({ WEBHOOKS: 'off' }));
  await until(async () => await sidecar.metric('chat_realtime_socketio_servers') === 1, 'the Socket.IO server', 30000);
});

after(() => bed?.close());

async function noted() {
  for (const event of await events(bed.db)) log.set(event.id, event);
  return [...log.values()];
}

async function write(count, text) {
  for (let n = 0; n < count; n++) await bed.message(conversations[n % 2], `${text} ${n}`);
  return noted();
}

const allAt = async (sinks, options) => {
  for (const sink of sinks) await allArrived(bed, sink, { ...options, log: await noted(), state: () => sidecar.tail() });
};

/** What is written is so much older, and retention does what is due. Its actions. */
async function hourPasses() {
  await bed.db.query(`UPDATE chat.event SET created_at = created_at - interval '1 h'`);
  const done = [];
  for (let n = 0; n < 3; n++) done.push(...(await rows(bed.db, 'SELECT * FROM chat.maintain()')).map(({ action }) => action));
  return done;
}

const send = 'FUNCTION chat.socketio_send(text, text, text[], bytea[])';

/** Each sink, how it goes down, how it comes back, and whether the log waits for it: webhooks store what failed. */
const outages = [
  ['Realtime is down', () => http, () => http.peer.down(), () => http.peer.up().then(() => sidecar.child.kill('SIGHUP')), true],
  ['Socket.IO\'s channel is blocked', () => socket, () => bed.db.query(`REVOKE EXECUTE ON ${send} FROM chat_sidecar`), () => bed.db.query(`GRANT EXECUTE ON ${send} TO chat_sidecar`), true],
  ['every receiver of webhooks is down', () => hooks, () => hooks.peer.down(), async () => {
    await hooks.peer.up();
    await bed.db.query('UPDATE chat.webhook_delivery SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL');
  }, false],
];

for (const [what, which, fail, mend, held] of outages) {
  test(`${what} for an hour: the others get everything in order, and so does it afterwards`, async () => {
    const [down, others] = [which(), [http, hooks, socket, client].filter((sink) => sink !== which())];
    await write(4, `before: ${what}`);
    await allAt([down, ...others]);
    await fail();
    const had = down.arrived().length;
    await write(20, what);
    await allAt(others);
    if (!held) await until(async () => await value(bed.db, 'SELECT count(*) FROM chat.webhook_delivery') >= 20, 'all of it to be stored');
    const first = await value(bed.db, 'SELECT min(id) FROM chat.events WHERE payload::jsonb ->> $1 = $2', ['content', `${what} 0`]);
    const isKept = () => value(bed.db, 'SELECT count(*) FROM chat.events WHERE id = $1', [first]);
    await hourPasses();
    await write(20, `an hour later: ${what}`);
    await allAt(others);
    if (held) {
      // The sidecar's own maintenance may be at it just then.
      await until(async () => (await hourPasses()).includes('kept: a consumer is not past it'), 'a word on what is kept', 20000, 200);
      assert.equal(await isKept(), 1);
    } else {
      await until(async () => await hourPasses() && await isKept() === 0, 'what is stored elsewhere to go', 20000, 200);
    }
    assert.equal(down.arrived().length, had, 'it was not down');
    await mend();
    await allAt([down, ...others]);
    if (held) await until(async () => (await hourPasses()).some((action) => /dropped|emptied/.test(action)), 'what it held to go', 20000, 200);
  });
}

const leads = (name) => sidecar.log.findLast(({ msg, consumer }) => consumer === name && /^(leading|not leading any more)$/.test(msg))?.msg === 'leading';

/** Turns consumers off that lead, and waits until they have stopped: a sidecar learns of it when it renews the lease. */
async function pause(...names) {
  await until(() => names.every(leads), () => `${names} to lead: ${sidecar.tail()}`, 30000);
  for (const name of names) await bed.db.query('SELECT chat.set_consumer($1, false)', [name]);
  await until(() => !names.some(leads), () => `${names} to stop: ${sidecar.tail()}`, 30000);
}

test('two are paused under load and go on from the beginning of what is kept: nothing lost, order kept, the others go on', async () => {
  const load = new Load(bed.cluster, conversations, { writers: 2, pause: 20 });
  try {
    await load.wrote(20);
    await pause('webhooks', 'socketio');
    await load.wrote(60);
    await allAt([http, client], { writing: true });
    for (const name of ['socketio', 'webhooks']) await bed.db.query(`SELECT chat.set_consumer($1, true, "from" => 'beginning')`, [name]);
    await load.wrote(60);
  } finally {
    await load.stop();
  }
  await allAt([http, client, hooks, socket]);
});

test('... and two others, one of them without asking for what came meanwhile, which it does not get', async () => {
  await pause('realtime', 'webhooks');
  const missed = new Set((await write(10, 'meanwhile')).slice(-20).map(({ id }) => id));
  await allAt([socket, client]);
  await bed.db.query(`SELECT chat.set_consumer('realtime', true), chat.set_consumer('webhooks', true, "from" => 'beginning')`);
  await write(10, 'afterwards');
  await allAt([socket, client, hooks]);
  await allArrived(bed, http, { log: (await noted()).filter(({ id }) => !missed.has(id)) });
  for (const id of missed) log.delete(id);
});

/** What is on the way out alone: the consumer's name, and settings of the sidecar. A webhook gets nothing again that it has had. */
const alone = [
  ['Realtime over HTTP', 'realtime', () => http, () => ({ ...http.env, WEBHOOKS: 'off' })],
  ['Realtime over the database', 'realtime', () => database, () => ({ ...database.env, WEBHOOKS: 'off' })],
  ['webhooks', 'webhooks', () => hooks, () => ({})],
  ['Socket.IO', 'socketio', () => socket, () => ({ ...socket.env, WEBHOOKS: 'off' })],
];

for (const from of ['now', 'beginning']) {
  for (const [what, name, which, env] of alone) {
    test(`${what}, added later, starts ${from === 'now' ? 'at the present' : 'at the start of what is kept, if asked'}`, async () => {
      await sidecar.kill('SIGTERM');
      await bed.db.query('DELETE FROM chat.consumer WHERE name = $1', [name]);
      await bed.db.query(`UPDATE chat.consumer SET created_at = created_at - interval '1 h'`);
      const before = (await write(6, `before ${what}`)).at(-1).id;
      if (from === 'beginning') await bed.db.query('SELECT chat.set_consumer($1, true, $2)', [name, from]);
      const had = new Set(which() === hooks ? hooks.arrived().map(({ id }) => id) : []);
      const sink = fromNow(which());
      sidecar = await bed.sidecar(env());
      await until(async () => await value(bed.db, 'SELECT count(*) FROM chat.consumer WHERE name = $1 AND owner IS NOT NULL', [name]) === 1, () => sidecar.tail());
      await write(6, `after ${what}`);
      const wanted = (await events(bed.db)).filter(({ id }) => (from === 'beginning' ? !had.has(id) : BigInt(id) > BigInt(before)));
      await allArrived(bed, sink, { log: wanted, state: () => sidecar.tail() });
    });
  }
}
