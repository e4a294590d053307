// WUZAPI's bodies: how many a second chat.ingest_wuzapi takes on one connection, beside plain INSERTs of the messages that they
// become; in attached tables, and in the same tables without chat_realtime. And a history, in one body. Commits do not wait for the
// disk, which would hide what is measured.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Cluster } from '../lib/cluster.mjs';
import { connect, rows, value } from '../lib/db.mjs';
import { finish } from '../lib/janitor.mjs';
import { caseBodies } from '../lib/wuzapi-bodies.mjs';

const rounds = Number(process.env.ROUNDS ?? 5);
const passes = Number(process.env.PASSES ?? 10);
const past = Number(process.env.MESSAGES ?? 10000);
/** CPU seconds that a server process has used. */
const used = (db) => {
  const fields = readFileSync(`/proc/${db.processID}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
const seconds = async (run) => {
  const start = process.hrtime.bigint();
  await run();
  return Number(process.hrtime.bigint() - start) / 1e9;
};
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** A history of that many messages in ten conversations. */
function history(count) {
  const conversations = Array.from({ length: 10 }, (_, c) => ({
    ID: `55119000001${c}0@s.whatsapp.net`, unreadCount: 3,
    messages: Array.from({ length: count / 10 }, (_m, m) => ({ message: {
      key: { remoteJID: `55119000001${c}0@s.whatsapp.net`, fromMe: m % 3 === 0, ID: `H${c}-${m}` },
      message: { conversation: `Olá, tudo bem? Queria saber do meu pedido ${m}.` }, messageTimestamp: 1750000000 + m * 60 + c } })),
  }));
  return JSON.stringify({ type: 'HistorySync', event: { Data: { conversations } } });
}

try {
  const cluster = await Cluster.create({ autovacuum: 'off', max_wal_size: '4GB' });
  await cluster.psql('CREATE DATABASE chat');
  const db = await connect(cluster);
  await db.query('SET synchronous_commit = off');
  await db.query('CREATE EXTENSION chat_realtime');
  await rows(db, 'SELECT * FROM chat.setup()');
  // The same tables, but for what chat_realtime puts on them.
  await db.query(`CREATE SCHEMA bare; CREATE TABLE bare.conversations (LIKE public.conversations INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING IDENTITY, PRIMARY KEY (id), UNIQUE (user_id, contact_jid));
    CREATE TABLE bare.chat_messages (LIKE public.chat_messages INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING IDENTITY, PRIMARY KEY (id), FOREIGN KEY (conversation_id) REFERENCES bare.conversations);
    CREATE INDEX ON bare.chat_messages (conversation_id, created_at); CREATE INDEX ON bare.chat_messages (message_id)`);

  const bodies = caseBodies().map(({ body }) => body);
  const owner = randomUUID();
  // Every pass is of new messages to new contacts: ids and numbers are made anew.
  const fresh = (pass) => bodies.map((body) => JSON.stringify(body).replace(/"(AC7F|3EB0|H)([0-9A-Z]+)"/g, `"$1$2-${pass}"`).replace(/55319888800/g, `5531${90000 + pass}00`));
  let pass = 0;
  const ingest = async () => {
    for (const body of fresh(pass++)) await db.query({ name: 'ingest', text: 'SELECT chat.ingest_wuzapi($1, $2)', values: [owner, body] });
  };
  await ingest();
  const stored = await value(db, 'SELECT count(*)::int FROM public.chat_messages');
  const messages = await rows(db, `SELECT message_id, direction, message_type, content, status, sender_type, reply_to_message_id, media_url, media_mime_type, media_filename,
    media_size_bytes, media_duration_seconds, metadata, "timestamp" FROM public.chat_messages ORDER BY id`);
  const columns = Object.keys(messages[0]);
  for (const schema of ['public', 'bare']) {
    await db.query(`INSERT INTO ${schema}.conversations (id, user_id, contact_jid) VALUES (1000000, $1, 'bench')`, [owner]);
  }
  const insert = (schema) => async () => {
    for (const row of messages) {
      await db.query({ name: `insert ${schema}`, text: `INSERT INTO ${schema}.chat_messages (conversation_id, ${columns.map((c) => `"${c}"`).join(', ')}) VALUES (1000000, ${columns.map((_, n) => `$${n + 1}`).join(', ')})`,
        values: columns.map((c) => row[c]) });
    }
  };
  const sides = { bare: insert('bare'), attached: insert('public'), ingest };
  const times = { bare: [], attached: [], ingest: [] };
  const cpu = { bare: [], attached: [], ingest: [] };
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(sides)) {
      const before = used(db);
      times[name].push(await seconds(async () => { for (let i = 0; i < passes; i++) await run(); }) / passes);
      cpu[name].push((used(db) - before) / passes);
    }
  }
  const rate = (name, count) => count / median(times[name]);
  console.log(`\n${bodies.length} bodies of the cases, of which ${stored} messages come; one connection, medians of ${rounds} rounds of ${passes} passes`);
  console.log(`  chat.ingest_wuzapi       ${rate('ingest', bodies.length).toFixed(0)} bodies/s, ${rate('ingest', stored).toFixed(0)} messages/s`);
  console.log(`  INSERT, attached tables  ${rate('attached', stored).toFixed(0)} messages/s`);
  console.log(`  INSERT, bare tables      ${rate('bare', stored).toFixed(0)} messages/s`);
  const each = (name, count) => `${(median(cpu[name]) / count * 1e3).toFixed(2)} ms`;
  console.log(`  CPU of the server: a body ${each('ingest', bodies.length)}, an INSERT ${each('attached', stored)} attached, ${each('bare', stored)} bare;`);
  console.log(`    for the same messages ${(median(cpu.ingest) / median(cpu.attached)).toFixed(2)} x the attached, ${(median(cpu.ingest) / median(cpu.bare)).toFixed(2)} x the bare INSERTs`);

  const body = history(past);
  const first = [];
  const again = [];
  const parse = [];
  for (let round = 0; round < rounds; round++) {
    const user = randomUUID();
    first.push(await seconds(() => db.query('SELECT chat.ingest_wuzapi($1, $2)', [user, body])));
    again.push(await seconds(() => db.query('SELECT chat.ingest_wuzapi($1, $2)', [user, body])));
    parse.push(await seconds(() => db.query('SELECT chat.wuzapi_parse($1) IS NULL', [body])));
  }
  console.log(`\nHistory of ${past} messages, ${(body.length / 1e6).toFixed(1)} MB, medians of ${rounds} rounds`);
  console.log(`  stored ${median(first).toFixed(2)} s (${(past / median(first)).toFixed(0)} messages/s), sent again ${median(again).toFixed(2)} s, of which reading it ${median(parse).toFixed(2)} s`);
  await db.end();
} catch (error) {
  console.log(error.stack);
  process.exitCode = 1;
}
await finish();
